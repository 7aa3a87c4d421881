"""The schemes by name, put together by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import channels

from csideploy.baselines.channel_codebook import fit_channels
from csideploy.baselines.pilot_estimate import covariance, lmmse, observe, pilots
from csideploy.baselines.wmmse import wmmse
from csideploy.baselines.zero_forcing import mrt, rzf, zf
from csideploy.errors import InputError
from csideploy.transceiver import schemes
from csideploy.transceiver.evaluate_core import measure
from csideploy.transceiver.schemes import NAMES, Baselines

USERS = channels((1500, 6), 1)
GROUPS = channels((30, 3, 6), 2)
NOISE = channels((30, 3, 4), 3)


def made(name: str, bits: int = 6, **arguments: Any) -> Any:
    return Baselines(USERS, 4, seed=5, **arguments).scheme(name)(GROUPS, NOISE, 10.0, bits)


def test_perfect_knowledge() -> None:
    np.testing.assert_array_equal(made("zf"), zf(GROUPS))
    np.testing.assert_array_equal(made("rzf"), rzf(GROUPS, 10.0))
    np.testing.assert_array_equal(made("mrt"), mrt(GROUPS))
    np.testing.assert_array_equal(made("wmmse"), wmmse(GROUPS, 10.0))


@pytest.mark.parametrize("kind", ["dft", "eigen"])
def test_estimates(kind: Any) -> None:
    r = covariance(USERS)
    sent = pilots(kind, 4, r)
    known = lmmse(observe(GROUPS, sent, NOISE, 10.0), sent, r, 10.0)
    np.testing.assert_array_equal(made("zf-lmmse", kind=kind), zf(known))
    np.testing.assert_array_equal(made("rzf-lmmse", kind=kind), rzf(known, 10.0))


@pytest.mark.parametrize("target", ["channel", "direction"])
def test_codebooks(target: Any) -> None:
    known = fit_channels(USERS, (6,), target=target, seed=5).quantize(GROUPS)
    np.testing.assert_array_equal(made("zf-lloyd", target=target), zf(known))
    np.testing.assert_array_equal(made("rzf-lloyd", target=target), rzf(known, 10.0))


def test_budgets_share_their_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemes, "TIER_BITS", 4)
    baselines = Baselines(USERS, 4, seed=5)
    ten = baselines.codebook(10)
    assert [len(tier) for tier in ten.tiers] == [16, 16, 4]
    assert baselines.codebook(8).tiers[1] is ten.tiers[1]
    assert baselines.codebook(4).tiers[0] is ten.tiers[0]
    assert baselines.codebook(10) is ten
    assert [len(tier) for tier in baselines.codebook(2).tiers] == [4]


def test_lloyd_sees_so_many_users_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemes, "MOST_SEEN", 40)
    with pytest.raises(InputError, match="40 users"):
        Baselines(USERS, 4).codebook(6)


def test_order_of_merit() -> None:
    baselines = Baselines(USERS, 4, seed=5)
    candidates = {name: baselines.scheme(name) for name in NAMES}
    groups = channels((400, 3, 6), 6)
    measured = measure(candidates, groups, 10.0, bits=8, pilots=4, seed=7)
    for worse in ("zf", "rzf", "mrt"):
        assert measured.margin("wmmse", worse).mean > 0
    for precoder in ("zf", "rzf"):
        for known in ("lmmse", "lloyd"):
            margin = measured.margin(precoder, f"{precoder}-{known}")
            assert margin.mean > margin.half


def test_bad_input() -> None:
    with pytest.raises(InputError, match="baseline 'dpc': one of zf, rzf"):
        Baselines(USERS, 4).scheme("dpc")
    with pytest.raises(InputError, match="target 'angle'"):
        Baselines(USERS, 4, target="angle")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="7 pilots"):
        Baselines(USERS, 7)
    with pytest.raises(InputError, match="0 bits"):
        Baselines(USERS, 4).codebook(0)
