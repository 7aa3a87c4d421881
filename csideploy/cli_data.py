"""Verbs before the network is deployed: systems, data generate, data info, train."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from csideploy.cli_shell import (
    Binarize,
    Convention,
    Domain,
    Domains,
    Json,
    Seed,
    given,
    print_json,
    progress,
    refuse_given,
    say,
    table_console,
)
from csideploy.errors import InputError

CompressionRatio = Annotated[
    int, typer.Option("--cr", help="Compression ratio: 4 means 1/4 of the 2048 real values.")
]


def systems(
    cr: CompressionRatio = 4,
    bits: Annotated[int, typer.Option(help="Bits a feature for the payload column.")] = 4,
    every: Annotated[bool, typer.Option("--all", help="List every width.")] = False,
    as_json: Json = False,
) -> None:
    """The systems we have: parts, sides, payload bits, MACs, parameters, zoo weights.

    Example: csideploy systems --cr 8
    """
    from csideploy import systems_table

    result = systems_table.collect(cr=cr, bits=bits, every=every or as_json)
    if as_json:
        print_json(result)
    else:
        systems_table.show(result, table_console())


class Scenario(StrEnum):
    """Channel scenarios of the contract."""

    INDOOR = "indoor"
    OUTDOOR = "outdoor"
    RAYLEIGH = "rayleigh"
    UMI = "umi"
    UMI_LINKS = "umi-links"
    SIONNA_UMI = "sionna-umi"
    UMI_LIGHT = "umi-light"
    UMI_PANEL = "umi-panel"
    RAYTRACED = "raytraced"


def generate(
    context: typer.Context,
    scenario: Annotated[Scenario, typer.Option(help="Which channels to make.")],
    samples: Annotated[int, typer.Option(min=1, max=100_000_000, help="How many samples.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write.")],
    seed: Seed = 0,
    subcarriers: Annotated[
        int,
        typer.Option(
            min=64,
            max=4096,
            help="Frequency points, 20 MHz / 256 apart: more make a wider band and shorter taps. "
            "Indoor and outdoor only; rayleigh has no frequencies.",
        ),
    ] = 257,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the samples stay the same.")] = 1,
    users: Annotated[int | None, typer.Option(help="Of blocks: N, 4 if left out.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Of blocks: rus, antennas, block, ...; a wrong name lists all."),
    ] = None,
    antennas: Annotated[
        int | None, typer.Option(help="Of users: M of a BS, 1 to 32, 64 or 128.")
    ] = None,
    scene: Annotated[
        str, typer.Option(help="Of raytraced: munich, florence, etoile, san_francisco; or several.")
    ] = "munich",
    sites: Annotated[int, typer.Option(help="Of raytraced: BS places of each scene.")] = 10,
    regions: Annotated[
        int, typer.Option(help="Of users: sectors around a BS, for codebooks of their own.")
    ] = 1,
    panel: Annotated[
        str, typer.Option(help="Of umi-panel: columns x rows of two polarisations.")
    ] = "8x2",
    receive: Annotated[
        int, typer.Option(help="Of umi-panel: antennas of a user, 1, 2, 4 or 8.")
    ] = 4,
    as_json: Json = False,
) -> None:
    """Make CSI samples. Stopped and started again, it goes on where it was.

    Example: csideploy data generate --scenario indoor --samples 3000 --out indoor.npz --seed 1

    Blocks for a fronthaul, channels H and symbols s: umi, umi-links, sionna-umi, and rayleigh with
    --set: csideploy data generate --scenario rayleigh --samples 100 --set block=168 --out b.npz

    Users of a transceiver: raytraced, umi and umi-light with --antennas M: csideploy data generate
    --scenario raytraced --scene munich --antennas 16 --samples 25000 --out munich.npz

    A panel's channels by sub-band, for codebooks: csideploy data generate --scenario umi-panel
    --panel 8x2 --receive 4 --samples 10000 --out panel.npz
    """
    from csideploy.channels.generate import generate_file

    if scenario is Scenario.UMI_PANEL:
        from csideploy import cli_panel

        refuse_given(context, _NOT_OF_PANEL, "other scenarios")
        cli_panel.generate(
            panel=panel, receive=receive, samples=samples, seed=seed, out=out, as_json=as_json
        )
        return
    refuse_given(context, ("panel", "receive"), "--scenario umi-panel")
    if scenario in _OF_USERS or (scenario is Scenario.UMI and antennas is not None):
        from csideploy import cli_users

        refuse_given(context, ("subcarriers", "workers"), "CSI samples")
        refuse_given(context, ("users", "settings"), "blocks for a fronthaul")
        if scenario is not Scenario.RAYTRACED:
            refuse_given(context, ("scene", "sites"), "--scenario raytraced")
        cli_users.generate(
            scenario.value,
            antennas=antennas,
            samples=samples,
            scenes=scene,
            sites=sites,
            regions=regions,
            seed=seed,
            out=out,
            as_json=as_json,
        )
        return
    refuse_given(
        context,
        ("antennas", "scene", "sites", "regions"),
        "users of a transceiver (raytraced, umi, umi-light)",
    )
    of_blocks = settings is not None or users is not None
    if scenario in _OF_BLOCKS or (scenario is Scenario.RAYLEIGH and of_blocks):
        from csideploy import cli_fronthaul
        from csideploy.fronthaul.request import DATA, parse_asked

        refuse_given(context, ("subcarriers", "workers"), "CSI samples")
        cli_fronthaul.generate(
            scenario.value,
            parse_asked(settings or (), DATA, users=users),
            blocks=samples,
            out=out,
            seed=seed,
            as_json=as_json,
        )
        return
    refuse_given(
        context, ("users", "settings"), "blocks for a fronthaul (umi, umi-links, rayleigh)"
    )
    with progress(f"{scenario} samples") as advance:
        generate_file(
            out,
            scenario.value,
            samples,
            seed=seed,
            subcarriers=subcarriers,
            workers=workers,
            progress=advance,
        )
    grid = None if scenario is Scenario.RAYLEIGH else subcarriers
    result = {
        "out": str(out),
        "scenario": scenario.value,
        "samples": samples,
        "seed": seed,
        "subcarriers": grid,
    }
    if as_json:
        print_json(result)
    else:
        on = "" if grid is None else f" of {grid} subcarriers"
        say(f"{out}: {samples} {scenario} samples{on}, seed {seed}")


_OF_USERS = (Scenario.RAYTRACED, Scenario.UMI_LIGHT)
_NOT_OF_PANEL = (
    *("subcarriers", "workers", "users", "settings"),
    *("antennas", "scene", "sites", "regions"),
)
_OF_BLOCKS = (Scenario.UMI, Scenario.UMI_LINKS, Scenario.SIONNA_UMI)


def info(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSI or users: .npy, .npz, .h5 or .mat.")],
    domain: Domain = Domains.ANGULAR,
    convention: Convention = "auto",
    as_json: Json = False,
) -> None:
    """Shape, convention, scale, sparsity, delay and angle spread of a CSI file.

    Example: csideploy data info indoor.npz

    Of a file of users: how many, of what BS places, their gains and the channels' eigenvalues. Of
    a panel's channels (umi-panel): sizes, and how their power spreads over directions.
    """
    from csideploy.channels.panel_file import holds_panel
    from csideploy.transceiver.users import holds_users

    if holds_panel(file):
        from csideploy import cli_panel

        refuse_given(context, ("domain", "convention"), "CSI samples")
        cli_panel.info(file, as_json=as_json)
        return
    if holds_users(file):
        from csideploy import cli_users

        refuse_given(context, ("domain", "convention"), "CSI samples")
        cli_users.info(file, as_json=as_json)
        return
    from csideploy.channels.describe import describe
    from csideploy.report import csi_table

    result = describe(file, convention=convention, domain=domain.value)
    if as_json:
        print_json(result)
    else:
        csi_table.show(result, table_console())


def train(
    context: typer.Context,
    system: Annotated[str, typer.Argument(help="A system; `csideploy systems` lists them.")],
    out: Annotated[Path, typer.Option(help="The run's folder: weights, checkpoint, log.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="CSI to train on; given several times: all of it, jointly."),
    ] = None,
    cr: CompressionRatio = 4,
    bits: Annotated[
        str,
        typer.Option(
            help="Bits a feature, 1 to 8, or float; 2,3,4: budgets of codebooks. Of kd-precoder "
            "and rank1-rzf: bits a user, 6 if left out. Of fronthaul systems: bits a channel use "
            "of every RU, or 64,64,32,32."
        ),
    ] = "4",
    binarize: Annotated[
        Binarize | None, typer.Option(help="Layers with 1-bit weights; the system's, if left out.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="The recipe's, if left out.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Instead: as many epochs as they hold, the learning rate to its end."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="paper-001, paper-002, zoo-cpu, zoo-wide, zoo-direct, zoo-gpu, further or int8; "
            "paper-002 if left out."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Of paper-001: proposed (if left out), equal-bits, fixed-beta, var1, var2, lloyd, "
            "lloyd-log, lloyd-allocated, round, vector, float. Of kd-precoder: distilled (if left "
            "out), plain."
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Highest learning rate of the last stage.")
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(help="Weights to go on from: of paper-001 a float link, of rvq-egat a run."),
    ] = None,
    length: Annotated[int, typer.Option(help="Outputs a group, for method vector.")] = 1,
    batch: Annotated[int | None, typer.Option(min=1, help="Samples a step.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; cuda where there is one, if left out.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads on the CPU.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")] = False,
    test_data: Annotated[
        Path | None, typer.Option(help="CSI to measure the finished link on.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="CSI to measure it on besides, with figures of its own.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="A result file that gets a line: see docs/plan.md.")
    ] = None,
    snr: Annotated[
        str,
        typer.Option(
            help="Of kd-precoder and rank1-rzf: P in dB; of kd-precoder also 0,10,20,30 or 0:30 "
            "for one network. Of fronthaul systems 18; several: one of neural systems for all."
        ),
    ] = "10",
    users: Annotated[
        str | None,
        typer.Option(
            help="Of kd-precoder and rank1-rzf: K, 4 if left out. Of fronthaul systems: N; 2,4,6: "
            "one of neural systems for all."
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(help="Of kd-precoder, 50000 if left out, and of rank1-rzf, 1500."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Of precoders and fronthaul systems: NAME=VALUE; a wrong name lists all.",
        ),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(
            help="Of fronthaul systems: rayleigh, umi-links (if left out), umi or sionna-umi."
        ),
    ] = None,
    publish: Annotated[
        Path | None,
        typer.Option(help="Of fronthaul systems: a zoo folder that gets an entry of the run."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a system by its recipe; TensorBoard log, checkpoints, exact resume.

    Example: csideploy train bacrnet1x --data indoor.npz --epochs 10 --out run

    As far as 12 minutes lead, with a line in a result file: csideploy train bacrnet10x --recipe
    zoo-gpu --minutes 12 --data indoor.npz --test-data held.npz --results results.jsonl --out run

    One link for several scenarios or numbers of subcarriers: --data a.npz --data b.npz.

    A precoder draws its channels itself: csideploy train kd-precoder --snr 10 --out run, or in
    a minute: csideploy train rank1-rzf --snr 30 --out run

    Decoders of a fronthaul: csideploy train neural-mq --channel umi-links --bits 64 --out run

    A transceiver for any bits and users: csideploy train rvq-egat --data users.npz --out run
    """
    from csideploy import registry
    from csideploy.fronthaul.systems import FRONTHAUL
    from csideploy.link_source import parse_bits
    from csideploy.options import parse_number
    from csideploy.precoders import PRECODERS
    from csideploy.training import train as run_training
    from csideploy.transceiver.weights import SYSTEM as TRANSCEIVER

    if system == TRANSCEIVER:
        from csideploy import cli_transceiver

        refuse_given(context, _NOT_OF_TRANSCEIVER, "other systems (sizes: --set tiers=10+10)")
        cli_transceiver.train(
            data=data or [],
            out=out,
            snr=snr if given(context, "snr") else None,
            users=users,
            settings=settings or [],
            steps=iterations,
            method=method,
            batch=batch,
            rate=rate,
            seed=seed,
            device=device,
            threads=threads,
            resume=resume,
            start_from=start_from,
            publish=publish,
            as_json=as_json,
        )
        return
    if system in FRONTHAUL:
        from csideploy import cli_fronthaul

        refuse_given(context, _NOT_OF_FRONTHAUL, "other systems (lengths: --set steps=, rounds=)")
        cli_fronthaul.train(
            system,
            out=out,
            channel=channel,
            bits=bits if given(context, "bits") else None,
            users=users,
            snr=snr if given(context, "snr") else None,
            settings=settings or [],
            rate=rate,
            publish=publish,
            threads=threads,
            seed=seed,
            as_json=as_json,
        )
        return
    refuse_given(context, ("channel", "publish"), "fronthaul systems")
    if system in PRECODERS:
        refuse_given(context, _OF_LINKS, "CSI feedback links")
        if PRECODERS[system].training is None:
            raise InputError(f"{system} is computed, not trained: there is nothing to train")
        own_users = parse_number(users, "--users")
        own_bits = _bits_of_user(system, bits) if given(context, "bits") else None
        if PRECODERS[system].training == "codewords":
            from csideploy.downlink.request import parse_codewords, parse_snr
            from csideploy.training import train_codewords

            refuse_given(context, _OF_NETWORKS, "kd-precoder")
            setup, distance = parse_codewords(settings or (), users=own_users, bits=own_bits)
            asked: dict[str, Any] = {"iterations": iterations, "batch": batch, "rate": rate}
            result = train_codewords(
                setup,
                out=out,
                snr_db=parse_snr(snr),
                distance=distance,
                seed=seed,
                threads=threads,
                **{name: value for name, value in asked.items() if value is not None},
            )
        else:
            from csideploy.training import train_precoder

            result = train_precoder(
                out=out,
                snr=snr,
                users=own_users,
                bits=own_bits,
                settings=settings or (),
                iterations=iterations,
                method=method,
                batch=batch,
                rate=rate,
                seed=seed,
                device=device,
                threads=threads,
                resume=resume,
            )
        if as_json:
            print_json({"weights": str(result.weights), **result.metadata})
        else:
            reached = result.metadata["training"]["validation_sum_rate"]
            say(f"{result.weights}: {system}, trained; {reached:.3f} bit/s/Hz on validation")
        return
    refuse_given(context, _OF_PRECODERS, "precoders and fronthaul systems")
    budgets = parse_bits(bits).numbers
    if recipe is None:
        own = registry.get(system).default_quantizer == "codebook"
        recipe = "paper-001" if own or method is not None else "paper-002"
    result = run_training(
        system,
        data=data,
        out=out,
        cr=cr,
        bits=budgets[-1] if budgets else None,
        binarize=None if binarize is None else binarize.value,
        epochs=epochs,
        minutes=minutes,
        recipe=recipe,
        batch=batch,
        method=method,
        rate=rate,
        start_from=start_from,
        length=length,
        budgets=budgets if len(budgets) > 1 else (),
        device=device,
        threads=threads,
        seed=seed,
        resume=resume,
        test_data=test_data,
        reference=reference,
        results=results,
    )
    if as_json:
        print_json({"weights": str(result.weights), **result.metadata})
    else:
        say(f"{result.weights}: {system}, trained; csideploy export --checkpoint {result.weights}")


_OF_LINKS = (
    "data",
    "cr",
    "binarize",
    "epochs",
    "minutes",
    "recipe",
    "start_from",
    "length",
    "test_data",
    "reference",
    "results",
)
_NOT_OF_FRONTHAUL = (*_OF_LINKS, "method", "batch", "device", "resume", "length", "iterations")
_NOT_OF_TRANSCEIVER = (
    "cr",
    "bits",
    "binarize",
    "epochs",
    "minutes",
    "recipe",
    "length",
    "test_data",
    "reference",
    "results",
    "channel",
)
_OF_PRECODERS = ("snr", "users", "iterations", "settings")
_OF_NETWORKS = ("method", "device", "resume")
"""Parameters of `train` that say nothing about the other kind of system."""


def _bits_of_user(system: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise InputError(f"--bits {text!r}: a user of {system} sends a whole number of bits")
    return int(text)
