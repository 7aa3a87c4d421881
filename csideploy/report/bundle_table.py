"""Tables of `csideploy inspect` and `csideploy supported-ops`, for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table
from csideploy.report.units import binary, shape_text, short_shape


def show(result: dict[str, Any], console: Console) -> None:
    """Print what a bundle holds."""
    head = plain_table(
        title=f"{result['bundle']}: {result['part']} at {result['side']}", show_header=False
    )
    head.add_column("field", no_wrap=True)
    head.add_column("value")
    payload = result["payload"]
    rows = {
        "size": f"{result['bytes']:,} bytes, of these weights {result['weights_bytes']:,}",
        "arena": f"{result['arena_bytes']:,} bytes for {result['n_max']} sample(s) at once",
        "pairing id": result["pairing_id"],
        "payload": "none" if payload is None else _payload(payload),
    }
    if any("k" in entry["shape"] for entry in (*result["inputs"], *result["outputs"])):
        rows["users k"] = f"1 to {result['k_max']} of a call"
    for title in ("inputs", "outputs"):
        rows[title] = "\n".join(
            f"{entry['name']}: {entry['dtype']} {shape_text(entry['shape'])}"
            for entry in result[title]
        )
    rows |= result["metadata"]
    for field, value in rows.items():
        head.add_row(field, str(value))
    console.print(head)
    _show_steps(result, console)


def _payload(payload: dict[str, Any]) -> str:
    each = f"{payload['bits']} bits"
    if payload["widths"]:
        sent = sum(width > 0 for width in payload["widths"])
        each = (
            f"{min(payload['widths'])} to {max(payload['widths'])} bits, "
            f"{payload['bits_per_sample']:,} together ({sent} are sent)"
        )
    return (
        f"layout 0x{payload['layout_id']:04x}: {payload['count']} codes of {each}, "
        f"{payload['bytes_per_sample']} bytes a sample"
    )


def _show_steps(result: dict[str, Any], console: Console) -> None:
    tensors = {tensor["name"]: tensor for tensor in result["tensors"]}
    table = plain_table("Steps, in the order in which they run")
    table.add_column("#", justify="right")
    table.add_column("step", overflow="fold", min_width=27)
    table.add_column("operation", overflow="fold")
    table.add_column("output", no_wrap=True)
    table.add_column("arena at", justify="right", no_wrap=True)
    table.add_column("constants", justify="right", no_wrap=True)
    for index, step in enumerate(result["steps"]):
        output = tensors[next(iter(step["outputs"].values()))]
        constants = sum(
            tensors[name]["bytes"]
            for name in step["inputs"].values()
            if tensors[name]["storage"] == "weights"
        )
        place = f"{output['place']:,}" if output["storage"] == "arena" else output["storage"]
        table.add_row(
            str(index),
            step["name"].removeprefix(f"{result['part']}."),
            step["op"].lower(),
            f"{short_shape(output['shape'])} {output['dtype']}",
            place,
            binary(constants) if constants else "",
        )
    console.print(table)


def show_operators(result: dict[str, Any], console: Console) -> None:
    """Print the compiler's rule table."""
    low, high = result["opsets"]
    table = plain_table(f"ONNX operators that the compiler takes (opset {low} to {high})")
    table.add_column("operator", no_wrap=True)
    table.add_column("domain", no_wrap=True)
    table.add_column("accepts")
    for row in result["operators"]:
        table.add_row(row["operator"], row["domain"], row["accepts"])
    console.print(table)
