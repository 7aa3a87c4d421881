"""The verb that says what a link costs: report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from csideploy.cli_link import Package
from csideploy.cli_shell import Json, as_text, print_json, progress, say, table_console
from csideploy.errors import CheckFailedError, InputError


class ReportFormat(StrEnum):
    """Formats of the contract."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"
    THREEGPP = "3gpp"


def report(
    package: Package,
    layout: Annotated[
        ReportFormat,
        typer.Option("--format", help="table, json, markdown, html (a page) or 3gpp (rows)."),
    ] = ReportFormat.TABLE,
    target: Annotated[
        list[str] | None,
        typer.Option(help="A device, by name or TOML file; may be given again."),
    ] = None,
    budget: Annotated[
        Path | None, typer.Option(help="Limits, a TOML file; exit 1 if one does not hold.")
    ] = None,
    numerology: Annotated[
        int | None, typer.Option(min=0, max=6, help="mu: subcarriers 15 kHz 2^mu apart; 1.")
    ] = None,
    budget_share: Annotated[
        float | None,
        typer.Option(help="What part of its time every side may take, whatever the budget says."),
    ] = None,
    quality: Annotated[
        list[Path] | None,
        typer.Option(help="Of html and 3gpp: figures that `evaluate --out` wrote."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A file to write instead of printing.")] = None,
    build: Annotated[
        bool,
        typer.Option("--build", help="Cross-build the C for each target: bytes, instructions."),
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Timed runs behind min and median.")] = 30,
    as_json: Json = False,
) -> None:
    """Footprint by layer and by side: memory, operations, latency here and on targets.

    Example: csideploy report P

    On devices, against limits: csideploy report P --target cortex-m55 --budget limits.toml

    As linked: csideploy report P --target cortex-m55 --build

    A page: csideploy report P --target cortex-a76 --format html --out report.html

    Rows for 3GPP: csideploy report P --format 3gpp --quality q.json --out rows.csv
    """
    from csideploy.outputs import file_aside
    from csideploy.package import open_package
    from csideploy.report import builds, evaluation_table, footprint, on_targets, page, render

    if out is not None and layout is ReportFormat.TABLE:
        raise InputError(f"--out {out} holds json, markdown, html or 3gpp: add --format")
    if quality and layout not in (ReportFormat.HTML, ReportFormat.THREEGPP):
        raise InputError(f"--quality {quality[0]}: goes with --format html or 3gpp")
    link = open_package(package)
    plans = on_targets.Wanted.read(
        target or (), budget, numerology=numerology, budget_share=budget_share, build=build
    )
    chains = builds.read(plans.to_build()) if build else []
    figures = page.read_quality(quality or ())
    if layout is ReportFormat.THREEGPP:
        evaluation_table.check(link)
    with progress("measuring") as advance:
        result = footprint.report(link, rounds=rounds, progress=advance)
    if build:
        with progress("build") as advance:
            result["builds"] = builds.builds(link, chains, progress=advance)
    on_targets.add(result, link, plans)
    text = None
    if layout is ReportFormat.JSON:
        text = as_text(result)
    elif layout is ReportFormat.HTML:
        text = page.html(result, link, figures)
    elif layout is ReportFormat.THREEGPP:
        as_csv = out is not None and out.suffix == ".csv"
        text = evaluation_table.rows(result, link, figures, as_csv=as_csv)
    elif layout is ReportFormat.MARKDOWN:
        text = render.markdown(result)
    if out is not None and text is not None:
        with file_aside(out) as file:
            file.write((text + "\n").encode())
        say(f"{out}: {layout.value}")
    if as_json:
        print_json(result)
    elif text is None:
        render.show(result, table_console())
    elif out is None:
        typer.echo(text)
    failed = [check["name"] for check in result["verdict"]["checks"] if not check["holds"]]
    if failed:
        raise CheckFailedError(f"{package}: over the budget: {'; '.join(failed)}")
