"""A link in surroundings it was not trained for (paper 001, Table III), on CSI made here.

    python benchmarks/dynamic_environment.py --out runs/dynamic
    python benchmarks/dynamic_environment.py --out runs/dynamic-pca --system pca

First the number of subcarriers changes, at the field's spacing, indoors; then the scenario, at one
number of subcarriers. For each test set, NMSE of three links of one system:

    Upper   trained on the same channels as it is tested on
    Direct  trained on others: the number given by --direct, or the other scenario
    Joint   trained on all of them; each file has --samples rows and is seen --epochs times, as
            often as by Upper, so that Joint takes as many times more steps as it has files

All with recipe paper-001, method "proposed". Training and test sets have seeds of their own. The
default budget is a small one, for two cores; the paper trains for 2000 epochs on 100,000 samples.
`pca` needs no training at all. Stopped and started again, it goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from csideploy import registry
from csideploy.channels.generate import generate_file
from csideploy.errors import CsideployError, InputError
from csideploy.report.tables import plain_table

PAPER = {
    "indoor-512": (-19.70, -14.46, -17.60),
    "indoor-2048": (-15.08, -8.04, -13.50),
    "indoor": (-16.94, -0.01, -14.12),
    "outdoor": (-8.05, 1.24, -7.87),
}
"""Table III, CSINet-Pro at M = 256, B = 3: Upper, Direct, Joint in dB."""

LINKS = ("upper", "direct", "joint")


@dataclass(frozen=True)
class Channels:
    """One distribution of CSI."""

    scenario: str
    subcarriers: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.scenario}-{self.subcarriers}"


@dataclass(frozen=True)
class Row:
    """One test set, and what each of the links that meet it was trained on."""

    varies: str
    test: Channels
    upper: tuple[Channels, ...]
    direct: tuple[Channels, ...]
    joint: tuple[Channels, ...]
    paper: tuple[float, float, float] | None


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the CSI and the runs")
    parser.add_argument("--system", default="csinetpro")
    parser.add_argument("--cr", type=int, default=8, help="8: M = 256 (the default)")
    parser.add_argument("--bits", type=int, default=3, help="B (the default: %(default)s)")
    parser.add_argument("--epochs", type=float, default=2.0, help="(the default: %(default)s)")
    parser.add_argument(
        "--samples", type=int, default=10_000, help="a training file (the default: %(default)s)"
    )
    parser.add_argument(
        "--test-samples", type=int, default=2000, help="a test file (the default: %(default)s)"
    )
    parser.add_argument("--subcarriers", default="512,1024,2048", help="(the default: %(default)s)")
    parser.add_argument(
        "--direct", type=int, default=1024, help="Direct is trained on (the default: %(default)s)"
    )
    parser.add_argument(
        "--scenario-subcarriers",
        type=int,
        default=257,
        help="where the scenario changes (the default: %(default)s, the field's)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def rows_of(options: argparse.Namespace) -> list[Row]:
    """Both halves of the table."""
    try:
        numbers = [int(number) for number in options.subcarriers.split(",")]
    except ValueError:
        numbers = []
    if options.direct not in numbers or not 1 < len(set(numbers)) == len(numbers):
        raise InputError(
            f"--subcarriers {options.subcarriers}: different numbers with --direct "
            f"{options.direct} among them, such as 512,1024,2048"
        )
    grids = tuple(Channels("indoor", number) for number in numbers)
    direct = (Channels("indoor", options.direct),)
    rows = [
        Row("subcarriers", test, (test,), direct, grids, PAPER.get(test.name))
        for test in grids
        if test.subcarriers != options.direct
    ]
    both = tuple(Channels(name, options.scenario_subcarriers) for name in ("indoor", "outdoor"))
    rows += [
        Row("scenario", test, (test,), (other,), both, PAPER[test.scenario])
        for test, other in (both, both[::-1])
    ]
    return rows


def check_folder(options: argparse.Namespace) -> None:
    """Makes the folder, or takes up one with the same options.

    Raises:
        InputError: it was begun with others.
    """
    settings = {
        name: value
        for name, value in vars(options).items()
        if name not in ("out", "json", "threads")
    }
    options.out.mkdir(parents=True, exist_ok=True)
    note = options.out / "settings.json"
    if not note.exists():
        note.write_text(json.dumps(settings, indent=2) + "\n")
    if json.loads(note.read_text()) != settings:
        raise InputError(f"{options.out} was begun with other options: see {note}")


def make_data(options: argparse.Namespace, every: list[Channels]) -> None:
    """A file to train on and one to test on for each distribution."""
    (options.out / "data").mkdir(exist_ok=True)
    with Progress(console=Console(stderr=True)) as bars:
        for number, channels in enumerate(every):
            for part, (use, samples) in enumerate(
                (("train", options.samples), ("test", options.test_samples))
            ):
                task = bars.add_task(f"{channels.name}, to {use} on", total=samples)
                generate_file(
                    data_of(options, channels, use),
                    channels.scenario,
                    samples,
                    # Different environments in every file.
                    seed=1000 * options.seed + 2 * number + part + 1,
                    subcarriers=channels.subcarriers,
                    progress=lambda done, total, task=task: bars.update(  # type: ignore[misc]
                        task, completed=done, total=total
                    ),
                )


def data_of(options: argparse.Namespace, channels: Channels, use: str) -> Path:
    """A file of CSI."""
    folder: Path = options.out / "data"
    return folder / f"{channels.name}-{use}.npz"


def run_of(options: argparse.Namespace, trained_on: tuple[Channels, ...]) -> Path:
    """A run's folder."""
    folder: Path = options.out / "runs"
    return folder / "+".join(channels.name for channels in trained_on)


