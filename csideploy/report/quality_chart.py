"""The chart of `evaluate`: NMSE and SGCS against payload bits, and the outputs' spreads.

Only what some system has: directions have neither NMSE nor encoder outputs.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from csideploy.errors import InputError, MissingDependencyError
from csideploy.outputs import file_aside

FORMATS = (".svg", ".png", ".pdf")
_MARKERS = "osD^vP*X<>hp"
_BITS = "payload bits a sample"
_FAR_APART = 8
"""Budgets that differ by more stand on a logarithmic axis."""


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

    rows = result["rows"]
    parts = [
        part
        for part, wanted in (
            (_nmse, any(row["nmse_db"] is not None for row in rows)),
            (_cosine, True),
            (_by_subband, any("sgcs_subband" in row for row in rows)),
            (_spreads, any(row["spread"] for row in rows)),
        )
        if wanted
    ]
    figure = Figure(figsize=(1.6 + 3.8 * max(2, len(parts)), 4.2), layout="constrained")
    for axes, part in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        for index, (system, own) in enumerate(_by_system(rows).items()):
            style = {"color": f"C{index % 10}", "marker": _MARKERS[index % len(_MARKERS)]}
            part(axes, own, {**style, "label": system})
        bits = [row["payload_bits"] for row in rows]
        if part is not _spreads and max(bits) > _FAR_APART * min(bits):
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
        if part is _cosine:
            handles = axes.get_legend_handles_labels()
            figure.legend(*handles, loc="outside right center", fontsize=8)
    figure.suptitle(result["channels"], fontsize=9)
    with file_aside(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=150)


def _by_system(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["system"], []).append(row)
    return found


def _nmse(axes: Any, rows: list[dict[str, Any]], style: dict[str, Any]) -> None:
    own = [row for row in rows if row["nmse_db"] is not None]
    if own:
        _with_intervals(axes, own, "nmse_db", style)
    axes.set(xlabel=_BITS, ylabel="NMSE, dB")


def _cosine(axes: Any, rows: list[dict[str, Any]], style: dict[str, Any]) -> None:
    _with_intervals(axes, rows, "sgcs", style)
    axes.set(xlabel=_BITS, ylabel="SGCS")


def _by_subband(axes: Any, rows: list[dict[str, Any]], style: dict[str, Any]) -> None:
    _with_intervals(axes, rows, "sgcs_subband", style)
    axes.set(xlabel=_BITS, ylabel="SGCS by sub-band")


def _spreads(axes: Any, rows: list[dict[str, Any]], style: dict[str, Any]) -> None:
    values = rows[0]["spread"]
    places = [i / max(1, len(values) - 1) for i in range(len(values))]
    axes.plot(places, values, color=style["color"])
    axes.set(xlabel="encoder outputs, in order", ylabel="standard deviation / mean", yscale="log")


def _with_intervals(
    axes: Any, rows: list[dict[str, Any]], name: str, style: dict[str, Any]
) -> None:
    axes.errorbar(
        [row["payload_bits"] for row in rows],
        [row[name] for row in rows],
        yerr=_reach(rows, name),
        capsize=2,
        **style,
    )


def _reach(rows: list[dict[str, Any]], name: str) -> list[list[float]]:
    """How far the interval goes below and above."""
    ends = [row[f"{name}_interval"] for row in rows]
    return [
        [row[name] - low for row, (low, _) in zip(rows, ends, strict=True)],
        [high - row[name] for row, (_, high) in zip(rows, ends, strict=True)],
    ]
