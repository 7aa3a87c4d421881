"""Sizes of a downlink: what is taken, what is refused, what follows from them."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from csideploy.downlink.setup import LARGEST, Setup
from csideploy.errors import InputError


def test_defaults_are_those_of_the_paper() -> None:
    setup = Setup()
    assert (setup.antennas, setup.streams, setup.users) == (8, 2, 4)
    assert (setup.bits, setup.pilots, setup.pilot_power) == (6, 8, 10.0)
    assert setup.inputs == 32  # 2 L N = 16 N, the receiver's input in the paper
    assert str(setup) == "M 8, N 2, K 4, B 6, L 8, P_train 10"


@pytest.mark.parametrize("name", LARGEST)
@pytest.mark.parametrize("value", [0, -1, "largest + 1", 2.0, "2", True, None])
def test_sizes_out_of_range(name: str, value: Any) -> None:
    if value == "largest + 1":
        value = LARGEST[name] + 1
    with pytest.raises(InputError, match=rf"^{name} .*: a whole number from 1 to {LARGEST[name]}$"):
        Setup(**{name: value})


@pytest.mark.parametrize("power", [0.0, -10.0, float("inf"), float("nan")])
def test_pilot_power_out_of_range(power: float) -> None:
    with pytest.raises(InputError, match=r"pilot power .*: a number above 0"):
        Setup(pilot_power=power)


@pytest.mark.parametrize("antennas", [1, 2, 3, 8, 9, 64])
@pytest.mark.parametrize("streams", [1, 2, 3, 8])
@pytest.mark.parametrize("users", [1, 2, 4, 16])
def test_users_fit_the_antennas(antennas: int, streams: int, users: int) -> None:
    """K <= M / N."""
    sizes: dict[str, Any] = {"antennas": antennas, "streams": streams, "users": users}
    if users <= antennas / streams:
        assert Setup(**sizes).users == users
        return
    most = rf"at most {antennas // streams} users \(K <= M / N\)"
    says = most if streams <= antennas else "at most one an antenna"
    with pytest.raises(InputError, match=says):
        Setup(**sizes)


def test_largest_and_smallest_are_taken() -> None:
    for name, largest in LARGEST.items():
        for value in (1, largest):
            sizes: dict[str, Any] = {"antennas": 64, "streams": 1, "users": 1, name: value}
            assert getattr(Setup(**sizes), name) == value


def test_describe_and_back() -> None:
    setup = Setup(antennas=12, streams=3, users=2, bits=9, pilots=5, pilot_power=2.5)
    about = setup.describe()
    assert Setup(**about) == setup
    # Manifests are JSON.
    assert Setup(**json.loads(json.dumps(about))) == setup
    about["bits"] = 1
    assert setup.bits == 9
    with pytest.raises(FrozenInstanceError):
        setup.bits = 1  # type: ignore[misc]


@pytest.mark.parametrize("bits", range(1, 17))
def test_payload_bytes(bits: int) -> None:
    setup = Setup(bits=bits)
    assert setup.payload_bytes == (1 if bits <= 8 else 2)


def test_share() -> None:
    """P / (K N), whether or not K N = M, where the paper writes P / M."""
    assert Setup().share(8.0) == 1.0
    assert Setup(users=2).share(10.0) == 2.5
    setup = Setup(antennas=9, streams=3, users=2)
    assert setup.share(1000.0) * setup.users * setup.streams == pytest.approx(1000.0, rel=1e-15)
