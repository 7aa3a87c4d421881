"""The C runtime by itself: warnings, what the library contains, other compilers and targets."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from c_build import STRICT, build, compiler, include_flags, run, sources
from every_operation import FILE


def test_library_has_no_state_and_calls_nothing_but_sqrtf_and_fmaf(
    repository: Path, tmp_path: Path
) -> None:
    """No malloc, no stdio, no writable data; memcpy and memset are the compiler's own."""
    cc, nm, size = compiler("cc", "gcc", "clang"), compiler("nm"), compiler("size")
    includes = include_flags(repository)
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
    # Root and fused multiply-add are what IEEE 754 fixes to the last bit; nothing else comes from
    # libm, and fmaf only where the machine has no instruction for it.
    allowed = {"memcpy", "memset", "memcmp", "sqrtf", "fmaf", "__stack_chk_fail"}
    assert undefined - defined <= allowed


def test_the_stack_is_small_and_known(repository: Path, tmp_path: Path) -> None:
    """No variable-length arrays; the verifier's deepest chain of calls stays below 512 bytes."""
    cc = shutil.which("arm-none-eabi-gcc") or compiler("gcc")
    frames = {}
    for source in sources(repository):
        obj = tmp_path / (Path(source).stem + ".o")
        flags = ["-Os", "-fstack-usage", *include_flags(repository)]
        run([cc, *STRICT, *flags, "-c", source, "-o", obj])
        for line in obj.with_suffix(".su").read_text().splitlines():
            name, size, kind = line.split("\t")
            # A bounded one comes of aligning the frame, on x86; a variable-length array is dynamic.
            assert kind in ("static", "dynamic,bounded"), line
            frames[name.rpartition(":")[2]] = int(size)
    deepest = ("csd_open", "csd_check_steps", "csd_check_order")
    # The longest of all checks of one operation hangs below csd_check_steps.
    checks = [size for name, size in frames.items() if name.startswith(("csd_check_", "check_"))]
    assert frames[deepest[0]] + frames[deepest[1]] + 2 * max(checks) < (512 if "arm" in cc else 900)
    assert max(frames.values()) < 8192, max(frames, key=lambda name: frames[name])


def test_sources_include_no_stdio_and_no_stdlib(repository: Path) -> None:
    for source in [*sources(repository), *map(str, repository.glob("runtime/include/*/*.h"))]:
        text = Path(source).read_text(encoding="utf-8")
        headers = set(re.findall(r"#include <([\w./]+)>", text))
        assert headers <= {"stddef.h", "stdint.h", "string.h", "math.h"}, source


@pytest.fixture(scope="module")
def unoptimised(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """CRC32s of the micro-bundle's outputs, as a build without optimisation computes them."""
    folder = tmp_path_factory.mktemp("plain")
    return run([build(repository, compiler("cc", "gcc", "clang"), folder / "plain"), "run", FILE])


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("level", ["-Os", "-O3"])
def test_both_compilers_agree(
    repository: Path, unoptimised: str, tmp_path: Path, cc: str, level: str
) -> None:
    """Clean under -Werror at each level, and equal to an unoptimised build to the last bit."""
    fast = build(repository, compiler(cc), tmp_path / "fast", level)
    assert run([fast, "run", FILE]) == unoptimised


def test_aarch64_gives_the_same_bits(repository: Path, unoptimised: str, tmp_path: Path) -> None:
    """All of them, floats too: no operation leaves its rounding to a compiler or a library."""
    cross, qemu = compiler("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if qemu is None:
        pytest.skip("no qemu-aarch64")
    arm = build(repository, cross, tmp_path / "arm", "-O3", "-static")
    assert run([qemu, arm, "run", FILE]) == unoptimised


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
