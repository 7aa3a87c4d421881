"""The tables of a page: a figure of the report says in `data-key` where it stands in the JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from csideploy.report import network_count
from csideploy.report.page_memory import layer_name
from csideploy.report.units import binary, count, duration, percent, short_shape

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Cell:
    """Text; of a figure of the JSON its key; a word after it; classes of the style sheet."""

    text: str
    key: str | None = None
    after: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption; the first cell of a row is the row's head."""

    caption: str
    heads: Sequence[str]
    rows: list[list[Cell]]
    note: str = ""


def figure(result: dict[str, Any], path: Path, form: Callable[[Any], str], after: str = "") -> Cell:
    """The cell of a figure; "" where it is null."""
    value: Any = result
    for step in path:
        value = value[step]
    text = "" if value is None else form(value)
    kind = "number zero" if value == 0 and not isinstance(value, bool) else "number"
    return Cell(text, ".".join(map(str, path)), after, kind)


SUMMARY: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("1-bit weights", "binary_bytes", binary),
    ("int8 weights", "int8_bytes", binary),
    ("other weights, biases, slopes, scales", "fp32_bytes", binary),
    ("padding between constants", "padding_bytes", binary),
    ("header, plan, names", "tables_bytes", binary),
    ("golden vectors (may be stripped)", "vectors_bytes", binary),
    ("bundle, as stored", "bundle_bytes", binary),
    ("arena", "arena_bytes", binary),
    ("of these, what the fullest step needs", "arena_bound_bytes", binary),
    ("memory = bundle + arena", "memory_bytes", binary),
    ("caller's input buffer", "input_bytes", binary),
    ("caller's output buffers", "output_bytes", binary),
    ("parameters", "parameters", count),
    ("MACs", "macs", count),
    ("of these with 1-bit weights", "binary_macs", count),
    ("element-wise operations", "elementwise", count),
    ("FLOPs = 2 x MACs + element-wise", "flops", count),
    ("bit operations", "bit_operations", count),
    *((words, key, count) for words, key in network_count.ROWS),
)
"""Words, key and form of a side's figures."""


def summary(result: dict[str, Any], sides: Sequence[str]) -> Table:
    """A column a side."""
    rows = []
    for words, key, form in SUMMARY:
        if all(key in result["sides"][side] for side in sides):
            rows.append(
                [Cell(words), *(figure(result, ("sides", side, key), form) for side in sides)]
            )
    of = "block" if "fronthaul" in result else "sample"
    if all("run_latency_s" in result["sides"][side] for side in sides):
        for which in ("min", "median"):
            cells = (
                figure(result, ("sides", side, "run_latency_s", which), duration) for side in sides
            )
            rows.append([Cell(f"latency of a {of} here, {which}"), *cells])
    return Table("Figures by side", ("", *(side.upper() for side in sides)), rows)


LAYER: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("1-bit", "binary_bytes", binary),
    ("int8", "int8_bytes", binary),
    ("other", "fp32_bytes", binary),
    ("parameters", "parameters", count),
    ("MACs", "macs", count),
    ("FLOPs", "flops", count),
    ("bit operations", "bit_operations", count),
)


def layers(result: dict[str, Any], side: str) -> Table:
    """A row a layer, then the total; a kind of weights that the side has none of is left out."""
    data = result["sides"][side]
    kept = [entry for entry in LAYER if data.get(entry[1])]
    timed = "latency_s" in data
    heads = ["layer", "operation", "output", *(head for head, _, _ in kept)]
    heads += ["min here", "median here"] if timed else []
    rows = []
    for number, layer in enumerate(data["layers"]):
        path = ("sides", side, "layers", number)
        row = [
            Cell(layer_name(layer, data["part"])),
            Cell(layer["op"].lower()),
            Cell(short_shape(layer["output_shape"])),
        ]
        rows.append(row + _layer_cells(result, path, kept, timed=timed))
    total = [Cell("total", kind="total"), Cell(""), Cell("")]
    rows.append(total + _layer_cells(result, ("sides", side), kept, timed=timed))
    return Table(f"{side.upper()}: {data['part']}, by layer", heads, rows)


def _layer_cells(
    result: dict[str, Any],
    path: Path,
    kept: Sequence[tuple[str, str, Callable[[Any], str]]],
    *,
    timed: bool,
) -> list[Cell]:
    cells = [figure(result, (*path, key), form) for _, key, form in kept]
    if timed:
        for which in ("min", "median"):
            cells.append(figure(result, (*path, "latency_s", which), duration))
    return cells


