"""Paper 002's own ablations at small budgets, and measured links for `csideploy plan`.

    csideploy data generate --scenario indoor --samples 40000 --seed 1 --out indoor.npz
    csideploy data generate --scenario indoor --samples 20000 --seed 2 --out held.npz
    python benchmarks/ablations.py --data indoor.npz --test held.npz --out runs/ablations

Four groups, in this order: `product`, B and eta at a fixed payload (Figs 14, 15); `grid`, more
links for `plan`; `activation`, PReLU, SPReLU, LReLU (Table II); `width`, wider decoders against
deeper ones (Fig. 12). Stopped and started again, it goes on; a finished run is read, not trained
again.
`--show` prints what is finished and trains nothing. docs/ablations.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from ablation_jobs import GROUPS, Job, activation_jobs, grid_jobs, product_jobs, width_jobs
from ablation_runs import ROW, Bench, Budget
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from csideploy.cli_shell import table_console
from csideploy.errors import CsideployError, InputError
from csideploy.report.quality_chart import check_format


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    usual = Budget()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="CSI to train on")
    parser.add_argument("--test", type=Path, required=True, help="CSI to measure on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups (%(default)s)")
    parser.add_argument("--show", action="store_true", help="print what is finished, train nothing")
    parser.add_argument("--epochs", type=float, default=usual.link, help="of links of width 1")
    parser.add_argument("--wide-epochs", type=float, default=usual.wide, help="of wider ones")
    parser.add_argument(
        "--variant-epochs", type=float, default=usual.variant, help="of activation and width"
    )
    parser.add_argument("--compressions", default="4,16", help="1/eta of activation")
    parser.add_argument("--seeds", default="0,1", help="of activation and width")
    parser.add_argument("--link-seeds", default="0", help="of product")
    parser.add_argument("--samples", type=int, default=20_000, help="of --test, at most")
    parser.add_argument("--lines", type=Path, help="a result file that gets the links' lines")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path, help="a .png, .svg or .pdf")
    return parser.parse_args()


def numbers(option: str, text: str) -> list[int]:
    """Whole numbers with commas.

    Raises:
        InputError: anything else.
    """
    items = text.split(",")
    if not all(item.isascii() and item.isdigit() for item in items):
        raise InputError(f"{option} {text}: whole numbers with commas are needed")
    return [int(item) for item in items]


def jobs_of(given: argparse.Namespace) -> dict[str, list[Job]]:
    """Group -> its runs.

    Raises:
        InputError: an unknown group.
    """
    wanted = given.only.split(",")
    if unknown := set(wanted) - set(GROUPS):
        raise InputError(f"--only {','.join(sorted(unknown))}: groups are {', '.join(GROUPS)}")
    seeds = numbers("--seeds", given.seeds)
    compressions = tuple(numbers("--compressions", given.compressions))
    groups: dict[str, list[Job]] = {
        "product": list(product_jobs(numbers("--link-seeds", given.link_seeds))),
        "grid": list(grid_jobs()),
        "activation": list(activation_jobs(seeds, compressions)),
        "width": list(width_jobs(seeds)),
    }
    return {group: jobs if group in wanted else [] for group, jobs in groups.items()}


def main() -> None:
    """Train what is missing, measure, print."""
    given = arguments()
    if given.chart:
        check_format(given.chart)
    torch.set_num_threads(1)
    budget = Budget(given.epochs, given.wide_epochs, given.variant_epochs)
    bench = Bench(given.data, given.test, given.out, budget, given.samples)
    bench.prepare()
    groups = jobs_of(given)
    if given.show:
        groups = {
            group: [job for job in jobs if (given.out / job.name / ROW).is_file()]
            for group, jobs in groups.items()
        }
    rows: dict[str, list[dict[str, object]]] = {group: [] for group in groups}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        bar = bars.add_task("", total=sum(map(len, groups.values())))
        for group, jobs in groups.items():
            for job in jobs:
                bars.update(bar, description=job.name)
                rows[group].append(bench.row(job))
                bars.advance(bar)

    # Imported here: it wants matplotlib and the result file's schema, training wants neither.
    from ablation_results import draw, show, write_lines

    show(rows, table_console())
    if given.json:
        about = {"budget": budget.__dict__, "data": bench.data_description}
        result = {**about, "test": bench.test_description, "rows": rows}
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    if given.lines:
        count = write_lines(rows, bench, given.lines)
        Console(stderr=True).print(f"{given.lines}: {count} lines")
    if given.chart:
        draw(rows, given.chart)


if __name__ == "__main__":
    try:
        main()
    except CsideployError as error:
        raise SystemExit(f"ablations: error: {error}") from error
