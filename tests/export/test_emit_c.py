"""`--emit c`: the folder builds by cmake and by a compiler alone, and gives the golden outputs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

from c_build import STRICT, compiler, run
from every_operation import FILE

from csideploy import c_folder
from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import FormatError, InputError
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.emit_c import emit_c
from csideploy.export.plan import Op
from csideploy.link_source import Bits, from_zoo
from csideploy.onnx_oracle import Oracle

INCLUDES = ["-I.", "-Iruntime/include", "-Iruntime/src"]


def write(folder: Path, files: dict[str, bytes]) -> Path:
    c_folder.write_files(folder, files)
    return folder


def sources(folder: Path) -> list[str]:
    return [str(p.relative_to(folder)) for p in sorted(folder.rglob("*.c")) if "b" not in p.parts]


def build(folder: Path, cc: str, *flags: str) -> Path:
    """The plain command of the README, with all warnings as errors."""
    program = folder / "golden"
    command = [cc, *STRICT, "-O1", *flags, *INCLUDES, *sources(folder), "-lm", "-o", program]
    done = subprocess.run([str(c) for c in command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return program


def result(program: Path) -> int:
    return subprocess.run([program], capture_output=True).returncode


@pytest.fixture(scope="module")
def encoder() -> tuple[bytes, dict[str, np.ndarray]]:
    """The zoo's bacrnet10x encoder, with ONNX Runtime's outputs for generated channels."""
    source = from_zoo("bacrnet10x", cr=None, bits=Bits(), binarize=None)
    channels = generate("indoor", 3, seed=5).H.astype(np.float32)
    x, _ = to_input(channels[:, 0] + 1j * channels[:, 1])
    plan = compile_model(onnx.load_model_from_string(source.ue), part="encoder", side="ue")
    return write_bundle(plan), {"x": x, **Oracle(source.ue, name="ue.onnx").run(x)}


@pytest.fixture(scope="module")
def emitted(
    encoder: tuple[bytes, dict[str, np.ndarray]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    files = emit_c(encoder[0], title="ue.csib", vectors=encoder[1])
    return write(tmp_path_factory.mktemp("emitted") / "ue-c", files)


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_plain_compiler_builds_it_without_a_warning(emitted: Path, name: str) -> None:
    program = build(emitted, compiler(name))
    assert run([program]).splitlines() == [
        "codes: 2 golden vectors agree",
        "payload: 2 golden vectors agree",
    ]


def test_cmake_builds_it(emitted: Path, tmp_path: Path) -> None:
    cmake = compiler("cmake")
    run([cmake, "-S", emitted, "-B", tmp_path / "b"])
    run([cmake, "--build", tmp_path / "b", "-j", "2"])
    assert result(tmp_path / "b" / "golden") == 0


def test_only_what_the_part_uses_is_there(emitted: Path) -> None:
    kernels = {path.stem for path in emitted.glob("kernels/reference/*.c")}
    operations = {"conv2d", "binary_linear", "quantize_logit", "pack_bits"}
    assert kernels & {op.name.lower() for op in Op} == operations
    assert kernels >= operations | {"table", "activate"}
    assert "codes" not in kernels
    config = (emitted / "runtime/include/csideploy/config.h").read_text()
    assert set(re.findall(r"X\(\w+, (\w+)\)", config)) == operations
    readme = (emitted / "README.md").read_text()
    assert "$" not in readme
    assert len(readme.splitlines()) < 80


def test_library_needs_no_system(emitted: Path, tmp_path: Path) -> None:
    """Nothing but the compiler's own memcpy, memset and memcmp, and no writable data."""
    cc, nm, ld = compiler("gcc"), compiler("nm"), compiler("ld")
    objects = []
    for source in sources(emitted):
        objects.append(tmp_path / f"{Path(source).stem}.o")
        flags = ["-DCSD_QUIET", "-O2", "-fno-pic", "-fno-math-errno", "-fno-stack-protector"]
        includes = [f"-I{emitted / flag[2:]}" for flag in INCLUDES]
        run([cc, *STRICT, *flags, *includes, "-c", emitted / source, "-o", objects[-1]])
    run([ld, "-r", *objects, "-o", tmp_path / "all.o"])
    symbols = [line.split()[-2:] for line in run([nm, tmp_path / "all.o"]).splitlines()]
    assert {name for kind, name in symbols if kind == "U"} <= {"memcpy", "memset", "memcmp"}
    assert {name for kind, name in symbols if kind in "dDbB"} == {"arena", "results"}


def test_a_corrupted_vector_or_model_fails(emitted: Path, tmp_path: Path) -> None:
    cc = compiler("gcc", "clang")
    for name, array, code in (
        ("vectors.c", "output_1", 1),
        ("vectors.c", "input_0", 1),
        ("model.c", "csd_model", 2),
    ):
        folder = Path(shutil.copytree(emitted, tmp_path / f"{array}"))
        text = (folder / name).read_text()
        at = text.index("0x", text.index(f" {array}[")) + 3  # the low digit of the first byte
        other = "0" if text[at] != "0" else "8"
        changed = text[:at] + other + text[at + 1 :]
        if array == "input_0":  # one low digit may move no code: a whole line of zeros does
            at = text.index("0x", text.index(f" {array}["))
            changed = text[:at] + re.sub("0x..", "0x3f", text[at : at + 4000]) + text[at + 4000 :]
        (folder / name).write_text(changed)
        assert result(build(folder, cc)) == code, array


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_every_operation_of_the_table(tmp_path: Path, name: str) -> None:
    """All kernels, several inputs and outputs, a user dimension; float outputs to the bit."""
    folder = write(tmp_path / "c", emit_c(FILE.read_bytes(), title="every.csib"))
    config = (folder / "runtime/include/csideploy/config.h").read_text()
    assert config.count("X(") == len(Op)
    assert result(build(folder, compiler(name), "-DCSD_TOLERANCE=0.0f")) == 0


def test_golden_vectors_must_be_there_and_hold(
    encoder: tuple[bytes, dict[str, np.ndarray]],
) -> None:
    bundle, vectors = encoder
    with pytest.raises(InputError, match=r"ue\.csib: no golden vectors for x, codes, payload"):
        emit_c(bundle, title="ue.csib")
    wrong = {**vectors, "payload": vectors["payload"] ^ 1}
    with pytest.raises(FormatError, match=r"ue\.csib: the part does not give its golden outputs"):
        emit_c(bundle, title="ue.csib", vectors=wrong)
    one_off = {**vectors, "payload": vectors["payload"].copy()}
    one_off["payload"][0, 0] ^= 1  # a code on a threshold: that sample is passed over
    assert b"CSD_GOLDEN_SAMPLES 2u" in emit_c(bundle, title="u", vectors=one_off)["vectors.h"]


def test_folder_carries_the_bundle_without_its_vectors(
    encoder: tuple[bytes, dict[str, np.ndarray]],
) -> None:
    bundle, vectors = encoder
    text = emit_c(bundle, title="ue.csib", vectors=vectors)["model.c"].decode()
    data = bytes(int(value, 16) for value in re.findall(r"0x(..),", text))
    assert data == bundle
    assert c_folder.folder_name("ue.int8.csib") == "ue-int8-c"
    with_vectors = write_bundle(read_whole(bundle).plan, vectors=vectors)
    assert emit_c(with_vectors, title="ue.csib")["model.c"].decode() == text
