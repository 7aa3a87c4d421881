"""Codewords by expected SINR against the brute-force definition, and by chordal distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from csideploy.baselines.feedback import LEAKAGE, choose, expected_gain, weights
from csideploy.baselines.grassmann import basis, nearest
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError

Array = NDArray[Any]
SETUPS = [
    Setup(antennas=8, streams=2, users=4),
    Setup(antennas=8, streams=1, users=8, pilots=5),
    Setup(antennas=8, streams=4, users=2, pilot_power=1.0),
    Setup(antennas=4, streams=2, users=2, bits=3, pilots=4),
]
POWERS = [1e-3, 1.0, 10.0, 1000.0]


def gaussian(shape: tuple[int, ...], seed: int) -> Array:
    parts = np.random.default_rng(seed).standard_normal((*shape, 2))
    return (parts[..., 0] + 1j * parts[..., 1]) / np.sqrt(2)


def drawn(setup: Setup, rank: int, n: int = 30, seed: int = 1) -> tuple[Array, Array]:
    """Estimates (n, M, N), codewords (2^B, M, rank), in complex128."""
    h = gaussian((n, setup.antennas, setup.streams), seed)
    return h, np.linalg.qr(gaussian((1 << setup.bits, setup.antennas, rank), seed + 1))[0]


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_weights(setup: Setup) -> None:
    """The error is 1 / (1 + P_train) with L = M, and above (M - L) / M with fewer pilots."""
    for rank in (1, setup.streams):
        noise, around = weights(setup, 100.0, rank)
        share = 100.0 / (setup.users * rank)
        # r (K - 1) beams of power c, in the M - r dimensions around a codeword.
        beams = rank * (setup.users - 1)
        assert around == pytest.approx(LEAKAGE * share * beams / (setup.antennas - rank), rel=1e-14)
        if setup.pilots >= setup.antennas:
            assert noise == pytest.approx(1 + 100 / (1 + setup.pilot_power), rel=1e-13)
        else:
            assert noise > 1 + 100 * (1 - setup.pilots / setup.antennas)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_one_direction_by_brute_force(setup: Setup, power: float) -> None:
    """SINR = c g^H (s I + e (H^H H - g g^H))^-1 g, g = H^H a; t is what orders it.

    (R - e g g^H)^-1 g = R^-1 g / (1 - e t) with t = g^H R^-1 g (Sherman and Morrison), so that the
    SINR is c t / (1 - e t), which grows with t.
    """
    h, words = drawn(setup, 1)
    s, e = weights(setup, power, 1)
    c = power / setup.users
    full = np.empty((len(h), len(words)))
    for i, own in enumerate(h):
        for j, a in enumerate(words[:, :, 0]):
            g = own.conj().T @ a
            heard = s * np.eye(setup.streams) + e * (own.conj().T @ own - np.outer(g, g.conj()))
            full[i, j] = c * (g.conj() @ np.linalg.inv(heard) @ g).real
    t = expected_gain(setup, h, words, power)
    # Condition numbers 1 + e ||H||^2 / s below 1e3, of two inverses.
    np.testing.assert_allclose(c * t / (1 - e * t), full, rtol=1e-9)
    np.testing.assert_array_equal(t.argmax(axis=1), full.argmax(axis=1))
    by_t = np.take_along_axis(full, t.argsort(axis=1), axis=1)
    assert (np.diff(by_t, axis=1) >= -1e-9 * by_t[:, 1:]).all()
    np.testing.assert_array_equal(choose(setup, h, words, power, "sinr"), full.argmax(axis=1))


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("setup", [s for s in SETUPS if s.streams > 1], ids=str)
def test_whole_spaces_by_determinants(setup: Setup, power: float) -> None:
    """log det(R + (c - e) G G^H) - log det(R - e G G^H), R = s I + e H^H H, G = H^H A."""
    rank = setup.streams
    h, words = drawn(setup, rank, seed=3)
    s, e = weights(setup, power, rank)
    c = power / (setup.users * rank)
    full = np.empty((len(h), len(words)))
    for i, own in enumerate(h):
        noise = s * np.eye(rank) + e * own.conj().T @ own
        for j, a in enumerate(words):
            g = own.conj().T @ a
            above = np.linalg.det(noise + (c - e) * g @ g.conj().T).real
            full[i, j] = np.log(above / np.linalg.det(noise - e * g @ g.conj().T).real)
    gain = expected_gain(setup, h, words, power)
    # Determinants of matrices with condition numbers below 1e4; differences of logarithms near 1.
    np.testing.assert_allclose(gain, full, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(choose(setup, h, words, power, "sinr"), full.argmax(axis=1))


@pytest.mark.parametrize("rank", [1, 2])
def test_little_power_takes_the_received_energy(rank: int) -> None:
    setup = SETUPS[0]
    h, words = drawn(setup, rank, n=200, seed=5)
    energy = np.array([[np.linalg.norm(own.conj().T @ a) ** 2 for a in words] for own in h])
    chosen = choose(setup, h, words, 1e-7, "sinr")
    np.testing.assert_array_equal(chosen, energy.argmax(axis=1))
    # It is not what the distance takes.
    assert (chosen != choose(setup, h, words, 1e-7, "chordal")).any()


def test_much_power_takes_the_chordal_distance() -> None:
    """R ~ H^H H needs good estimates too: s = 1 + P error must stay below e."""
    setup = Setup(antennas=8, streams=2, users=4, pilot_power=1e12)
    h, words = drawn(setup, 1, n=200, seed=7)
    chosen = choose(setup, h, words, 1e9, "sinr")
    np.testing.assert_array_equal(chosen, choose(setup, h, words, 1e9, "chordal"))
    assert (chosen != choose(setup, h, words, 1e-7, "sinr")).any()


def test_one_user_takes_the_received_energy() -> None:
    """Nobody interferes: e = 0 at every P."""
    setup = Setup(antennas=8, streams=2, users=1)
    assert weights(setup, 100.0, 1)[1] == 0
    h, words = drawn(setup, 1, n=100, seed=9)
    energy = np.array([[np.linalg.norm(own.conj().T @ a) ** 2 for a in words] for own in h])
    for power in (0.1, 1e4):
        chosen = choose(setup, h, words, power, "sinr")
        np.testing.assert_array_equal(chosen, energy.argmax(axis=1))


@pytest.mark.parametrize("rank", [1, 2])
def test_chordal_ignores_power_and_sizes_of_columns(rank: int) -> None:
    setup = SETUPS[0]
    h, words = drawn(setup, rank, n=100, seed=11)
    chosen = choose(setup, h, words, 1.0, "chordal")
    np.testing.assert_array_equal(chosen, choose(setup, h, words, 1e5, "chordal"))
    np.testing.assert_array_equal(chosen, nearest(basis(h), words))
    # Any other basis of the space is as good.
    turned = h @ np.array([[3.0, 1j], [0.2, -1.0]])
    np.testing.assert_array_equal(chosen, choose(setup, turned, words, 1.0, "chordal"))


def test_ties_go_to_the_lowest_index() -> None:
    """Units and powers of two: equal scores are equal to the last bit."""
    setup = Setup(antennas=4, streams=1, users=2, bits=2)
    words = np.eye(4, dtype=complex)[:, :, None]
    h = np.full((1, 4, 1), 0.5 + 0j)
    for order in (words, words[::-1], np.concatenate([words, words])):
        assert choose(setup, h, order, 4.0, "sinr").tolist() == [0]
        assert choose(setup, h, order, 4.0, "chordal").tolist() == [0]


def test_samples_stay_apart() -> None:
    """More than one chunk of 4,096."""
    setup = Setup(antennas=4, streams=2, users=2, bits=2)
    h, words = drawn(setup, 1, n=4100, seed=13)
    whole = choose(setup, h, words, 10.0, "sinr")
    assert whole.shape == (4100,)
    for at in (slice(0, 5), slice(4090, 4100)):
        np.testing.assert_array_equal(whole[at], choose(setup, h[at], words, 10.0, "sinr"))


@pytest.mark.parametrize("distance", ["", "Chordal", "rate", None])
def test_unknown_distances(distance: Any) -> None:
    setup = SETUPS[0]
    h, words = drawn(setup, 1, n=2)
    with pytest.raises(InputError, match=r"distance .*: chordal or sinr"):
        choose(setup, h, words, 1.0, distance)
