"""The command line in this process, for every room's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typer.testing import Result

    Run = Callable[..., Result]
else:
    # Most rooms' tests need no command line.
    Run = Callable[..., Any]


def invoke(*arguments: object) -> Result:
    """`csideploy ARGUMENTS`; streams are kept apart."""
    from typer.testing import CliRunner

    from csideploy.cli import app

    return CliRunner().invoke(app, [str(argument) for argument in arguments])
