"""The command line: `csideploy VERB`. Verbs only; what they do lives in the modules they call.

Every verb imports what it needs when it runs, so that `--help` costs neither ONNX nor torch.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from csideploy import (
    __version__,
    cli_bundle,
    cli_data,
    cli_link,
    cli_plan,
    cli_quality,
    cli_report,
    cli_targets,
)
from csideploy.cli_shell import VerbGroup

app = typer.Typer(
    cls=VerbGroup,
    name="csideploy",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compiles CSI-feedback networks for the edge, runs them, and says what they cost.",
    epilog="Exit codes: 0 done, 1 a check did not hold, 2 bad use or bad input.",
)
data_app = typer.Typer(no_args_is_help=True, help="Make CSI, and look at a CSI file.")

app.command("systems")(cli_data.systems)
app.add_typer(data_app, name="data")
data_app.command("generate")(cli_data.generate)
data_app.command("info")(cli_data.info)
app.command("train")(cli_data.train)
app.command("export")(cli_link.export)
app.command("encode")(cli_link.encode)
app.command("decode")(cli_link.decode)
app.command("validate")(cli_link.validate)
app.command("report")(cli_report.report)
app.command("plan")(cli_plan.plan)
app.command("bench")(cli_targets.bench)
app.command("evaluate")(cli_quality.evaluate)
app.command("compile")(cli_bundle.compile_onnx)
app.command("run")(cli_bundle.run)
app.command("inspect")(cli_bundle.inspect)
app.command("targets")(cli_targets.targets)
app.command("supported-ops")(cli_bundle.supported_ops)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"csideploy {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the `csideploy` command."""
    for stream in (sys.stdout, sys.stderr):
        # A sign that the terminal's character set lacks is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    main()
