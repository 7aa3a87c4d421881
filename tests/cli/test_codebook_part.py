"""One part with a codebook at the command line: compile, inspect, run, validate, C."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.conftest import Run
from csideploy.band import near_codebook
from csideploy.quantizers.scalar import Codebook

OUTPUTS = 9
IMAGE = (2, 8, 8)


@pytest.fixture(scope="module")
def book() -> Codebook:
    rng = np.random.default_rng(6)
    widths = np.array([3, 0, 8, 5, 1, 4, 2, 0, 6], np.uint8)
    values = np.concatenate([np.sort(rng.normal(size=1 << int(b)) * 0.3) for b in widths])
    return Codebook(widths, values.astype(np.float32))


@pytest.fixture(scope="module")
def models(book: Codebook, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch = pytest.importorskip("torch", reason="weights of the test link come from torch")
    from csideploy.export.torch_onnx import export_part

    torch.manual_seed(7)
    nn = torch.nn
    encoder = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(72, OUTPUTS))
    decoder = nn.Sequential(nn.Linear(OUTPUTS, 128), nn.Unflatten(1, IMAGE))
    folder = tmp_path_factory.mktemp("codebook")
    paths = {}
    for side, part in (("ue", encoder), ("bs", decoder)):
        about: dict[str, Any] = {"codebook": book, "csi_shape": IMAGE, "features": OUTPUTS}
        paths[side] = folder / f"{side}.onnx"
        paths[side].write_bytes(export_part(part, side, **about).SerializeToString())
    return paths


def run_c(folder: Path) -> str:
    """Build the emitted C with the compiler alone, and run its golden vectors."""
    from shutil import which

    if which("cc") is None:
        pytest.skip("not installed: cc")
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.c"))]
    includes = ["-I.", "-Iruntime/include", "-Iruntime/src"]
    command = ["cc", "-std=c99", "-ffp-contract=off", *includes, *files, "-lm", "-o", "golden"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    done = subprocess.run([folder / "golden"], capture_output=True, text=True)
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize("precision", ["fp32", "int8", "auto"])
def test_from_onnx_to_c(
    run: Run, models: dict[str, Path], book: Codebook, tmp_path: Path, precision: str
) -> None:
    x = np.random.default_rng(8).random((30, *IMAGE)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    bundle = tmp_path / "ue.csib"
    more = () if precision == "fp32" else ("--calibration", tmp_path / "x.npy")
    done = run(
        "compile", models["ue"], "--out", bundle, "--part", "encoder", "--emit", "bundle,c",
        "--vectors", 4, "--precision", precision, *more, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    made = json.loads(done.stdout)
    assert "codes: 2 golden vectors agree" in run_c(Path(made["c"]))
    judged = made["onnx"] or models["ue"]
    done = run("validate", bundle, "--onnx", judged)
    assert done.exit_code == 0, done.stdout + done.stderr
    done = run("run", bundle, tmp_path / "x.npy", "--out", tmp_path / "y.npz")
    assert done.exit_code == 0, done.stderr
    with np.load(tmp_path / "y.npz") as made_arrays:
        assert made_arrays["payload"].shape == (30, 4)
        assert (made_arrays["codes"] < book.sizes).all()


def test_inspect_shows_the_widths(run: Run, models: dict[str, Path], tmp_path: Path) -> None:
    for side in ("ue", "bs"):
        bundle = tmp_path / f"{side}.csib"
        assert run("compile", models[side], "--out", bundle, "--side", side).exit_code == 0
        text = " ".join(run("inspect", bundle).stdout.split())
        assert "layout 0x0204: 9 codes of 0 to 8 bits" in text
        assert "29 together (7 are sent), 4 bytes a sample" in text
        payload = json.loads(run("inspect", bundle, "--json").stdout)["payload"]
        assert payload == {
            "layout_id": 0x0204,
            "count": 9,
            "bits": 0,
            "widths": [3, 0, 8, 5, 1, 4, 2, 0, 6],
            "bits_per_sample": 29,
            "bytes_per_sample": 4,
        }


def test_the_band_of_a_codebook(book: Codebook) -> None:
    x = np.zeros((3, OUTPUTS), np.float32)
    x[0] = 5
    x[1, 0] = book.thresholds[3] + np.float32(4e-6)
    x[2, 2] = book.thresholds[7 + 200] - np.float32(4e-6)
    x[0, 8] = book.thresholds[-1]
    close = near_codebook(x, book.thresholds, book.widths)
    expected = np.zeros_like(close)
    ends = np.cumsum(book.sizes - 1)
    for m, end in enumerate(ends):
        own = book.thresholds[end - book.sizes[m] + 1 : end]
        expected[:, m] = (np.abs(x[:, m, None] - own) < 1e-5).any(axis=1)
    assert np.array_equal(close, expected)
    assert close[1, 0]
    assert close[2, 2]
    assert close[0, 8]
    assert not close[0, :8].any()
