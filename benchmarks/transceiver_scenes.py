"""Scenes that a transceiver was not trained on (paper 000, Table I), beside the baselines.

    python benchmarks/transceiver_scenes.py --run RUN --fit munich.npz florence.npz etoile.npz

The baselines know the scene that the transceiver was trained on (--fit), as it does; and once more
each new scene itself, which the transceiver does not.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from csideploy.transceiver.evaluate import evaluate_transceivers, of_weights

COLUMNS = ("trained", "zf-lmmse", "zf-lloyd", "zf", "wmmse")


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+", help="files of users")
    parser.add_argument("--run", type=Path, required=True, help="weights, a run or a zoo entry")
    parser.add_argument("--fit", type=Path, required=True, help="the users it was trained on")
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--bits", type=int, default=30)
    parser.add_argument("--snr", type=float, default=10.0)
    parser.add_argument("--samples", type=int, default=2000, help="groups of a scene")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure every scene twice, print the table."""
    given = arguments()
    one = of_weights(given.run, "trained", most_users=given.users, bits=[given.bits])
    rows: list[dict[str, Any]] = []
    for scene in given.scenes:
        for fit in (given.fit, scene):
            result = evaluate_transceivers(
                [one],
                scene,
                snrs=[given.snr],
                users=[given.users],
                bits=[given.bits],
                samples=given.samples,
                fit=fit,
            )
            found = {row["system"]: row for row in result["rows"]}
            rows.append(
                {
                    "scene": scene.stem,
                    "baselines_know": fit.stem,
                    **{name: found[name]["sum_rate"] for name in COLUMNS},
                    "half_interval": found["trained"]["half_interval"],
                }
            )
    title = f"Sum rate, bit/s/Hz, K = {given.users}, B = {given.bits}, {given.snr:g} dB"
    table = Table(title=title)
    for column in ("scene", "baselines know", *COLUMNS):
        table.add_column(column, justify="right")
    for row in rows:
        cells = [f"{row[name]:.2f}" for name in COLUMNS]
        cells[0] += f" +- {row['half_interval']:.2f}"
        table.add_row(row["scene"], row["baselines_know"], *cells)
    Console().print(table)
    if given.json is not None:
        given.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
