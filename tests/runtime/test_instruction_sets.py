"""The kernels once per instruction set: one of them is chosen, and all give the same bits."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from c_build import STRICT, compiler, include_flags, run
from every_operation import FILE

from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import InputError
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.link_source import Bits, from_zoo
from csideploy.runtime import Part, instruction_sets
from csideploy.runtime.isa import VARIABLE


@pytest.fixture(autouse=True)
def nothing_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_fastest_is_chosen_and_the_environment_forces_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sets = instruction_sets()
    assert sets[0] == "reference"
    assert Part(FILE).isa == sets[-1]
    for isa in sets:
        monkeypatch.setenv(VARIABLE, isa)
        assert Part(FILE).isa == isa
        assert Part(FILE, isa="reference").isa == "reference"
    monkeypatch.setenv(VARIABLE, "")
    assert Part(FILE).isa == sets[-1]


def test_one_that_is_not_available_is_named_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match="isa=mmx: not in this build; available: reference"):
        Part(FILE, isa="mmx")
    monkeypatch.setenv(VARIABLE, "sse9")
    with pytest.raises(InputError, match="CSIDEPLOY_ISA=sse9: not in this build; available:"):
        Part(FILE)


def test_every_operation_gives_the_same_bits() -> None:
    vectors = read_whole(FILE.read_bytes()).vectors
    reference = Part(FILE, isa="reference")
    inputs = [vectors[info.name] for info in reference.inputs]
    expected = reference.run(*inputs)
    for isa in instruction_sets()[1:]:
        made = Part(FILE, isa=isa).run(*inputs)
        for info, have, want in zip(reference.outputs, made, expected, strict=True):
            assert have.tobytes() == want.tobytes(), (isa, info.name)


def test_zoo_link_gives_the_same_bits() -> None:
    """Not within a tolerance: same source, same order of operations, no contraction."""
    source = from_zoo("bacrnet10x", cr=None, bits=Bits(), binarize=None)
    channels = generate("indoor", 8, seed=3).H.astype(np.float32)
    given, _ = to_input(channels[:, 0] + 1j * channels[:, 1])
    for side, model in (("ue", source.ue), ("bs", source.bs)):
        bundle = write_bundle(
            compile_model(onnx.load_model_from_string(model), part="p", side=side)
        )
        expected = Part(bundle, isa="reference").run(given)
        for isa in instruction_sets()[1:]:
            made = Part(bundle, isa=isa).run(given)
            assert [a.tobytes() for a in made] == [a.tobytes() for a in expected], (side, isa)
        given = expected[-1]  # the payload


STUB = """
#include <stdio.h>
#include "csideploy/csideploy.h"
#include "csideploy/dispatch.h"
extern const csd_kernel csd_neon_kernels[CSD_OP_LAST + 1u];
extern const csd_kernel csd_dotprod_kernels[CSD_OP_LAST + 1u];
const csd_kernel csd_reference_kernels[CSD_OP_LAST + 1u] = {NULL};
const csd_kernel csd_neon_kernels[CSD_OP_LAST + 1u] = {NULL};
const csd_kernel csd_dotprod_kernels[CSD_OP_LAST + 1u] = {NULL};
extern const csd_preparer csd_neon_preparers[CSD_OP_LAST + 1u];
extern const csd_preparer csd_dotprod_preparers[CSD_OP_LAST + 1u];
const csd_preparer csd_neon_preparers[CSD_OP_LAST + 1u] = {NULL};
const csd_preparer csd_dotprod_preparers[CSD_OP_LAST + 1u] = {NULL};
#define ANGULAR_DELAY(isa) \\
    void csd_##isa##_angular_delay(const csd_angular_delay *plan, const float *h, size_t count, \\
                                   float *x, float *absmax, float *scratch); \\
    void csd_##isa##_angular_delay(const csd_angular_delay *plan, const float *h, size_t count, \\
                                   float *x, float *absmax, float *scratch) { \\
        (void)plan, (void)h, (void)count, (void)x, (void)absmax, (void)scratch; \\
    }
ANGULAR_DELAY(reference)
ANGULAR_DELAY(neon)
ANGULAR_DELAY(dotprod)
int main(void) {
    csd_isa isa;
    for (uint32_t i = 0; csd_isa_at(i, &isa); i++)
        printf("%s %d\\n", isa.name, isa.available);
    printf("%s", csd_choose_isa(NULL, &isa) ? isa.name : "none");
    printf(" %d", csd_choose_isa("dotprod", &isa));
    return 0;
}
"""


@pytest.mark.parametrize(
    ("cpu", "best", "has"), [("cortex-a53", "neon", 0), ("cortex-a76", "dotprod", 1)]
)
def test_aarch64_asks_the_processor(
    repository: Path, tmp_path: Path, cpu: str, best: str, has: int
) -> None:
    cc, qemu = compiler("aarch64-linux-gnu-gcc"), compiler("qemu-aarch64")
    (tmp_path / "stub.c").write_text(STUB)
    flags = [*STRICT, "-static", "-DCSD_WITH_NEON", "-DCSD_WITH_DOTPROD"]
    files = [repository / "runtime/host/dispatch.c", tmp_path / "stub.c"]
    run([cc, *flags, *include_flags(repository), *files, "-o", tmp_path / "stub"])
    said = run([qemu, "-cpu", cpu, tmp_path / "stub"]).splitlines()
    assert said == ["reference 1", "neon 1", f"dotprod {has}", f"{best} {has}"]


@pytest.mark.slow
def test_cmake_builds_the_library_alone_with_clang(repository: Path, tmp_path: Path) -> None:
    """No C++ compiler and no Python is asked for; every instruction set of x86-64 is in it."""
    cmake, clang = compiler("cmake"), compiler("clang")
    settings = ["-DCSIDEPLOY_PYTHON=OFF", "-DCSIDEPLOY_WERROR=ON", f"-DCMAKE_C_COMPILER={clang}"]
    generator = ["-GNinja"] if shutil.which("ninja") else []
    run([cmake, "-S", repository, "-B", tmp_path / "b", *generator, *settings])
    run([cmake, "--build", tmp_path / "b", "-j", "2"])
    names = subprocess.run(
        [compiler("nm"), tmp_path / "b" / "libcsideploy_dispatch.a"], capture_output=True, text=True
    ).stdout
    for isa in instruction_sets()[1:]:
        assert f"R csd_{isa}_kernels" in names or f"D csd_{isa}_kernels" in names
