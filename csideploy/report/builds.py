"""Code that is cross-built for targets: what each side of a package weighs there, as linked."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csideploy.cross.footprint import LIBRARY, PROGRAM, Weight, compile_objects, weigh
from csideploy.cross.instructions import Count, count
from csideploy.cross.map_file import FILL
from csideploy.cross.program import Program, write_program
from csideploy.cross.tool_chain import ToolChain, missing_tools
from csideploy.errors import CsideployError, InputError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.macs import costs
from csideploy.package import LinkPackage
from csideploy.progress import Advance, quiet
from csideploy.targets.files import HOST, host_file, load

MOST_MACS = 100_000_000
"""Of a run whose instructions are counted: a traced emulator takes minutes for as many."""

HOST_CHAIN = ToolChain("gcc", "gcc libc6-dev", ("-O3",))
"""Of this machine; nothing is emulated, since it is measured."""


@dataclass(frozen=True)
class Wanted:
    """A target to build for.

    target: its name. given: as it was asked for. side: of the air interface where it is typically
    found. clock_hz: None of this machine.
    """

    target: str
    given: str
    side: str
    chain: ToolChain
    clock_hz: float | None = None


def read(targets: Sequence[str]) -> list[Wanted]:
    """The tool chains of targets, from their files.

    Args:
        targets: names or TOML files; none: this machine.

    Raises:
        InputError: no such target, a file that is none, or one without a tool chain.
    """
    return [_read(given) for given in targets or (HOST,)]


def _read(given: str) -> Wanted:
    if given == HOST and not host_file().is_file():
        return Wanted(HOST, HOST, "", HOST_CHAIN)
    target = load(given)
    own = target.device
    if own is None:
        if target.name == HOST:
            return Wanted(HOST, given, "", HOST_CHAIN)
        raise InputError(
            f"--build: target {given} names no tool chain: its file needs a section [device] with "
            "compiler and flags"
        )
    try:
        chain = ToolChain(
            own.compiler,
            " ".join(own.packages),
            tuple(own.flags),
            tuple(own.emulator),
            " ".join(own.emulator_packages),
            own.board or "",
        )
    except InputError as error:
        raise InputError(f"--build: target {given}: [device]: {error}") from error
    return Wanted(target.name, given, target.side, chain, target.clock_hz.value)


def builds(
    link: LinkPackage, wanted: Sequence[Wanted], *, progress: Advance = quiet
) -> list[dict[str, Any]]:
    """Build every side for every target; count instructions on the sides that a target is for.

    Where a target is for none of the package's sides, they are counted on all; on none that takes
    more than MOST_MACS.

    Args:
        link: the package.
        wanted: of `read`.
        progress: told after every side.

    Returns:
        One object a target: `target`, `given`, `clock_hz`, `compiler`, `version`, `flags`,
        `missing` (what has to be installed, else null), and `sides`, each with bytes and
        instructions. A target whose compiler is missing has no sides.

    Raises:
        CsideployError: a compiler refuses, or a program ends with an error.
    """
    sides = sides_of(link)
    done, total = 0, len(wanted) * len(sides)
    result = []
    for want in wanted:
        chain = want.chain
        compiler_only = ToolChain(chain.compiler, chain.packages, ())
        found: dict[str, Any] = {
            "target": want.target,
            "given": want.given,
            "clock_hz": want.clock_hz,
            "compiler": chain.compiler,
            "version": None,
            "flags": list(chain.flags),
            "missing": missing_tools([chain]) or None,
            "sides": {},
        }
        able = not missing_tools([compiler_only])
        if able:
            found["version"] = chain.version()
        typical = [side for side in sides if side.split("-")[0] == want.side] or list(sides)
        for side, stems in sides.items():
            if able:
                emulated = bool(chain.emulator) and not found["missing"] and side in typical
                found["sides"][side] = _side(link, stems, chain, emulated=emulated)
            done += 1
            progress(done, total)
        result.append(found)
    return result


def sides_of(link: LinkPackage) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """Of each side all its parts, and the numbers of those that a run takes.

    The sides of a fronthaul are the DU and the RUs; of RUs of equal sizes the first one.
    """
    stems = link.all_stems()
    if link.is_fronthaul:
        setup = link.fronthaul_setup()
        kinds: dict[object, str] = {}
        for stem, bits, antennas in zip(stems[1:], setup.bits, setup.antennas, strict=True):
            macs = sum(cost.macs for cost in costs(read_bundle(link.open_bundle(stem))))
            kinds.setdefault((bits, antennas, macs), stem)
        return {stem: ((stem,), (0,)) for stem in (stems[0], *kinds.values())}
    running: dict[str, tuple[str, ...]] = {}
    if link.is_transceiver:
        from csideploy.transceiver.export import largest

        mark = largest(link.transceiver())
        running = {side: (side, f"{side}-quantizer-{mark}") for side in ("ue", "bs")}
    else:
        default = link.layouts[-1] if link.layouts else None
        running = {side: link.stems(side, default) for side in ("ue", "bs")}
    result = {}
    for side, ran in running.items():
        own = tuple(stem for stem in stems if stem.split("-")[0] == side)
        result[side] = own, tuple(own.index(stem) for stem in ran)
    return result


def _side(
    link: LinkPackage,
    stems: tuple[tuple[str, ...], tuple[int, ...]],
    chain: ToolChain,
    *,
    emulated: bool,
) -> dict[str, Any]:
    own, running = stems
    bundles = [link.open_bundle(stem) for stem in own]
    with tempfile.TemporaryDirectory(prefix="csideploy-build-") as folder:
        work = Path(folder) / "objects"
        work.mkdir()
        program = write_program(Path(folder) / "c", bundles, running=running)
        objects = compile_objects(chain, program, work)
        weight = weigh(chain, program, objects, work)
        counted, note = None, None
        if emulated and program.macs > MOST_MACS:
            note = (
                f"{program.macs:,} MACs take minutes under an emulator, {MOST_MACS:,} is the most"
            )
        elif emulated:
            try:
                counted = count(chain, program, objects, work)
            except CsideployError as error:
                # The side may be too large for the board; what it weighs is known all the same.
                note = str(error)
        return figures(weight, program, counted) | {"instructions_note": note}


def figures(weight: Weight, program: Program, counted: Count | None) -> dict[str, Any]:
    """One side of one target, for JSON; the program's folder must still be there."""
    instructions = counted.instructions if counted else None
    return {
        "objects": weight.objects,
        "groups": groups(weight, program),
        "text_bytes": weight.text,
        "rodata_bytes": weight.rodata,
        "bundle_bytes": weight.bundle,
        "data_bytes": weight.data,
        "other_bytes": weight.other,
        "bss_bytes": weight.bss,
        "arena_bytes": weight.arena,
        "flash_bytes": weight.flash,
        "ram_bytes": weight.ram,
        "stack_bytes": counted.stack if counted else None,
        "macs": program.macs,
        "instructions": instructions,
        "instructions_mark": "emulated" if counted else None,
        "instructions_a_mac": instructions / program.macs
        if instructions is not None and program.macs
        else None,
    }


def groups(weight: Weight, program: Program) -> dict[str, int]:
    """Code and constants by what they are for; their sum is text + rodata."""
    kernels = {f"{p.stem}.o" for p in program.folder.glob("kernels/reference/*.c")}
    sums = dict.fromkeys(("verifier", "runtime", "kernels in use", LIBRARY, PROGRAM, FILL), 0)
    for name, size in weight.objects.items():
        if name in sums:
            sums[name] += size
        elif name in kernels:
            sums["kernels in use"] += size
        else:
            sums["verifier" if name.startswith("verify") else "runtime"] += size
    return sums
