"""Does the teacher help? kd-precoder with and without distillation, equal iterations, same seeds.

    python benchmarks/distillation.py --snr 10 --iterations 1000 --seeds 0,1,2 --out runs

Each pair starts from the same weights and sees the same channels and noise. The recipe is that of
`csideploy train kd-precoder`, its two steps of the rate at 60 % and 80 % of the iterations. All are
measured on the same held-out channels, in float32, through the bits. A run whose weights are there
is not repeated, one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from csideploy.downlink import Setup, observe, rayleigh, user_rates
from csideploy.systems.kd_precoder import KdPrecoder
from csideploy.training import load_precoder, train_precoder

METHODS = ("plain", "distilled")
TEST_SEED = 9004
CHUNK = 2000


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snr", default="10", help="P in dB, one number")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--set", action="append", default=[], help="as of `csideploy train`")
    parser.add_argument("--rate", type=float, help="Adam's first")
    parser.add_argument("--samples", type=int, default=20_000, help="held-out channels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", help="cpu or cuda")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def sum_rates(precoder: KdPrecoder, snr_db: float, samples: int) -> NDArray[np.float64]:
    """Sum rate of each held-out sample, by the NumPy side of the package."""
    setup: Setup = precoder.setup
    rng = np.random.default_rng(TEST_SEED)
    pilots = precoder.pilots()
    rates = []
    for start in range(0, samples, CHUNK):
        h = rayleigh(setup, min(CHUNK, samples - start), rng)
        y = torch.from_numpy(observe(setup, h, pilots, rng))
        with torch.no_grad():
            v = precoder(y).numpy()
        matrices = np.ascontiguousarray(v).view(np.complex64)[..., 0].swapaxes(2, 3)
        rates.append(user_rates(h, matrices, 10 ** (snr_db / 10)).sum(1))
    return np.concatenate(rates)


def interval(values: NDArray[np.float64]) -> float:
    """Half width of the 95 % interval of the mean."""
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def measured(given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train and measure the pair of one seed."""
    rates = {}
    found: dict[str, Any] = {"seed": seed}
    for method in METHODS:
        folder = given.out / f"{method}-{seed}"
        result = train_precoder(
            out=folder,
            snr=given.snr,
            settings=given.set,
            iterations=given.iterations,
            method=method,
            rate=given.rate,
            seed=seed,
            device=given.device,
            threads=given.threads,
            resume=folder.is_dir(),
            validations=10,
            validation_samples=5000,
        )
        precoder, metadata = load_precoder(result.weights)
        rates[method] = sum_rates(precoder, float(given.snr), given.samples)
        found[method] = round(float(rates[method].mean()), 4)
        found[f"{method}_interval"] = round(interval(rates[method]), 4)
        found[f"{method}_best_iteration"] = metadata["training"]["best_iteration"]
        found[f"{method}_minutes"] = metadata["training"]["minutes"]
    gain = rates["distilled"] - rates["plain"]
    # The channels are the same, so the difference is known better than either.
    found["gain"], found["gain_interval"] = round(float(gain.mean()), 4), round(interval(gain), 4)
    return found


def main() -> None:
    """Run all pairs, print the table."""
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in map(int, given.seeds.split(",")):
        rows.append(measured(given, seed))
        if given.json is not None:
            about = {"snr_db": float(given.snr), "iterations": given.iterations, "set": given.set}
            given.json.write_text(json.dumps({**about, "samples": given.samples, "rows": rows}))
    title = (
        f"Sum rate, bit/s/Hz, P = {given.snr} dB, {given.iterations} iterations, "
        f"{given.samples} held-out channels, 95 % intervals"
    )
    table = Table(title=title)
    for column in ("seed", *METHODS, "gain", "minutes"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            str(row["seed"]),
            *(f"{row[m]:.3f} +- {row[f'{m}_interval']:.3f}" for m in METHODS),
            f"{row['gain']:+.3f} +- {row['gain_interval']:.3f}",
            " / ".join(f"{row[f'{m}_minutes']:.1f}" for m in METHODS),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
