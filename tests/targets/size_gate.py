"""What the runtime weighs on a Cortex-M55: code and constants of what the linker keeps.

    python tests/targets/size_gate.py            (`make size`)

Emits the UE encoder of a zoo link as C, compiles it with -Os, links the smallest program that
verifies and runs it, and adds up `.text` and `.rodata` by object from the linker's map: runtime,
verifier, the kernels in use, and what they take from the C library; the model itself is not code.
Ends with 1 above the gate, for the code or for the arena.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from jobs import bundle_of, export
from rich.console import Console
from rich.table import Table

from csideploy.cross.footprint import Weight, compile_objects, weigh
from csideploy.cross.program import write_program
from csideploy.cross.tool_chain import ToolChain, demand_tools
from csideploy.errors import CsideployError

CODE_GATE = ARENA_GATE = 20 * 1024
CHAIN = ToolChain(
    "arm-none-eabi-gcc",
    "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ("-Os", "-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
    board="mps3_an547",
)


def weigh_bundle(bundle: bytes, folder: Path) -> Weight:
    """Build a bundle in a folder that is there and empty."""
    work = folder / "objects"
    work.mkdir()
    program = write_program(folder / "c", [bundle])
    return weigh(CHAIN, program, compile_objects(CHAIN, program, work), work)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="bacrnet10x")
    parser.add_argument("--precision", default="int8", help="fp32, int8 or auto")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    try:
        demand_tools([CHAIN])
        with tempfile.TemporaryDirectory(prefix="csideploy-size-") as folder:
            package = export(Path(folder) / "link", options.model, options.precision)
            bundle = bundle_of(package, "ue")
            own = Path(folder) / "build"
            own.mkdir()
            weight = weigh_bundle(bundle.read_bytes(), own)
    except CsideployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    code, arena = weight.code, weight.arena
    holds = code <= CODE_GATE and arena <= ARENA_GATE
    if options.json:
        result = {"bundle": bundle.name, "objects": weight.objects, "code": code, "arena": arena}
        print(json.dumps({**result, "gate": CODE_GATE, "holds": holds}))
        return 0 if holds else 1
    table = Table("object", title=f"{options.model} {bundle.name}, Cortex-M55, -Os")
    table.add_column("bytes", justify="right")
    for name, size in weight.objects.items():
        table.add_row(name, f"{size:,}")
    Console(width=80).print(table)
    print(f"code and constants {code:,} B (constants {weight.rodata:,}), gate {CODE_GATE:,} B")
    print(f"arena {arena:,} B, gate {ARENA_GATE:,} B")
    print("holds" if holds else "ABOVE THE GATE")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
