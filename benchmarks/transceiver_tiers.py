"""Tiers against complexity (paper 000, Fig. 8): the same bits in fewer, larger codebooks.

    python benchmarks/transceiver_tiers.py --run RUN --data munich.npz

The networks stay as they are; the codebooks of every division of B into N tiers are fitted by
Lloyd's algorithm to features of the training users. Measured on the test users through the deployed
precoder. The paper trains each division anew, at M = 128.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from csideploy.transceiver.codebooks import decode, encode, fit_tiers
from csideploy.transceiver.evaluate_core import measure
from csideploy.transceiver.parts import Deployed
from csideploy.transceiver.rate import Complex
from csideploy.transceiver.splits import split_users
from csideploy.transceiver.user_set import Users
from csideploy.transceiver.weights import load_weights

DIVISIONS = {15: (1, 3, 5, 15), 30: (2, 3, 5, 6, 10, 30)}
LARGEST_TIER = 15


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="weights, a run or a zoo entry")
    parser.add_argument("--data", type=Path, required=True, help="the users it was trained on")
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--snr", type=float, default=10.0)
    parser.add_argument("--features", type=int, default=65_536, help="of the fits")
    parser.add_argument("--rounds", type=int, default=5, help="of Lloyd's algorithm")
    parser.add_argument("--samples", type=int, default=2000, help="groups")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def features(running: Deployed, users: Users, count: int, snr: float, seed: int) -> NDArray[Any]:
    """Features of users drawn evenly, each with pilot noise of its own: (count, D)."""
    rng = np.random.default_rng([seed, 8])
    rows = rng.integers(len(users), size=count)
    parts = rng.standard_normal((count, 1, running.pilots.shape[1], 2)) * math.sqrt(0.5)
    y = running.hear(users.h[rows][:, None], parts.view(np.complex128)[..., 0], snr)
    made: NDArray[Any] = running.features(y)[:, 0]
    return made


def main() -> None:
    """Fit and measure every division, print the table."""
    given = arguments()
    weights = load_weights(given.run)
    running = Deployed(weights, [weights.setup.bits], max_users=given.users)
    training, _, test = split_users(given.data)
    snr = 10 ** (given.snr / 10)
    known = features(running, training, given.features, snr, given.seed)
    groups = test.draw(np.random.default_rng([given.seed, 9]), given.samples, given.users)
    rows = []
    for bits, counts in DIVISIONS.items():
        best = None
        for count in counts:
            tiers = [bits // count] * count
            if max(tiers) > LARGEST_TIER:
                continue
            books = fit_tiers(
                known, tiers, seed=given.seed, iterations=given.rounds, start="sample"
            )

            def candidate(
                h: Complex, noise: Complex, power: float, _: int, books: list[Any] = books
            ) -> Complex:
                v = running.features(running.hear(h, noise, power))
                flat = v.reshape(-1, v.shape[-1])
                read = decode(encode(flat, books), books).reshape(v.shape)
                return running.precode(read, 10 * math.log10(power))

            rate = measure(
                {"it": candidate},
                groups,
                snr,
                bits=bits,
                pilots=weights.setup.pilots,
                seed=given.seed,
            ).average("it")
            best = best or rate.mean
            words = count * 2 ** (bits // count)
            rows.append(
                {
                    "bits": bits,
                    "tiers": count,
                    "codewords": words,
                    "log2_codewords": math.log2(words),
                    "macs": words * weights.setup.feature,
                    "sum_rate": rate.mean,
                    "half_interval": rate.half,
                    "of_fewest_tiers": rate.mean / best,
                }
            )
    table = Table(title=f"Tiers against complexity, K = {given.users}, {given.snr:g} dB")
    for column in ("B", "N", "codewords", "log2", "search, MACs", "sum rate", "of fewest tiers"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            str(row["bits"]),
            str(row["tiers"]),
            f"{row['codewords']:,}",
            f"{row['log2_codewords']:.2f}",
            f"{row['macs']:,}",
            f"{row['sum_rate']:.3f} +- {row['half_interval']:.3f}",
            f"{row['of_fewest_tiers']:.2%}",
        )
    Console().print(table)
    if given.json is not None:
        given.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
