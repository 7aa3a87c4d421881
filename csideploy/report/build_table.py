"""Cross-built code as tables: one a target, a column a side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from csideploy.report.units import binary

Tables = list[tuple[str, Sequence[str], list[list[str]]]]

ROWS = (
    ("code and constants, as linked", ("text_bytes", "rodata_bytes")),
    ("  .text: code", ("text_bytes",)),
    ("  .rodata: constants", ("rodata_bytes",)),
    ("bundle (no golden vectors), in .rodata", ("bundle_bytes",)),
    ("initialised data", ("data_bytes",)),
    ("unwind tables, dynamic linking", ("other_bytes",)),
    ("flash = all of these", ("flash_bytes",)),
    (".bss: state of the parts", ("bss_bytes",)),
    ("arena", ("arena_bytes",)),
    ("RAM = initialised data + .bss + arena", ("ram_bytes",)),
)


def tables(result: dict[str, Any]) -> Tables:
    """Caption, heads and rows of every target that was built for."""
    return [
        (
            _caption(built),
            ("", *map(str.upper, built["sides"])),
            _rows(built, result),
        )
        for built in result.get("builds", [])
        if built["sides"]
    ]


def _caption(built: dict[str, Any]) -> str:
    return f"Built for {built['target']}: {built['compiler']} {' '.join(built['flags'])}"


def _rows(built: dict[str, Any], result: dict[str, Any]) -> list[list[str]]:
    sides = list(built["sides"].values())
    rows = []
    for text, keys in ROWS:
        sums = [sum(side[key] for key in keys) for side in sides]
        if any(sums):
            rows.append([text, *map(binary, sums)])
        if len(keys) > 1:
            for name in sides[0]["groups"]:
                own = [side["groups"][name] for side in sides]
                if any(own):
                    rows.append([f"    {name}", *map(binary, own)])
    if any(side["stack_bytes"] is not None for side in sides):
        rows.append(["deepest stack, emulated", *(_optional(s["stack_bytes"]) for s in sides)])
    if any(side["instructions"] is not None for side in sides):
        rows.append(
            [
                "instructions of a run, emulated",
                *("" if s["instructions"] is None else f"{s['instructions']:,}" for s in sides),
            ]
        )
        ratios = [side["instructions_a_mac"] for side in sides]
        rows.append(["  instructions a MAC", *map(_ratio, ratios)])
        needed = [needed_a_cycle(built, side, result) for side in built["sides"]]
        if any(needed):
            rows.append(["  a cycle, for the modelled time to hold", *map(_ratio, needed)])
    return rows


def needed_a_cycle(built: dict[str, Any], side: str, result: dict[str, Any]) -> float | None:
    """Instructions a cycle with which the built code would take the modelled time.

    None where nothing was counted or modelled. What runs before the side is in neither figure.
    """
    for entry in result.get("targets", []):
        if entry["given"] == built["given"] and side in entry["sides"]:
            own, instructions = entry["sides"][side], built["sides"][side]["instructions"]
            seconds = own["latency_s"] - (own["preprocessing_s"] or 0.0)
            if entry["mark"] == "modelled" and instructions and built["clock_hz"]:
                return float(instructions / (seconds * built["clock_hz"]))
    return None


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _optional(size: int | None) -> str:
    return "" if size is None else binary(size)


def lines(result: dict[str, Any]) -> list[str]:
    """What has to be said below."""
    built = result.get("builds", [])
    text = []
    for one in built:
        if one["version"]:
            text.append(f"{one['target']}: {one['version']}.")
        if one["missing"]:
            text.append(f"{one['target']}: {one['missing']}.")
        for side, data in one["sides"].items():
            if data["instructions_note"]:
                text.append(
                    f"{one['target']}, {side.upper()}: no instructions counted: "
                    f"{data['instructions_note']}."
                )
    if any(one["sides"] for one in built):
        text.append(
            "Built code: the smallest program that verifies and runs a side, without start-up "
            "code, the caller's buffers and, in RAM, the stack. A system's shared C library is "
            "not in it."
        )
    counted = [s for one in built for s in one["sides"].values() if s["instructions"] is not None]
    if counted:
        text.append(
            "Instructions were counted under qemu on random inputs, one run of each part, with the "
            "kernels of its C as the compiler builds them: instructions, not cycles."
        )
    if any(needed_a_cycle(one, side, result) for one in built for side in one["sides"]):
        text.append(
            "A Cortex-M finishes 1 to 2 instructions a cycle at most, a large core 2 to 4 [M]: "
            "where the modelled time needs more, it is of better kernels than these."
        )
    return text
