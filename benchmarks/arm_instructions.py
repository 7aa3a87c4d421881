"""Instructions that one run takes with each of Arm's instruction sets, counted under an emulator.

    python benchmarks/arm_instructions.py demo-out/bacrnet10x{-fp32,-int8} --json F.json

For every bundle of the packages, one sample: on AArch64 the tables reference, neon and dotprod as
CMake builds them, their bundles prepared before; on a Cortex-M55 the one table that it has, with
Helium and compiled without. The outputs of the three tables are compared. Instructions are no
cycles: they say what a vector kernel saves, not how fast a processor runs it. Needs cmake, the
compilers aarch64-linux-gnu-gcc and arm-none-eabi-gcc, and qemu.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from csideploy.bundles import random_input
from csideploy.cross.footprint import compile_objects
from csideploy.cross.instructions import count, count_trace
from csideploy.cross.program import write_program
from csideploy.cross.tool_chain import run
from csideploy.errors import CsideployError
from csideploy.report.builds import read
from csideploy.runtime import Part

REPOSITORY = Path(__file__).resolve().parents[1]
COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = ("qemu-aarch64", "-cpu", "cortex-a76")
ISAS = ("reference", "neon", "dotprod")
BARE = {"M55 without Helium": "-mcpu=cortex-m55+nomve", "M55": "-mcpu=cortex-m55"}


def build(folder: Path) -> Path:
    """The program that runs a bundle on AArch64, with the flags of the CMake build; kept there.

    Raises:
        CsideployError: a tool is missing or ends with an error.
    """
    configure = ["cmake", "-S", str(REPOSITORY), "-B", str(folder)]
    system = {"NAME": "Linux", "PROCESSOR": "aarch64"}
    configure += [f"-DCMAKE_SYSTEM_{key}={value}" for key, value in system.items()]
    configure += [f"-DCMAKE_C_COMPILER={COMPILER}", "-DCSIDEPLOY_PYTHON=OFF"]
    run([*configure, "-DCMAKE_BUILD_TYPE=Release"])
    run(["cmake", "--build", str(folder), "--parallel", "2"])
    made = folder / "arm_count"
    own = ["-O2", "-std=c99", "-D_POSIX_C_SOURCE=200112L", "-static"]
    own += [
        f"-I{REPOSITORY / 'runtime' / 'include'}",
        str(REPOSITORY / "benchmarks/rows/arm_count.c"),
    ]
    libraries = [str(folder / f"libcsideploy_{name}.a") for name in ("dispatch", "runtime")]
    run([COMPILER, *own, *libraries, "-lm", "-o", str(made)])
    return made


def traced(program: Path, arguments: Sequence[str]) -> tuple[int, bytes]:
    """Instructions between the marks of arm_count.c, and what it printed.

    Raises:
        CsideployError: the program ended with an error.
    """
    command = [*EMULATOR, "-d", "in_asm,nochain,exec", str(program), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        total = count_trace(process.stderr)
        said = process.stdout.read()
    if process.returncode != 0 or total <= 0:
        raise CsideployError(f"{' '.join(command)}: status {process.returncode}, {total} counted")
    return total, said


def on_aarch64(program: Path, bundle: Path, work: Path) -> dict[str, int | None]:
    """By table.

    Raises:
        CsideployError: the outputs of two tables differ.
    """
    random = np.random.default_rng(0)
    inputs = []
    for i, info in enumerate(Part(bundle).inputs):
        inputs.append(work / f"input_{i}.bin")
        inputs[-1].write_bytes(random_input(info, 1, random).tobytes())
    counts: dict[str, int | None] = {}
    outputs = set()
    for isa in ISAS:
        counts[isa], said = traced(program, [isa, str(bundle), *map(str, inputs)])
        outputs.add(said)
    if len(outputs) != 1:
        raise CsideployError(f"{bundle}: the outputs differ between instruction sets")
    return counts


def on_cortex_m(bundle: Path, work: Path) -> dict[str, int | None]:
    """With Helium and without; None where the board has no room for the part."""
    chain = read(["cortex-m55"])[0].chain
    counts: dict[str, int | None] = {}
    for name, cpu in BARE.items():
        folder = work / name.replace(" ", "-")
        (folder / "objects").mkdir(parents=True)
        program = write_program(folder / "source", [bundle.read_bytes()])
        flags = tuple(cpu if flag.startswith("-mcpu=") else flag for flag in chain.flags)
        own = replace(chain, flags=flags)
        objects = compile_objects(own, program, folder / "objects")
        try:
            counts[name] = count(own, program, objects, folder / "objects").instructions
        except CsideployError as error:
            if "region" not in str(error) and "will not fit" not in str(error):
                raise
            counts[name] = None
    return counts


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("packages", type=Path, nargs="+", help="folders of `csideploy export`")
    parser.add_argument("--build", type=Path, default=REPOSITORY / "build" / "arm")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    program = build(options.build)
    names = (*ISAS, *BARE)
    table = Table("package", "bundle")
    for name in names:
        table.add_column(name, justify="right")
    found: dict[str, dict[str, dict[str, int | None]]] = {}
    for package in options.packages:
        for bundle in sorted(package.glob("*.csib")):
            with tempfile.TemporaryDirectory() as made:
                work = Path(made)
                counts = on_aarch64(program, bundle, work) | on_cortex_m(bundle, work)
            found.setdefault(package.name, {})[bundle.name] = counts
            cells = ["-" if counts[n] is None else f"{counts[n]:,}" for n in names]
            table.add_row(package.name, bundle.name, *cells)
    Console(width=140).print(table)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
