"""The analyst's search against plain loops, ties, and codebooks that are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import WIDTH, features, fitted

from csideploy.errors import InputError
from csideploy.transceiver.codebooks import decode, encode, tier_bits, usage
from csideploy.transceiver.search import SMALL, nearest


def slow(x: Any, codebooks: Any) -> tuple[Any, Any]:
    """Indices and sums of codewords, one distance at a time."""
    indices, sums = [], []
    for row in x.astype(np.float64):
        left, chosen = row.copy(), []
        for tier in codebooks:
            best, least = -1, np.inf
            for j, word in enumerate(tier.astype(np.float64)):
                distance = float(np.square(left - word).sum())
                if distance < least:
                    best, least = j, distance
            chosen.append(best)
            left = left - tier[best]
        indices.append(chosen)
        sums.append(row - left)
    return np.array(indices), np.array(sums)


def test_against_loops() -> None:
    x = features(60, 8)
    indices, sums = slow(x, fitted())
    found = encode(x, fitted())
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, indices)
    # One rounding to float32 of sums within +-4.
    np.testing.assert_allclose(decode(found, fitted()), sums, rtol=0, atol=4 * 2**-24)


def test_many_distances_give_what_few_give() -> None:
    x = features(4000, 9)
    assert len(x) * len(fitted()[0]) > SMALL
    parts = [encode(x[at : at + 500], fitted()) for at in range(0, len(x), 500)]
    np.testing.assert_array_equal(encode(x, fitted()), np.concatenate(parts))


@pytest.mark.parametrize("count", [3, 4000])
@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_ties_go_to_the_lowest(count: int, scale: float) -> None:
    # Words in pairs: 2j and 2j + 1 are equal. Points lie on words and midway between +-e.
    rng = np.random.default_rng(0)
    words = np.repeat(rng.integers(-4, 5, (32, 6)), 2, axis=0) * scale
    words[60:62], words[62:] = 9 * scale, -9 * scale
    points = words[rng.integers(0, 60, count)]
    points[0] = 0
    words[4], words[9] = [scale, 0, 0, 0, 0, 0], [-scale, 0, 0, 0, 0, 0]
    words[np.abs(words).max(axis=1) == 0] = 9 * scale
    found = nearest(points, words)
    for i in range(min(count, 200)):
        distances = np.square(points[i] - words).sum(axis=1)
        assert found[i] == np.flatnonzero(distances == distances.min())[0]


def test_nearly_equal_words_are_told_apart() -> None:
    # Distances that differ by less than a matrix product's rounding: the direct ones decide.
    rng = np.random.default_rng(1)
    words = np.repeat(1000 + rng.standard_normal((40, 8)), 2, axis=0)
    words[::2] += 1e-9
    points = 1000 + rng.standard_normal((2000, 8))
    assert len(points) * len(words) > SMALL
    directly = [int(np.square(p - words).sum(axis=1).argmin()) for p in points]
    np.testing.assert_array_equal(nearest(points, words), directly)


def test_usage_counts() -> None:
    x = features(500, 10)
    counted = usage(x, fitted())
    indices = encode(x, fitted())
    for t, tier in enumerate(fitted()):
        assert counted[t].shape == (len(tier),)
        assert counted[t].dtype == np.float64
        assert counted[t].sum() == 500
        for j in (0, 3, len(tier) - 1):
            assert counted[t][j] == (indices[:, t] == j).sum()


def test_bits() -> None:
    assert tier_bits(fitted()) == (5, 4, 6)


WORDS = np.arange(8, dtype=np.float32).reshape(4, 2)


@pytest.mark.parametrize(
    ("codebooks", "says"),
    [
        ([], "no tier"),
        ([WORDS[:3]], r"tier 1 is \(3, 2\)"),
        ([WORDS[:1]], r"tier 1 is \(1, 2\)"),
        ([WORDS, WORDS[0]], r"tier 2 is \(2,\)"),
        ([WORDS[:, :0]], r"tier 1 is \(4, 0\)"),
        ([WORDS, WORDS[:, :1]], "tier 2 has D 1, tier 1 2"),
        ([WORDS, WORDS * np.float32(np.nan)], "tier 2 has a codeword that is not finite"),
        ([np.zeros((1 << 17, 1), np.float32)], "b from 1 to 16"),
    ],
)
def test_bad_codebooks(codebooks: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        encode(WORDS, codebooks)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.ones(WIDTH), "features"),
        (np.ones((2, 3)), r"\(n, 12\)"),
        (np.ones((0, WIDTH)), "n >= 1"),
        (np.full((2, WIDTH), np.inf), "not finite"),
    ],
)
def test_bad_features(x: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        encode(x, fitted())


@pytest.mark.parametrize(
    ("indices", "says"),
    [
        (np.zeros((2, 2), int), "a column a tier"),
        (np.array([[0, 16, 0]]), "tier 2: an index outside 0 to 15"),
        (np.array([[0, 0, -1]]), "tier 3: an index outside 0 to 63"),
    ],
)
def test_bad_indices(indices: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        decode(indices, fitted())
