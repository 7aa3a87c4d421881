"""Progressive against end-to-end training of rvq-egat at equal compute, and what the anchor costs.

    python benchmarks/transceiver_training.py --data munich.npz --out runs/training

Each way trains with the same number of steps, the same users and the same seeds; a step of each
costs the same but for the tiers. All are measured as deployed (bundles, bits) on the test users of
the file, with the same groups and noise. A run whose weights are there is not repeated, one that
was stopped goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from csideploy.training import train_transceiver
from csideploy.training.checkpoint import plain
from csideploy.training.transceiver_settings import assemble, parse_powers
from csideploy.transceiver.evaluate import of_weights
from csideploy.transceiver.evaluate_core import measure
from csideploy.transceiver.splits import split_users
from csideploy.transceiver.weights import load_weights
from csideploy.weights_header import WEIGHTS

WAYS: dict[str, dict[str, Any]] = {
    "progressive": {"method": "progressive"},
    "end-to-end, all tiers": {"settings": ("budgets=full",)},
    "end-to-end, mixed tiers": {"settings": ("budgets=mixed",)},
    "mixed, anchor": {"settings": ("budgets=mixed", "anchor=rzf")},
}
USERS = (3, 6, 8)
BITS = (10, 20, 30)


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a file of users")
    parser.add_argument("--iterations", type=int, default=1000, help="steps of each run")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--ways", default=",".join(map(str, range(len(WAYS)))), help="by number")
    parser.add_argument("--set", action="append", default=[], help="as of `csideploy train`")
    parser.add_argument("--snr", default="10", help="of training; measured at 10 dB")
    parser.add_argument("--samples", type=int, default=2000, help="groups of each K")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def trained(given: argparse.Namespace, way: str, seed: int) -> Path:
    """The folder of one run, finished."""
    folder: Path = given.out / f"{way.replace(', ', '-').replace(' ', '-')}-{seed}"
    options = dict(WAYS[way])
    settings = (*given.set, *options.pop("settings", ()))
    if (folder / WEIGHTS).is_file():
        weights = load_weights(folder)
        setup, widths, recipe = assemble(
            settings,
            antennas=weights.setup.antennas,
            recipe={"steps": given.iterations, "powers": parse_powers(given.snr), **options},
        )
        digest = hashlib.sha256(given.data.read_bytes()).hexdigest()
        made = (
            weights.setup,
            weights.widths,
            weights.about["recipe"],
            weights.about["data"]["sha256"],
        )
        if made != (setup, plain(widths.describe()), plain(recipe.describe()), digest):
            raise SystemExit(f"{folder} holds another run: name another --out")
        return folder
    train_transceiver(
        data=given.data,
        out=folder,
        snr=given.snr,
        settings=settings,
        steps=given.iterations,
        seed=seed,
        threads=given.threads,
        resume=folder.is_dir(),
        validations=4,
        **options,
    )
    return folder


def measured(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Mean sum rate of a run at 10 dB for every K and B."""
    one = of_weights(folder, folder.name, most_users=max(USERS), bits=BITS)
    test = split_users(given.data)[2]
    found: dict[str, Any] = {}
    for k in USERS:
        groups = test.draw(np.random.default_rng([17, k]), given.samples, k)
        for b in BITS:
            rates = measure(
                {"it": one.candidate}, groups, 10.0, bits=b, pilots=one.pilots, seed=17 + k
            )
            found[f"K {k}, B {b}"] = round(rates.average("it").mean, 3)
    found["minutes"] = load_weights(folder).about["training"]["minutes"]
    return found


def main() -> None:
    """Train and measure all, print the table: the mean over seeds, lowest and highest below."""
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    ways = [list(WAYS)[int(number)] for number in given.ways.split(",")]
    results: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for seed in map(int, given.seeds.split(",")):
        for way in ways:
            results[way].append({"seed": seed, **measured(given, trained(given, way, seed))})
            if given.json is not None:
                about = {"iterations": given.iterations, "set": given.set, "results": results}
                given.json.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    columns = [f"K {k}, B {b}" for k in USERS for b in BITS]
    title = f"Sum rate at 10 dB, bit/s/Hz, {given.iterations} steps, seeds {given.seeds}"
    table = Table(title=title)
    for column in ("", *columns, "minutes"):
        table.add_column(column, justify="right")
    for way in ways:
        rows = results[way]
        cells = []
        for column in (*columns, "minutes"):
            values = [row[column] for row in rows]
            cells.append(f"{np.mean(values):.2f}\n{min(values):.2f} {max(values):.2f}")
        table.add_row(way, *cells)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
