"""More bits than trained: the trained tiers untouched, and no feature worse off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import WIDTH, error, features, fitted
from hypothesis import given, settings
from hypothesis import strategies as st

from csideploy.errors import InputError
from csideploy.transceiver.codebooks import decode, encode, expand, fit_tiers, tier_bits, usage
from csideploy.transceiver.expand import decay, further, imitate

X = features(3000, 3)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(0, 9),
    st.integers(0, 100),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_without_data(tiers: list[int], extra: int, seed: int, counted: bool) -> None:
    rng = np.random.default_rng(seed)
    books = [rng.standard_normal((1 << b, 4)).astype(np.float32) for b in tiers]
    used = [rng.integers(0, 4, 1 << b) for b in tiers] if counted else None
    bits = sum(tiers) + extra
    large = expand(books, bits, usage=used, seed=seed)
    assert sum(tier_bits(large)) == bits
    assert max(tier_bits(large)[len(books) :], default=0) <= tiers[-1]
    for trained, kept in zip(books, large, strict=False):
        assert kept is trained
    x = rng.standard_normal((50, 4)) * 2
    before = np.square(x - decode(encode(x, books), books).astype(np.float64)).sum(axis=1)
    after = np.square(x - decode(encode(x, large), large).astype(np.float64)).sum(axis=1)
    # Each feature, not their mean: a word of zeros is always there. Decoded in float32.
    assert (after <= before + 1e-5).all()


@pytest.mark.parametrize("trained", [1, 2, 3])
@pytest.mark.parametrize("extra", [2, 6, 9])
def test_gain(trained: int, extra: int) -> None:
    books = fit_tiers(X, (6, 6, 6)[:trained], seed=0)
    fresh = features(1500, 30)
    used = usage(X, books)
    bits = 6 * trained + extra
    alone = error(books, fresh)
    imitated = error(expand(books, bits, usage=used), fresh)
    fitted_too = error(expand(books, bits, X), fresh)
    # Without data at least two thirds of what Lloyd's algorithm gains with 3000 features.
    assert alone - imitated >= 2 / 3 * (alone - fitted_too) > 0


def test_with_features() -> None:
    books = fit_tiers(X, (4, 4), seed=9)
    made = expand(books[:1], 8, X, seed=9)
    assert made[0] is books[0]
    # The tier that fitting both at once would have made.
    np.testing.assert_array_equal(made[1], books[1])


def test_nothing_to_add() -> None:
    made = expand(fitted(), 15)
    assert all(one is two for one, two in zip(made, fitted(), strict=True))


def test_the_scale_is_near_the_best() -> None:
    books = fit_tiers(X, (6,), seed=0)
    used = usage(X, books)[0]
    words = books[0] - np.average(books[0], axis=0, weights=used).astype(np.float32)

    def reached(scale: float) -> float:
        tier = (words * scale).astype(np.float32)
        tier[np.square(tier).sum(axis=1).argmin()] = 0
        return error([books[0], tier], X)

    best = min(reached(scale) for scale in np.arange(0.05, 1, 0.05))
    assert reached(float(np.sqrt(decay(books[0], used)))) <= 1.05 * best


def test_decay_by_hand() -> None:
    # Corners of a square: two dimensions, 2 bits: 2^(-2 * 2 / 2).
    square = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
    assert decay(square + 5) == pytest.approx(0.25, rel=1e-12)
    # On a line: one dimension, 2^-4. All in one place: taken as one dimension.
    line = np.array([[1, 1], [2, 2], [3, 3], [4, 4]], np.float32)
    assert decay(line) == pytest.approx(1 / 16, rel=1e-12)
    assert decay(np.full((4, 2), 3, np.float32)) == 1 / 16
    # Two of four used: a line again.
    assert decay(square, np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx(1 / 16, rel=1e-12)


def test_imitation_by_hand() -> None:
    square = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
    one, two = imitate([square], [2, 2])
    # Scales 1/2 and 1/4, the first of equally small words to zero.
    np.testing.assert_array_equal(one, np.concatenate([[[0, 0]], square[1:] / 2]))
    np.testing.assert_array_equal(two, np.concatenate([[[0, 0]], square[1:] / 4]))


def test_sizes_of_further_tiers() -> None:
    assert further(25, 10) == [10, 10, 5]
    assert further(20, 10) == [10, 10]
    assert further(3, 10) == [3]
    assert further(0, 10) == []


@pytest.mark.parametrize(
    ("bits", "x", "says"),
    [
        (14, None, "fewer than the trained 15; shrink"),
        (256, None, "255 bits"),
        (16, features(50, 1)[:, 1:], rf"\(n, {WIDTH}\)"),
        (21, features(50, 1), "50 features for 64 codewords"),
    ],
)
def test_bad_input(bits: int, x: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        expand(fitted(), bits, x)


def test_more_tiers_than_a_payload_has() -> None:
    with pytest.raises(InputError, match="at most 32 tiers"):
        expand([np.array([[1], [-1]], np.float32)], 33)
