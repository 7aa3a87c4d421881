"""Builds the C runtime with the test driver, or another main program, by any compiler."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

STRICT = ["-std=c99", "-pedantic", "-ffp-contract=off", "-Werror"]
STRICT += ["-Wall", "-Wextra", "-Wconversion", "-Wshadow"]
# float-cast-overflow is not in `undefined`: a float that fits no integer is undefined all the same.
SANITIZE = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]

_AVX2 = ("-mavx2", "-mfma")
X86_SETS = {
    "avx2": _AVX2,
    "avx512": (
        *_AVX2,
        *(f"-mavx512{part}" for part in ("f", "bw", "cd", "dq", "vl", "vnni")),
        "-mprefer-vector-width=256",
    ),
}
ARM_SETS = {"neon": (), "dotprod": ("-march=armv8.2-a+dotprod",)}
"""Instruction sets with fast kernels and their flags, as in cmake/isa.cmake."""


def compiler(*names: str) -> str:
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip(f"not installed: {', '.join(names)}")


def sources(repository: Path) -> list[str]:
    found = [*repository.glob("runtime/src/*.c"), *repository.glob("kernels/reference/*.c")]
    assert len(found) > 10
    return sorted(map(str, found))


def include_flags(repository: Path) -> list[str]:
    return [f"-I{repository / 'runtime' / folder}" for folder in ("include", "src")]


def build(
    repository: Path,
    cc: str,
    out: Path,
    *flags: str,
    main: str = "driver.c",
    library: list[str] | None = None,
) -> Path:
    program = repository / "tests" / "runtime" / main
    # The program itself needs POSIX for aligned memory; the library does not.
    posix = "-D_POSIX_C_SOURCE=200112L"
    files = [*(library or sources(repository)), str(program)]
    run([cc, *STRICT, posix, *flags, *include_flags(repository), *files, "-lm", "-o", out])
    return out


def build_guarded(
    repository: Path,
    cc: str,
    folder: Path,
    sets: Mapping[str, Sequence[str]],
    *flags: str,
) -> Path:
    """guard_driver.c with the fast kernels of the instruction sets, by name with their flags."""
    runtime = repository / "tests" / "runtime"
    general = sorted(repository.glob("kernels/reference/*.c"))
    fast = sorted(repository.glob("kernels/vector/*.c"))
    assert len(general) > 10
    assert len(fast) > 1
    common = [cc, *STRICT, "-D_DEFAULT_SOURCE", *flags, *include_flags(repository)]
    built = [f"-DCSD_WITH_{name.upper()}" for name in sets]
    jobs: list[tuple[Path, list[str]]] = [
        *((path, []) for path in (*general, *sorted(repository.glob("runtime/src/*.c")))),
        *((path, built) for path in (repository / "runtime/host/dispatch.c",)),
        (runtime / "guard_driver.c", built),
    ]
    for name, own in sets.items():
        # Intrinsics and alignments are no pure C99, as in cmake/isa.cmake.
        chosen = [f"-DCSD_ISA={name}", "-DCSD_WITH_FAST", "-Wno-pedantic", *own]
        jobs += [(path, chosen) for path in (*fast, runtime / "guard_table.c")]
        # Fast kernels call little of these: they are compiled quickly, not well.
        jobs += [(path, [*chosen, "-O0"]) for path in general]

    def compile_one(number: int) -> Path:
        path, chosen = jobs[number]
        made = folder / f"{number}-{path.stem}.o"
        run([*common, *chosen, "-c", str(path), "-o", made])
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, range(len(jobs))))
    out = folder / "guard_driver"
    run([cc, *flags, *objects, "-lm", "-o", out])
    return out


def works(
    cc: str, flags: list[str], folder: Path, body: str = "int main(void) { return 0; }"
) -> bool:
    """Whether this compiler has what the flags ask for."""
    (folder / "probe.c").write_text(body + "\n")
    command = [cc, *flags, str(folder / "probe.c"), "-o", str(folder / "probe")]
    return subprocess.run(command, capture_output=True).returncode == 0


def run(command: list[str | Path]) -> str:
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout
