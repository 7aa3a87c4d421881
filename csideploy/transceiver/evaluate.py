"""`evaluate` for transceivers: sum rate against SNR, bits and users, beside conventional schemes.

All are measured on the same groups of test users with the same pilot noise. What is trained runs as
it is deployed: pilots through the UE's bundles, the payload's bits, the BS's bundles.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.pilot_estimate import Pilots
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet
from csideploy.transceiver.evaluate_core import Average, Candidate, Measured, Regional, measure
from csideploy.transceiver.parts import Deployed
from csideploy.transceiver.running import Transceiver
from csideploy.transceiver.schemes import NAMES, TIER_BITS, Baselines
from csideploy.transceiver.splits import split_users

SNRS = (10.0,)
USERS = (3, 4, 5, 6, 7, 8)
BITS = (5, 10, 15, 20, 25, 30)
SAMPLES = 2000
_ALL = ("zf", "rzf", "wmmse", "zf-lmmse", "rzf-lmmse", "zf-lloyd", "rzf-lloyd")
_BESIDE = ("zf-lmmse", "zf-lloyd", "zf")
"""What the margins are over."""


@dataclass(frozen=True)
class Trained:
    """One trained system.

    Attributes:
        name: as it is shown.
        candidate: how it precodes; None of the bits it is asked for are refused here.
        pilots: L.
        bits: the one number of bits that it can send; None: any.
        users: the one number of users that it can serve; None: any up to `most_users`.
        most_users: of a call.
        about: for the result.
        budgets: B that it was made for; (): any.
    """

    name: str
    candidate: Candidate | Regional
    pilots: int
    antennas: int
    bits: int | None
    users: int | None
    most_users: int
    about: dict[str, Any]
    budgets: tuple[int, ...] = ()


def evaluate_transceivers(
    trained: Sequence[Trained],
    channel: Path,
    *,
    snrs: Sequence[float] = SNRS,
    users: Sequence[int] = USERS,
    bits: Sequence[int] = BITS,
    samples: int = SAMPLES,
    fit: Path | None = None,
    pilots: Pilots = "eigen",
    seed: int = 0,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Measure trained systems and all baselines on every combination.

    Args:
        trained: at least one, all with the same antennas and pilots.
        channel: a file of users; its test users are served.
        snrs: P / sigma^2 in dB.
        users: K.
        bits: B.
        samples: groups of each K.
        fit: a file whose training users the baselines know (covariance, codebooks); None: `channel`
            itself, so that on a scene that the trained systems never saw the baselines are at home.
        pilots: of the baselines' estimates.
        seed: of groups, noise and codebooks.
        progress: called with cells done and in all.

    Returns:
        `rows` (system, snr_db, users, bits, sum_rate, half of its 95 % interval, margins over
        some baselines), `checks`, and what was measured on.

    Raises:
        InputError: sizes that do not go together, files that cannot be read.
    """
    if not trained:
        raise InputError("nothing to measure: a run, a zoo entry or a package is needed")
    length, antennas = trained[0].pilots, trained[0].antennas
    for one in trained:
        if (one.pilots, one.antennas) != (length, antennas):
            raise InputError(
                f"{one.name} has {one.pilots} pilots and {one.antennas} antennas, "
                f"{trained[0].name} {length} and {antennas}: only equal ones are measured together"
            )
        if one.users is None and max(users) > one.most_users:
            raise InputError(f"{one.name} serves at most {one.most_users} users; asked: {users}")
    names = [one.name for one in trained]
    budgets = {one.name: one.budgets for one in trained}
    for name in names:
        if names.count(name) > 1 or name in NAMES:
            raise InputError(
                f"{name}: the name of a baseline, or given twice; give a path that says which one, "
                f"such as ./{name}"
            )
        missing = set(bits) - set(budgets[name]) if budgets[name] else set()
        if missing:
            raise InputError(
                f"{name} has budgets of {', '.join(map(str, budgets[name]))} bits, not "
                f"{', '.join(map(str, sorted(missing)))}: --bits"
            )
    training, _, test = split_users(channel)
    if test.antennas != antennas:
        raise InputError(f"{channel}: {test.antennas} antennas; {trained[0].name} has {antennas}")
    if fit is not None:
        training = split_users(fit)[0]
        if training.antennas != antennas:
            raise InputError(f"--fit {fit}: {training.antennas} antennas; {antennas} are needed")
    words = 1 << min(TIER_BITS, max(bits))
    if len(training) < words:
        raise InputError(
            f"{fit or channel}: {len(training)} training users; the baselines' codebooks of "
            f"{max(bits)} bits need {words} at least: fewer --bits, more users, or --fit"
        )
    baselines = Baselines(training.h, length, kind=pilots, seed=seed)
    cells = [(k, snr, b) for k in users for snr in snrs for b in bits]
    rows: list[dict[str, Any]] = []
    lines: dict[tuple[str, int, float], dict[int, NDArray[np.float64]]] = {}
    known: dict[str, NDArray[np.float64]] = {}
    for number, (k, snr, b) in enumerate(cells):
        if b == bits[0]:
            chosen = test.draw_rows(np.random.default_rng([seed, k]), samples, k)
            known = {}
        found = measure(
            _candidates(trained, baselines, k, b, known),
            test.h[chosen],
            10 ** (snr / 10),
            bits=b,
            pilots=length,
            seed=seed * 1000 + k,
            regions=test.region[chosen],
        )
        rates = {**known, **found.rates}
        known = {name: rates[name] for name in rates if _regardless(name)}
        rows += _rows(Measured(rates), snr, k, b, set(names))
        for name in names:
            if name in rates:
                lines.setdefault((name, k, snr), {})[b] = rates[name]
        progress(number + 1, len(cells))
    return {
        "channel": {
            "file": channel.name,
            "sha256": hashlib.sha256(channel.read_bytes()).hexdigest(),
            "test_users": len(test),
            "antennas": antennas,
            "parameters": test.about.get("parameters", {}),
        },
        "baselines_fitted_on": channel.name if fit is None else fit.name,
        "pilots": length,
        "baseline_pilots": pilots,
        "samples": samples,
        "seed": seed,
        "systems": {one.name: one.about for one in trained},
        "rows": rows,
        "checks": [check for name in names for check in _checks(name, rows, lines)],
    }


