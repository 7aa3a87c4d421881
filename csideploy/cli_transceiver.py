"""What `train` and `evaluate` do for transceivers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from csideploy.cli_figures import Figures
from csideploy.cli_shell import print_json, progress, say
from csideploy.errors import InputError
from csideploy.transceiver.weights import SYSTEM


def train(
    *,
    data: Sequence[Path],
    out: Path,
    snr: str | None,
    users: str | None,
    settings: Sequence[str],
    steps: int | None,
    method: str | None,
    batch: int | None,
    rate: float | None,
    seed: int,
    device: str | None,
    threads: int | None,
    resume: bool,
    start_from: Path | None,
    publish: Path | None,
    as_json: bool,
) -> None:
    """Train, and make a zoo entry where one is asked for."""
    from csideploy.training import train_transceiver

    if len(data) != 1:
        raise InputError(
            f"{SYSTEM} trains on one file of users: give --data F; `csideploy data generate "
            "--scenario raytraced --samples 20000 --out F.npz` makes it"
        )
    given: dict[str, Any] = {"--data": data[0].name, "--snr": snr, "--users": users}
    given |= {"--iterations": steps, "--method": method, "--batch": batch, "--rate": rate}
    given |= {"--threads": threads, "--start-from": start_from and start_from.name}
    words = ["csideploy", "train", SYSTEM]
    for option, value in given.items():
        if value is not None:
            # A range such as -5:20 would be read as an option.
            words += [f"{option}={value}"] if str(value).startswith("-") else [option, str(value)]
    for pair in settings:
        words += ["--set", pair]
    command = shlex.join([*words, "--seed", str(seed), "--out", "run"])
    result = train_transceiver(
        data=data[0],
        out=out,
        snr=snr,
        users=users,
        settings=settings,
        steps=steps,
        method=method,
        batch=batch,
        rate=rate,
        seed=seed,
        device=device,
        threads=threads,
        resume=resume,
        command=command,
        start_from=start_from,
    )
    entry = None
    if publish is not None:
        from csideploy.training.publish_transceiver import publish as make_entry

        entry = make_entry(out, publish)
    if as_json:
        where = {} if entry is None else {"zoo": str(entry)}
        print_json({"weights": str(result.weights), **result.metadata, **where})
        return
    reached = result.metadata["training"]["validation_sum_rate"]
    figure = "no validation after all tiers" if reached is None else f"{reached:.3f} bit/s/Hz"
    say(f"{result.weights}: {SYSTEM}, trained; {figure} on validation users")
    if entry is not None:
        say(f"{entry}: zoo entry")


def evaluate(
    names: Sequence[str],
    *,
    channel: str | None,
    fit: Path | None,
    snr: str | None,
    users: str | None,
    bits: str | None,
    samples: int | None,
    seed: int,
    figures: Figures,
) -> None:
    """Sum rates on a file's test users."""
    from csideploy.report import transceiver_chart, transceiver_table
    from csideploy.transceiver import evaluate as measuring
    from csideploy.transceiver.request import find_trained, parse_numbers

    if channel is None:
        raise InputError(
            f"{SYSTEM} is measured on the test users of a file: give --channel F; `csideploy data "
            "generate --scenario raytraced` or --scenario umi makes one"
        )
    if not Path(channel).is_file():
        raise InputError(f"--channel {channel}: no such file of users")
    wanted = parse_numbers(users, "--users", measuring.USERS)
    budgets = parse_numbers(bits, "--bits", measuring.BITS)
    with progress("evaluate") as advance:
        trained = [
            one
            for name in names
            for one in find_trained(name, most_users=max(wanted), bits=budgets)
        ]
        own = [set(one.budgets) for one in trained if one.budgets]
        if bits is None and own:
            budgets = tuple(sorted(set.intersection(*own))) or budgets
        result = measuring.evaluate_transceivers(
            trained,
            Path(channel),
            snrs=_snrs(snr, measuring.SNRS),
            users=wanted,
            bits=budgets,
            samples=measuring.SAMPLES if samples is None else samples,
            fit=fit,
            seed=seed,
            progress=advance,
        )
    figures.give(
        result,
        draw=partial(transceiver_chart.draw, result),
        show=partial(transceiver_table.show, result),
    )


def _snrs(text: str | None, default: tuple[float, ...]) -> tuple[float, ...]:
    from csideploy.downlink.evaluate import parse_snrs

    return default if text is None else parse_snrs(text)
