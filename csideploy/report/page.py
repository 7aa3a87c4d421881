"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from csideploy.errors import InputError
from csideploy.package import LinkPackage


def read_quality(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Figures that `evaluate --out` wrote.

    Raises:
        InputError: a file that holds none.
    """
    if files:
        raise InputError("--quality is not available in this version")
    return []


def html(result: dict[str, Any], link: LinkPackage, quality: list[dict[str, Any]]) -> str:
    """The page."""
    del result, link, quality
    raise InputError("--format html is not available in this version")
