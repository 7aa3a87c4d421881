"""The report as one self-contained HTML page: no script, nothing loaded, charts drawn inline.

`page_svg` draws, `page_memory`, `page_latency` and `page_quality_chart` make the charts,
`page_tables` the tables, whose figures name their place in the JSON; `page.html.j2` and `page.css`
are the page itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from csideploy import __version__
from csideploy.package import LinkPackage
from csideploy.report import page_latency, page_memory, page_quality_chart, page_tables, render
from csideploy.report.page_quality import measured_sets, read_quality
from csideploy.report.page_tables import Cell, Table, figure
from csideploy.report.units import binary, count, duration

__all__ = ["html", "read_quality", "report_files"]

NO_SENSE = {
    "precoder": "a precoder is judged by the sum rate of its users",
    "fronthaul": "a fronthaul quantizer is judged by the spectral efficiency of its users",
    "transceiver": "a transceiver is judged by the sum rate of its users",
}


def html(result: dict[str, Any], link: LinkPackage, quality: Sequence[dict[str, Any]]) -> str:
    """The page.

    Args:
        result: of `footprint.report`, with what `on_targets.add` adds; keys may be missing, then
            the page says so.
        link: the package, of which the manifest alone is read.
        quality: of `read_quality`.
    """
    return _render(result, link, quality, zoo=True)


def report_files(figures: dict[str, Any], manifest: dict[str, Any]) -> dict[str, bytes]:
    """`report.json` and `report.html` of a package that is being written: without any latency.

    They depend on the package alone, not on the machine, the folder or the zoo.

    Args:
        figures: of `footprint.of_bundles` or `of_named_bundles`.
        manifest: of the package, without its files.
    """
    link = LinkPackage(Path(), manifest)
    result = {
        **figures,
        "name": link.name,
        "pairing_id": manifest["pairing_id"],
        "budgets": [layout.figures() for layout in link.layouts],
    }
    if link.is_fronthaul:
        result["same"] = _same(figures["sides"])
    page = _render(result, link, (), zoo=False)
    return {
        "report.json": (json.dumps(figures, indent=2) + "\n").encode(),
        "report.html": (page + "\n").encode(),
    }


def _same(sides: dict[str, Any]) -> dict[str, str]:
    """Of places of equal figures the first one."""
    kinds: dict[str, str] = {}
    found = {}
    for side, data in sides.items():
        named = ("part", "parts", "layers")
        plain = {key: value for key, value in data.items() if key not in named}
        layers = [{k: v for k, v in layer.items() if k != "name"} for layer in data["layers"]]
        found[side] = kinds.setdefault(json.dumps([plain, layers]), side)
    return found


def _render(
    result: dict[str, Any], link: LinkPackage, quality: Sequence[dict[str, Any]], *, zoo: bool
) -> str:
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=folder, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"code": _code, "dotted": _dotted}
    shown = ["ue", "bs"] if link.is_transceiver else list(render.shown_sides(result))
    made = "latency" in result
    context = {
        "name": result["name"],
        "pairing_id": result["pairing_id"],
        "version": __version__,
        "command": "Written by `csideploy report --format html`."
        if made
        else "Written by `csideploy export`.",
        "outcome": _outcome(result),
        "verdict": page_tables.verdict(result),
        "tiles": _tiles(result, shown),
        "memory": [page_memory.memory(side, result["sides"][side]) for side in shown],
        **_latency(result, shown),
        **_quality(link, quality, zoo=zoo),
        "side_tables": _kept(
            page_tables.summary(result, shown),
            page_tables.parts(result) if link.is_transceiver else None,
            page_tables.users(result),
            page_tables.bandwidth(result, [side for side in shown if side != "du"]),
            *page_tables.built(result),
        ),
        "layer_tables": [page_tables.layers(result, side) for side in shown],
        "notes": _notes(result),
    }
    return environment.get_template("page.html.j2").render(context).rstrip()


def _code(text: str) -> Markup:
    """Escaped, with what stands in backticks as code, which breaks at spaces alone."""
    pieces = []
    for number, piece in enumerate(text.split("`")):
        if number % 2:
            words = (Markup('<span class="whole">{}</span>').format(w) for w in piece.split(" "))
            piece = Markup("<code>{}</code>").format(Markup(" ").join(words))
        pieces.append(escape(piece))
    return Markup("").join(pieces)


def _dotted(text: str) -> Markup:
    """Escaped; it may break behind its dots, as names of layers have them."""
    return Markup("<wbr>").join(part + "." for part in text.split("."))[:-1]


def _kept(*tables: Table | None) -> list[Table]:
    return [table for table in tables if table is not None]


def _outcome(result: dict[str, Any]) -> dict[str, str]:
    """The first thing that is read."""
    checks = (result.get("verdict") or {}).get("checks") or []
    failed = [str(check["name"]) for check in checks if not check["holds"]]
    if not checks:
        said = (
            "No limits were given, so that nothing passes or fails as a whole: `csideploy report "
            "PACKAGE --budget limits.toml`."
        )
        return {"word": "NO BUDGET GIVEN", "kind": "none", "sentence": said}
    if failed:
        said = f"{len(failed)} of {len(checks)} limits do not hold: {'; '.join(failed)}."
        return {"word": "FAIL", "kind": "fail", "sentence": said}
    return {"word": "PASS", "kind": "pass", "sentence": f"All {len(checks)} limits hold."}


def _tiles(result: dict[str, Any], shown: Sequence[str]) -> list[tuple[str, Cell]]:
    """The figures that stand at the top."""
    tiles = []
    several = len(result["budgets"]) > 1
    for number, budget in enumerate(result["budgets"]):
        cell = figure(result, ("budgets", number, "bits_per_sample"), count, " bits")
        of = f"{budget['bits']} bits an output" if several else "of a sample"
        tiles.append((f"payload, {of}", cell))
    # Of all parts that run for one sample, if the report has added them up.
    where = "totals" if "totals" in result else "sides"
    for words, key, form in (("memory", "memory_bytes", binary), ("MACs", "macs", count)):
        for side in shown[:2]:
            part = "" if where == "totals" else f" {result['sides'][side]['part']}"
            cell = figure(result, (where, side, key), form)
            tiles.append((f"{side.upper()}{part} {words}", cell))
    for side in shown[:2]:
        if "run_latency_s" in result["sides"][side]:
            path = ("sides", side, "run_latency_s", "median")
            part = result["sides"][side]["part"]
            tiles.append((f"{side.upper()} {part} here", figure(result, path, duration)))
    return tiles


def _latency(result: dict[str, Any], shown: Sequence[str]) -> dict[str, Any]:
    made = [page_latency.latency(side, result) for side in shown]
    lines = []
    if "latency" not in result:
        lines.append(
            "No latency here: `csideploy export` measures none, so that a package is the same "
            "wherever it is made. `csideploy report PACKAGE --format html --out page.html` "
            "measures it on your host; with `--target cortex-a76`, or another of `csideploy "
            "targets`, it is modelled for devices too."
        )
    elif all(target["mark"] == "measured" for target in result.get("targets") or ()):
        lines.append(
            "This host alone: `--target NAME` (`csideploy targets` lists them) adds what devices "
            "would take by the model."
        )
    tables = _kept(
        page_tables.targets(result),
        page_tables.time(result),
        page_tables.preprocessing(result),
        *(page_tables.layers_on_targets(result, side) for side in shown),
    )
    return {
        "latency": [chart for chart in made if chart is not None],
        "latency_lines": lines,
        "latency_tables": tables,
    }


def _quality(link: LinkPackage, quality: Sequence[dict[str, Any]], *, zoo: bool) -> dict[str, Any]:
    """Charts and table; of another kind of package the figures of its card."""
    kind = link.manifest.get("kind", "feedback")
    sets = measured_sets(link, quality, zoo=zoo)
    heading = "Quality against payload bits" if sets or kind == "feedback" else "Quality"
    lines = []
    if kind != "feedback" and sets:
        lines.append("The files' figures are of CSI feedback links, not of this package.")
    elif kind != "feedback":
        lines.append(
            f"Charts of NMSE and SGCS against payload bits are left out: {NO_SENSE[kind]}."
        )
    elif not sets:
        lines.append(
            "Nothing measured: the weights carry no figures, and no --quality file was given. "
            "`csideploy evaluate SYSTEM,PACKAGE --out F.json` makes one."
        )
    elif len(sets) > 1:
        lines.append("Figures of different test sets stand in charts of their own.")
    if kind == "feedback" and sets and not quality:
        lines.append(
            "Systems measured side by side, with intervals: `csideploy evaluate SYSTEM,PACKAGE "
            "--out F.json`, then `--quality F.json` here."
        )
    table = None
    if sets:
        table = page_quality_chart.table(sets)
    elif kind != "feedback":
        rows = [[Cell(key), Cell(text)] for key, text in _flat(link.manifest.get("metrics") or {})]
        if rows:
            table = Table("What the card of the weights says", ("measured", "value"), rows)
    charts = [f for n, one in enumerate(sets) for f in page_quality_chart.quality(n, one)]
    return {
        "quality": charts,
        "quality_heading": heading,
        "quality_lines": lines,
        "quality_table": table,
    }


def _flat(value: Any, key: str = "") -> list[tuple[str, str]]:
    """Nested figures, a line each."""
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in _flat(v, f"{key} {k}".strip())]
    if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        return [pair for n, v in enumerate(value, 1) for pair in _flat(v, f"{key}, {n}:")]
    if isinstance(value, list):
        return [(key, ", ".join(map(str, value)))]
    return [(key, str(value))]


def _notes(result: dict[str, Any]) -> list[str]:
    if "latency" in result:
        lines = render.closing_lines(result)
    else:
        lines = [*(render.payload_line(payload) for payload in result["budgets"]), *result["notes"]]
        first = [(s, kind) for s, kind in result.get("same", {}).items() if s != kind]
        lines += [f"{kind.upper()} stands for {side.upper()} too." for side, kind in first]
    return lines
