"""What is in a file of users: how many, where, how strongly they hear, in how many directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from csideploy.report.tables import plain_table
from csideploy.transceiver.users import Users, load_users

_LEVELS = (1, 5, 25, 50, 75, 95, 99)
_SHARES = (0.9, 0.99)


def describe_users(path: str | Path) -> dict[str, Any]:
    """Reads a file and sums it up: plain numbers, strings and lists, ready for JSON.

    Errors as `load_users`.
    """
    return {"file": str(path), **describe(load_users(path))}


def describe(users: Users) -> dict[str, Any]:
    """Of users in memory.

    - `taken_for`, `users`, `antennas`, `environments` and how many users each has (fewest, most),
      `regions`, `groups` (number and K, or null), `outage`, `distinct`: different rows;
    - `gain_db`: mean |h|^2 of a user over the antennas, percentiles `gain_percentiles`;
    - `eigenvalues`: of the covariance E h^H h of channels of unit norm, largest first, sum 1;
    - `directions`: how many of these hold 90 % and 99 %; `directions_in_environment`: the same for
      the covariance of one environment, the median over environments.
    """
    power = np.mean(np.abs(users.h.astype(np.complex128)) ** 2, axis=1)
    own = [np.flatnonzero(users.environment == e) for e in np.unique(users.environment)]
    eigenvalues = _eigenvalues(users, np.arange(len(users)))
    inside = [[_holding(_eigenvalues(users, rows), share) for share in _SHARES] for rows in own]
    groups = None if users.groups is None else [int(size) for size in users.groups.shape]
    return {
        "taken_for": users.about.get("taken_for", ""),
        "parameters": users.about.get("parameters", {}),
        "users": len(users),
        "antennas": users.antennas,
        "environments": len(own),
        "users_of_environment": [min(map(len, own)), max(map(len, own))],
        "regions": len(np.unique(users.region)),
        "groups": groups,
        "outage": int(users.about.get("outage", 0)),
        "distinct": users.distinct,
        "gain_percentiles": list(_LEVELS),
        "gain_db": [float(level) for level in 10 * np.log10(np.percentile(power, _LEVELS))],
        "eigenvalues": [float(value) for value in eigenvalues],
        "directions": [_holding(eigenvalues, share) for share in _SHARES],
        "directions_in_environment": [float(value) for value in np.median(inside, axis=0)],
    }


def _eigenvalues(users: Users, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    h = users.h[rows].astype(np.complex128)
    h /= np.linalg.norm(h, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(h.conj().T @ h / len(h))[::-1]
    clipped: np.ndarray[Any, Any] = np.maximum(values, 0)
    return clipped


def _holding(eigenvalues: np.ndarray[Any, Any], share: float) -> int:
    """How many of the largest have this share of the sum."""
    running = np.cumsum(eigenvalues) / np.sum(eigenvalues)
    return min(int(np.searchsorted(running, share)) + 1, len(eigenvalues))


def show(result: dict[str, Any], console: Console) -> None:
    """Print it for people."""
    console.print(f"{result['file']}: {result['taken_for']}")
    made = result["parameters"]
    if "scenario" in made:
        of = f" ({', '.join(made['scenes'])})" if "scenes" in made else ""
        console.print(f"generated: {made['scenario']}{of}, seed {made.get('seed')}")
    fewest, most = result["users_of_environment"]
    console.print(
        f"{result['users']} users, {result['distinct']} different channels, "
        f"environments: {result['environments']}, of {fewest} to {most} users; "
        f"places in outage left out: {result['outage']}"
    )
    table = plain_table("Gain of a user, dB")
    for level in result["gain_percentiles"]:
        table.add_column(f"{level} %", justify="right")
    table.add_row(*(f"{value:.1f}" for value in result["gain_db"]))
    console.print(table)
    for text, key in (("all", "directions"), ("an environment", "directions_in_environment")):
        first, second = result[key]
        console.print(
            f"directions of {text}: {first:g} hold 90 %, {second:g} hold 99 % of the power of "
            f"channels of unit norm, out of {result['antennas']}"
        )
    shown = " ".join(f"{value:.3f}" for value in result["eigenvalues"][:16])
    console.print(f"eigenvalues of their covariance: {shown}")
