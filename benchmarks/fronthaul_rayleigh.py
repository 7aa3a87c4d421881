"""Quantizers by tables on Rayleigh channels: sum spectral efficiency of each.

    python benchmarks/fronthaul_rayleigh.py [--json] [--seed 1] [--channels 4000]

M = N = 5 single antennas, P_m = sigma^2 = 1, B = 1 and 2: sum of log2(1 + SINR), SINR of paper 003,
eq. (21). pmq's tables are trained with T = 10 and used with T = 3, 5 and 10. Then M = 8 RUs of two
antennas and N = 3 users of two, B = 2, 18 dB (the paper's Fig. 5): its measure of efficiency, on
Rayleigh and on both UMi channels. Every search runs in the DU's bundle.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from csideploy.cli_shell import progress
from csideploy.fronthaul.evaluate import deployed_row, reference_rows, scene
from csideploy.fronthaul.setup import Setup
from csideploy.training.fronthaul_tables import train_tables

USES = 100
SINGLE_T = (3, 5, 10)


def single(bits: int) -> Setup:
    """Five RUs and five users of one antenna, noise and power 1."""
    return Setup((1,) * 5, (bits,) * 5, 5, 1, 1, 10 * math.log10(5))


def several() -> Setup:
    """The paper's Fig. 5."""
    return Setup((2,) * 8, (2,) * 8, 3, 2, 1, 18.0)


def rows(
    setup: Setup,
    channel: str,
    *,
    iterations: tuple[int, ...],
    joint: bool,
    channels: int,
    seed: int,
) -> list[dict[str, Any]]:
    """One table: linear precoding, vq, smq, pmq at each T, mq where `joint`."""
    place = scene(channel, setup, blocks=channels, seed=seed, uses=USES)
    found = [{**reference_rows(place, errors=False)[0], "bits": setup.bits[0]}]
    for method in ("vq", "smq", "pmq", *(["mq"] if joint else [])):
        most = max(iterations) if method == "pmq" else None
        tables = train_tables(method, setup, channel=channel, iterations=most, seed=seed)
        for count in iterations if method == "pmq" else (0,):
            own = replace(tables, iterations=count)
            name = f"pmq, T = {count}" if count else method
            found.append(deployed_row(place, own, name=name, errors=False))
    return found


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    common = {"channels": asked.channels, "seed": asked.seed}
    jobs = [(f"M = N = 5, B = {b}, rayleigh", single(b), "rayleigh") for b in (1, 2)]
    jobs += [
        (f"M = 8, N_tx = 2, B = 2, N = 3, {kind}", several(), kind)
        for kind in ("rayleigh", "umi-links", "umi")
    ]
    result = {}
    with progress("tables") as advance:
        for done, (title, setup, kind) in enumerate(jobs):
            small = setup.rus == 5
            counts = SINGLE_T if small else (setup.rus, 2 * setup.rus)
            result[title] = rows(setup, kind, iterations=counts, joint=small, **common)
            advance(done + 1, len(jobs))
    if asked.json:
        print(json.dumps(result, indent=2))
        return 0
    console = Console()
    for title, found in result.items():
        measure = "sinr_efficiency" if "sinr_efficiency" in found[0] else "efficiency"
        table = Table(title=f"{title}: sum efficiency, bit/s/Hz, 95 % interval")
        table.add_column("quantizer")
        table.add_column(measure.replace("_", " "), justify="right")
        table.add_column("-log2 det E", justify="right")
        best = next(row for row in found if row["system"] == "vq")[measure]
        table.add_column("over vq", justify="right")
        for row in found:
            half = row[f"{measure}_interval"][1] - row[measure]
            table.add_row(
                row["system"], f"{row[measure]:.3f} +-{half:.3f}", f"{row['plain']:.3f}",
                f"{row[measure] / best:.2f}",
            )  # fmt: skip
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
