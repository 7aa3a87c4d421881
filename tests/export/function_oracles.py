"""NumPy oracles of the local functions, from their definitions and not from their bodies."""

import numpy as np
from numpy.typing import NDArray


def binary_linear(
    x: NDArray[np.float32],
    packed: NDArray[np.uint8],
    scale: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> NDArray[np.float64]:
    signs = np.unpackbits(packed, axis=1)[:, : x.shape[1]].astype(np.float64) * 2 - 1
    return x.astype(np.float64) @ signs.T * scale.astype(np.float64) + bias


def uniform_quantize(x: NDArray[np.float32], bits: int) -> NDArray[np.uint8]:
    thresholds = np.arange(1, 2**bits, dtype=np.float64) / 2**bits
    return (x[..., None] >= thresholds).sum(-1).astype(np.uint8)


def pack_bits(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    rows = ["".join(f"{code % 2**bits:0{bits}b}" for code in row) for row in codes.tolist()]
    return np.array(
        [[int(row[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(row), 8)] for row in rows],
        np.uint8,
    )


def unpack_bits(payload: NDArray[np.uint8], count: int, bits: int) -> NDArray[np.uint8]:
    rows = ["".join(f"{byte:08b}" for byte in row) for row in payload.tolist()]
    return np.array(
        [[int(row[i * bits : (i + 1) * bits], 2) for i in range(count)] for row in rows], np.uint8
    )


def uniform_dequantize(codes: NDArray[np.uint8], bits: int) -> NDArray[np.float64]:
    return ((codes % 2**bits if bits < 8 else codes).astype(np.float64) + 0.5) / 2**bits
