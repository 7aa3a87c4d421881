"""The report as rows of the evaluation table of 3GPP RAN1."""

from __future__ import annotations

from typing import Any

from csideploy.errors import InputError
from csideploy.package import LinkPackage


def rows(result: dict[str, Any], link: LinkPackage, quality: list[dict[str, Any]]) -> str:
    """The rows."""
    del result, link, quality
    raise InputError("--format 3gpp is not available in this version")
