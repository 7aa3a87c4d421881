"""What all verbs share: how they speak, how they fail, and how they show progress.

Results go to standard output, as a table for people or one JSON object for scripts; everything
else goes to standard error. `VerbGroup` is the one place where an exception becomes an exit code.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from typer.core import TyperGroup

from csideploy.errors import CsideployError, InputError
from csideploy.progress import Advance

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]


class Binarize(StrEnum):
    """Which fully connected layers have 1-bit weights."""

    NONE = "none"
    ENCODER = "encoder"
    BOTH = "both"


class Quantizers(StrEnum):
    """How a feature becomes bits."""

    UNIFORM = "uniform"
    CODEBOOK = "codebook"
    VECTOR = "vector"
    ROUND = "round"


class Receivers(StrEnum):
    """What a user on the fronthaul's far end knows (`csideploy.fronthaul.link`)."""

    LOCALIZED = "localized"
    FULL = "full"


class Distances(StrEnum):
    """How a user chooses its codeword (`csideploy.baselines.feedback`)."""

    CHORDAL = "chordal"
    SINR = "sinr"


class Domains(StrEnum):
    """Domains of CSI arrays."""

    ANGULAR = "angular"
    FREQUENCY = "frequency"


Domain = Annotated[Domains, typer.Option(help="(n, angle, delay), or (n, subcarrier, antenna).")]
Convention = Annotated[
    str, typer.Option(help="Reading of a real array: auto, centred (0.5 is zero) or raw.")
]


class Precision(StrEnum):
    """Precisions of the contract."""

    FP32 = "fp32"
    INT8 = "int8"
    AUTO = "auto"
    MIXED = "mixed"


PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="fp32; int8; auto: int8, and 16 bits where 8 cost more than 0.05 dB; mixed: integers "
        "in the layers that hold the work, fp32 elsewhere."
    ),
]


def check_calibration(precision: Precision, calibration: Path | None) -> None:
    """`--calibration` goes with integers.

    Raises:
        InputError: it was given with fp32.
    """
    if calibration is not None and precision is Precision.FP32:
        raise InputError(
            "--calibration chooses the scales of integers: add --precision int8, auto or "
            "mixed, or leave it out"
        )


class VerbGroup(TyperGroup):
    """Turns what a verb raises into one line on standard error and an exit code.

    0 done, 1 a check did not hold, 2 bad use or bad input. With --json a failure of exit code 2 is
    reported as `{"error": ..., "exit_code": 2}` on standard output too; a check that did not hold
    has printed its own object before. CSIDEPLOY_TRACEBACK=1 lets the exception through.
    """

    def make_context(self, info_name: Any, args: list[str], *more: Any, **extra: Any) -> Any:
        """Read the options before the verb."""
        with _in_one_line(wants_json="--json" in args):
            return super().make_context(info_name, args, *more, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with _in_one_line(wants_json="--json" in ctx.args):
            result = super().invoke(ctx)
            sys.stdout.flush()
        return result


@contextmanager
def _in_one_line(*, wants_json: bool) -> Iterator[None]:
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("CSIDEPLOY_TRACEBACK") == "1":
            raise
        if isinstance(error, BrokenPipeError):
            _silence_stdout()
            raise typer.Exit(EXIT_BROKEN_PIPE) from error
        if isinstance(error, KeyboardInterrupt):
            say("csideploy: interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from error
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        line, code = _line_and_code(error)
        if wants_json and code == InputError.exit_code:
            _report_as_json(line, code)
        say(f"csideploy: error: {line}")
        raise typer.Exit(code) from error


def _line_and_code(error: Exception) -> tuple[str, int]:
    code = InputError.exit_code
    if isinstance(error, CsideployError):
        return " ".join(str(error).split()), error.exit_code
    if isinstance(error, OSError):
        place = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return place + (error.strerror or str(error)).lower(), code
    if isinstance(error, MemoryError):
        return "out of memory: take fewer samples", code
    if hasattr(error, "format_message"):
        # typer's own: a missing argument, an unknown option. It would print several lines.
        context = getattr(error, "ctx", None)
        see = f" (see `{context.command_path} --help`)" if context is not None else ""
        return " ".join(error.format_message().split()).rstrip(".") + see, code
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"internal error, please report it: {what} (CSIDEPLOY_TRACEBACK=1 shows where)", code


def _report_as_json(line: str, code: int) -> None:
    try:
        print_json({"error": line, "exit_code": code})
        sys.stdout.flush()
    except OSError:
        _silence_stdout()


def _silence_stdout() -> None:
    """Keep the interpreter from complaining, while it ends, about a stream that is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def say(message: str) -> None:
    """One line to standard error, as it is: no wrapping, no markup."""
    typer.echo(message, err=True)


def print_json(result: dict[str, Any]) -> None:
    """The one object on standard output. NaN and infinities become null, as JSON has none."""
    typer.echo(as_text(result))


def as_text(result: dict[str, Any]) -> str:
    """The same as a string."""
    return json.dumps(_finite(result), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def table_console() -> Console:
    """Standard output for tables: as wide as the terminal, 120 columns where there is none."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console(highlight=False, markup=False, emoji=False)
    return Console(highlight=False, markup=False, emoji=False, width=120)


def given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    source = context.get_parameter_source(name)
    # By its name: typer brings its own copy of click.
    return source is not None and source.name == "COMMANDLINE"


def refuse_given(context: typer.Context, names: Iterable[str], of: str) -> None:
    """Refuse options that go with another kind of system.

    Args:
        context: of the verb.
        names: of its parameters.
        of: whose options they are.

    Raises:
        InputError: some stand on the command line.
    """
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    wrong = [options[name] for name in names if given(context, name)]
    if wrong:
        verb = "go" if len(wrong) > 1 else "goes"
        raise InputError(f"{', '.join(wrong)} {verb} with {of}: leave it out here")


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A progress bar on standard error, if that is a terminal, to the end of the block."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bars:
        task = bars.add_task(what, total=None)

        def advance(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield advance
