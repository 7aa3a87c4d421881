"""The paired measurement: the same users and noise for all, and its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import channels
from scipy import stats

from csideploy.baselines.zero_forcing import mrt, zf
from csideploy.errors import InputError
from csideploy.transceiver import evaluate_core
from csideploy.transceiver.evaluate_core import Measured, draw_groups, measure
from csideploy.transceiver.rate import sum_rate

GROUPS = channels((70, 3, 6), 1)


def by_zf(h: Any, noise: Any, snr: float, bits: int) -> Any:
    return zf(h)


def by_mrt(h: Any, noise: Any, snr: float, bits: int) -> Any:
    return mrt(h)


def test_rates_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_core, "_BATCH", 32)
    seen: list[tuple[int, int]] = []
    heard: dict[str, list[Any]] = {"a": [], "b": []}

    def listener(name: str) -> Any:
        def candidate(h: Any, noise: Any, snr: float, bits: int) -> Any:
            assert (snr, bits) == (10.0, 6)
            heard[name].append(noise)
            return zf(h) if name == "a" else mrt(h)

        return candidate

    measured = measure(
        {"a": listener("a"), "b": listener("b")},
        GROUPS,
        10.0,
        bits=6,
        pilots=2,
        seed=4,
        progress=lambda d, t: seen.append((d, t)),
    )
    np.testing.assert_allclose(measured.rates["a"], sum_rate(GROUPS, zf(GROUPS), 10.0), rtol=1e-9)
    np.testing.assert_allclose(measured.rates["b"], sum_rate(GROUPS, mrt(GROUPS), 10.0), rtol=1e-9)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    noise = np.concatenate(heard["a"])
    np.testing.assert_array_equal(noise, np.concatenate(heard["b"]))
    assert noise.shape == (70, 3, 2)
    # 420 squares of unit-variance numbers: a standard deviation of 0.05.
    assert np.square(np.abs(noise)).mean() == pytest.approx(1, abs=0.2)
    assert np.square(noise.real).mean() == pytest.approx(0.5, abs=0.15)
    # Real and imaginary parts are drawn apart.
    assert abs(np.corrcoef(noise.real.ravel(), noise.imag.ravel())[0, 1]) < 0.2


def test_interval_and_margin() -> None:
    measured = measure({"zf": by_zf, "mrt": by_mrt}, GROUPS, 10.0, bits=1, pilots=1, seed=0)
    one, two = measured.rates["zf"], measured.rates["mrt"]
    average, margin = measured.average("zf"), measured.margin("zf", "mrt")
    low, high = stats.norm.interval(0.95, one.mean(), stats.sem(one))
    # 1.96 in place of 1.959964.
    assert average.mean == pytest.approx(one.mean(), rel=1e-12)
    assert average.half == pytest.approx((high - low) / 2, rel=1e-4)
    low, high = stats.norm.interval(0.95, (one - two).mean(), stats.sem(one - two))
    assert margin.mean == pytest.approx(one.mean() - two.mean(), rel=1e-9)
    assert margin.half == pytest.approx((high - low) / 2, rel=1e-4)
    assert str(Measured({"a": np.array([1.0, 2.0])}).average("a")) == "1.500 +- 0.980"
    with pytest.raises(InputError, match="candidate 'rzf': one of zf, mrt"):
        measured.average("rzf")


def test_groups() -> None:
    users = channels((60, 4), 2)
    environment = np.repeat([0, 1, 2], [40, 18, 2])
    groups = draw_groups(users, environment, 3, 2000, seed=3)
    assert groups.shape == (2000, 3, 4)
    of = {row.tobytes(): i for i, row in enumerate(users)}
    index = np.array([[of[h.tobytes()] for h in group] for group in groups])
    names = environment[index]
    assert (names == names[:, :1]).all()
    assert all(len(set(row)) == 3 for row in index.tolist())
    assert set(names[:, 0]) == {0, 1}
    # 40 users of 58: a standard deviation of 0.01.
    assert (names[:, 0] == 0).mean() == pytest.approx(40 / 58, abs=0.04)
    np.testing.assert_array_equal(groups, draw_groups(users, environment, 3, 2000, seed=3))


def loud(h: Any, noise: Any, snr: float, bits: int) -> Any:
    return 2 * zf(h)


def broken(h: Any, noise: Any, snr: float, bits: int) -> Any:
    return np.full(h.shape, np.nan)


def narrow(h: Any, noise: Any, snr: float, bits: int) -> Any:
    return zf(h)[:, :2]


@pytest.mark.parametrize(
    ("candidates", "groups", "pilots", "says"),
    [
        ({}, GROUPS, 1, "0 candidates"),
        ({"zf": by_zf}, GROUPS[:1], 1, "n >= 2"),
        ({"zf": by_zf}, GROUPS[0], 1, "n >= 2"),
        ({"zf": by_zf}, GROUPS, 0, "0 pilots"),
        ({"zf": by_zf, "loud": loud}, GROUPS, 1, "candidate loud: a precoder of power 4"),
        ({"broken": broken}, GROUPS, 1, "candidate broken: a precoder that is not finite"),
        ({"narrow": narrow}, GROUPS, 1, "candidate narrow: channels"),
    ],
)
def test_bad_input(candidates: Any, groups: Any, pilots: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        measure(candidates, groups, 10.0, bits=1, pilots=pilots, seed=0)


@pytest.mark.parametrize(
    ("environment", "size", "count", "says"),
    [
        (np.zeros(9, int), 2, 5, "environments"),
        (np.zeros(10, int), 0, 5, "5 groups of 0"),
        (np.zeros(10, int), 2, 0, "0 groups of 2"),
        (np.repeat([0, 1], 5), 6, 5, "the largest environment has 5 users"),
    ],
)
def test_bad_groups(environment: Any, size: int, count: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        draw_groups(channels((10, 4), 1), environment, size, count, seed=0)
