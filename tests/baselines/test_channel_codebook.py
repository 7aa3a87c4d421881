"""Codebooks of channels and of directions: what comes back, and for which of them ZF is better."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import channels

from csideploy.baselines.channel_codebook import align, as_complex, as_real, fit_channels
from csideploy.baselines.zero_forcing import zf
from csideploy.errors import InputError
from csideploy.transceiver.codebooks import decode, encode, fit_tiers
from csideploy.transceiver.rate import sum_rate

USERS = channels((2000, 6), 1)
FRESH = channels((300, 6), 2)


def cosines(one: Any, two: Any) -> Any:
    """|<a, b>| / (||a|| ||b||) of rows: 1 for the same direction, whatever the phase."""
    product = np.abs(np.einsum("nm,nm->n", one, two.conj()))
    return product / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)


def test_reals() -> None:
    np.testing.assert_array_equal(as_real(np.array([[1 + 2j, 3 - 4j]])), [[1, 2, 3, -4]])
    np.testing.assert_array_equal(as_complex(as_real(FRESH)), FRESH)


def test_channels_are_residual_lloyd() -> None:
    book = fit_channels(USERS, (4, 3), target="channel", seed=3)
    tiers = fit_tiers(as_real(USERS), (4, 3), seed=3)
    made = decode(encode(as_real(FRESH), tiers), tiers)
    np.testing.assert_array_equal(book.quantize(FRESH), as_complex(made))
    grouped = book.quantize(FRESH.reshape(100, 3, 6))
    np.testing.assert_array_equal(grouped.reshape(300, 6), as_complex(made))


@pytest.mark.parametrize("tiers", [(5,), (5, 4), (5, 4, 4)])
def test_directions_ignore_phase_and_size(tiers: tuple[int, ...]) -> None:
    book = fit_channels(USERS, tiers, target="direction", seed=3)
    made = book.quantize(FRESH)
    rng = np.random.default_rng(4)
    turned = FRESH * np.exp(2j * np.pi * rng.random((300, 1))) * rng.uniform(0.1, 10, (300, 1))
    np.testing.assert_array_equal(book.quantize(turned), made)


def test_each_tier_is_nearer() -> None:
    for target in ("channel", "direction"):
        book = fit_channels(USERS, (5, 5, 5), target=target, seed=5)  # type: ignore[arg-type]
        similar = []
        for n in (1, 2, 3):
            cut = type(book)(book.target, book.tiers[:n], book.norm)
            similar.append(float(np.square(cosines(cut.quantize(FRESH), FRESH)).mean()))
        # Directions at random have 1/6 in common; channels spend words on sizes and phases.
        assert similar[0] > (0.5 if target == "direction" else 0.2)
        assert similar[0] < similar[1] < similar[2]


def test_first_tier_of_directions_is_the_nearest_of_all_phases() -> None:
    book = fit_channels(USERS, (4,), seed=6)
    words = as_complex(book.tiers[0])
    unit = FRESH / np.linalg.norm(FRESH, axis=1, keepdims=True)
    turned, index = align(unit, words)
    angles = np.exp(2j * np.pi * np.arange(720) / 720)
    for i in range(30):
        every = np.linalg.norm(angles[:, None, None] * unit[i] - words, axis=2)
        reached = np.linalg.norm(turned[i] - words[index[i]])
        # The grid of half degrees misses the best phase by a quarter of one.
        assert every.min() - 0.01 <= reached <= every.min() + 1e-12
    inner = np.einsum("nm,nm->n", turned, words[index].conj())
    assert (inner.real > 0).all()
    np.testing.assert_allclose(inner.imag, 0, atol=1e-14)


def test_words_of_directions_are_means_of_turned_users() -> None:
    book = fit_channels(USERS, (3,), seed=7, iterations=500)
    words = as_complex(book.tiers[0])
    unit = USERS / np.linalg.norm(USERS, axis=1, keepdims=True)
    turned, index = align(unit, words)
    for j in range(8):
        # Rounding of words to float32, and what the turns make of it.
        np.testing.assert_allclose(words[j], turned[index == j].mean(axis=0), atol=1e-6)


def test_directions_serve_zero_forcing_better() -> None:
    # Powers spread over 30 dB: a codebook of channels spends its words on the strong.
    users, groups = channels((4000, 6), 8, spread=1.5), channels((300, 3, 6), 9, spread=1.5)
    rates = {}
    for target in ("channel", "direction"):
        book = fit_channels(users, (7, 7), target=target, seed=10)  # type: ignore[arg-type]
        rates[target] = sum_rate(groups, zf(book.quantize(groups)), 10.0).mean()
    assert rates["direction"] > rates["channel"] + 0.3


def test_built_on_fewer_tiers() -> None:
    for target in ("channel", "direction"):
        once: Any = fit_channels(USERS, (4, 4, 3), target=target, seed=11)  # type: ignore[arg-type]
        for n in (1, 2, 3):
            start = fit_channels(USERS, (4, 4, 3)[:n], target=target, seed=11)  # type: ignore[arg-type]
            built = fit_channels(USERS, (4, 4, 3), target=target, seed=11, start=start)  # type: ignore[arg-type]
            for one, two in zip(once.tiers, built.tiers, strict=True):
                # The residuals come by float64 here and by float32 there.
                np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


def test_norm_of_directions() -> None:
    book = fit_channels(USERS, (6, 6, 6), seed=12)
    sizes = np.linalg.norm(book.quantize(FRESH), axis=1)
    root = np.sqrt(np.square(np.abs(USERS)).sum(axis=1).mean())
    # 18 bits of five complex numbers leave some 20 % in amplitude, twice that at worst.
    np.testing.assert_allclose(sizes, root, rtol=0.4)


def test_a_channel_of_zeros() -> None:
    users = USERS.copy()
    users[:5] = 0
    book = fit_channels(users, (3, 3), seed=13)
    assert np.isfinite(book.quantize(np.zeros((2, 6)))).all()


@pytest.mark.parametrize(
    ("users", "tiers", "target", "says"),
    [
        (USERS, (3,), "angle", "target 'angle': one of channel, direction"),
        (USERS[0], (3,), "channel", "users' channels"),
        (USERS * np.nan, (3,), "channel", "users' channels"),
        (USERS[:7], (3,), "direction", "a user a codeword"),
        (USERS, (), "direction", "tiers"),
        (USERS, (4, 17), "channel", "tiers"),
        (USERS, (4, 0), "channel", "tiers"),
        (USERS, (0, 4), "direction", "tiers"),
    ],
)
def test_bad_input(users: Any, tiers: Any, target: Any, says: str) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match=says):
        fit_channels(users, tiers, target=target, seed=0)


def test_another_number_of_antennas() -> None:
    book = fit_channels(USERS, (3,), seed=0)
    with pytest.raises(InputError, match="channels of 5 antennas, codebooks of 6"):
        book.quantize(FRESH[:, :5])
