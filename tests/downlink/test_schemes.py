"""The conventional schemes, put together by hand; the search for their regularization."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from csideploy.baselines.block_diagonal import bd, rbd
from csideploy.baselines.feedback import DISTANCES, Distance, choose
from csideploy.baselines.rank1_rzf import rzf
from csideploy.downlink.channels import estimate, observe, rayleigh
from csideploy.downlink.rate import user_rates
from csideploy.downlink.schemes import BASELINES, Baselines, Scheme
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError

Array = NDArray[Any]
SETUP = Setup(antennas=4, streams=2, users=2, bits=3, pilots=4)
STEP = 1.25
"""From one regularization of the grid to the next."""


@cache
def baselines() -> Baselines:
    return Baselines(SETUP, seed=1)


@cache
def tuned(name: str, power: float, distance: Distance) -> Scheme:
    return baselines().scheme(name, power, distance)


def scheme_of(name: str, power: float, distance: Distance = "chordal") -> Scheme:
    """Tuned once for all tests."""
    return tuned(name, power, distance)


@cache
def drawn(samples: int = 2000, seed: int = 2) -> tuple[Array, Array]:
    """Channels that no scheme was tuned on, and what is heard."""
    rng = np.random.default_rng(seed)
    h = rayleigh(SETUP, samples, rng)
    return h, observe(SETUP, h, baselines().pilots, rng)


def by_hand(name: str, y: Array, power: float, distance: Distance, loading: float | None) -> Array:
    """The scheme user by user, from its parts."""
    own = baselines()
    estimated = [estimate(SETUP, y[:, k], own.pilots) for k in range(2)]
    if name == "rbd-infinite":
        return rbd(np.stack(estimated, axis=1), loading or 0.0)
    book = own.codebook(1 if name == "rank1-rzf" else 2)
    fed = [book[choose(SETUP, h, book, power, distance)] for h in estimated]
    known = np.stack(fed, axis=1)
    if name == "bd":
        return bd(known)
    if name == "rbd":
        return rbd(known, loading or 0.0)
    return rzf(known[..., 0], loading or 0.0, 2)


@pytest.mark.parametrize(
    ("name", "distance"),
    [*((name, "chordal") for name in BASELINES), ("bd", "sinr"), ("rank1-rzf", "sinr")],
)
def test_scheme_is_the_sum_of_its_parts(name: str, distance: Distance) -> None:
    scheme = scheme_of(name, 100.0, distance)
    _, y = drawn()
    found = scheme.precode(y[:100])
    assert found.shape == (100, 2, 4, 2)
    assert found.dtype == np.complex64
    expected = by_hand(name, y[:100], 100.0, distance, scheme.loading)
    # The same float32 arithmetic but for the shapes of the products.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose((np.abs(found) ** 2).sum(axis=(2, 3)), 2, rtol=1e-5)
    assert scheme.name == (name if name == "rbd-infinite" else f"{name} ({distance})")
    assert (scheme.loading is None) == (name == "bd")


@pytest.mark.parametrize("name", BASELINES)
def test_bits_of_feedback(name: str) -> None:
    """`rbd-infinite` alone has no bound."""
    scheme = scheme_of(name, 100.0)
    assert scheme.feedback_bits == (None if name == "rbd-infinite" else 3)


@pytest.mark.parametrize(
    ("name", "power"),
    [("rbd", 1.0), ("rbd", 100.0), ("rbd-infinite", 100.0), ("rank1-rzf", 1.0)],
)
def test_search_finds_a_maximum(name: str, power: float) -> None:
    """On channels of its own: the neighbours of the grid, and far away, are not better."""
    loading = scheme_of(name, power).loading
    assert loading is not None
    h, y = drawn()
    each = user_rates(h, by_hand(name, y, power, "chordal", loading), power).sum(axis=1)
    for factor in (1 / STEP, STEP, STEP**-4, STEP**4):
        other = user_rates(h, by_hand(name, y, power, "chordal", loading * factor), power)
        gained = other.sum(axis=1) - each
        # The search itself has the noise of 3,000 channels, this comparison that of 2,000, paired.
        assert gained.mean() <= 5 * gained.std() * np.sqrt(1 / 3000 + 1 / 2000)


def test_search_is_the_best_of_its_grid() -> None:
    """On the channels of the tuning themselves, the largest of all 37."""
    rng = np.random.default_rng([1, 1])
    h = rayleigh(SETUP, 3000, rng)
    y = observe(SETUP, h, baselines().pilots, rng)
    rates = {
        float(loading): user_rates(
            h, by_hand("rank1-rzf", y, 10.0, "chordal", float(loading)), 100.0
        ).mean()
        for loading in STEP ** np.arange(-22, 15)
    }
    found = scheme_of("rank1-rzf", 100.0).loading
    assert found is not None
    # Rates are equal to the last bits where the same loading is tried.
    assert rates[found] == pytest.approx(max(rates.values()), rel=1e-6)


@pytest.mark.parametrize("name", ["rbd", "rank1-rzf"])
def test_more_power_wants_less_regularization(name: str) -> None:
    weak, strong = (scheme_of(name, power).loading for power in (1.0, 100.0))
    assert weak is not None
    assert strong is not None
    assert strong < weak


@pytest.mark.parametrize("power", [1.0, 100.0])
def test_better_distance(power: float) -> None:
    """The rule with the larger rate, on the channels of the tuning."""
    rng = np.random.default_rng([1, 1])
    h = rayleigh(SETUP, 3000, rng)
    y = observe(SETUP, h, baselines().pilots, rng)
    rates = {
        distance: user_rates(h, scheme_of("rank1-rzf", power, distance).precode(y), power).mean()
        for distance in DISTANCES
    }
    assert baselines().better_distance(power) == max(rates, key=lambda name: rates[name])


def test_more_feedback_is_better() -> None:
    h, y = drawn()
    power = 100.0
    rate = {
        name: user_rates(h, scheme_of(name, power).precode(y), power).sum(axis=1)
        for name in BASELINES
    }
    for less, more in (("bd", "rbd"), ("rbd", "rbd-infinite"), ("rank1-rzf", "rbd-infinite")):
        gain = rate[more] - rate[less]
        assert gain.mean() > 5 * gain.std() / np.sqrt(len(gain))


def test_seeds_repeat() -> None:
    again = Baselines(SETUP, seed=1)
    np.testing.assert_array_equal(again.codebook(1), baselines().codebook(1))
    assert again.scheme("rank1-rzf", 100.0).loading == scheme_of("rank1-rzf", 100.0).loading
    assert (Baselines(SETUP, seed=2).codebook(1) != again.codebook(1)).any()


@pytest.mark.parametrize("name", ["", "BD", "rzf", "rbd infinite", "kd-precoder"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(InputError) as raised:
        baselines().scheme(name, 10.0)
    assert str(raised.value) == (f"baseline {name!r}: one of bd, rbd, rbd-infinite, rank1-rzf")


@pytest.mark.parametrize("name", ["bd", "rbd", "rank1-rzf"])
def test_unknown_distances(name: str) -> None:
    wrong: Any = "euclid"
    with pytest.raises(InputError, match=r"distance 'euclid': chordal or sinr"):
        baselines().scheme(name, 10.0, wrong).precode(drawn()[1][:2])
