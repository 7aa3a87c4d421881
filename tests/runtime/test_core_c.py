"""The C runtime by itself: warnings, sanitizers, what the library contains, another target."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hand_plan import micro_bundle

STRICT = ["-std=c99", "-pedantic", "-ffp-contract=off", "-Werror"]
STRICT += ["-Wall", "-Wextra", "-Wconversion", "-Wshadow"]


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


def build(repository: Path, cc: str, out: Path, *flags: str) -> Path:
    driver = repository / "tests" / "runtime" / "driver.c"
    includes = [f"-I{repository / 'runtime' / folder}" for folder in ("include", "src")]
    # The driver itself needs POSIX for aligned memory; the library does not.
    posix = "-D_POSIX_C_SOURCE=200112L"
    run(
        [cc, *STRICT, posix, *flags, *includes, *sources(repository), str(driver), "-lm", "-o", out]
    )
    return out


def run(command: list[str | Path]) -> str:
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("micro") / "micro.csib"
    path.write_bytes(micro_bundle())
    return path


@pytest.fixture(scope="module")
def sanitized(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cc = compiler("cc", "gcc", "clang")
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    probe = tmp_path_factory.mktemp("sanitized")
    (probe / "empty.c").write_text("int main(void) { return 0; }\n")
    tried = subprocess.run([cc, *flags, probe / "empty.c", "-o", probe / "empty"])
    if tried.returncode != 0:
        pytest.skip("this compiler has no sanitizers")
    return build(repository, cc, probe / "driver", *flags)


def test_every_flipped_bit_is_refused_or_harmless(sanitized: Path, bundle: Path) -> None:
    out = run([sanitized, "flip", bundle])
    match = re.fullmatch(r"refused (\d+) harmless (\d+) large (\d+)\n", out)
    assert match
    refused, harmless, large = map(int, match.groups())
    assert refused + harmless + large == 8 * bundle.stat().st_size
    # Weights, vectors and the pairing id may hold anything; structure may not.
    assert refused > 10_000
    assert harmless > 1_000


def test_shaken_structure_is_refused_or_harmless(sanitized: Path, bundle: Path) -> None:
    out = run([sanitized, "shake", bundle])
    match = re.fullmatch(r"refused (\d+) harmless (\d+) large (\d+)\n", out)
    assert match
    assert sum(map(int, match.groups())) == 20_000
    assert all(int(count) > 100 for count in match.groups()[:2])


def test_truncation_and_wrong_calls(sanitized: Path, bundle: Path) -> None:
    run([sanitized, "cut", bundle])
    run([sanitized, "abuse", bundle])
    run([sanitized, "run", bundle])


def test_library_has_no_state_and_calls_nothing_but_libm(repository: Path, tmp_path: Path) -> None:
    """No malloc, no stdio, no writable data; memcpy and memset are the compiler's own."""
    cc, nm, size = compiler("cc", "gcc", "clang"), compiler("nm"), compiler("size")
    includes = [f"-I{repository / 'runtime' / folder}" for folder in ("include", "src")]
    undefined, defined = set(), set()
    for source in sources(repository):
        obj = tmp_path / (Path(source).stem + ".o")
        # Not position-independent: constant tables of pointers stay in read-only data.
        run([cc, *STRICT, "-O2", "-fno-pic", *includes, "-c", source, "-o", obj])
        for line in run([nm, obj]).splitlines():
            kind, name = line.split()[-2:]
            assert kind not in "dDbBC", f"{obj.name}: {name} is writable data"
            (undefined if kind == "U" else defined).add(name)
        data, bss = run([size, obj]).splitlines()[1].split()[1:3]
        assert (data, bss) == ("0", "0"), obj.name
    assert undefined - defined <= {
        "memcpy",
        "memset",
        "memcmp",
        "expf",
        "tanhf",
        "__stack_chk_fail",
    }


def test_sources_include_no_stdio_and_no_stdlib(repository: Path) -> None:
    for source in [*sources(repository), *map(str, repository.glob("runtime/include/*/*.h"))]:
        text = Path(source).read_text(encoding="utf-8")
        headers = set(re.findall(r"#include <([\w./]+)>", text))
        assert headers <= {"stddef.h", "stdint.h", "string.h", "math.h"}, source


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("level", ["-Os", "-O3"])
def test_both_compilers_agree(
    repository: Path, bundle: Path, tmp_path: Path, cc: str, level: str
) -> None:
    """Clean under -Werror at each level, and equal to an unoptimised build to the last bit."""
    found = compiler(cc)
    plain = build(repository, found, tmp_path / "plain", "-O0")
    fast = build(repository, found, tmp_path / "fast", level)
    assert run([plain, "run", bundle]) == run([fast, "run", bundle])


def test_aarch64_gives_the_same_payload(repository: Path, bundle: Path, tmp_path: Path) -> None:
    """Codes and payload bits of the fp32 path, which are equal but for ties within 1e-5."""
    cross, qemu = compiler("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if qemu is None:
        pytest.skip("no qemu-aarch64")
    host = build(repository, compiler("cc", "gcc", "clang"), tmp_path / "host", "-O2")
    arm = build(repository, cross, tmp_path / "arm", "-O3", "-static")
    assert run([qemu, arm, "run", bundle]) == run([host, "run", bundle])


def test_big_endian_refuses(repository: Path, tmp_path: Path) -> None:
    """The refusal comes before the first field is read."""
    cc, qemu = compiler("aarch64-linux-gnu-gcc"), compiler("qemu-aarch64_be")
    # The cross compiler makes big-endian code but has no C library for it: one header lacks.
    (tmp_path / "gnu").mkdir()
    (tmp_path / "gnu" / "stubs-lp64_be.h").touch()
    folders = [tmp_path, repository / "runtime" / "include", repository / "runtime" / "src"]
    files = [*repository.glob("runtime/src/*.c"), repository / "tests/runtime/big_endian.c"]
    flags = ["-mbig-endian", "-O1", "-ffreestanding", "-nostdlib", "-static"]
    program = tmp_path / "big"
    run([cc, *STRICT, *flags, *(f"-I{f}" for f in folders), *map(str, files), "-o", program])
    result = subprocess.run([qemu, program])
    assert result.returncode == 0x10  # CSD_BIG_ENDIAN_HOST
