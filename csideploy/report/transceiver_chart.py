"""The chart of `evaluate` for transceivers: against SNR, bits and users, whatever was varied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csideploy.outputs import file_aside
from csideploy.report.quality_chart import check_format

_AXES = {
    "snr_db": "P / noise, dB",
    "at_bits": "feedback, bits a user",
    "users": "users K",
}
_WORDS = {"snr_db": "{:g} dB", "at_bits": "B = {}", "users": "K = {}"}
_MARKERS = "osD^vP*X<>hp"


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the chart, aside first: a picture for each quantity of which there are several.

    In each, the others are at their middle (SNR, users) or largest (bits) value.

    Args:
        result: of `transceiver.evaluate.evaluate_transceivers`.
        path: ends in .svg, .png or .pdf.

    Raises:
        InputError, MissingDependencyError: see `quality_chart.check_format`.
        OutputError: it cannot be written.
    """
    check_format(path)
    from matplotlib.figure import Figure

    values = {name: sorted({row[name] for row in result["rows"]}) for name in _AXES}
    varied = [name for name in _AXES if len(values[name]) > 1] or ["at_bits"]
    fixed = {
        name: found[-1] if name == "at_bits" else found[len(found) // 2]
        for name, found in values.items()
    }
    figure = Figure(figsize=(6.5 * len(varied), 5), layout="constrained")
    (row,) = figure.subplots(1, len(varied), squeeze=False)
    systems = list(dict.fromkeys(entry["system"] for entry in result["rows"]))
    for axes, over in zip(row, varied, strict=True):
        others = {name: value for name, value in fixed.items() if name != over}
        shown = [
            entry
            for entry in result["rows"]
            if all(entry[name] == value for name, value in others.items())
        ]
        for index, system in enumerate(systems):
            line = sorted((e for e in shown if e["system"] == system), key=lambda e: e[over])
            if line:
                _line(axes, [e[over] for e in line], line, index)
        at = ", ".join(_WORDS[name].format(value) for name, value in others.items())
        axes.set(xlabel=_AXES[over], ylabel="sum rate, bit/s/Hz", title=at)
        axes.grid(alpha=0.3)
    handles, labels = row[0].get_legend_handles_labels()
    row[0].legend(handles, labels, fontsize=8)
    with file_aside(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=150)


def _line(axes: Any, places: list[float], rows: list[dict[str, Any]], index: int) -> None:
    axes.errorbar(
        places,
        [row["sum_rate"] for row in rows],
        yerr=[row["half_interval"] for row in rows],
        capsize=2,
        color=f"C{index % 10}",
        marker=_MARKERS[index % len(_MARKERS)],
        linewidth=2.5 if rows[0]["trained"] else 1.2,
        linestyle="-" if rows[0]["trained"] else "--",
        label=rows[0]["system"],
    )
