"""What the DU's part is judged by, on the very numbers that the part reads.

Tables: float64 NumPy, index by index. Neural codebooks: the plain descent in PyTorch. An annealed
descent amplifies rounding, so that bits may differ; what has to agree is the objective. PyTorch
runs in float32 as the part does: in float64 the objective of trained networks is a few percent higher,
since a sigmoid that is 1 in float32 is not in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.fronthaul.networks import Network
from csideploy.fronthaul.search import (
    interference_classes,
    pack_messages,
    quantize_nearest,
    search_exhaustive,
    search_sequential,
)
from csideploy.fronthaul.searches import Indices

Inputs = Mapping[str, NDArray[np.float32]]
Tables = Sequence[NDArray[np.complexfloating[Any, Any]]]


def table_indices(
    method: str, tables: Tables, read: Inputs, *, alpha: float = 0.5, iterations: int = 0
) -> Indices:
    """Chosen codewords (c, R, M).

    Args:
        method: vq, mq, smq or pmq.
        tables: of each RU.
        read: inputs of the DU's part by name, c blocks.
        alpha: of pmq.
        iterations: T of pmq.
    """
    if method == "vq":
        return np.stack([quantize_nearest(x, tables) for x in as_complex(read["precoded"])])
    channels, targets = as_complex(read["effective"]), as_complex(read["targets"])
    if method == "mq":
        found = [search_exhaustive(c, d, tables) for c, d in zip(channels, targets, strict=True)]
        return np.stack(found)
    if method not in ("smq", "pmq"):
        raise InputError(f"{method} has no tables")
    rus = len(tables)
    turns = [[m] for m in range(rus)]
    found = []
    for i, (c, d) in enumerate(zip(channels, targets, strict=True)):
        pmq = method == "pmq"
        classes = interference_classes(read["gains"][i], alpha) if pmq else turns
        found.append(search_sequential(c, d, tables, classes, iterations if pmq else rus))
    return np.stack(found)


def table_payload(indices: Indices, bits: Sequence[int]) -> NDArray[np.uint8]:
    """Codewords (c, R, M) as payloads (c, bytes)."""
    return np.stack([np.frombuffer(pack_messages(one, bits), np.uint8) for one in indices])


def neural_payload(
    method: str, networks: Sequence[Network], read: Inputs, iterations: int
) -> NDArray[np.uint8]:
    """Payloads (c, bytes) by the plain descent in float32; needs torch.

    Raises:
        ImportError: torch is not there.
    """
    import torch

    from csideploy.fronthaul.gradient import gradient_search, pack_bits

    sizes = [net.bits for net in networks]
    found = []
    for i, step in enumerate(read["step"].tolist()):
        if method == "neural-mq":
            c, d = (_single(as_complex(read[k])[i]) for k in ("effective", "targets"))
            bits = gradient_search(networks, c, d, step, iterations).numpy()
        else:
            # Each unit by itself: its own numbers are the targets, the channel is the identity.
            x, at, columns = as_complex(read["precoded"])[i], 0, []
            for net in networks:
                own = _single(x[:, at : at + net.antennas])
                unit = torch.eye(net.antennas, dtype=own.dtype)
                columns.append(gradient_search([net], unit, own, step, iterations).numpy())
                at += net.antennas
            bits = np.concatenate(columns, axis=1)
        found.append(pack_bits(bits, sizes))
    return np.stack(found)


def _single(values: NDArray[np.complex128]) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values, np.complex64))


def objective(read: Inputs, x_hat: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    """|C x_hat - d|^2, or |x_hat - x|^2 where each RU is by itself: (c, R).

    Args:
        read: inputs of the DU's part by name.
        x_hat: what the RUs make of the payload, before Gamma (c, R, N).
    """
    if "precoded" in read:
        error = x_hat - as_complex(read["precoded"])
    else:
        channel = np.swapaxes(as_complex(read["effective"]), 1, 2)
        error = x_hat @ channel - as_complex(read["targets"])
    total: NDArray[np.float64] = np.sum(np.abs(error) ** 2, axis=2)
    return total


def as_complex(pairs: NDArray[np.float32]) -> NDArray[np.complex128]:
    """A last axis (re, im) as complex128."""
    return np.ascontiguousarray(pairs, np.float64).view(np.complex128)[..., 0]


def network_signals(
    networks: Sequence[Network], payload: NDArray[np.uint8], block: int
) -> NDArray[np.complex128]:
    """Payloads (c, bytes) of neural codebooks -> x_hat (c, R, N) in float64."""
    signals, at = [], 0
    for net in networks:
        size = -(-net.bits * block // 8)
        stream = np.ascontiguousarray(payload[:, at : at + size])
        bits = np.unpackbits(stream, axis=1, count=net.bits * block).reshape(-1, net.bits)
        signals.append(net.decode(bits).reshape(len(payload), block, -1))
        at += size
    return np.concatenate(signals, axis=-1)
