"""A link of 64 outputs of 2 bits with untrained weights, exported with the profile."""

from pathlib import Path

import numpy as np
import pytest
from untrained_link import untrained

from csideploy.channels.generate import generate
from csideploy.link_export import Wanted, make_package
from csideploy.link_source import Bits, LinkSource

WANTED = Wanted(
    *("csinet", None, Bits(), None, frozenset({"onnx", "bundle"}), False, 7), profile="r20-case0"
)
DATA = {"samples": 400, "scenario": "indoor", "seed": 12, "sha256": "ab" * 32}


@pytest.fixture(scope="session")
def profile_source() -> LinkSource:
    """csinet at 1/32 and 2 bits, random weights, with what a card would say."""
    return untrained(
        "csinet",
        cr=32,
        bits=2,
        seed=4,
        binarize="none",
        provenance={"source": "zoo", "entry": "csinet-cr32-b2", "card": {"data": DATA}},
        metrics={"nmse_db": -3.0, "rho": 0.7, "sgcs": 0.61, "samples": 260},
    )


@pytest.fixture(scope="session")
def profiled(profile_source: LinkSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package. Tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("profiled") / "P"
    make_package(profile_source, WANTED, folder)
    return folder


@pytest.fixture(scope="session")
def layers_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 generated channels, those of every four in falling energy: more than one chunk."""
    path = tmp_path_factory.mktemp("layers") / "layers.npz"
    h = generate("indoor", 500, seed=13).H.astype(np.float32)
    energy = (h**2).sum(axis=(1, 2, 3)).reshape(-1, 4)
    order = np.argsort(-energy, axis=1) + 4 * np.arange(len(energy))[:, None]
    np.savez(path, H=h[order.ravel()])
    return path
