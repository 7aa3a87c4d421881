"""The charts of `evaluate` for the fronthaul."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from csideploy.outputs import file_aside
from csideploy.report.quality_chart import check_format

_MARKERS = "osD^vP*X<>hp"


def draw(result: dict[str, Any], path: Path) -> None:
    """Efficiency and symbol errors against bits, a row of pictures for each channel.

    Args:
        result: of `fronthaul.evaluate.evaluate_fronthaul`.
        path: ends in .svg, .png or .pdf.

    Raises:
        InputError, MissingDependencyError: see `quality_chart.check_format`.
        OutputError: it cannot be written.
    """
    kinds = list(dict.fromkeys(row["channel"] for row in result["rows"]))
    figure, grid = _figure(path, len(kinds), 2)
    for pictures, kind in zip(grid, kinds, strict=True):
        rows = [row for row in result["rows"] if row["channel"] == kind]
        for axes, name, label in (
            (pictures[0], "efficiency", "sum efficiency, bit/s/Hz"),
            (pictures[1], "symbol_errors", "16-QAM symbol error rate"),
        ):
            _against_bits(axes, [row for row in rows if name in row], name)
            axes.set(xlabel="fronthaul, bits a channel use and RU", ylabel=label)
            axes.set_title(kind, fontsize=9)
        pictures[1].set_yscale("symlog", linthresh=1e-4)
        pictures[1].set_ylim(bottom=0)
    _save(figure, path)


def draw_sweep(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Efficiency over users, SNR or iterations, one picture a channel; errors as `draw`."""
    figure, (pictures,) = _figure(path, 1, len(results))
    for axes, result in zip(pictures, results, strict=True):
        name = result["over"]
        for index, system in enumerate(dict.fromkeys(row["system"] for row in result["rows"])):
            rows = [row for row in result["rows"] if row["system"] == system]
            _line(axes, [row[name] for row in rows], rows, "efficiency", index, system)
        if name == "iterations":
            axes.set_xscale("log")
        axes.set(xlabel=name.replace("_", " "), ylabel="sum efficiency, bit/s/Hz")
        axes.set_title(result["channel"], fontsize=9)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    _save(figure, path)


def _figure(path: Path, rows: int, columns: int) -> Any:
    check_format(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5 * columns, 4.5 * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Any, path: Path) -> None:
    with file_aside(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=150)


def _against_bits(axes: Any, rows: list[dict[str, Any]], name: str) -> None:
    """One line a system, as it is called without the bits; without limit: a level."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault(row.get("line", row["system"]), []).append(row)
    for index, (system, own) in enumerate(lines.items()):
        if own[0]["bits"] is None:
            axes.axhline(own[0][name], color=f"C{index % 10}", linestyle="--", label=system)
            continue
        own = sorted(own, key=lambda row: row["bits"])
        _line(axes, [row["bits"] for row in own], own, name, index, system)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


def _line(
    axes: Any, places: list[float], rows: list[dict[str, Any]], name: str, index: int, label: str
) -> None:
    values = [row[name] for row in rows]
    low = [row[name] - row[f"{name}_interval"][0] for row in rows]
    high = [row[f"{name}_interval"][1] - row[name] for row in rows]
    axes.errorbar(
        places,
        values,
        yerr=[low, high],
        capsize=2,
        color=f"C{index % 10}",
        marker=_MARKERS[index % len(_MARKERS)],
        label=label,
    )
