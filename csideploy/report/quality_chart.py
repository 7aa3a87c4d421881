"""The chart of `evaluate`: NMSE and SGCS against payload bits, and the outputs' spreads."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from csideploy.errors import InputError, MissingDependencyError
from csideploy.outputs import file_aside

FORMATS = (".svg", ".png", ".pdf")


def check_format(path: Path) -> None:
    """Before anything is measured: the chart's file must be one that can be drawn.

    Raises:
        InputError: another ending than .svg, .png or .pdf.
        MissingDependencyError: matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--chart {path}: end the name in {', '.join(FORMATS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError("charts need matplotlib: pip install 'csideploy[chart]'")


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the chart, aside first.

    Args:
        result: of `evaluate.evaluate`.
        path: ends in .svg, .png or .pdf.

    Raises:
        InputError, MissingDependencyError: see `check_format`; OutputError: it cannot be written.
    """
    check_format(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    quality, cosine, spreads = figure.subplots(1, 3)
    markers = "osD^vP*X<>hp"
    for index, (system, rows) in enumerate(_by_system(result["rows"]).items()):
        bits = [row["payload_bits"] for row in rows]
        style: dict[str, Any] = {
            "color": f"C{index % 10}",
            "marker": markers[index % len(markers)],
            "label": system,
        }
        nmse = [row["nmse_db"] for row in rows]
        low = [row["nmse_db"] - row["nmse_db_interval"][0] for row in rows]
        high = [row["nmse_db_interval"][1] - row["nmse_db"] for row in rows]
        quality.errorbar(bits, nmse, yerr=[low, high], capsize=2, **style)
        cosine.plot(bits, [row["sgcs"] for row in rows], **style)
        if rows[0]["spread"]:
            values = rows[0]["spread"]
            places = [i / max(1, len(values) - 1) for i in range(len(values))]
            spreads.plot(places, values, color=style["color"])
    quality.set(xlabel="payload bits a sample", ylabel="NMSE, dB")
    cosine.set(xlabel="payload bits a sample", ylabel="SGCS")
    spreads.set(
        xlabel="encoder outputs, in order", ylabel="standard deviation / mean", yscale="log"
    )
    for axes in (quality, cosine, spreads):
        axes.grid(alpha=0.3)
    figure.legend(*quality.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.suptitle(result["channels"], fontsize=9)
    with file_aside(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=150)


def _by_system(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["system"], []).append(row)
    return found
