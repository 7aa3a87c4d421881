"""The verb that compares systems: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from csideploy.cli_shell import Json, Seed, print_json, progress, refuse, say, table_console

_later = {"hidden": True}


def evaluate(
    systems: Annotated[
        str,
        typer.Argument(
            help="With commas: zoo entries, systems, link packages, folders of trained runs."
        ),
    ],
    snr: Annotated[str | None, typer.Option(**_later)] = None,
    users: Annotated[str | None, typer.Option(**_later)] = None,
    bits: Annotated[
        str | None, typer.Option(help="Budgets to measure, 2,3,4; all, if left out.")
    ] = None,
    channel: Annotated[
        str, typer.Option(help="indoor, outdoor or rayleigh, or a CSI file.")
    ] = "indoor",
    samples: Annotated[int, typer.Option(min=2, help="How many.")] = 2000,
    out: Annotated[Path | None, typer.Option(help="A .json file for the figures.")] = None,
    chart: Annotated[Path | None, typer.Option(help="A chart: .svg, .png or .pdf.")] = None,
    seed: Seed = 20261,
    as_json: Json = False,
) -> None:
    """Link quality (NMSE, SGCS) against payload bits, systems side by side, with intervals.

    Example: csideploy evaluate acrnet1x-cr8-codebook,pca-cr8 --bits 2,3,4 --chart quality.svg
    """
    import json

    from csideploy.errors import InputError
    from csideploy.evaluate import channels
    from csideploy.evaluate import evaluate as run
    from csideploy.link_source import parse_bits
    from csideploy.outputs import file_aside
    from csideploy.report import quality_chart, quality_table

    refuse(snr, "--snr", "no system with a noisy channel is there yet")
    refuse(users, "--users", "no system with several users is there yet")
    names = [name.strip() for name in systems.split(",") if name.strip()]
    if not names:
        raise InputError("evaluate needs systems, with commas between them")
    if chart is not None:
        quality_chart.check_format(chart)
    with progress("evaluate") as advance:
        result = run(
            names,
            bits=parse_bits(bits),
            data=channels(channel, samples, seed=seed),
            seed=seed,
            progress=advance,
        )
    if out is not None:
        with file_aside(out) as file:
            file.write((json.dumps(result, indent=2) + "\n").encode())
        say(f"{out}: figures")
    if chart is not None:
        quality_chart.draw(result, chart)
        say(f"{chart}: chart")
    if as_json:
        print_json(result)
    else:
        quality_table.show(result, table_console())
