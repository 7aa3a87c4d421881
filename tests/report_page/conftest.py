"""Packages of every kind from the zoo, with their pages and the JSON of the same runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run
from quality_rows import QUALITY

from csideploy.channels.generate import generate

ZOO: dict[str, tuple[object, ...]] = {
    "fp32": ("bacrnet10x",),
    "int8": ("bacrnet1x", "--precision", "int8"),
    "codebook": ("acrnet1x-cr8-codebook", "--bits", "2,3,4"),
    "precoder": ("kd-precoder-k2", "--snr", 10),
    "fronthaul": ("neural-vq-umi-b64",),
    "transceiver": ("rvq-egat-raytraced-m16",),
}
TARGETS = ("--target", "cortex-m55", "--target", "cortex-a76")
Pages = dict[str, tuple[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def options() -> dict[str, tuple[object, ...]]:
    """What `export --model` makes each package of."""
    return ZOO


@pytest.fixture(scope="session")
def packages(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A package of every kind, of trained weights."""
    folder = tmp_path_factory.mktemp("pages")
    # A small file to calibrate with: scales are not looked at here.
    np.savez(folder / "c.npz", H=generate("indoor", 60, seed=4).H)
    for kind, options in ZOO.items():
        more = ("--calibration", folder / "c.npz") if kind == "int8" else ()
        done = run("export", "--model", *options, *more, "--out", folder / kind)
        assert done.exit_code == 0, done.stderr
    return {kind: folder / kind for kind in ZOO}


@pytest.fixture(scope="session")
def pages(run: Run, packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Page and JSON of the same run, with two devices; the fp32 link against limits besides."""
    folder = tmp_path_factory.mktemp("written")
    limits = folder / "limits.toml"
    limits.write_text('[ue]\nmemory = "200kB"\n[bs]\nmemory = "600kB"\n[payload]\nbits = 2048\n')
    quality = folder / "q.json"
    quality.write_text(json.dumps(QUALITY))
    more = {"fp32": ("--budget", limits, "--budget-share", 0.3, "--quality", quality)}
    made = {}
    for kind, path in packages.items():
        out = folder / f"{kind}.html"
        done = run("report", path, "--format", "html", "--out", out, "--json", "--rounds", 2,
                   *TARGETS, *more.get(kind, ()))  # fmt: skip
        # The decoder of bacrnet10x takes more than 600 kB.
        assert done.exit_code == (1 if kind == "fp32" else 0), done.stderr
        made[kind] = out.read_text(), json.loads(done.stdout)
    return made
