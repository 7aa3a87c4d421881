"""Figures 5, 7, 8 and 9 of paper 003, with our searches, training and channels.

    python benchmarks/fronthaul_figures.py 5|7|8|9 [--channel umi-links] [--steps 600] [--seed 1]
                                           [--samples 40] [--json] [--chart F.svg]

5: efficiency against complexity, M = 8, N_tx = 2, B = 2, N = 3 (a parallel processor; VQ = 1).
7: efficiency against I at B = 300, K = 0, 1 and 2 hidden layers.
8: tested with N users, trained with N, with 4, with 1, and with all numbers mixed; B = 64.
9: efficiency against SNR for N = 1, 4, 8, trained at that N and SNR, and at N = 4, 10 dB; B = 64.

Every network is trained here: `--steps` of Adam each, so that figures take minutes, 7 about twenty.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from csideploy.cli_shell import progress
from csideploy.fronthaul.codebooks import Codebooks
from csideploy.fronthaul.evaluate import deployed_row, reference_rows, scene
from csideploy.fronthaul.setup import Setup
from csideploy.report import fronthaul_chart, fronthaul_table
from csideploy.training.fronthaul_networks import RATE, train_networks
from csideploy.training.fronthaul_tables import train_tables

USERS = (1, 2, 3, 4, 6, 8)
TRAINED_USERS = (1, 2, 3, 4, 8)
SNRS = (-10.0, 0.0, 10.0, 18.0)
DESCENTS = (10, 20, 50, 100, 200, 400)
WIDE_RATE = 1e-3
"""Of networks of 300 bits: the default makes them worse on path-loss channels."""

Advance = Callable[[int, int], None]
Rows = list[dict[str, Any]]


def complexity(asked: argparse.Namespace, advance: Advance) -> Rows:
    """Figure 5. Complexity of Table I, RUs that work at the same time counted once."""
    setup = Setup((2,) * 8, (2,) * 8, 3, 2, 1, 18.0)
    place = scene(asked.channel, setup, blocks=asked.samples, seed=asked.seed)
    words, rows = 1 << setup.bits[0], []

    def add(name: str, one: Codebooks, cost: float) -> None:
        row = deployed_row(place, one, name=name, errors=False)
        rows.append({"complexity": cost / words, **row})

    common = {"channel": asked.channel, "seed": asked.seed}
    for method, cost in (("vq", words), ("smq", setup.rus * words)):
        add(method, train_tables(method, setup, **common), cost)
        advance(len(rows), 14)
    made = train_tables("pmq", setup, **common)
    for count in (2, 4, 8, 12, 16, 24):
        add("0.5-pmq", replace(made, iterations=count), count * words)
        advance(len(rows), 14)
    network = train_networks("neural-mq", setup, steps=asked.steps, **common)
    hidden, antennas = setup.bits[0], setup.antennas[0]
    for count in (5, 10, 20, 50, 100, 200):
        cost = 2 * count * hidden * (setup.bits[0] + 2 * antennas)
        add("neural-mq", replace(network, iterations=count), cost)
        advance(len(rows), 14)
    return rows


def descents(asked: argparse.Namespace, advance: Advance) -> Rows:
    """Figure 7."""
    setup = Setup(bits=(300,) * 4)
    place = scene(asked.channel, setup, blocks=asked.samples, seed=asked.seed)
    rows = [{"iterations": i, **reference_rows(place, errors=False)[0]} for i in DESCENTS]
    for layers in (0, 1, 2):
        made = train_networks(
            "neural-mq",
            setup,
            channel=asked.channel,
            layers=layers,
            steps=asked.steps,
            rate=WIDE_RATE,
            seed=asked.seed,
        )
        advance(layers + 1, 3)
        for count in DESCENTS:
            own = replace(made, iterations=count)
            row = deployed_row(place, own, name=f"K = {layers}", errors=False)
            rows.append({"iterations": count, **row})
    return rows


def users(asked: argparse.Namespace, advance: Advance) -> Rows:
    """Figure 8."""
    base, rows = Setup(), []
    jobs: dict[str, tuple[list[int], tuple[int, ...]]] = {
        f"trained at N = {n}": ([n], USERS if n in (1, 4) else (n,)) for n in TRAINED_USERS
    }
    jobs["trained mixed"] = ([4, 1, 2, 3, 5, 6, 7, 8], USERS)
    for done, (name, (trained, tested)) in enumerate(jobs.items()):
        made = train_networks(
            "neural-mq", [replace(base, users=n) for n in trained],
            channel=asked.channel, steps=asked.steps, seed=asked.seed, rate=RATE,
        )  # fmt: skip
        for n in tested:
            place = scene(
                asked.channel, replace(base, users=n), blocks=asked.samples, seed=asked.seed
            )
            rows.append({"users": n, **deployed_row(place, made, name=name, errors=False)})
            if len(trained) == 1 and n == trained[0]:
                rows.append({"users": n, **rows[-1], "system": "trained at the N of the test"})
        advance(done + 1, len(jobs))
    return [row for row in rows if row["system"] not in _single_points(jobs)]


def _single_points(jobs: dict[str, tuple[list[int], tuple[int, ...]]]) -> set[str]:
    return {name for name, (_, tested) in jobs.items() if len(tested) == 1}


def noise(asked: argparse.Namespace, advance: Advance) -> Rows:
    """Figure 9."""
    base, rows = Setup(), []
    total, done = 1 + 3 * len(SNRS), 0
    common = {"channel": asked.channel, "steps": asked.steps, "seed": asked.seed}
    once = train_networks("neural-mq", replace(base, snr_db=10.0), **common)
    for n in (1, 4, 8):
        for snr in SNRS:
            setup = replace(base, users=n, snr_db=snr)
            own = train_networks("neural-mq", setup, **common)
            place = scene(asked.channel, setup, blocks=asked.samples, seed=asked.seed)
            for name, made in (("own", own), ("N = 4, 10 dB", once)):
                row = deployed_row(place, made, name=f"N = {n}, {name}", errors=False)
                rows.append({"snr_db": snr, **row})
            done += 1
            advance(done, total)
    return rows


FIGURES = {
    5: ("complexity", complexity), 7: ("iterations", descents),
    8: ("users", users), 9: ("snr_db", noise),
}  # fmt: skip


def main() -> int:
    """Print one figure as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", type=int, choices=sorted(FIGURES))
    parser.add_argument("--channel", default="umi-links")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--chart", type=Path)
    asked = parser.parse_args()
    over, make = FIGURES[asked.figure]
    with progress(f"figure {asked.figure}") as advance:
        rows = sorted(make(asked, advance), key=lambda row: float(row[over]))
    result = {"over": over, "channel": asked.channel, "blocks": asked.samples, "rows": rows}
    if asked.chart:
        fronthaul_chart.draw_sweep([result], asked.chart)
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        fronthaul_table.show_sweep(result, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
