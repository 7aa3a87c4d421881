"""The machines of the cross-target suite: how C is built for each, and how it is run here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from csideploy.cross.instructions import SEMIHOSTED
from csideploy.cross.tool_chain import DEVICE, NUMBERS, SECTIONS, STRICT, ToolChain
from csideploy.cross.tool_chain import run as run_tool

RUNNER = Path(__file__).parent / "device" / "runner.c"


# The optimisation levels differ on purpose: the bits may not depend on them.
@dataclass(frozen=True)
class Machine:
    """One target; a bare one gets fewer samples.

    Attributes:
        name: as printed.
        chain: how C is built for it, and run here.
    """

    name: str
    chain: ToolChain


_BARE = "gcc-arm-none-eabi libnewlib-arm-none-eabi"


def _cortex_m(name: str, board: str, *flags: str) -> Machine:
    arm = ("-mthumb", "-mfloat-abi=hard")
    emulator = ("qemu-system-arm", "-M", board.replace("_", "-"), *SEMIHOSTED)
    chain = ToolChain(
        "arm-none-eabi-gcc", _BARE, (*arm, *flags), emulator, "qemu-system-arm", board
    )
    return Machine(name, chain)


def _linux(name: str, tools: tuple[str, str], flags: tuple[str, ...], *emulator: str) -> Machine:
    return Machine(name, ToolChain(*tools, ("-O3", *flags, "-static"), emulator, "qemu-user"))


_AARCH64 = ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
_ARMV7 = ("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross")
_RISCV64 = ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu libc6-dev-riscv64-cross")

MACHINES = (
    Machine("this machine, emitted C, gcc -Os", ToolChain("gcc", "gcc", ("-Os",))),
    Machine("this machine, emitted C, clang -O3", ToolChain("clang", "clang", ("-O3",))),
    _linux(
        *("aarch64 Cortex-A53 (no dotprod)", _AARCH64, ("-mcpu=cortex-a53",)),
        *("qemu-aarch64", "-cpu", "cortex-a53"),
    ),
    _linux(
        *("aarch64 Cortex-A76 (dotprod)", _AARCH64, ("-mcpu=cortex-a76",)),
        *("qemu-aarch64", "-cpu", "cortex-a76"),
    ),
    _linux(
        *("armv7 Cortex-A15 (NEON)", _ARMV7, ("-mcpu=cortex-a15", "-mfpu=neon-vfpv4")),
        *("qemu-arm", "-cpu", "cortex-a15"),
    ),
    _linux("riscv64 rv64gc", _RISCV64, (), "qemu-riscv64"),
    _cortex_m(
        "Cortex-M4 (mps2-an386)", "mps2_an386", "-O2", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"
    ),
    _cortex_m("Cortex-M55 (mps3-an547)", "mps3_an547", "-O3", "-mcpu=cortex-m55"),
)


def build(machine: Machine, folder: Path, program: Path, main: Path, *defines: str) -> None:
    """Compile an emitted folder with a main program.

    Raises:
        CsideployError: the compiler refuses; with what it said.
    """
    chain = machine.chain
    sources = [folder / "model.c", folder / "vectors.c", main]
    sources += sorted([*folder.glob("runtime/src/*.c"), *folder.glob("kernels/reference/*.c")])
    flags = [*STRICT, *NUMBERS, *SECTIONS, "-Wl,--gc-sections", *chain.flags, *defines]
    flags += [f"-I{folder / sub}" for sub in ("", "runtime/include", "runtime/src")]
    if chain.board:
        boards = DEVICE / "boards"
        sources.append(boards / "startup.c")
        flags += ["--specs=rdimon.specs", "-nostartfiles", f"-L{boards}", "-T", f"{chain.board}.ld"]
    command = [chain.compiler, *flags, *map(str, sources), "-lm", "-o", str(program)]
    run_tool(command, program.parent)


def run(machine: Machine, program: Path) -> None:
    """Run a program in its folder.

    Raises:
        CsideployError: it ended with an error, or took ten minutes.
    """
    run_tool([*machine.chain.emulator, str(program)], program.parent)
