"""The machines of the cross-target suite: how C is built for each, and how it is run here."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from csideploy.errors import MissingDependencyError

DEVICE = Path(__file__).parent / "device"

# The optimisation levels differ on purpose: the bits may not depend on them.
NUMBERS = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
SECTIONS = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror")


@dataclass(frozen=True)
class Machine:
    """One target.

    Attributes:
        name: as printed.
        compiler: program, and what the apt package is called that has it.
        flags: for the compiler, beside those that all share.
        emulator: the command before the program, and the apt package; none for this machine.
        board: linker script of a bare machine, which gets fewer samples; "" for a hosted one.
    """

    name: str
    compiler: tuple[str, str]
    flags: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    emulator_package: str = "qemu-user"
    board: str = ""


def _cortex_m(name: str, board: str, *flags: str) -> Machine:
    return Machine(
        name,
        ("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
        ("-mthumb", "-mfloat-abi=hard", "--specs=rdimon.specs", "-nostartfiles", *flags),
        (
            *("qemu-system-arm", "-M", board.replace("_", "-"), "-nographic", "-monitor", "none"),
            *("-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel"),
        ),
        "qemu-system-arm",
        board,
    )


_AARCH64 = ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
_ARMV7 = ("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross")
_RISCV64 = ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu libc6-dev-riscv64-cross")

MACHINES = (
    Machine("this machine, emitted C, gcc -Os", ("gcc", "gcc"), ("-Os",)),
    Machine("this machine, emitted C, clang -O3", ("clang", "clang"), ("-O3",)),
    Machine(
        "aarch64 Cortex-A53 (no dotprod)",
        _AARCH64,
        ("-O3", "-mcpu=cortex-a53", "-static"),
        ("qemu-aarch64", "-cpu", "cortex-a53"),
    ),
    Machine(
        "aarch64 Cortex-A76 (dotprod)",
        _AARCH64,
        ("-O3", "-mcpu=cortex-a76", "-static"),
        ("qemu-aarch64", "-cpu", "cortex-a76"),
    ),
    Machine(
        "armv7 Cortex-A15 (NEON)",
        _ARMV7,
        ("-O3", "-mcpu=cortex-a15", "-mfpu=neon-vfpv4", "-static"),
        ("qemu-arm", "-cpu", "cortex-a15"),
    ),
    Machine("riscv64 rv64gc", _RISCV64, ("-O3", "-static"), ("qemu-riscv64",)),
    _cortex_m(
        "Cortex-M4 (mps2-an386)", "mps2_an386", "-O2", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"
    ),
    _cortex_m("Cortex-M55 (mps3-an547)", "mps3_an547", "-O3", "-mcpu=cortex-m55"),
)


def demand_tools(machines: tuple[Machine, ...]) -> None:
    """Ask for every compiler and emulator before anything is built.

    Raises:
        MissingDependencyError: names what is missing, and the command that installs it.
    """
    missing: dict[str, str] = {}
    for machine in machines:
        tools = [machine.compiler]
        if machine.emulator:
            tools.append((machine.emulator[0], machine.emulator_package))
        missing |= {tool: package for tool, package in tools if shutil.which(tool) is None}
    if missing:
        packages = " ".join(dict.fromkeys(" ".join(missing.values()).split()))
        raise MissingDependencyError(
            f"not installed: {', '.join(missing)}; "
            f"apt-get install --no-install-recommends {packages}"
        )


def build(machine: Machine, folder: Path, program: Path, main: Path, *defines: str) -> None:
    """Compile an emitted folder with a main program.

    Raises:
        RuntimeError: the compiler refuses; with what it said.
    """
    sources = [folder / "model.c", folder / "vectors.c", main]
    sources += sorted([*folder.glob("runtime/src/*.c"), *folder.glob("kernels/reference/*.c")])
    flags = [*STRICT, *NUMBERS, *SECTIONS, *machine.flags, *defines]
    flags += [f"-I{folder / sub}" for sub in ("", "runtime/include", "runtime/src")]
    if machine.board:
        sources.append(DEVICE / "startup.c")
        flags += [f"-L{DEVICE}", "-T", f"{machine.board}.ld"]
    command = [machine.compiler[0], *flags, *map(str, sources), "-lm", "-o", str(program)]
    _run(command, program.parent)


def run(machine: Machine, program: Path) -> None:
    """Run a program in its folder.

    Raises:
        RuntimeError: it ended with an error, or took ten minutes.
    """
    _run([*machine.emulator, str(program)], program.parent)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=600
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{command[0]}: not done after 600 s") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[:3]
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {' / '.join(said)}")
