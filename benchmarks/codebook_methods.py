"""Ways to quantize the feature, side by side on one autoencoder (paper 001, Tables I and II).

    python benchmarks/codebook_methods.py --data indoor.npz --test held-back.npz --out runs/methods

For each length M of the feature, one float link is trained from principal components, with log
loss. Every method starts from its weights and gets the same number of samples at every rate of the
same grid; the rate is chosen on validation rows of the training file, the figures are those of the
test file. What else a method needs (beta, the steps of codebooks) is fixed in training/methods.py.
Stopped and started again, it goes on.

Beside the methods stand the linear coder (PCA with bits allocated) at the same M, and at M = 512
with the same payload, the link without quantization (NQ), what the UE stores, and how far the
standard deviations of the outputs lie apart (Fig. 2).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from codebook_jobs import Job, jobs_of, parse_grid
from rich.console import Console
from rich.progress import Progress

from csideploy import registry
from csideploy.cli_shell import table_console
from csideploy.errors import CsideployError, InputError
from csideploy.progress import Advance
from csideploy.training.data import describe


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="CSI to train on")
    parser.add_argument("--test", type=Path, required=True, help="CSI to measure on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--system", default="acrnet1x")
    parser.add_argument(
        "--grid", default="256:2,3,4 128:4", help="M:B,B ... (the default: %(default)s)"
    )
    parser.add_argument("--start-epochs", type=float, default=2.0, help="of the shared float link")
    parser.add_argument("--epochs", type=float, default=0.5, help="of each method")
    parser.add_argument("--rates", default="3e-3,1e-3", help="grid of highest learning rates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--samples", type=int, default=10_000, help="of --test, at most")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path, help="an .svg or .png of NMSE against payload bits")
    return parser.parse_args()


def run(
    options: argparse.Namespace, out: Path, epochs: float, bits: tuple[int, ...], **about: Any
) -> Path:
    """Train in `out`, unless it is done; go on where it was stopped."""
    from csideploy.training import train

    if not (out / "weights.safetensors").is_file():
        train(
            options.system,
            data=options.data,
            out=out,
            bits=bits[-1] if bits else None,
            budgets=bits if len(bits) > 1 else (),
            recipe="paper-001",
            epochs=epochs,
            threads=1,
            seed=options.seed,
            resume=out.is_dir(),
            validations=1,
            quiet=True,
            **about,
        )
    return out


def run_start(options: argparse.Namespace, m: int) -> Path:
    """The float link that all methods of one M start from."""
    out = options.out / f"float-M{m}"
    return run(options, out, options.start_epochs, (), cr=registry.ELEMENTS // m, method="float")


def run_job(options: argparse.Namespace, job: Job) -> Path:
    """One method at one rate."""
    return run(
        options,
        options.out / job.name,
        options.epochs,
        job.bits,
        cr=registry.ELEMENTS // job.m,
        method=job.method,
        rate=job.rate,
        length=job.length,
        start_from=options.out / f"float-M{job.m}",
    )


def in_turn(options: argparse.Namespace, what: str, function: Any, items: list[Any]) -> None:
    """Run them, `--jobs` at a time, with a bar."""
    context = multiprocessing.get_context("spawn")
    with (
        Progress(console=Console(stderr=True)) as bars,
        ProcessPoolExecutor(options.jobs, mp_context=context) as pool,
    ):
        bar = bars.add_task(what, total=len(items))
        for done in as_completed([pool.submit(function, options, item) for item in items]):
            done.result()
            bars.advance(bar)


def check_folder(options: argparse.Namespace) -> None:
    """Make the folder of the runs, or go on with one that has the same options and data."""
    settings = {
        "system": options.system,
        "start_epochs": options.start_epochs,
        "epochs": options.epochs,
        "seed": options.seed,
        "data": describe(options.data)["sha256"],
    }
    path = options.out / "settings.json"
    if path.is_file() and json.loads(path.read_text()) != settings:
        raise InputError(f"{options.out} has runs with other options or data: name another --out")
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=2) + "\n")


def main() -> None:
    """Train what is missing, measure, print."""
    options = arguments()
    grid = parse_grid(options.grid)
    rates = [float(rate) for rate in options.rates.split(",")]
    for path in (options.data, options.test):
        if not path.is_file():
            raise InputError(f"no file {path}: `csideploy data generate` makes CSI")
    check_folder(options)
    in_turn(options, "float links", run_start, list(grid))
    jobs = jobs_of(grid, rates)
    in_turn(options, "methods", run_job, jobs)

    # Imported here: the processes that train need none of it.
    from codebook_results import collect, for_chart, show

    from csideploy.report import quality_chart

    with Progress(console=Console(stderr=True)) as bars:

        def bar(name: str) -> Advance:
            task = bars.add_task(name, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        result = collect(
            options.out,
            options.test,
            options.data,
            grid,
            jobs,
            samples=options.samples,
            seed=options.seed,
            bar=bar,
        )
    result["budget"] = {
        "system": options.system,
        "start_epochs": options.start_epochs,
        "epochs": options.epochs,
        "rates": rates,
        "seed": options.seed,
    }
    show(result, table_console())
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.chart:
        quality_chart.draw(for_chart(result), options.chart)


if __name__ == "__main__":
    try:
        main()
    except CsideployError as error:
        raise SystemExit(f"codebook_methods: error: {error}") from error
