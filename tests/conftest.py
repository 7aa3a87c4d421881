"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest
from command_line import Run, invoke
from hypothesis import settings

# What is tested is text; on some machines these ask for colours even where nobody looks.
for _name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "CLICOLOR_FORCE"):
    os.environ.pop(_name, None)

# The same examples in every run: a test that fails, fails for everybody.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def run() -> Run:
    """Calls the command line in this process."""
    return invoke


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """Folder with the COST2100 reference samples, which are not ours to ship."""
    named = os.environ.get("CSIDEPLOY_REFERENCE_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not (folder / "cost2100_indoor_reference.npz").is_file():
        # Whoever names a folder wants these tests to run.
        assert not named, f"CSIDEPLOY_REFERENCE_DATA: no reference samples in {folder}"
        pytest.skip(
            f"no reference samples in {folder}; set CSIDEPLOY_REFERENCE_DATA to their folder"
        )
    return folder
