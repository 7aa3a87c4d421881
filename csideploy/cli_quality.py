"""The verb that compares systems: evaluate."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from csideploy.cli_figures import Figures
from csideploy.cli_shell import (
    Distances,
    Json,
    Receivers,
    Seed,
    given,
    progress,
    refuse_given,
    say,
)


def evaluate(
    context: typer.Context,
    systems: Annotated[
        str,
        typer.Argument(
            help="With commas: zoo entries, systems, link packages, folders of trained runs."
        ),
    ],
    snr: Annotated[
        str | None, typer.Option(help="Of precoders: P in dB, with commas; 0,10,20,30.")
    ] = None,
    users: Annotated[
        str | None, typer.Option(help="Of precoders: numbers of users, with commas.")
    ] = None,
    bits: Annotated[
        str | None, typer.Option(help="Budgets to measure, 2,3,4; all, if left out.")
    ] = None,
    channel: Annotated[
        str,
        typer.Option(
            help="indoor, outdoor or rayleigh, or a CSI file; umi-panel or its file; of the "
            "fronthaul rayleigh, umi-links, umi or sionna-umi, with commas."
        ),
    ] = "indoor",
    iterations: Annotated[
        str | None, typer.Option(help="Of the fronthaul: of the search, with commas.")
    ] = None,
    receiver: Annotated[Receivers | None, typer.Option(help="Of users on the fronthaul.")] = None,
    distance: Annotated[
        Distances | None, typer.Option(help="Of conventional precoders' codewords.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Of precoders: antennas, streams, pilots, pilot-power = N; of a panel: rank = N.",
        ),
    ] = None,
    fit: Annotated[
        Path | None,
        typer.Option(
            help="Of transceivers: users that the baselines know; those of --channel, if left out."
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=2, help="How many; 2000, of precoders 20000, if left out."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A .json file for the figures.")] = None,
    chart: Annotated[Path | None, typer.Option(help="A chart: .svg, .png or .pdf.")] = None,
    seed: Seed = 20261,
    as_json: Json = False,
) -> None:
    """Link quality (NMSE, SGCS) against payload bits, systems side by side, with intervals.

    Example: csideploy evaluate acrnet1x-cr8-codebook,pca-cr8 --bits 2,3,4 --chart quality.svg

    Precoders, sum rate against P: csideploy evaluate kd-precoder --snr 0,10,20,30

    Transceivers, on a file's test users: csideploy evaluate rvq-egat --channel users.npz

    Fronthaul, sum efficiency against bits: csideploy evaluate neural-mq --channel umi-links,umi

    Rel-16 eType II beside links: csideploy evaluate bacrnet10x,pca-cr8,etype2 --channel indoor;
    on a panel of two polarisations: csideploy evaluate etype2,pca-ports --channel panel.npz
    """
    from csideploy import cli_fronthaul_quality, cli_panel, cli_precoder, cli_transceiver
    from csideploy.channels.panel_file import SCENARIO as PANEL
    from csideploy.channels.panel_file import holds_panel
    from csideploy.downlink.request import is_precoder, parse_sizes
    from csideploy.errors import InputError
    from csideploy.evaluate import channels
    from csideploy.evaluate import evaluate as run
    from csideploy.fronthaul.request import is_fronthaul
    from csideploy.link_source import parse_bits
    from csideploy.options import parse_number
    from csideploy.report import quality_chart, quality_table
    from csideploy.transceiver.request import is_transceiver
    from csideploy.transceiver.users import holds_users

    figures = Figures(out, chart, as_json)
    figures.check()
    names = [name.strip() for name in systems.split(",") if name.strip()]
    if not names:
        raise InputError("evaluate needs systems, with commas between them")
    if channel == PANEL or holds_panel(channel):
        refuse_given(context, _NOT_OF_PANEL, "other channels")
        cli_panel.evaluate(
            names,
            settings or [],
            channel=channel,
            samples=samples,
            seed=seed,
            figures=figures,
        )
        return
    if "pca-ports" in names:
        raise InputError(
            "pca-ports is fitted on a panel's channels: --channel umi-panel, or a file of "
            "data generate --scenario umi-panel"
        )
    on_fronthaul = [name for name in names if is_fronthaul(name)]
    if on_fronthaul:
        if len(on_fronthaul) < len(names):
            others = ", ".join(name for name in names if name not in on_fronthaul)
            raise InputError(f"{others}: no fronthaul system, and those are measured apart")
        refuse_given(context, ("distance",), "precoders")
        cli_fronthaul_quality.evaluate(
            names,
            settings or [],
            channel=channel if given(context, "channel") else None,
            bits=bits,
            users=users,
            snr=snr,
            iterations=iterations,
            receiver="localized" if receiver is None else receiver.value,
            samples=samples,
            seed=seed,
            figures=figures,
        )
        return
    refuse_given(context, ("iterations", "receiver"), "the fronthaul")
    many = [name for name in names if is_transceiver(name)]
    if many:
        if len(many) < len(names):
            others = ", ".join(name for name in names if name not in many)
            raise InputError(f"{others}: no transceiver, and those are measured apart")
        refuse_given(context, ("distance", "settings"), "precoders")
        cli_transceiver.evaluate(
            names,
            channel=channel if given(context, "channel") else None,
            fit=fit,
            snr=snr,
            users=users,
            bits=bits,
            samples=samples,
            seed=seed,
            figures=figures,
        )
        return
    refuse_given(context, ("fit",), "transceivers")
    if given(context, "channel") and Path(channel).is_file() and holds_users(channel):
        raise InputError(
            f"--channel {channel} holds users of a transceiver, and {', '.join(names)} is none: a "
            "run, a package or a zoo entry of rvq-egat"
        )
    kinds = {name: is_precoder(name) for name in names}
    if all(kinds.values()):
        refuse_given(context, ("channel",), "CSI feedback links")
        cli_precoder.evaluate(
            names,
            parse_sizes(settings or (), users=None, bits=parse_number(bits, "--bits")),
            cli_precoder.parse_users(users),
            snr=snr,
            samples=20_000 if samples is None else samples,
            distance=None if distance is None else distance.value,
            seed=seed,
            figures=figures,
        )
        return
    if any(kinds.values()):
        mixed = ", ".join(name for name, of_precoder in kinds.items() if of_precoder)
        raise InputError(f"{mixed}: precoders are measured by sum rate, apart from the others")
    if given(context, "snr"):
        raise InputError(
            f"--snr measures precoders, and {', '.join(names)} is none: give rank1-rzf, bd, rbd, "
            "rbd-infinite, kd-precoder, a zoo entry, a package or a trained run"
        )
    refuse_given(context, ("snr", "users", "distance", "settings"), "precoders")
    with progress("evaluate") as advance:
        result = run(
            names,
            bits=parse_bits(bits),
            data=channels(channel, 2000 if samples is None else samples, seed=seed),
            seed=seed,
            progress=advance,
        )
    for warning in result["warnings"]:
        say(f"warning: {warning}")
    figures.give(
        result,
        draw=partial(quality_chart.draw, result),
        show=partial(quality_table.show, result),
    )


_NOT_OF_PANEL = ("snr", "users", "bits", "iterations", "receiver", "distance", "fit")