def train_all(options: argparse.Namespace, runs: list[tuple[Channels, ...]]) -> None:
    """Train what is missing; go on with what was stopped."""
    from csideploy.training import train

    console = Console(stderr=True)
    for number, trained_on in enumerate(runs, start=1):
        out = run_of(options, trained_on)
        console.print(f"link {number} of {len(runs)}: {out.name}")
        if (out / "weights.safetensors").is_file():
            continue
        train(
            options.system,
            data=[data_of(options, channels, "train") for channels in trained_on],
            out=out,
            cr=options.cr,
            bits=options.bits,
            # Components need no epochs: a single step that changes nothing is their recipe.
            epochs=None if options.system == "pca" else options.epochs,
            recipe="paper-001",
            method="proposed",
            threads=options.threads,
            seed=options.seed,
            resume=out.is_dir(),
            validations=1,
        )


def measure_all(options: argparse.Namespace, rows: list[Row]) -> list[dict[str, Any]]:
    """NMSE of every link on every test set that it meets."""
    from csideploy.training import load_checkpoint
    from csideploy.training.evaluate import measure

    results = []
    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task("measured", total=len(rows) * len(LINKS))
        for row in rows:
            found: dict[str, Any] = {"varies": row.varies, "test": asdict(row.test)}
            for link in LINKS:
                trained_on = getattr(row, link)
                network, _ = load_checkpoint(run_of(options, trained_on))
                figures = measure(network, data_of(options, row.test, "test"))
                found[link] = {
                    "trained_on": [channels.name for channels in trained_on],
                    "nmse_db": figures["nmse_db"],
                    "sgcs": figures["sgcs"],
                }
                bars.advance(task)
            found["paper_nmse_db"] = row.paper
            results.append(found)
    return results


def show(options: argparse.Namespace, results: list[dict[str, Any]], console: Console) -> None:
    """The table, and what it was made with."""
    table = plain_table(f"NMSE in dB, {options.system}; right: paper 001, Table III")
    table.add_column("tested on")
    for heading in ("Upper", "Direct", "trained on", "Joint", "Upper", "Direct", "Joint"):
        table.add_column(heading, justify="left" if heading == "trained on" else "right")
    for row in results:
        paper = row["paper_nmse_db"]
        table.add_row(
            Channels(**row["test"]).name,
            f"{row['upper']['nmse_db']:.2f}",
            f"{row['direct']['nmse_db']:.2f}",
            ", ".join(row["direct"]["trained_on"]),
            f"{row['joint']['nmse_db']:.2f}",
            *("-" if paper is None else f"{value:.2f}" for value in paper or LINKS),
        )
    console.print(table)
    budget = "no training: components" if options.system == "pca" else f"epochs: {options.epochs:g}"
    console.print(
        f"M = {registry.features(options.cr)}, B = {options.bits}; {options.samples} samples a "
        f"training file, {options.test_samples} a test file; {budget}, a small budget. "
        "Paper: CSINet-Pro, its own channels, 2000 epochs; compare the order, not the figures. "
        "Joint sees all its files as often, so that it takes that many times more steps."
    )


def main() -> None:
    """Make the CSI, train what is missing, measure, print."""
    options = arguments()
    spec = registry.get(options.system)
    registry.check_options(spec, options.cr, options.bits, None)
    rows = rows_of(options)
    check_folder(options)
    runs = list(dict.fromkeys(getattr(row, link) for row in rows for link in LINKS))
    make_data(options, list(dict.fromkeys(channels for run in runs for channels in run)))
    train_all(options, runs)
    results = measure_all(options, rows)
    show(options, results, Console())
    if options.json:
        settings = json.loads((options.out / "settings.json").read_text())
        options.json.write_text(json.dumps({"budget": settings, "rows": results}, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except CsideployError as error:
        raise SystemExit(f"dynamic_environment: error: {error}") from error
