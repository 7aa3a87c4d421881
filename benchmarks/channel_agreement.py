"""Generated COST2100 samples beside the reference model's: a table, JSON, and a picture.

    python benchmarks/channel_agreement.py --reference FOLDER --json F.json --plot F.png

FOLDER has cost2100_{indoor,outdoor}_reference.npz, samples made with the reference model.
`csideploy.channels.agreement` says how the bands are made. With OMP_NUM_THREADS=1 the
decompositions do not fight with other work for the cores.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from csideploy.channels.agreement import Comparison, compare
from csideploy.channels.blocks import block_rows
from csideploy.channels.files import read_csi
from csideploy.channels.generate import generate

SAMPLES = {"indoor": 20_000, "outdoor": 12_000}
AXES = {
    "delay profile": ("tap", "share of energy"),
    "angle profile": ("angle row", "share of energy"),
    "pixel variance": ("", "mean of (x - 0.5)^2"),
    "rms delay spread": ("percentile", "taps"),
    "PCA energy": ("principal components", "share of energy"),
}


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get(
        "CSIDEPLOY_REFERENCE_DATA", Path(__file__).parents[2] / "shared" / "data"
    )
    parser.add_argument("--reference", type=Path, default=Path(default))
    parser.add_argument("--scenario", choices=SAMPLES, action="append")
    parser.add_argument("--samples", type=int, help="default: 20000 indoor, 12000 outdoor")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


def measure(scenario: str, options: argparse.Namespace) -> tuple[list[Comparison], dict[str, Any]]:
    """Generates and compares: the comparisons, and all of it as plain numbers."""
    reference = read_csi(options.reference / f"cost2100_{scenario}_reference.npz", convention="raw")
    samples = options.samples or SAMPLES[scenario]
    start = time.perf_counter()
    planes = generate(scenario, samples, seed=options.seed, workers=options.workers).H
    seconds = time.perf_counter() - start
    candidate = np.empty((samples, *planes.shape[2:]), dtype=np.complex64)
    candidate.real, candidate.imag = planes[:, 0], planes[:, 1]
    comparisons = compare(reference.h, candidate, block_rows(scenario))
    return comparisons, {
        "scenario": scenario,
        "samples": samples,
        "reference_samples": len(reference.h),
        "seed": options.seed,
        "workers": options.workers,
        "seconds_to_generate": seconds,
        "statistics": [
            {
                "name": result.name,
                "inside": result.inside,
                "worst_in_bands": result.worst,
                "points": list(result.points),
                "reference": result.reference.tolist(),
                "generated": result.candidate.tolist(),
                "margin": result.margin.tolist(),
            }
            for result in comparisons
        ],
    }


def show(report: dict[str, Any], console: Console) -> None:
    """One line a statistic."""
    table = Table(
        title=f"{report['scenario']}: {report['samples']} generated samples, "
        f"{report['reference_samples']} of the reference model"
    )
    for heading in ("statistic", "points", "largest deviation / 99 % band", "inside"):
        table.add_column(heading)
    for entry in report["statistics"]:
        table.add_row(
            entry["name"],
            str(len(entry["points"])),
            f"{entry['worst_in_bands']:.2f}",
            "yes" if entry["inside"] else "NO",
        )
    console.print(table)


def plot(results: dict[str, list[Comparison]], path: Path) -> None:
    """Two rows of panels a scenario: the statistics, and their deviations in widths of the band."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = len(AXES)
    heights = [3.0, 1.4] * len(results)
    figure, axes = plt.subplots(
        len(heights),
        columns,
        figsize=(3.6 * columns, 1.1 * sum(heights)),
        height_ratios=heights,
        squeeze=False,
    )
    for number, (scenario, comparisons) in enumerate(results.items()):
        for column, result in enumerate(comparisons):
            above, below = axes[2 * number][column], axes[2 * number + 1][column]
            draw_values(above, result)
            draw_deviations(below, result)
            above.set_title(f"{scenario}: {result.name}", fontsize=10)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0.0, 0.04, 1.0, 1.0))
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_values(place: Any, result: Comparison) -> None:
    """Band, reference, generated samples."""
    x = np.asarray(result.points, dtype=float)
    if len(x) == 1:
        place.errorbar(x, result.reference, result.margin, fmt="_", color="C0", capsize=8)
        place.plot(x, result.candidate, "o", color="C3", ms=4)
        place.ticklabel_format(axis="y", scilimits=(0, 0))
    else:
        low, high = result.reference - result.margin, result.reference + result.margin
        label = "99 % band, all points at once"
        place.fill_between(x, low, high, color="C0", alpha=0.3, lw=0, label=label)
        place.plot(x, result.reference, "-", color="C0", label="reference model")
        mark = "o" if len(x) < 20 else "."
        place.plot(x, result.candidate, mark, color="C3", ms=4, label="generated")
    if result.name == "delay profile":
        place.set_yscale("log")
        place.set_ylim(bottom=result.reference.min() / 3)
    place.set_ylabel(AXES[result.name][1], fontsize=9)
    finish(place, result)


def draw_deviations(place: Any, result: Comparison) -> None:
    """(generated - reference) / margin: the band is from -1 to 1."""
    x = np.asarray(result.points, dtype=float)
    place.axhspan(-1.0, 1.0, color="C0", alpha=0.2, lw=0)
    place.axhline(0.0, color="C0", lw=1)
    place.plot(x, (result.candidate - result.reference) / result.margin, ".", color="C3")
    limit = max(1.3, 1.1 * result.worst)
    place.set_ylim(-limit, limit)
    place.set_ylabel("bands", fontsize=9)
    place.set_xlabel(AXES[result.name][0], fontsize=9)
    finish(place, result)


def finish(place: Any, result: Comparison) -> None:
    """What both kinds of panel share."""
    if len(result.points) == 1:
        place.set_xticks([])
    if result.name == "PCA energy":
        place.set_xscale("log", base=2)
    place.tick_params(labelsize=8)


def main() -> int:
    """Compares every scenario that was asked for."""
    options = arguments()
    console = Console(stderr=True)
    results, reports = {}, []
    for scenario in options.scenario or SAMPLES:
        with console.status(f"{scenario}: generating and comparing"):
            results[scenario], report = measure(scenario, options)
        show(report, console)
        reports.append(report)
    text = json.dumps({"benchmark": "channel_agreement", "results": reports}, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    else:
        print(text)
    if options.plot:
        plot(results, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
