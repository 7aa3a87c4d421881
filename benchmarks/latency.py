"""Latency of both sides of a link package: our runtime beside ONNX Runtime, in one process.

    python benchmarks/latency.py demo-out/bacrnet10x --json F.json

Batch 1, one thread. The candidates take turns, the order turned round in each round; a turn is a
window of about a millisecond, timed in CPU time of the process. ONNX Runtime reads and writes
buffers that were bound beforehand. Only the ratios of one run mean something: min / min, and the
median of the ratios of all rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from rich.console import Console
from rich.progress import track
from rich.table import Table

from csideploy.runtime import Part

WINDOW_SECONDS = 1e-3


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="a folder that `csideploy export` made")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def ours(bundle: Path, x: np.ndarray) -> Callable[[], object]:
    """One call of our runtime, outputs allocated beforehand."""
    part = Part(bundle)
    out = tuple(np.empty_like(y) for y in part.run(x))
    return lambda: part.run(x, out=out)


def peer(model: Path, x: np.ndarray) -> Callable[[], object]:
    """One call of ONNX Runtime on bound buffers."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]
    binding = session.io_binding()
    binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(x))
    for output, value in zip(names, session.run(None, {name: x}), strict=True):
        binding.bind_ortvalue_output(output, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    return lambda: session.run_with_iobinding(binding)


def calls_a_window(call: Callable[[], object]) -> int:
    """How many calls fill one window; warms the candidate up on the way."""
    start = time.process_time()
    count = 0
    while time.process_time() - start < 20 * WINDOW_SECONDS:
        call()
        count += 1
    return max(1, count // 20)


def window(call: Callable[[], object], calls: int) -> float:
    """CPU seconds a call, over one window."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls


def compare(side: str, package: Path, x: np.ndarray, rounds: int) -> dict[str, Any]:
    """Both candidates on one side, interleaved."""
    candidates = [ours(package / f"{side}.csib", x), peer(package / f"{side}.onnx", x)]
    calls = [calls_a_window(call) for call in candidates]
    seconds: list[list[float]] = [[], []]
    order = [0, 1]
    console = Console(stderr=True)
    for _ in track(range(rounds), description=side, console=console, transient=True):
        for i in order:
            seconds[i].append(window(candidates[i], calls[i]))
        order.reverse()
    return {
        "side": side,
        "ours_us": {"min": min(seconds[0]) * 1e6, "median": statistics.median(seconds[0]) * 1e6},
        "onnxruntime_us": {
            "min": min(seconds[1]) * 1e6,
            "median": statistics.median(seconds[1]) * 1e6,
        },
        "speedup_min": min(seconds[1]) / min(seconds[0]),
        "speedup_median": statistics.median(
            b / a for a, b in zip(seconds[0], seconds[1], strict=True)
        ),
    }


def main() -> None:
    """Measure, print the table, write the JSON."""
    options = arguments()
    inputs = {}
    for side in ("ue", "bs"):
        info = Part(options.package / f"{side}.csib").inputs[0]
        # Any payload is a legal one; CSI near 0.5 with a spread is what an encoder sees.
        rng = np.random.default_rng(7)
        shape = (1, *info.shape[1:])
        if info.dtype == "uint8":
            inputs[side] = rng.integers(0, 256, shape, dtype=np.uint8)
        else:
            inputs[side] = np.clip(rng.normal(0.5, 0.02, shape), 0, 1).astype(np.float32)
    rows = [compare(side, options.package, inputs[side], options.rounds) for side in inputs]

    table = Table(title=f"{options.package.name}: batch 1, one thread, microseconds of CPU time")
    for column in ("side", "ours min", "median", "ONNX Runtime min", "median", "min/min", "paired"):
        table.add_column(column, justify="left" if column == "side" else "right")
    for row in rows:
        table.add_row(
            row["side"].upper(),
            f"{row['ours_us']['min']:.1f}",
            f"{row['ours_us']['median']:.1f}",
            f"{row['onnxruntime_us']['min']:.1f}",
            f"{row['onnxruntime_us']['median']:.1f}",
            f"{row['speedup_min']:.2f}x",
            f"{row['speedup_median']:.2f}x",
        )
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"rounds": options.rounds, "sides": rows}, indent=2))


if __name__ == "__main__":
    main()
