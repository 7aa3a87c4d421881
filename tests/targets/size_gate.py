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
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from jobs import bundle_of, export
from machines import DEVICE, NUMBERS, SECTIONS, STRICT, Machine, demand_tools
from rich.console import Console
from rich.table import Table

from csideploy.c_folder import folder_name
from csideploy.errors import CsideployError
from csideploy.runtime import Part

CODE_GATE = ARENA_GATE = 20 * 1024
COMPILER = ("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
FLAGS = ("-Os", "-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard")
LIBRARY = "C library, compiler support"

# " .text.csd_open  0x00008000  0x1a4 verify.o"; a long name stands on a line of its own.
_PIECE = re.compile(r"^ \.(text|rodata)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)$", re.MULTILINE)


def weigh(emitted: Path, work: Path) -> tuple[Counter[str], int]:
    """Bytes by object, code and constants together, and how many of them are constants."""
    sources = [emitted / "model.c", DEVICE / "footprint.c"]
    sources += [*emitted.glob("runtime/src/*.c"), *emitted.glob("kernels/reference/*.c")]
    objects = []
    includes = [f"-I{emitted / sub}" for sub in ("", "runtime/include", "runtime/src")]
    for source in sources:
        objects.append(str(work / f"{source.stem}.o"))
        _run(
            [
                *STRICT,
                *NUMBERS,
                *SECTIONS[:2],
                *FLAGS,
                *includes,
                "-c",
                str(source),
                "-o",
                objects[-1],
            ]
        )
    listing = work / "linked.map"
    link = [*FLAGS, "-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections,-e,entry"]
    _run([*link, f"-Wl,-Map={listing}", *objects, "-lm", "-o", str(work / "linked.elf")])
    text = listing.read_text().split("Linker script and memory map")[1]
    text = re.sub(r"(\n \.\S+)\n\s+", r"\1 ", text)
    bytes_of: Counter[str] = Counter()
    constants = 0
    for kind, size, path in _PIECE.findall(text):
        name = Path(path).name
        if name in ("model.o", "footprint.o"):
            continue
        bytes_of[name if path in objects else LIBRARY] += int(size, 16)
        constants += int(size, 16) if kind == "rodata" else 0
    return bytes_of, constants


def _run(arguments: list[str]) -> None:
    done = subprocess.run([COMPILER[0], *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise CsideployError(f"{COMPILER[0]}: {done.stderr.strip().splitlines()[0]}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="bacrnet10x")
    parser.add_argument("--precision", default="int8", help="fp32, int8 or auto")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    try:
        demand_tools((Machine("Cortex-M55", COMPILER, FLAGS),))
        with tempfile.TemporaryDirectory(prefix="csideploy-size-") as folder:
            package = export(Path(folder) / "link", options.model, options.precision)
            bundle = bundle_of(package, "ue")
            bytes_of, constants = weigh(bundle.with_name(folder_name(bundle.name)), Path(folder))
            arena = Part(bundle).arena_bytes
    except CsideployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    code = bytes_of.total()
    holds = code <= CODE_GATE and arena <= ARENA_GATE
    if options.json:
        result = {"bundle": bundle.name, "objects": dict(bytes_of), "code": code, "arena": arena}
        print(json.dumps({**result, "gate": CODE_GATE, "holds": holds}))
        return 0 if holds else 1
    table = Table("object", title=f"{options.model} {bundle.name}, Cortex-M55, -Os")
    table.add_column("bytes", justify="right")
    for name, size in bytes_of.most_common():
        table.add_row(name, f"{size:,}")
    Console(width=80).print(table)
    print(f"code and constants {code:,} B (constants {constants:,}), gate {CODE_GATE:,} B")
    print(f"arena {arena:,} B, gate {ARENA_GATE:,} B")
    print("holds" if holds else "ABOVE THE GATE")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
