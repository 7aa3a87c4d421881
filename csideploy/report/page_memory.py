"""The chart of a page that says what takes the memory of a side, layer by layer."""

from __future__ import annotations

from typing import Any

from csideploy.report.page_svg import (
    WIDTH,
    Figure,
    Scale,
    line,
    linear_ticks,
    shortened,
    svg,
    tag,
    text,
)
from csideploy.report.units import binary

KINDS = (
    ("binary_bytes", "one-bit", "1-bit weights"),
    ("int8_bytes", "int8", "int8 weights"),
    ("fp32_bytes", "other", "other: fp32 weights, biases, slopes, scales, codebooks"),
)
"""Of a layer's stored bytes: key, class, words."""
REST = (
    ("padding_bytes", "plan", "padding"),
    ("tables_bytes", "plan", "header and plan"),
    ("vectors_bytes", "plan", "golden vectors"),
    ("arena_bytes", "arena", "arena"),
)
MOST_ROWS = 22
_ROW, _TOP, _LEFT, _RIGHT = 20, 26, 132, 268


def layer_name(layer: dict[str, Any], part: str) -> str:
    """A layer without the name of its part; of a quantizer with its budget."""
    name = str(layer["name"]).removeprefix(f"{part}.")
    return f"{layer['budget']} bits: {name}" if "budget" in layer else name


def memory(side: str, data: dict[str, Any]) -> Figure:
    """What takes the memory of a side: a bar a layer, then plan and arena; together its memory.

    Args:
        side: its name.
        data: of the report's `sides`.
    """
    rows, left_out = _memory_rows(data)
    biggest = max(sum(size for _, size in parts) for _, parts in rows)
    unit, word = (1024 * 1024, "MiB") if biggest >= 4 * 1024 * 1024 else (1024, "KiB")
    if biggest < 4096:
        unit, word = 1, "bytes"
    ticks = [tick for tick in linear_ticks(0, biggest / unit, 3) if tick * unit <= biggest]
    scale = Scale(0, biggest, _LEFT, _RIGHT)
    bottom = _TOP + _ROW * len(rows)
    drawn = [
        text(0, 12, "layer or part", "axis"),
        text(WIDTH, 12, "size", "axis", "end"),
    ]
    for tick in ticks:
        x = scale.at(tick * unit)
        drawn += [line(x, _TOP - 4, x, bottom, "grid")]
        drawn.append(text(x, bottom + 14, f"{tick:,g}", "", "middle"))
    for number, (name, parts) in enumerate(rows):
        y, start = _TOP + _ROW * number, 0
        drawn.append(text(0, y + 12, shortened(name, _LEFT - 6)))
        for kind, size in parts:
            x = scale.at(start)
            width = scale.at(start + size) - x
            if size:
                # A sliver stays visible.
                drawn.append(tag("rect", x=x, y=y, width=max(width, 1.0), height=14, class_=kind))
            start += size
        drawn.append(text(WIDTH, y + 12, binary(start), "value", "end"))
    drawn.append(text((_LEFT + _RIGHT) / 2, bottom + 31, f"memory, {word}", "axis", "middle"))
    used = {kind for _, parts in rows for kind, size in parts if size}
    named = ((kind, words) for _, kind, words in KINDS)
    legend = (*named, ("plan", "plan, padding, vectors"), ("arena", "arena"))
    total = binary(data["memory_bytes"])
    caption = (
        f"{side.upper()}, {data['part']}: {total} = bundle {binary(data['bundle_bytes'])} + arena "
        f"{binary(data['arena_bytes'])}. Exact: read from the bundle, nothing is estimated."
    )
    if left_out:
        caption += f" {left_out}"
    described = f"{caption} Largest: " + "; ".join(
        f"{name} {binary(sum(size for _, size in parts))}"
        for name, parts in sorted(rows, key=lambda row: -sum(s for _, s in row[1]))[:3]
    )
    heading = f"Memory of the {side.upper()}, by layer"
    return Figure(
        heading,
        svg(f"memory-{side}", bottom + 36, heading, described, drawn),
        caption,
        tuple(entry for entry in legend if entry[0] in used),
    )


def _chart_name(layer: dict[str, Any], part: str) -> str:
    """The budget of a quantizer behind its name, of which the end is what stays readable."""
    if "budget" in layer:
        return f"{str(layer['name']).rpartition('.')[2]}, {layer['budget']} bits"
    return layer_name(layer, part)


_Rows = list[tuple[str, list[tuple[str, int]]]]


def _memory_rows(data: dict[str, Any]) -> tuple[_Rows, str]:
    """Name and (class, bytes) of each row, and a sentence on what has no row of its own."""
    layers: _Rows = []
    storing = [layer for layer in data["layers"] if layer["stored_bytes"]]
    names = [_chart_name(layer, data["part"]) for layer in storing]
    if len(names) > 1 and all(name.endswith(".node") for name in names):
        # An exporter's word, which takes the room of those that differ.
        names = [name.removesuffix(".node") for name in names]
    for name, layer in zip(names, storing, strict=True):
        layers.append((name, [(kind, layer[key]) for key, kind, _ in KINDS]))
    said = []
    without = len(data["layers"]) - len(layers)
    if without:
        said.append(f"{without} layers that store nothing are left out.")
    if len(layers) > MOST_ROWS:
        small = sorted(layers, key=lambda row: sum(s for _, s in row[1]))[: len(layers) - MOST_ROWS]
        sums = {kind: 0 for _, kind, _ in KINDS}
        for _, parts in small:
            for kind, size in parts:
                sums[kind] += size
        layers = [row for row in layers if not any(row is other for other in small)]
        layers.append((f"{len(small)} smaller layers", list(sums.items())))
    rest = [(words, [(kind, data[key])]) for key, kind, words in REST if data[key]]
    return layers + rest, " ".join(said)