def _regardless(name: str) -> bool:
    """Whether a baseline's rate does not depend on B."""
    return name in NAMES and not name.endswith("lloyd")


def _candidates(
    trained: Sequence[Trained],
    baselines: Baselines,
    k: int,
    b: int,
    known: Mapping[str, NDArray[np.float64]],
) -> dict[str, Candidate | Regional]:
    found: dict[str, Candidate | Regional] = {
        one.name: one.candidate
        for one in trained
        if one.bits in (None, b) and one.users in (None, k)
    }
    for name in _ALL:
        if name not in known:
            found[name] = baselines.scheme(name)
    return found


def _rows(
    measured: Measured, snr: float, k: int, b: int, trained: set[str]
) -> list[dict[str, Any]]:
    rows = []
    for name in measured.rates:
        average = measured.average(name)
        row: dict[str, Any] = {
            "system": name,
            "snr_db": snr,
            "users": k,
            "bits": None if _regardless(name) else b,
            "at_bits": b,
            "trained": name in trained,
            "sum_rate": average.mean,
            "half_interval": average.half,
        }
        if name in trained:
            row["margins"] = {beside: _plain(measured.margin(name, beside)) for beside in _BESIDE}
        rows.append(row)
    return rows


def _plain(average: Average) -> dict[str, float]:
    return {"mean": average.mean, "half_interval": average.half}


def _checks(
    name: str,
    rows: Sequence[dict[str, Any]],
    lines: Mapping[tuple[str, int, float], Mapping[int, NDArray[np.float64]]],
) -> list[dict[str, Any]]:
    """What paper 000 says of its scheme, of one trained system: where it holds and where not."""
    own = [row for row in rows if row["system"] == name]
    if not own:
        return []
    found = []

    def above(beside: str, where: Callable[[dict[str, Any]], bool]) -> None:
        chosen = [row for row in own if where(row)]
        fails = [
            {"users": row["users"], "snr_db": row["snr_db"], "bits": row["at_bits"]}
            for row in chosen
            if row["margins"][beside]["mean"] <= 0
        ]
        found.append(
            {"system": name, "check": f"above {beside}", "cells": len(chosen), "fails": fails}
        )

    above("zf-lmmse", lambda row: True)
    above("zf-lloyd", lambda row: row["users"] >= 5 or row["at_bits"] <= 15)
    fails, steps = [], 0
    for (system, k, snr), by_bits in lines.items():
        if system != name:
            continue
        for less, more in itertools.pairwise(sorted(by_bits)):
            steps += 1
            # The same groups and noise, so that the difference is known better than either.
            gain = by_bits[more] - by_bits[less]
            if gain.mean() < -2 * gain.std(ddof=1) / np.sqrt(len(gain)):
                fails.append({"users": k, "snr_db": snr, "bits": more})
    if steps:
        found.append(
            {"system": name, "check": "not falling with bits", "cells": steps, "fails": fails}
        )
    return found


def of_weights(path: Path, name: str, *, most_users: int, bits: Sequence[int]) -> Trained:
    """A run or zoo entry as it would be deployed, in fp32.

    Raises:
        InputError, FormatError: the weights cannot be read.
    """
    from csideploy.transceiver.weights import load_weights

    weights = load_weights(path)
    running = Deployed(weights, bits, max_users=most_users)
    about: dict[str, Any] = {"setup": weights.setup.describe(), "widths": weights.widths}
    for key in ("training", "recipe", "seed"):
        if key in weights.about:
            about[key] = weights.about[key]
    return Trained(
        name,
        _told(running),
        weights.setup.pilots,
        weights.setup.antennas,
        None,
        None,
        most_users,
        about,
    )


def of_package(path: Path, name: str) -> Trained:
    """A package as it is, with its own budgets and its own most users.

    Raises:
        InputError, FormatError, PairingError: it cannot be opened.
    """
    from csideploy.package import open_package
    from csideploy.transceiver.wire import open_transceiver

    package = open_package(path)
    running = open_transceiver(package)
    setup, most = running.described.setup, running.described.max_users
    about = {
        "setup": setup.describe(),
        "widths": package.manifest["widths"],
        "pairing_id": package.pairing_id.hex(),
        "precision": "int8" if package.is_integer else "fp32",
    }
    budgets = tuple(budget.bits for budget in running.described.budgets)
    candidate = _told(running)
    return Trained(name, candidate, setup.pilots, setup.antennas, None, None, most, about, budgets)


def _told(running: Transceiver) -> Candidate | Regional:
    """Of several regions, told each user's."""
    return running.link if running.described.setup.regions == 1 else Regional(running.link)
