"""Precoders of `rvq-egat` with random weights: our runtime beside ONNX Runtime, in one process.

    python benchmarks/transceiver_speed.py --json F.json

One group of users, one thread, the candidates in turns as in `latency.py`: the fp32 bundle, the
integer bundle (calibrated on random features), ONNX Runtime on the fp32 file. ONNX Runtime has no
kernel of its own for Mish, attention and zero forcing; it runs what the file says they are. Only
the ratios of one run mean something.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from latency import calls_a_window, window
from rich.console import Console
from rich.table import Table

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.macs import costs, total
from csideploy.export.transceiver_models import precoder_model
from csideploy.onnx_oracle import Session
from csideploy.quantize import quantize_part
from csideploy.runtime import Part
from csideploy.systems.rvq_egat import Graph, Widths
from csideploy.transceiver import Setup

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Case:
    """One precoder and one number of users."""

    name: str
    widths: Widths
    antennas: int
    users: int


_LEAN = Widths(start=(128, 64), end=128, anchor="rzf")
_WIDE = Widths(anchor="rzf")
CASES = [
    Case("lean", _LEAN, 16, 3),
    Case("lean", _LEAN, 16, 8),
    Case("lean", _LEAN, 128, 6),
    Case("the paper's widths", _WIDE, 16, 3),
    Case("the paper's widths", _WIDE, 16, 8),
    Case("the paper's widths", _WIDE, 128, 6),
]


def features(random: np.random.Generator, groups: int, case: Case) -> dict[str, Array]:
    """Two numbers an antenna."""
    shape = (groups, case.users, 2 * case.antennas)
    return {
        "feature": np.tanh(random.normal(size=shape)).astype(np.float32),
        "snr_db": random.uniform(-5, 25, (groups, 1)).astype(np.float32),
    }


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """All candidates on one case, interleaved."""
    torch.manual_seed(0)
    setup = Setup(antennas=case.antennas, feature=2 * case.antennas)
    graph = Graph(setup, case.widths)
    with torch.no_grad():
        graph.end[1].weight.mul_(10)  # it starts small; so it weighs as much as W_0
    model = precoder_model(
        {f"graph.{name}": array.numpy() for name, array in graph.state_dict().items()},
        antennas=case.antennas, layers=case.widths.layers, anchor=case.widths.anchor,
    )  # fmt: skip
    random = np.random.default_rng(0)
    chunks = [features(random, 8, case) for _ in range(2)]
    coded = quantize_part(model, chunks, precision="int8", seed=0).models[""]
    x = features(random, 1, case)
    plans = [
        compile_model(m, part="precoder", side="bs", k_max=case.users)
        for m in (model, onnx.load_model_from_string(coded))
    ]
    fp32, int8 = (Part(write_bundle(plan)) for plan in plans)
    arrays = list(x.values())
    session = Session(model.SerializeToString(), name="the precoder")
    calls = [
        lambda: fp32.run(*arrays),
        lambda: int8.run(*arrays),
        lambda: session.run(x),
    ]
    (wanted,), (rounded,) = fp32.run(*arrays), int8.run(*arrays)
    counts = [calls_a_window(call) for call in calls]
    seconds: list[list[float]] = [[], [], []]
    order = [0, 1, 2]
    for _ in range(rounds):
        for i in order:
            seconds[i].append(window(calls[i], counts[i]))
        order.reverse()
    pairs = [statistics.median(b / a for a, b in zip(s, seconds[2], strict=True)) for s in seconds]
    return {
        "precoder": case.name,
        "antennas": case.antennas,
        "users": case.users,
        "macs": total(costs(plans[0])).macs,
        "stored_bytes": [plan.weights.size for plan in plans],
        "arena_bytes": [plan.arena_bytes for plan in plans],
        "min_us": [min(s) * 1e6 for s in seconds],
        "speedup_paired": pairs[:2],
        "int8_error_db": float(10 * np.log10(np.sum((rounded - wanted) ** 2) / np.sum(wanted**2))),
    }


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=51)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measure(case, options.rounds) for case in CASES]
    table = Table(title="one group, one thread; min of CPU time in microseconds, and times faster")
    for column in ("precoder", "M", "K", "10^6 MACs", "arena KiB", "fp32", "int8", "ONNX Runtime",
                   "fp32", "int8", "int8 error"):  # fmt: skip
        table.add_column(column, justify="left" if column == "precoder" else "right")
    for row in rows:
        table.add_row(
            row["precoder"], str(row["antennas"]), str(row["users"]), f"{row['macs'] / 1e6:.1f}",
            "/".join(f"{size / 1024:.0f}" for size in row["arena_bytes"]),
            *(f"{time:.0f}" for time in row["min_us"]),
            *(f"{ratio:.1f}x" for ratio in row["speedup_paired"]),
            f"{row['int8_error_db']:.0f} dB",
        )  # fmt: skip
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"rounds": options.rounds, "cases": rows}, indent=2))


if __name__ == "__main__":
    main()
