"""A small file of CSI for training tests."""

from pathlib import Path

import numpy as np
import pytest

from csideploy.channels.generate import generate_file


@pytest.fixture(scope="session")
def csi_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 generated indoor samples."""
    path = tmp_path_factory.mktemp("csi") / "indoor.npz"
    generate_file(path, "indoor", 400, seed=11)
    assert np.load(path)["H"].shape == (400, 2, 32, 32)
    return path
