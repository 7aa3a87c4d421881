"""Two small RU bundles, kept as files: a decoder by table in fp32, and one by network in int8.

    python tests/runtime/ru_bundles.py --write

writes `data/ru/` anew. From them the fuzzer starts, their bits are flipped, and their payloads are
attacked; `ru_plans` also gives the cross-target suite its RU parts.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import Plan
from csideploy.export.ru_models import network_decoder_model, table_decoder_model
from csideploy.quantize import quantize_part

FOLDER = Path(__file__).parent / "data" / "ru"
TABLE, NETWORK = FOLDER / "ru_table.csib", FOLDER / "ru_network.csib"
FILES = (TABLE, NETWORK)
BLOCK, BITS, ANTENNAS = 5, 3, 2
"""15 bits of two bytes: messages cross the boundary of a byte, and one bit is padding."""


def table(bits: int = BITS, antennas: int = ANTENNAS) -> NDArray[np.complex64]:
    """(2^B, N), fixed."""
    parts = np.random.default_rng([3, bits]).standard_normal((2, 1 << bits, antennas))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def ru_plans(
    block: int, table_bits: int, network_bits: int, hidden: int, antennas: int
) -> dict[str, Plan]:
    """An fp32 table and an int8 network.

    Args:
        block: R of both.
        table_bits, network_bits: B of each.
        hidden: width of the network's one hidden layer.
        antennas: N of both.
    """
    by_table = table_decoder_model(table(table_bits, antennas), block=block, bits=table_bits)
    rng = np.random.default_rng([4, network_bits])
    layers: list[Any] = []
    width = network_bits
    for made in (hidden, 2 * antennas):
        weight = rng.standard_normal((made, width)) * (2 / width) ** 0.5
        bias = 0.1 * rng.standard_normal(made)
        layers.append((weight.astype(np.float32), bias.astype(np.float32)))
        width = made
    network = network_decoder_model(layers, block=block, bits=network_bits)
    size = -(-block * network_bits // 8)
    seen = rng.integers(0, 256, (64, size)).astype(np.uint8)
    quantized = quantize_part(network, [seen[:32], seen[32:]], precision="int8", seed=0)
    integers = onnx.load_model_from_string(quantized.models[""])
    return {
        "table": compile_model(by_table, part="ru", side="ru"),
        "network": compile_model(integers, part="ru", side="ru"),
    }


def main(arguments: list[str]) -> int:
    plans = ru_plans(BLOCK, BITS, BITS, 6, ANTENNAS)
    if arguments == ["--write"]:
        FOLDER.mkdir(exist_ok=True)
        for path, plan in zip(FILES, plans.values(), strict=True):
            path.write_bytes(write_bundle(plan))
            print(f"written: {path} ({path.stat().st_size} bytes)")
        return 0
    stale = [p for p, plan in zip(FILES, plans.values(), strict=True) if not p.is_file() or
             p.read_bytes() != write_bundle(plan)]  # fmt: skip
    print("stale" if stale else "fresh")
    return int(bool(stale))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
