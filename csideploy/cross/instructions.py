"""How many instructions a run takes on an emulated target. Instructions, not cycles.

A bare Cortex-M runs under `-icount shift=5`: each instruction takes 2^5 = 32 ns of qemu's virtual
time, whatever the board's clock, and SysTick counts the board's clock in that time, so that

    instructions = ticks / clock x 1e9 / 32        (an386: 1.25 a tick, an547: 1 / 1.024)

An Armv8 program runs under qemu-aarch64 with `-d in_asm,nochain,exec`: the trace lists the
instructions of each block of code once, when it is translated, and then names a block whenever it
is entered. A block is left at its end alone, so the count is the sum of the lengths of the blocks
entered between the two marks of `count.c`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from csideploy.cross.footprint import compile_one
from csideploy.cross.program import Program
from csideploy.cross.tool_chain import BOARD_CLOCKS, DEVICE, SLOW, ToolChain, run
from csideploy.errors import CsideployError

ICOUNT_SHIFT = 5


@dataclass(frozen=True)
class Count:
    """Of one run of every part of a program.

    Attributes:
        instructions: of `csd_run` alone; verifying happens once, before.
        stack: bytes of stack of the deepest part, opening included; None where it was not seen.
    """

    instructions: int
    stack: int | None


def count(chain: ToolChain, program: Program, objects: list[Path], work: Path) -> Count:
    """Link a program that runs every part once, and run it under the emulator.

    Args:
        chain: with an emulator.
        program: of `write_program`; its inputs are what is run.
        objects: of `footprint.compile_objects`.
        work: the folder of the objects.

    Raises:
        CsideployError: a tool ended with an error (a part may be too large for the board), or the
            run took more than ten minutes.
    """
    defines = ["-DCSD_BARE"] if chain.board else []
    own = [compile_one(chain, program, work, program.folder / "count.c", defines)]
    own.append(compile_one(chain, program, work, program.folder / "inputs.S"))
    made = work / "count.elf"
    link = [*chain.flags, "-Wl,--gc-sections"]
    if chain.board:
        boards = DEVICE / "boards"
        own.append(compile_one(chain, program, work, boards / "startup.c"))
        link += ["--specs=rdimon.specs", "-nostartfiles", f"-L{boards}", "-T", f"{chain.board}.ld"]
    else:
        link += ["-static"]
    run([chain.compiler, *link, *map(str, [*objects, *own]), "-lm", "-o", str(made)])
    return _bare(chain, made) if chain.board else _traced(chain, made)


def _bare(chain: ToolChain, made: Path) -> Count:
    command = [*chain.emulator, "-icount", f"shift={ICOUNT_SHIFT}", *SEMIHOSTED, str(made)]
    rows = [line.split() for line in run(command).splitlines()]
    found = {name: [int(r[1], 16) for r in rows if r[0] == name] for name in ("ticks", "stack")}
    if not found["ticks"]:
        raise CsideployError(f"{chain.emulator[0]}: the program printed no counts")
    nanoseconds = sum(found["ticks"]) * 1e9 / BOARD_CLOCKS[chain.board]
    return Count(round(nanoseconds / (1 << ICOUNT_SHIFT)), max(found["stack"]))


SEMIHOSTED = (
    *("-nographic", "-monitor", "none", "-serial", "none"),
    *("-semihosting-config", "enable=on,target=native", "-kernel"),
)
"""Options of qemu-system-arm: the program prints and ends through semihosting."""


def _traced(chain: ToolChain, made: Path) -> Count:
    command = [*chain.emulator, "-d", "in_asm,nochain,exec", str(made)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        stop = Timer(SLOW, process.kill)
        stop.start()
        try:
            assert process.stderr is not None
            total = count_trace(process.stderr)
        finally:
            stop.cancel()
    if process.returncode < 0:
        raise CsideployError(f"{chain.emulator[0]}: stopped, {SLOW:.0f} s are the most")
    if process.returncode > 0:
        raise CsideployError(f"{chain.emulator[0]} ended with {process.returncode}")
    if total <= 0:
        raise CsideployError(f"{chain.emulator[0]}: its trace has no block between the marks")
    return Count(total, None)


def count_trace(lines: Iterable[bytes]) -> int:
    """Instructions between the marks, from the trace of qemu-user.

    Args:
        lines: `0x00400600:  d503201f  nop` in a listing that begins with `IN:`, and
            `Trace 0: 0x7f18b9400100 [../0000000000400600/..] main` for a block entered.

    Raises:
        CsideployError: a block is entered that was not listed.
    """
    length: dict[int, int] = {}
    total, start, counting = 0, -1, False
    for line in lines:
        if line.startswith(b"Trace"):
            begins = int(line.split(b"/", 2)[1], 16)
            if b" csd_count_" in line:
                counting = line.rstrip().endswith(b"csd_count_begin")
            elif counting:
                if begins not in length:
                    raise CsideployError(f"the emulator's trace lists no block at {begins:#x}")
                total += length[begins]
        elif line.startswith(b"IN:"):
            start = -1
        elif line.startswith(b"0x"):
            if start < 0:
                start = int(line.split(b":", 1)[0], 16)
                length[start] = 0
            length[start] += 1
    return total
