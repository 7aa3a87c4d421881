"""The first step of docs/larq.md, by its command: `python benchmarks/larq/weights.py`."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from csideploy.link_export import make_package
from csideploy.link_source import LinkSource
from csideploy.payload import pack_codes
from csideploy.runtime import Part

from .conftest import WANTED


def weights(repository: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    script = repository / "benchmarks" / "larq" / "weights.py"
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_one_file_has_all_that_the_second_step_needs(
    source: LinkSource, csi_file: Path, tmp_path: Path, repository: Path
) -> None:
    wanted = dataclasses.replace(WANTED, precision="int8", calibration=csi_file)
    make_package(source, wanted, tmp_path / "P")
    out = tmp_path / "ue-larq.npz"
    done = weights(repository, tmp_path / "P", "--out", out, "--csi", csi_file, "--samples", 10)
    assert done.returncode == 0, done.stderr
    assert "FC 2048 -> 512 of uint8 codes, 8 planes" in done.stdout
    with np.load(out) as loaded:
        arrays = dict(loaded)
    x = arrays["x"]
    assert 1 < len(x) <= 10
    parts = {name: Part(arrays[name].tobytes()) for name in arrays if name.endswith("bundle")}
    assert set(parts) == {"bundle", "float.bundle", "decoder.bundle", "fc.bundle"}
    assert (tmp_path / "P" / "ue.int8.csib").read_bytes() == arrays["bundle"].tobytes()
    # The FC alone goes on from where the encoder's first steps end.
    codes, payload = parts["bundle"].run(x)
    np.testing.assert_array_equal(payload, pack_codes(codes, int(arrays["bits"])))
    front = [parts["bundle"].trace(sample[None])[-4][1][0].reshape(-1) for sample in x]
    _, alone, sent = parts["fc.bundle"].run(np.stack(front))
    np.testing.assert_array_equal(alone, codes)
    np.testing.assert_array_equal(sent, payload)
    assert parts["decoder.bundle"].run(payload)[0].shape == x.shape
    assert (parts["float.bundle"].run(x)[0] != codes).mean() < 0.5


@pytest.mark.parametrize("fp32", [True, False], ids=["fp32", "no package"])
def test_what_it_cannot_take_is_one_line(
    package: Path, tmp_path: Path, repository: Path, fp32: bool
) -> None:
    done = weights(repository, package if fp32 else tmp_path, "--out", tmp_path / "f.npz")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert ("--precision int8" in done.stderr) == fp32
    assert not (tmp_path / "f.npz").exists()
