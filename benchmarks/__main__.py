"""All workloads beside their peers on this machine, and its limits: `python -m benchmarks`.

`benchmarks/README.md` says how it measures and what each row is. It writes `results.json` when all
rows run, prints a table, and ends with 1 if a row is below what is asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.rows import codebooks, csi, measure, misses, roofline, small
from benchmarks.rows.context import Context
from benchmarks.rows.machine import description, half_busy, judged
from benchmarks.rows.measure import Row
from benchmarks.rows.table import show
from csideploy.errors import CsideployError

RESULTS = Path(__file__).with_name("results.json")
ROWS: dict[str, Callable[[Context], list[Row]]] = {
    "W1": csi.w1,
    "W1q": csi.w1q,
    "W1c": csi.w1c,
    "W2": csi.w2,
    "W2f": csi.w2f,
    "W2b": csi.w2b,
    "W3": codebooks.w3,
    "W4": codebooks.w4,
    "W5": small.w5,
    "W0": small.w0,
}


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", default=",".join(ROWS), help="a comma list of %(default)s")
    parser.add_argument("--rounds", type=int, default=101, help="windows of each candidate")
    parser.add_argument("--window", type=float, default=1.0, help="milliseconds of a window")
    parser.add_argument("--seconds", type=float, default=30.0, help="the most for one row's rounds")
    parser.add_argument("--repeat", type=int, default=1, help="runs, all of them judged")
    parser.add_argument(
        "--busy", action="store_true", help="another process keeps a core half busy meanwhile"
    )
    parser.add_argument("--packages", type=Path, help="keeps the packages here for the next run")
    parser.add_argument("--json", action="store_true", help="the results instead of the table")
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS.name}, if all rows run")
    parser.add_argument(
        "--explain", type=Path, metavar="RESULTS", help="where the time goes in rows that miss"
    )
    options = parser.parse_args(given)
    options.rows = [name.strip() for name in options.rows.split(",") if name.strip()]
    unknown = sorted(set(options.rows) - set(ROWS))
    if unknown or not options.rows:
        parser.error(f"--rows {','.join(unknown)}: some of {', '.join(ROWS)}")
    return options


def run(options: argparse.Namespace, folder: Path, log: Console) -> dict[str, Any]:
    """Build the rows, then measure them as often as is asked for."""
    log.print("measuring the machine's limits")
    machine = roofline.measure(folder)
    context = Context(options.packages or folder, machine)
    rows: list[Row] = []
    for name in options.rows:
        log.print(f"building {name}")
        rows += ROWS[name](context)
    told = description()
    made = [_about(row, machine) for row in rows]
    with half_busy(options.busy):
        for number in range(options.repeat):
            for row, about in zip(rows, made, strict=True):
                start = time.perf_counter()
                seconds = measure.take_turns(
                    row.windows,
                    rounds=options.rounds,
                    window_s=options.window * 1e-3,
                    most_s=options.seconds,
                )
                figures = measure.figures_of(row, seconds)
                kept = ("rounds", "seconds", "peers", "limits")
                about["runs"].append({key: figures[key] for key in kept})
                log.print(
                    f"run {number + 1} of {options.repeat}: {row.title}, "
                    f"{time.perf_counter() - start:.1f} s"
                )
        for row, about in zip(rows, made, strict=True):
            about["profile"] = measure.profile_of(row)
    return {
        "machine": told,
        "judged": judged(told["isa"]),
        "limits": asdict(machine),
        "settings": {
            "rounds": options.rounds,
            "window_s": options.window * 1e-3,
            "repeat": options.repeat,
            "busy": options.busy,
        },
        "rows": made,
    }


def _about(row: Row, machine: roofline.Machine) -> dict[str, Any]:
    """What does not change from run to run."""
    limit = None if row.work is None else roofline.limit(machine, row.work, cold=row.cold)
    return {
        "row": row.name,
        "case": row.case,
        "what": row.what,
        "samples": row.samples,
        "limit": limit,
        "checks": [asdict(check) for check in row.checks],
        "missing": row.missing,
        "notes": row.notes,
        "runs": [],
    }


def below(results: dict[str, Any]) -> bool:
    """Whether a run of a row that is judged is below what is asked for."""
    return results["judged"] and any(
        measure.holds({**run, "checks": row["checks"]}) is False
        for row in results["rows"]
        for run in row["runs"]
    )


def main() -> int:
    """Measure, write, print."""
    options = arguments()
    if options.explain:
        print("\n".join(misses.lines(json.loads(options.explain.read_text()))))
        return 0
    log = Console(stderr=True)
    try:
        with tempfile.TemporaryDirectory(prefix="csideploy-bench-") as folder:
            results = run(options, Path(folder), log)
    except CsideployError as error:
        log.print(f"error: {error}")
        return 2
    out = options.out or (RESULTS if options.rows == list(ROWS) else None)
    if out is not None:
        out.write_text(json.dumps(results, indent=1) + "\n")
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        show(results, Console(width=None if sys.stdout.isatty() else 160))
    return int(below(results))


if __name__ == "__main__":
    sys.exit(main())
