"""What the kernels' instruction sets are worth: every bundle of a link package on each of them.

    python benchmarks/instruction_sets.py demo-out/bacrnet10x --json F.json

One sample, one thread, in one process. The tables take turns, the order turned round in each round;
the least time of all rounds stands for each. All give the same bits (`make targets`).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from csideploy.bundles import random_input
from csideploy.runtime import Part, instruction_sets


def measure(bundle: Path, rounds: int) -> dict[str, float]:
    """Least seconds of one call, by instruction set."""
    parts = {isa: Part(bundle, isa=isa) for isa in instruction_sets()}
    inputs = [
        random_input(info, 1, np.random.default_rng(0))
        for info in next(iter(parts.values())).inputs
    ]
    out = tuple(np.empty_like(y) for y in parts["reference"].run(*inputs))
    best = dict.fromkeys(parts, float("inf"))
    order = list(parts)
    for _ in track(range(rounds), bundle.name, transient=True):
        for isa in order:
            started = time.process_time_ns()
            parts[isa].run(*inputs, out=out)
            best[isa] = min(best[isa], (time.process_time_ns() - started) * 1e-9)
        order.reverse()
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", type=Path, help="a folder that `csideploy export` made")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = {b.name: measure(b, options.rounds) for b in sorted(options.package.glob("*.csib"))}
    table = Table("bundle")
    for isa in instruction_sets():
        table.add_column(f"{isa}, us", justify="right")
        table.add_column("ratio", justify="right")
    for name, times in result.items():
        cells = [
            cell
            for seconds in times.values()
            for cell in (f"{seconds * 1e6:,.0f}", f"{times['reference'] / seconds:.2f}")
        ]
        table.add_row(name, *cells)
    Console(width=110).print(table)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
