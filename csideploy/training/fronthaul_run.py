"""`csideploy train` for fronthaul systems: decoders into a folder, measured as deployed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from csideploy.errors import InputError, MissingDependencyError
from csideploy.fronthaul.channels import KINDS, carrier, draw
from csideploy.fronthaul.codebooks import Codebooks, save_codebooks
from csideploy.fronthaul.deployed import Deployed
from csideploy.fronthaul.link import prepare
from csideploy.fronthaul.quality import gaussian_symbols, measure
from csideploy.fronthaul.request import (
    CHANNEL,
    TABLE_CHANNEL,
    TRAIN,
    Asked,
    check_search,
    parse_asked,
)
from csideploy.fronthaul.schemes import linear, of_precoder
from csideploy.fronthaul.searches import send, settle
from csideploy.fronthaul.setup import Setup
from csideploy.fronthaul.systems import FRONTHAUL
from csideploy.outputs import check_folder_free, folder_aside
from csideploy.progress import Advance, quiet
from csideploy.weights_header import WEIGHTS

CHANNELS, SYMBOLS = 20, 200
"""Of the validation; its channels are of a seed that no training draws from."""
_OF_TABLES = ("rounds", "alpha")
_OF_NETWORKS = ("steps", "layers", "hidden", "rate", "eta", "follow")


@dataclass(frozen=True)
class FronthaulResult:
    """A finished run.

    Attributes:
        weights: the file.
        codebooks: what it holds; `about` has `metrics` and `command`.
    """

    weights: Path
    codebooks: Codebooks


def train_fronthaul(
    system: str,
    *,
    out: Path,
    channel: str | None = None,
    bits: str | None = None,
    users: Sequence[int] = (),
    snrs: Sequence[float] = (),
    settings: Sequence[str] = (),
    rate: float | None = None,
    seed: int = 0,
    progress: Advance = quiet,
) -> FronthaulResult:
    """Train the decoders of a fronthaul quantizer into a folder.

    Args:
        system: with something to train, of `FRONTHAUL`.
        out: the folder, new or empty; it gets `weights.safetensors`, all at once at the end.
        channel: kind; None: `request.CHANNEL`, of tables `TABLE_CHANNEL`.
        bits: `64`, or `64,64,32,32`.
        users: N; several, of networks: trained for all of them (paper 003, Section VI-D).
        snrs: dB, likewise.
        settings: NAME=VALUE, of `request.TRAIN`.
        rate: of Adam, networks alone.
        seed: of everything.
        progress: called with steps or rounds done and in all.

    Raises:
        InputError: nothing to train, or options that do not go together.
        OutputError: the folder is taken or cannot be written.
        MissingDependencyError: networks, and torch is not there.
    """
    spec = FRONTHAUL[system]
    if spec.training is None:
        raise InputError(f"{system} is computed, not trained: there is nothing to train")
    channel = channel or (TABLE_CHANNEL if spec.training == "tables" else CHANNEL)
    if channel not in KINDS:
        raise InputError(f"--channel {channel}: {', '.join(KINDS)} are right")
    asked = parse_asked(settings, TRAIN, bits=bits)
    every = _setups(asked, system, users, snrs)
    check_folder_free(out, force=False)
    options = _options(system, asked, rate)
    if spec.training == "tables":
        from csideploy.training.fronthaul_tables import train_tables

        made = train_tables(
            system, every[0], channel=channel, seed=seed, progress=progress, **options
        )
    else:
        try:
            from csideploy.training.fronthaul_networks import train_networks
        except ModuleNotFoundError as missing:
            raise MissingDependencyError(
                f"training {system} needs torch: pip install csideploy[train]"
            ) from missing
        made = train_networks(
            system, every, channel=channel, seed=seed, progress=progress, **options
        )
    made = replace(made, gamma_rounds=asked.given.get("gamma_rounds", made.gamma_rounds))
    given = {"--channel": channel, "--bits": bits, "--rate": rate}
    given |= {"--users": _list(users), "--snr": _list(snrs)}
    about = {
        **made.about,
        "metrics": measure_deployed(made, channel, seed),
        "command": _command(system, given, settings, seed),
    }
    made = replace(made, about=about)
    with folder_aside(out) as aside:
        save_codebooks(aside / WEIGHTS, made)
    return FronthaulResult(out / WEIGHTS, made)


def measure_deployed(codebooks: Codebooks, channel: str, seed: int) -> dict[str, Any]:
    """Sum efficiency of the bundles on fresh channels, beside linear precoding without limit.

    Returns:
        `sum_se` and `sum_se_plain` (`quality.Quality`), bit/s/Hz, the same of linear precoding as
        `linear_sum_se` and `linear_sum_se_plain`, `channels`, `symbols`.
    """
    setup = codebooks.setup
    rng = np.random.default_rng([seed, 7])
    links = prepare(setup, carrier(draw(channel, setup, CHANNELS, rng)))
    s = gaussian_symbols(CHANNELS, SYMBOLS, setup.total_streams, rng)
    running = Deployed(codebooks, block=SYMBOLS)
    gamma = settle(running, links, s, codebooks.rounds)
    ours = measure(links, send(running, links, s, gamma), s)
    bound = of_precoder(links, linear(links))
    return {
        "sum_se": round(float(ours.efficiency.mean()), 3),
        "sum_se_plain": round(float(ours.plain.mean()), 3),
        "linear_sum_se": round(float(bound.efficiency.mean()), 3),
        "linear_sum_se_plain": round(float(bound.plain.mean()), 3),
        "channels": CHANNELS,
        "symbols": SYMBOLS,
    }


def _setups(asked: Asked, system: str, users: Sequence[int], snrs: Sequence[float]) -> list[Setup]:
    """All combinations of users and SNR, the first of each first."""
    base = asked.setup(FRONTHAUL[system])
    every = [
        replace(base, users=number, snr_db=snr)
        for number in users or (base.users,)
        for snr in snrs or (base.snr_db,)
    ]
    if len(every) > 1 and FRONTHAUL[system].training != "networks":
        raise InputError(f"--users, --snr: {system} is trained for one number each")
    return every


def _options(system: str, asked: Asked, rate: float | None) -> dict[str, Any]:
    tables = FRONTHAUL[system].training == "tables"
    wrong = _OF_NETWORKS if tables else _OF_TABLES
    options: dict[str, Any] = {
        key: asked.given[key]
        for key in (
            "iterations",
            "alpha",
            "eta",
            "follow",
            "layers",
            "hidden",
            "steps",
            "rounds",
            "channels",
        )
        if key in asked.given
    }
    if rate is not None:
        if not 0 < rate < 1:
            raise InputError(f"--rate {rate:g}: above 0 and below 1")
        options["rate"] = rate
    check_search(system, options)
    for key in wrong:
        if key in options:
            what = "--rate" if key == "rate" else f"--set {key}"
            raise InputError(f"{what}: {system} has {'tables' if tables else 'networks'}")
    return options


def _list(values: Sequence[float]) -> str | None:
    return ",".join(f"{value:g}" for value in values) or None


def _command(system: str, given: dict[str, Any], settings: Sequence[str], seed: int) -> str:
    """What trains these weights again."""
    words = ["csideploy", "train", system]
    for option, value in given.items():
        if value is not None:
            words += [option, str(value)]
    for pair in settings:
        words += ["--set", pair]
    return shlex.join([*words, "--seed", str(seed), "--out", "run"])
