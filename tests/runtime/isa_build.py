"""Builds the kernels once per instruction set without CMake, for another machine or a sanitizer."""

from collections.abc import Mapping
from pathlib import Path

from c_build import ARM_SETS, STRICT, X86_SETS, include_flags, run

NUMBERS = ["-fno-math-errno", "-fno-trapping-math"]
X86, AARCH64 = X86_SETS, ARM_SETS


def build_isas(
    repository: Path, cc: str, out: Path, isas: Mapping[str, tuple[str, ...]], *flags: str
) -> Path:
    """The program of isa_driver.c, with the reference table and those of `isas`, by their flags."""
    common = [cc, *STRICT, *NUMBERS, *flags, *include_flags(repository)]
    objects: list[Path] = []

    def compile_to(folder: Path, pattern: str, *more: str) -> None:
        folder.mkdir(parents=True)
        files = sorted(repository.glob(pattern))
        assert files, pattern
        made = [folder / f"{path.stem}.o" for path in files]
        for path, target in zip(files, made, strict=True):
            run([*common, *more, "-c", path, "-o", target])
        objects.extend(made)

    compile_to(out / "core", "runtime/src/*.c")
    compile_to(out / "reference", "kernels/reference/*.c", "-DCSD_SCALAR")
    for isa, own in isas.items():
        for room in ("reference", "vector"):
            of_isa = [f"-DCSD_ISA={isa}", "-DCSD_WITH_FAST", *own]
            compile_to(out / isa / room, f"kernels/{room}/*.c", *of_isa)
    host = [repository / "runtime/host/dispatch.c", repository / "tests/runtime/isa_driver.c"]
    has = [f"-DCSD_WITH_{isa.upper()}" for isa in isas]
    program = out / "isa_driver"
    posix = "-D_POSIX_C_SOURCE=200112L"
    run([*common, posix, *has, *host, *objects, "-lm", "-o", program])
    return program
