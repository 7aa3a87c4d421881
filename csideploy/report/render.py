"""The footprint as tables: rich for a terminal, markdown for a page. Both print the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from csideploy.profiles import exchange
from csideploy.report import (
    build_table,
    network_count,
    papers_count,
    precoder_figures,
    ru_bandwidth,
    targets_table,
    transceiver_footprint,
)
from csideploy.report.tables import plain_table
from csideploy.report.units import binary, duration, percent, short_shape

COLUMNS = ("layer", "output", "1-bit", "int8", "other", "MACs", "FLOPs", "min", "median", "of time")


def shown_sides(result: dict[str, Any]) -> dict[str, Any]:
    """The sides with tables of their own: of RUs of equal sizes the first one."""
    same = result.get("same", {})
    if "transceiver" in result:
        return {side: result["sides"][side] for side in ("ue", "bs")}
    return {side: data for side, data in result["sides"].items() if same.get(side, side) == side}


def _rus(result: dict[str, Any]) -> list[str]:
    return [side for side in shown_sides(result) if side != "du"]


def title(side: str, data: dict[str, Any], result: dict[str, Any]) -> str:
    """`UE: encoder`, and what the times in its table are."""
    of = "one block" if "fronthaul" in result else "n = 1"
    if "transceiver" in result and side == "bs":
        of = f"{result['transceiver']['max_users']} users"
    return f"{side.upper()}: {data['part']} (times: measured on this host, 1 thread, {of})"


def layer_rows(data: dict[str, Any]) -> list[list[str]]:
    """One row of cells a layer, then the totals."""
    rows = []
    for layer in data["layers"]:
        name = layer["name"].removeprefix(f"{data['part']}.")
        if "budget" in layer:
            name = f"{layer['budget']} bits: {name}"
        rows.append([name, short_shape(layer["output_shape"]), *_figures(layer)])
    return [*rows, ["total", "", *_figures(data)]]


def _figures(entry: dict[str, Any]) -> list[str]:
    latency = entry.get("latency_s")
    return [
        binary(entry["binary_bytes"]) if entry["binary_bytes"] else "",
        binary(entry["int8_bytes"]) if entry["int8_bytes"] else "",
        binary(entry["fp32_bytes"]) if entry["fp32_bytes"] else "",
        f"{entry['macs']:,}" if entry["macs"] else "",
        f"{entry['flops']:,}" if entry["flops"] else "",
        duration(latency["min"]) if latency else "",
        duration(latency["median"]) if latency else "",
        percent(entry["share"]) if "share" in entry else "",
    ]


def summary_rows(result: dict[str, Any]) -> list[list[str]]:
    """Name, then one cell a side."""
    sides = list(shown_sides(result).values())
    sample = "block" if "fronthaul" in result else "sample"
    rows = []
    for text, key in (
        ("  1-bit weights", "binary_bytes"),
        ("  int8 weights", "int8_bytes"),
        ("  other weights, biases, slopes, scales", "fp32_bytes"),
        ("  padding between constants", "padding_bytes"),
        ("  header, plan, names", "tables_bytes"),
        ("  golden vectors (may be stripped)", "vectors_bytes"),
        ("bundle, as stored", "bundle_bytes"),
        ("arena", "arena_bytes"),
        ("  of these, what the fullest step needs", "arena_bound_bytes"),
        ("memory = bundle + arena", "memory_bytes"),
        ("caller's input buffer", "input_bytes"),
        ("caller's output buffers", "output_bytes"),
    ):
        optional = key in ("vectors_bytes", "int8_bytes")
        if not optional or any(side[key] for side in sides):
            rows.append([text, *(binary(side[key]) for side in sides)])
    for text, key in (
        ("parameters", "parameters"),
        ("MACs", "macs"),
        ("  of these with 1-bit weights", "binary_macs"),
        ("element-wise operations", "elementwise"),
        ("FLOPs", "flops"),
        ("bits packed and unpacked", "bit_operations"),
    ):
        rows.append([text, *(f"{side[key]:,}" for side in sides)])
    differing = network_count.differing(shown_sides(result))
    for text, key in network_count.ROWS:
        if key in differing:
            rows.append([text, *(f"{side[key]:,}" for side in sides)])
    for which in ("min", "median"):
        rows.append(
            [
                f"latency of a {sample}, {which}",
                *(duration(s["run_latency_s"][which]) for s in sides),
            ]
        )
    return rows


def closing_lines(result: dict[str, Any]) -> list[str]:
    """What has to be said below the tables."""
    lines = [payload_line(payload) for payload in result["budgets"]]
    for side, data in shown_sides(result).items():
        for part in data["parts"]:
            if part["codebook_bytes"] is not None:
                sizes = ", ".join(
                    f"{kind} {binary(size)}" for kind, size in part["codebook_bytes"].items()
                )
                lines.append(f"Codebook of {part['budget']} bits at the {side.upper()}: {sizes}.")
    if result.get("papers_count"):
        lines += papers_count.lines(result["papers_count"])
    if "precoder" in result:
        lines += precoder_figures.lines(result["precoder"])
    if "profile" in result:
        lines += exchange.lines(result["profile"])
    if "fronthaul" in result:
        lines += _fronthaul_lines(result)
    if "transceiver" in result:
        lines += transceiver_footprint.lines(result)
    bits = result["latency"]["bits"]
    if len(result["budgets"]) > 1:
        lines.append(f"Latency of a sample: with the budget of {bits} bits.")
    code = result["runtime_code_bytes"]
    lines.append(
        f"Code of the C runtime, apart from the above: {binary(code)} on this host "
        "(`size` of the library: all kernels, the verifier and its messages)."
        if code is not None
        else "Code of the C runtime, apart from the above: not recorded by this build."
    )
    lines.append(f"Latency {result['latency']['where']}, {result['latency']['rounds']} runs.")
    added = [*targets_table.lines(result), *build_table.lines(result)]
    return [*lines, *added, *result["notes"]]


def _fronthaul_lines(result: dict[str, Any]) -> list[str]:
    own = result["fronthaul"]
    lines = [
        f"Payload: blocks of {own['block']} channel uses, {own['payload_bytes_per_block']:,} bytes "
        f"of all RUs; bits a use of each RU: {', '.join(map(str, own['bits_per_use']))}."
    ]
    for first in _rus(result):
        others = [s for s, kind in result["same"].items() if kind == first and s != first]
        if others:
            lines.append(f"{first.upper()} stands for {', '.join(others).upper()} too.")
    return lines + ru_bandwidth.lines(own["bandwidth"], _rus(result))


def payload_line(payload: dict[str, Any]) -> str:
    """Codes, bits and bytes of one bit budget."""
    codes = f"{payload['count']} codes of {payload['bits']} bits"
    if "widths" in payload:
        widths = payload["widths"]
        codes = (
            f"{payload['bits']} bits an output, {payload['count']} codes of {min(widths)} to "
            f"{max(widths)} bits"
        )
    return (
        f"Payload: {codes} = {payload['bits_per_sample']} bits, "
        f"{payload['bytes_per_sample']} bytes a sample."
    )


def show(result: dict[str, Any], console: Console) -> None:
    """Print the report for a terminal; a narrow one gets fewer columns."""
    console.print(f"{result['package']}: {result['name']}, pairing id {result['pairing_id']}")
    left_out: set[str] = set() if console.width >= 110 else {"output", "min", "of time"}
    for side, data in shown_sides(result).items():
        kinds = {"1-bit": "binary_bytes", "int8": "int8_bytes"}
        empty = {column for column, key in kinds.items() if not data[key]}
        kept = [i for i, column in enumerate(COLUMNS) if column not in left_out | empty]
        table = plain_table(title(side, data, result))
        for i in kept:
            if i < 2:
                table.add_column(COLUMNS[i], overflow="fold")
            else:
                table.add_column(COLUMNS[i], justify="right", no_wrap=True)
        rows = layer_rows(data)
        for row in rows:
            table.add_row(*(row[i] for i in kept), end_section=row is rows[-2])
        console.print(table)
    table = plain_table("By side")
    table.add_column("")
    for side in shown_sides(result):
        table.add_column(side.upper(), justify="right")
    for row in summary_rows(result):
        table.add_row(*row)
    console.print(table)
    if "fronthaul" in result:
        console.print(_bandwidth_table(result))
    if "transceiver" in result:
        for caption, heads, cells in transceiver_footprint.tables(result):
            console.print(_table(caption, heads, cells))
    for caption, heads, cells in _added_tables(result):
        console.print(_table(caption, heads, cells))
    for line in closing_lines(result):
        console.print(line, style="dim")


def _added_tables(result: dict[str, Any]) -> transceiver_footprint.Tables:
    """Of targets and of cross-built code, for all kinds of packages."""
    return [
        *targets_table.tables(result, list(shown_sides(result))),
        *build_table.tables(result),
    ]


BANDWIDTH = "What the RUs keep up with at peak rates"


def _bandwidth_table(result: dict[str, Any]) -> Table:
    heads, rows = ru_bandwidth.rows(result["fronthaul"]["bandwidth"], _rus(result))
    return _table(BANDWIDTH, heads, rows)


def _table(caption: str, heads: Sequence[str], rows: list[list[str]]) -> Table:
    table = plain_table(caption)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def markdown(result: dict[str, Any]) -> str:
    """The report as GitHub-flavoured markdown."""
    lines = [f"# {result['name']}", "", f"Pairing id `{result['pairing_id']}`."]
    for side, data in shown_sides(result).items():
        lines += [
            "",
            f"## {title(side, data, result)}",
            "",
            *_markdown_table(COLUMNS, layer_rows(data), 2),
        ]
    heads = ("", *(side.upper() for side in shown_sides(result)))
    rows = [[row[0].strip(), *row[1:]] for row in summary_rows(result)]
    lines += ["", "## By side", "", *_markdown_table(heads, rows, 1), ""]
    if "fronthaul" in result:
        own = ru_bandwidth.rows(result["fronthaul"]["bandwidth"], _rus(result))
        lines += [f"## {BANDWIDTH}", "", *_markdown_table(tuple(own[0]), own[1], 1), ""]
    if "transceiver" in result:
        for caption, columns, cells in transceiver_footprint.tables(result):
            lines += [f"## {caption}", "", *_markdown_table(tuple(columns), cells, 1), ""]
    for caption, columns, cells in _added_tables(result):
        cells = [[row[0].strip(), *row[1:]] for row in cells]
        lines += [f"## {caption}", "", *_markdown_table(tuple(columns), cells, 1), ""]
    return "\n".join([*lines, *(f"- {line}" for line in closing_lines(result))])


def _markdown_table(heads: tuple[str, ...], rows: list[list[str]], left: int) -> list[str]:
    rule = [":--" if index < left else "--:" for index in range(len(heads))]
    return [f"| {' | '.join(cells)} |" for cells in (list(heads), rule, *rows)]
