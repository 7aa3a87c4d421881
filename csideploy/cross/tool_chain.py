"""The tool chain of a target: compiler, start-up of a bare machine, emulator."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from csideploy import export
from csideploy.errors import CsideployError, InputError, MissingDependencyError

DEVICE = Path(str(export.__file__)).parent / "device"
"""Programs of a device, and, in `boards/`, start-up code and linker scripts."""

NUMBERS = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
"""What every target needs for the same bits (`docs/numerics.md`)."""
SECTIONS = ("-ffunction-sections", "-fdata-sections")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror")

BOARD_CLOCKS = {"mps2_an386": 25_000_000, "mps3_an547": 32_000_000}
"""Linker scripts of bare machines that qemu has, and the clock of their SysTick there, in Hz."""

SLOW = 600.0
"""Seconds after which a tool is given up."""


@dataclass(frozen=True)
class ToolChain:
    """How C becomes a program of a target, and how that is run here.

    Attributes:
        compiler: such as "arm-none-eabi-gcc"; GCC or one that takes its options.
        packages: Debian's packages that have it, with its C library.
        flags: of the processor and the optimisation.
        emulator: the command before a program; () where there is none, or none is needed.
        emulator_packages: Debian's packages that have it.
        board: linker script of a bare machine, a key of BOARD_CLOCKS; "" with an operating system.
    """

    compiler: str
    packages: str
    flags: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    emulator_packages: str = ""
    board: str = ""

    def __post_init__(self) -> None:
        if self.board and self.board not in BOARD_CLOCKS:
            raise InputError(f"board {self.board!r}: {', '.join(BOARD_CLOCKS)} are known")

    def tools(self) -> dict[str, str]:
        """Program to packages."""
        tools = {self.compiler: self.packages}
        return tools | ({self.emulator[0]: self.emulator_packages} if self.emulator else {})

    def version(self) -> str:
        """What the compiler says of itself, on one line: `arm-none-eabi-gcc (...) 12.2.1`."""
        return run([self.compiler, "--version"]).splitlines()[0]


def missing_tools(chains: Iterable[ToolChain]) -> str:
    """What is not installed and the command that installs it; "" where nothing is missing."""
    missing: dict[str, str] = {}
    for chain in chains:
        missing |= {t: named for t, named in chain.tools().items() if shutil.which(t) is None}
    if not missing:
        return ""
    packages = " ".join(dict.fromkeys(" ".join(missing.values()).split()))
    what = f"not installed: {', '.join(missing)}"
    return f"{what}; apt-get install --no-install-recommends {packages}" if packages else what


def demand_tools(chains: Iterable[ToolChain]) -> None:
    """Ask for every compiler and emulator before anything is built.

    Raises:
        MissingDependencyError: names what is missing, and the command that installs it.
    """
    missing = missing_tools(chains)
    if missing:
        raise MissingDependencyError(missing)


def run(command: list[str], folder: Path | None = None) -> str:
    """Run a tool; what it printed.

    Raises:
        CsideployError: it ended with an error, which is quoted, or took ten minutes.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=SLOW
        )
    except subprocess.TimeoutExpired:
        raise CsideployError(f"{command[0]}: not done after {SLOW:.0f} s") from None
    except OSError as error:
        raise CsideployError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[:3]
        raise CsideployError(f"{command[0]} ended with {done.returncode}: {' / '.join(said)}")
    return done.stdout
