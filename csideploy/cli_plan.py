"""The verb that chooses a system within limits: plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from csideploy.cli_shell import Json, print_json, table_console
from csideploy.errors import CheckFailedError, InputError

MACS = "Multiply-accumulates executed at most, such as 5e6."


def plan(
    max_bits: Annotated[
        int | None, typer.Option(min=1, help="Payload bits of a CSI matrix at most.")
    ] = None,
    ue_memory: Annotated[
        str | None, typer.Option(help="Bundle and arena at the UE at most, such as 200kB.")
    ] = None,
    bs_memory: Annotated[str | None, typer.Option(help="The same at the BS.")] = None,
    ue_macs: Annotated[float | None, typer.Option(min=1, help=MACS)] = None,
    bs_macs: Annotated[float | None, typer.Option(min=1, help=MACS)] = None,
    target: Annotated[
        str | None, typer.Option(help="The device of both sides, by name or TOML file.")
    ] = None,
    ue_target: Annotated[str | None, typer.Option(help="The UE's device.")] = None,
    bs_target: Annotated[str | None, typer.Option(help="The BS's device.")] = None,
    ue_latency: Annotated[
        str | None, typer.Option(help="Time at most on the UE's device, such as 1ms.")
    ] = None,
    bs_latency: Annotated[str | None, typer.Option(help="The same at the BS.")] = None,
    min_nmse: Annotated[
        float | None, typer.Option(help="Accuracy that is needed: NMSE in dB, such as -15.")
    ] = None,
    min_sgcs: Annotated[
        float | None, typer.Option(min=0, max=1, help="The same as SGCS, such as 0.95.")
    ] = None,
    system: Annotated[
        list[str] | None, typer.Option(help="Only this system; may be given again.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Only these, with commas: fp32, auto, int8, mixed.")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="Figures of this kind of channels; else most figures.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Figures of this test set: the beginning of its hash.")
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(help="A file of measured results (docs/plan.md); may be given again."),
    ] = None,
    trainable: Annotated[
        bool, typer.Option("--trainable", help="The choice may be one that is to be trained.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="List all that was measured, not the front alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Choose a CSI feedback system within limits, by measured accuracy and exact footprints.

    Example: csideploy plan --max-bits 2048 --ue-memory 200kB --bs-memory 600kB

    On devices: csideploy plan --max-bits 1024 --ue-target cortex-m55 --ue-latency 5ms
    """
    from csideploy.planning.latency import Devices
    from csideploy.planning.request import Asked, conflict_text, read_limits
    from csideploy.planning.request import plan as search
    from csideploy.planning.search import PRECISIONS

    wanted = tuple(part.strip() for part in precision.split(",")) if precision else PRECISIONS
    unknown = sorted(set(wanted) - set(PRECISIONS))
    if unknown:
        raise InputError(f"--precision {precision}: some of {', '.join(PRECISIONS)}, with commas")
    devices = Devices.read(target, ue=ue_target, bs=bs_target)
    limits = read_limits(
        max_bits=max_bits,
        memory={"ue": ue_memory, "bs": bs_memory},
        macs={"ue": ue_macs, "bs": bs_macs},
        latency={"ue": ue_latency, "bs": bs_latency},
        min_nmse=min_nmse,
        min_sgcs=min_sgcs,
        devices=devices,
    )
    asked = Asked(
        systems=tuple(system or ()),
        scenario=scenario,
        test=test,
        precisions=wanted,
        results=tuple(results or ()),
        trainable=trainable,
        every=every,
    )
    result = search(asked, limits, devices)
    if as_json:
        print_json(result)
    else:
        from csideploy.report import plan_table

        plan_table.show(result, table_console())
    if result["conflict"] is not None:
        raise CheckFailedError(conflict_text(result["conflict"]))
