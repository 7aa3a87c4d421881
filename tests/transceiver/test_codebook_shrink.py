"""Fewer bits than trained: whole tiers untouched, the last one as good as it can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import WIDTH, error, features, fitted
from hypothesis import given, settings
from hypothesis import strategies as st

from csideploy.errors import InputError
from csideploy.transceiver import clustering
from csideploy.transceiver.codebooks import encode, shrink, shrink_on, tier_bits, usage
from csideploy.transceiver.shrink import check_usage, compress, split

TIERS = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def drawn(tiers: list[int], seed: int, *, width: int = 4) -> tuple[list[Any], list[Any]]:
    """Codebooks of any numbers, and usage with codewords that nobody uses."""
    rng = np.random.default_rng(seed)
    books = [rng.standard_normal((1 << b, width)).astype(np.float32) for b in tiers]
    used = [rng.integers(0, 4, 1 << b).astype(np.float64) for b in tiers]
    return books, used


@given(TIERS, st.data(), st.integers(0, 100), st.sampled_from(["kmeans", "dkm"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_budget(tiers: list[int], data: Any, seed: int, method: Any, counted: bool) -> None:
    bits = data.draw(st.integers(1, sum(tiers)))
    books, used = drawn(tiers, seed)
    weights = used if counted else None
    small = shrink(books, bits, usage=weights, seed=seed, method=method, restarts=2)
    # B bits, 2^B paths, in the order of the trained tiers.
    assert sum(tier_bits(small)) == bits
    assert int(np.prod([len(tier) for tier in small])) == 1 << bits
    whole, rest = split(tiers, bits)
    assert len(small) == whole + (rest > 0)
    for t in range(whole):
        assert small[t] is books[t]
    if rest:
        assert rest < tiers[whole]
        assert np.isfinite(small[-1]).all()
    x = np.random.default_rng(seed).standard_normal((20, 4))
    indices = encode(x, small)
    assert (indices >= 0).all()
    assert (indices < [len(tier) for tier in small]).all()
    again = shrink(books, bits, usage=weights, seed=seed, method=method, restarts=2)
    for one, two in zip(small, again, strict=True):
        np.testing.assert_array_equal(one, two)


@given(st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_no_worse_than_codewords_at_random(bits: int, seed: int) -> None:
    books, used = drawn([6], seed, width=6)
    weights = check_usage(used[0], 64)
    made = compress(books[0], bits, usage=used[0], seed=seed)
    reached = clustering.error(books[0], made, weights)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        some = books[0][rng.choice(64, 1 << bits, replace=False)]
        # Float32 rounding beside squared norms of up to about 30.
        assert reached <= clustering.error(books[0], some, weights) + 1e-5


def test_split_by_hand() -> None:
    # 10 bits a tier, B = 25: two whole tiers and five bits (eq. 24).
    assert split((10, 10, 10), 25) == (2, 5)
    assert split((10, 10, 10), 30) == (3, 0)
    assert split((10, 10, 10), 4) == (0, 4)
    assert split((5, 4, 6), 8) == (1, 3)
    assert split((5, 4, 6), 9) == (2, 0)


def test_two_clusters_by_hand() -> None:
    tier = np.array([[0, 0], [0, 2], [10, 0], [10, 4]], np.float32)
    made = compress(tier, 1, usage=np.array([1.0, 3.0, 1.0, 1.0]))
    np.testing.assert_array_equal(made[made[:, 0].argsort()], [[0, 1.5], [10, 2]])


def test_the_error_falls_with_the_bits() -> None:
    x = features(1500, 21)
    used = usage(features(3000, 3), fitted())
    errors = [error(shrink(fitted(), bits, usage=used), x) for bits in range(1, 16)]
    assert (np.diff(errors) < 0).all()


@pytest.mark.parametrize("bits", [2, 3, 7, 12, 14])
def test_on_features(bits: int) -> None:
    x = features(3000, 3)
    used = usage(x, fitted())
    blind = shrink(fitted(), bits, usage=used)
    seeing = shrink_on(fitted(), bits, x, usage=used)
    assert tier_bits(seeing) == tier_bits(blind)
    assert all(one is two for one, two in zip(seeing[:-1], fitted(), strict=False))
    # On its own features never worse, but for float32.
    assert error(seeing, x) <= error(blind, x) * (1 + 1e-6)
    fresh = features(1500, 22)
    assert error(seeing, fresh) <= error(blind, fresh) * 1.03


def test_on_features_with_whole_tiers_only() -> None:
    made = shrink_on(fitted(), 9, features(10, 1))
    assert len(made) == 2
    assert made[1] is fitted()[1]


def test_dkm_is_near_kmeans_at_the_default_temperature() -> None:
    x = features(1500, 23)
    used = usage(features(3000, 3), fitted())
    for bits in (3, 7, 12):
        soft = error(shrink(fitted(), bits, usage=used, method="dkm"), x)
        assert soft <= 1.05 * error(shrink(fitted(), bits, usage=used), x)


def test_dkm_as_printed_collapses() -> None:
    # Codewords of a real tier lie within about 1 of each other: without a temperature, all new
    # ones become their mean, and the bits buy nothing.
    tier = fitted()[1]
    made = compress(tier, 3, method="dkm", tau=None)
    spread = np.linalg.norm(tier - tier.mean(axis=0), axis=1).mean()
    assert np.linalg.norm(made - tier.mean(axis=0), axis=1).max() < 0.02 * spread
    kept = compress(tier, 3, method="dkm")
    assert np.linalg.norm(kept - tier.mean(axis=0), axis=1).mean() > 0.5 * spread


def test_nobody_used_the_tier() -> None:
    tier = fitted()[0]
    idle = compress(tier, 2, usage=np.zeros(32))
    np.testing.assert_array_equal(idle, compress(tier, 2))


def test_equal_codewords() -> None:
    tier = np.full((8, 3), 0.5, np.float32)
    for method in ("kmeans", "dkm"):
        made = compress(tier, 2, method=method)  # type: ignore[arg-type]
        np.testing.assert_array_equal(made, tier[:4])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"bits": 0}, "serve 1 to 15 bits"),
        ({"bits": 16}, "serve 1 to 15 bits"),
        ({"bits": 3, "method": "median"}, "method 'median': one of kmeans, dkm"),
        ({"bits": 3, "restarts": 0}, "restarts 0"),
        ({"bits": 3, "tau": 0.0}, r"tau 0\.0"),
        ({"bits": 3, "tau": np.nan}, "tau nan"),
        ({"bits": 3, "usage": [np.ones(32)]}, "usage of 1 tiers; the codebooks have 3"),
        ({"bits": 3, "usage": [np.ones(31)] * 3}, r"usage \(31,\)"),
        ({"bits": 3, "usage": [-np.ones(32)] * 3}, "from 0 up"),
        ({"bits": 3, "usage": [np.full(32, np.nan)] * 3}, "from 0 up"),
    ],
)
def test_bad_input(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        shrink(fitted(), **arguments)


@pytest.mark.parametrize("bits", [0, 6])
def test_bad_bits_of_a_tier(bits: int) -> None:
    with pytest.raises(InputError, match="a tier of 5 bits"):
        compress(fitted()[0], bits)


def test_bad_features() -> None:
    with pytest.raises(InputError, match="5 features for 8 codewords"):
        shrink_on(fitted(), 8, features(5, 1))
    with pytest.raises(InputError, match=rf"\(n, {WIDTH}\)"):
        shrink_on(fitted(), 8, features(50, 1)[:, 1:])
