"""Builds the C runtime with the test driver, or another main program, by any compiler."""

import shutil
import subprocess
from pathlib import Path

import pytest

STRICT = ["-std=c99", "-pedantic", "-ffp-contract=off", "-Werror"]
STRICT += ["-Wall", "-Wextra", "-Wconversion", "-Wshadow"]
# float-cast-overflow is not in `undefined`: a float that fits no integer is undefined all the same.
SANITIZE = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]


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
