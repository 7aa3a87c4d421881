"""Verbs before the network is deployed: systems, data generate, data info, train."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from csideploy.cli_shell import (
    Convention,
    Domain,
    Domains,
    Json,
    Seed,
    print_json,
    progress,
    say,
    table_console,
)

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
    RAYTRACED = "raytraced"


def generate(
    scenario: Annotated[Scenario, typer.Option(help="Which channels to make.")],
    samples: Annotated[int, typer.Option(min=1, help="How many samples.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write.")],
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the samples stay the same.")] = 1,
    as_json: Json = False,
) -> None:
    """Make CSI samples. Stopped and started again, it goes on where it was.

    Example: csideploy data generate --scenario indoor --samples 3000 --out indoor.npz --seed 1
    """
    from csideploy.channels.generate import generate_file

    with progress(f"{scenario} samples") as advance:
        generate_file(out, scenario.value, samples, seed=seed, workers=workers, progress=advance)
    result = {"out": str(out), "scenario": scenario.value, "samples": samples, "seed": seed}
    if as_json:
        print_json(result)
    else:
        say(f"{out}: {samples} {scenario} samples, seed {seed}")


def info(
    file: Annotated[Path, typer.Argument(help="A CSI file: .npy, .npz, .h5 or .mat.")],
    domain: Domain = Domains.ANGULAR,
    convention: Convention = "auto",
    as_json: Json = False,
) -> None:
    """Shape, convention, scale, sparsity, delay and angle spread of a CSI file.

    Example: csideploy data info indoor.npz
    """
    from csideploy.channels import describe

    del file, domain, convention, as_json, describe


def train() -> None:
    """Train."""
