"""Latency of both sides of a link package: our runtime beside ONNX Runtime, in one process.

    python benchmarks/latency.py demo-out/bacrnet10x --json F.json

The method is that of `csideploy bench` (`csideploy.bench` says it); this prints microseconds, as
the README has them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from csideploy.bench import OURS, bench
from csideploy.package import open_package

PEER = "onnxruntime"


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", type=Path, help="a folder that `csideploy export` made")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("measuring")
        result = bench(
            open_package(options.package),
            against=[PEER],
            rounds=options.rounds,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    rows = []
    for side, figures in result["sides"].items():
        times = {
            f"{key}_us": {which: 1e6 * value for which, value in figures["seconds"][name].items()}
            for key, name in (("ours", OURS), (PEER, PEER))
        }
        ratio = figures["speedup"][PEER]
        rows.append(
            {
                "side": side,
                **times,
                "speedup_min": ratio["min"],
                "speedup_median": ratio["paired"],
            }
        )
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