def verdict(result: dict[str, Any]) -> Table | None:
    """A row a check of the budget; None where none was asked for."""
    checks = (result.get("verdict") or {}).get("checks") or []
    if not checks:
        return None
    rows = []
    for number, check in enumerate(checks):
        form = _of_unit(check["unit"])
        path = ("verdict", "checks", number)
        holds = check["holds"]
        rows.append(
            [
                Cell(str(check["name"])),
                Cell("PASS" if holds else "FAIL", kind="pass" if holds else "fail"),
                figure(result, (*path, "value"), form),
                figure(result, (*path, "limit"), form),
                Cell(check["target"] or ""),
            ]
        )
    heads = ("limit of", "outcome", "value", "limit", "target")
    return Table("Limits, and whether the weights fit", heads, rows)


def _of_unit(unit: str | None) -> Callable[[Any], str]:
    if unit in ("bytes", "B"):
        return lambda value: f"{value:,.0f} bytes"
    if unit in ("s", "seconds"):
        return duration
    if not unit:
        return percent
    return lambda value: f"{_plain(value)} {unit}"


def _plain(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def time(result: dict[str, Any]) -> Table | None:
    """The time that each side has."""
    timing = result.get("timing") or {}
    if not timing.get("sides"):
        return None
    rows = []
    for side, own in timing["sides"].items():
        path = ("timing", "sides", side)
        rows.append(
            [
                Cell(side.upper()),
                Cell(f"{own['what']} [{own['confidence']}]"),
                Cell(own["source"]),
                figure(result, (*path, "seconds"), duration),
            ]
        )
    mu = timing.get("numerology")
    spacing = "" if mu is None else f" at {15 * 2**mu} kHz subcarriers (numerology {mu})"
    share = timing.get("share_allowed")
    note = "" if share is None else f"A side may take {percent(share)} of it."
    return Table(f"Time that a side has{spacing}", ("side", "what", "source", "time"), rows, note)


def targets(result: dict[str, Any]) -> Table | None:
    """A row for each target and side."""
    rows = []
    for number, target in enumerate(result.get("targets") or []):
        for side, own in target["sides"].items():
            path = ("targets", number, "sides", side)
            fits = own.get("fits")
            rows.append(
                [
                    Cell(target["target"]),
                    Cell(side.upper()),
                    figure(result, (*path, "latency_s"), duration),
                    _optional(result, path, own, "share", percent),
                    _optional(result, path, own, "preprocessing_s", duration),
                    Cell(f"{target['mark']} [{target['confidence']}]"),
                    Cell(
                        "" if fits is None else "yes" if fits else "NO", kind="" if fits else "fail"
                    ),
                    Cell(own.get("weights_in") or ""),
                    Cell(target.get("title") or ""),
                ]
            )
    if not rows:
        return None
    heads = (
        *("target", "side", "latency", "of the time", "pre-processing in it"),
        *("how known", "fits", "weights in", "device"),
    )
    return Table("Latency on targets", heads, rows)


def _optional(
    result: dict[str, Any], path: Path, own: dict[str, Any], key: str, form: Callable[[Any], str]
) -> Cell:
    return (
        figure(result, (*path, key), form) if own.get(key) is not None else Cell("", kind="number")
    )


def layers_on_targets(result: dict[str, Any], side: str) -> Table | None:
    """A row a layer of what runs at a side, a column a target, with what bounds it there."""
    entries = [
        (number, target["target"], target["sides"][side]["layers"])
        for number, target in enumerate(result.get("targets") or [])
        if target["sides"].get(side, {}).get("layers")
    ]
    if not entries:
        return None
    part = result["sides"][side]["part"]
    rows = []
    for j, layer in enumerate(entries[0][2]):
        row = [Cell(layer_name(layer, part))]
        for number, _, own in entries:
            path = ("targets", number, "sides", side, "layers", j)
            row.append(figure(result, (*path, "latency_s"), duration, (own[j]["bound"] or "")[:1]))
        rows.append(row)
    note = (
        "The letter says what bounds a layer: a arithmetic, m memory, o overhead. "
        "Pre-processing is not in here."
    )
    heads = ("layer", *(name for _, name, _ in entries))
    return Table(f"{side.upper()} on targets, by layer", heads, rows, note)


def preprocessing(result: dict[str, Any]) -> Table | None:
    """What stands before the network at a side."""
    own = result.get("preprocessing")
    if not own:
        return None
    path: Path = ("preprocessing",)
    row = [
        Cell(own["side"].upper()),
        Cell(own["what"]),
        figure(result, (*path, "flops"), count),
        *(
            figure(result, (*path, "measured_s", which), duration)
            if own.get("measured_s")
            else Cell("")
            for which in ("min", "median")
        ),
    ]
    heads = ("side", "what", "FLOPs", "min here", "median here")
    return Table("Pre-processing, outside the bundle", heads, [row])


BUILT: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    (".text: code", "text_bytes", binary),
    (".rodata: constants", "rodata_bytes", binary),
    ("bundle, in .rodata", "bundle_bytes", binary),
    ("initialised data", "data_bytes", binary),
    ("flash", "flash_bytes", binary),
    (".bss: state of the parts", "bss_bytes", binary),
    ("arena", "arena_bytes", binary),
    ("RAM", "ram_bytes", binary),
    ("deepest stack, emulated", "stack_bytes", binary),
    ("instructions of a run, emulated", "instructions", count),
)
"""Of a side's cross-built code: words, key, form."""


