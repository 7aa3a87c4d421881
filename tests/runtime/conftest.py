"""Fixtures of the runtime's tests."""

from pathlib import Path

import pytest
from c_build import compiler
from isa_build import AARCH64, build_isas


@pytest.fixture(scope="session")
def arm_driver(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """isa_driver.c for Linux on Arm, with all its instruction sets."""
    cc = compiler("aarch64-linux-gnu-gcc")
    # -O1: twenty seconds less, and the intrinsics are the same.
    return build_isas(
        repository, cc, tmp_path_factory.mktemp("arm") / "b", AARCH64, "-O1", "-static"
    )
