"""The chart of `evaluate --snr`: sum rate against P."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from csideploy.outputs import file_aside
from csideploy.report.quality_chart import check_format


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the chart, aside first: one picture for each number of users.

    Args:
        results: of `downlink.evaluate.evaluate_precoders`.
        path: ends in .svg, .png or .pdf.

    Raises:
        InputError, MissingDependencyError: see `quality_chart.check_format`.
        OutputError: it cannot be written.
    """
    check_format(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5 * len(results), 5), layout="constrained")
    (row,) = figure.subplots(1, len(results), squeeze=False)
    for axes, result in zip(row, results, strict=True):
        _draw_one(axes, result)
    with file_aside(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=150)


def _draw_one(axes: Any, result: dict[str, Any]) -> None:
    markers = "osD^vP*X<>hp"
    systems = list(dict.fromkeys(row["system"] for row in result["rows"]))
    for index, system in enumerate(systems):
        rows = [row for row in result["rows"] if row["system"] == system]
        rates = [row["sum_rate"] for row in rows]
        below = [row["sum_rate"] - row["sum_rate_interval"][0] for row in rows]
        above = [row["sum_rate_interval"][1] - row["sum_rate"] for row in rows]
        axes.errorbar(
            [row["snr_db"] for row in rows],
            rates,
            yerr=[below, above],
            capsize=2,
            color=f"C{index % 10}",
            marker=markers[index % len(markers)],
            linestyle="--" if rows[0]["conventional"] else "-",
            label=system,
        )
    axes.set(xlabel="P, dB (noise 0 dB)", ylabel="sum rate, bit/s/Hz")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    axes.set_title(result["channels"], fontsize=9)