def built(result: dict[str, Any]) -> list[Table]:
    """One for each target that code was built for: a column a side."""
    tables = []
    for number, one in enumerate(result.get("builds") or []):
        sides = one["sides"]
        rows = [
            [
                Cell(words),
                *(figure(result, ("builds", number, "sides", side, key), form) for side in sides),
            ]
            for words, key, form in BUILT
            if any(own.get(key) is not None for own in sides.values())
        ]
        if rows:
            flags = " ".join(map(str, one["flags"]))
            caption = f"Built for {one['target']}: {one['compiler']} {flags}"
            tables.append(Table(caption, ("", *(side.upper() for side in sides)), rows))
    return tables


def parts(result: dict[str, Any]) -> Table:
    """Of a transceiver: a row a part."""
    timed = all("run_latency_s" in data for data in result["sides"].values())
    columns: list[tuple[str, Path, Callable[[Any], str]]] = [
        ("bundle", ("bundle_bytes",), binary),
        ("arena", ("arena_bytes",), binary),
        ("parameters", ("parameters",), count),
        ("MACs", ("macs",), count),
    ]
    if timed:
        columns.append(("latency here, median", ("run_latency_s", "median"), duration))
    rows = [
        [Cell(stem), *(figure(result, ("sides", stem, *path), form) for _, path, form in columns)]
        for stem in result["sides"]
    ]
    return Table("Parts", ("part", *(head for head, _, _ in columns)), rows)


def users(result: dict[str, Any]) -> Table | None:
    """Of a transceiver: a row for each number of users."""
    own = result.get("transceiver")
    if own is None:
        return None
    ue = ("transceiver",)
    rows = []
    for number, row in enumerate(own["users"]):
        path = ("transceiver", "users", number)
        rows.append(
            [
                Cell(f"{row['users']} users"),
                figure(result, (*ue, "ue_macs"), count),
                figure(result, (*ue, "ue_latency_s", "median"), duration),
                figure(result, (*path, "bs_macs"), count),
                figure(result, (*path, "bs_latency_s", "median"), duration),
            ]
        )
    heads = ("", "a UE's MACs", "a UE's latency", "BS MACs", "BS latency")
    return Table(f"Users, {own['bits'][-1]} bits each", heads, rows)


def bandwidth(result: dict[str, Any], shown: Sequence[str]) -> Table | None:
    """Of a fronthaul: what the RUs keep up with."""
    if "fronthaul" not in result:
        return None
    own = result["fronthaul"]["bandwidth"]
    path = ("fronthaul", "bandwidth", "rus")
    names = list(own["peak_macs_per_second"])
    rows = []
    for stem in shown:
        row = [
            Cell(stem.upper()),
            figure(result, (*path, stem, "macs_per_use"), count),
            figure(result, (*path, stem, "macs_per_second_100mhz"), count),
        ]
        row += [figure(result, (*path, stem, "most_prbs", name), count) for name in names]
        rows.append(row)
    heads = ("RU", "MACs a use", "MAC/s at 100 MHz", *(f"PRBs: {name}" for name in names))
    return Table("What the RUs keep up with at peak rates (upper bounds)", heads, rows)
