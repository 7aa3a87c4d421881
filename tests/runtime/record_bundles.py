"""A pytest plugin: writes every bundle that a test hands to `Part` into one archive.

    python -m pytest -p record_bundles ...       with BUNDLE_ARCHIVE=FILE in the environment

An archive is, for each bundle, its length in 8 bytes and its bytes; `open_archive` reads it.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from csideploy.runtime import _core


@pytest.fixture(scope="session", autouse=True)
def _record() -> Any:
    original = _core.Part
    seen: dict[bytes, None] = {}

    def recording(data: bytes, *rest: Any) -> Any:
        seen[data] = None
        return original(data, *rest)

    _core.Part = recording  # type: ignore[misc, assignment]
    yield
    _core.Part = original  # type: ignore[misc]
    archive = b"".join(len(data).to_bytes(8, "little") + data for data in seen)
    Path(os.environ["BUNDLE_ARCHIVE"]).write_bytes(archive)
