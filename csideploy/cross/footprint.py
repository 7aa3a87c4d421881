"""What a side weighs for a target: compile, link what is used, add up the linker's map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from csideploy.cross.map_file import FILL, object_name, read_map
from csideploy.cross.program import Program
from csideploy.cross.tool_chain import NUMBERS, SECTIONS, STRICT, ToolChain, run
from csideploy.errors import CsideployError

LIBRARY = "C library, compiler support"
PROGRAM = "the program that calls it"
"""Names of rows that are no object of the runtime."""

MODEL, ARENA = ".rodata.csd_model", ".bss.csd_arena"

TEXT, CONSTANTS = (".text",), (".rodata",)
WRITTEN = (".data", ".data.rel.ro", ".data.rel.ro.local", ".got", ".got.plt")
"""Sections of values that stand in flash and, copied or mapped, in RAM."""
CLEARED = (".bss",)


@dataclass(frozen=True)
class Weight:
    """Bytes of a linked program, by what they are.

    Attributes:
        objects: code and constants by object file, the bundle apart; `LIBRARY`, `PROGRAM` and
            `padding` are rows of their own. Their sum is text + rodata.
        text: of `.text`; rodata: of `.rodata` but for the bundles; bundle: of the bundles.
        data: values that are in flash and in RAM; bss: cleared RAM but for the arena; arena: of it.
        other: what else is loaded: unwind tables of the C library, dynamic linking.
    """

    objects: dict[str, int]
    text: int
    rodata: int
    bundle: int
    data: int
    bss: int
    arena: int
    other: int

    @property
    def flash(self) -> int:
        """All that is stored."""
        return self.text + self.rodata + self.bundle + self.data + self.other

    @property
    def ram(self) -> int:
        """All that is written to but for the stack and the caller's buffers."""
        return self.data + self.bss + self.arena

    @property
    def code(self) -> int:
        """Code and constants of the library: no bundle, no calling program."""
        return sum(self.objects.values()) - self.objects.get(PROGRAM, 0)


def compile_objects(chain: ToolChain, program: Program, work: Path) -> list[Path]:
    """Compile runtime, kernels and bundles into `work`, each to an object of its own.

    Raises:
        CsideployError: the compiler refuses; with what it said.
    """
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda s: compile_one(chain, program, work, s), program.sources()))


def compile_one(
    chain: ToolChain, program: Program, work: Path, source: Path, defines: Iterable[str] = ()
) -> Path:
    """Compile one source; its object in `work`.

    Raises:
        CsideployError: the compiler refuses; with what it said.
    """
    made = work / f"{source.stem}.o"
    flags = [*chain.flags, *defines]
    if source.suffix == ".c":
        flags += [*STRICT, *NUMBERS, *SECTIONS, *([] if chain.board else ["-fno-pie"])]
        flags += [f"-I{program.folder / sub}" for sub in ("", "runtime/include", "runtime/src")]
    # models.S names files beside it.
    run([chain.compiler, *flags, "-c", str(source), "-o", str(made)], program.folder)
    return made


def weigh(chain: ToolChain, program: Program, objects: list[Path], work: Path) -> Weight:
    """Link the smallest program that verifies and runs the side, and read the map.

    The result is `linked.elf` in `work`, with no start-up code: a device has its own. A bare
    machine gets its C library whole (newlib's small one), a system with a shared one brings it.

    Args:
        chain: of the target.
        program: of `write_program`.
        objects: of `compile_objects`.
        work: the folder of the objects.

    Raises:
        CsideployError: the linker refuses; with what it said.
    """
    caller = compile_one(chain, program, work, program.folder / "footprint.c")
    listing = work / "linked.map"
    bare = ["--specs=nano.specs"] if chain.board else ["-no-pie"]
    link = [*chain.flags, *bare, "-nostartfiles", "-Wl,--gc-sections,-e,entry"]
    link += [f"-Wl,-Map={listing}", *map(str, [*objects, caller]), "-lm"]
    run([chain.compiler, *link, "-o", str(work / "linked.elf")])
    if not listing.is_file():
        raise CsideployError(f"{chain.compiler} gave no map: a linker that takes -Map is needed")
    return _add_up(listing.read_text(errors="replace"), {str(path) for path in objects}, caller)


def _add_up(text: str, own: set[str], caller: Path) -> Weight:
    kinds: Counter[str] = Counter()
    objects: Counter[str] = Counter()
    for piece in read_map(text):
        if piece.section in TEXT + CONSTANTS:
            kind = "text" if piece.section in TEXT else "rodata"
            kind = "bundle" if piece.name.startswith(MODEL) else kind
        elif piece.section in CLEARED:
            kind = "arena" if piece.name.startswith(ARENA) else "bss"
        else:
            kind = "data" if piece.section in WRITTEN else "other"
        kinds[kind] += piece.size
        if kind in ("text", "rodata"):
            objects[_row(piece.file, own, caller)] += piece.size
    return Weight(objects=dict(objects.most_common()), **{key: kinds[key] for key in _KINDS})


_KINDS = ("text", "rodata", "bundle", "data", "bss", "arena", "other")


def _row(file: str, own: set[str], caller: Path) -> str:
    if file == str(caller):
        return PROGRAM
    return object_name(file) if file in own or file == FILL else LIBRARY
