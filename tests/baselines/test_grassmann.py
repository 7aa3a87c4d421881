"""Chordal distances against principal angles, and Lloyd's algorithm against its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from csideploy.baselines.grassmann import affinities, basis, codebook, lloyd, nearest
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError

Array = NDArray[Any]
FLOAT = 2.0**-24


def gaussian(shape: tuple[int, ...], seed: int) -> Array:
    parts = np.random.default_rng(seed).standard_normal((*shape, 2), dtype=np.float32)
    return parts.view(np.complex64)[..., 0]


def gram(a: Array) -> Array:
    return a.conj().swapaxes(-1, -2) @ a


def projections(q: Array, words: Array) -> Array:
    """||A_j^H Q||_F^2 in complex128, (n, J)."""
    q, words = q.astype(np.complex128), words.astype(np.complex128)
    heard = words.conj().swapaxes(1, 2)[None] @ q[:, None]
    return (np.abs(heard) ** 2).sum(axis=(2, 3))


@pytest.mark.parametrize(("antennas", "streams"), [(8, 2), (4, 4), (6, 1), (8, 3)])
def test_basis(antennas: int, streams: int) -> None:
    h = gaussian((5, 3, antennas, streams), 1)
    q = basis(h)
    assert q.dtype == np.complex64
    # Numbers below 1, sums of at most eight products.
    np.testing.assert_allclose(
        gram(q), np.broadcast_to(np.eye(streams), (5, 3, streams, streams)), atol=16 * FLOAT
    )
    # It spans H: H (H^H H)^-1 H^H is the projector. Columns of condition number below 100.
    wide = h.astype(np.complex128)
    projector = wide @ np.linalg.pinv(wide)
    np.testing.assert_allclose(q @ q.conj().swapaxes(-1, -2), projector, atol=100 * 16 * FLOAT)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_chordal_distance_by_principal_angles(rank: int) -> None:
    """d^2 = sum of sin^2 of the principal angles = r - ||A^H Q||_F^2 for r <= N columns."""
    q, words = basis(gaussian((9, 8, 3), 2)), basis(gaussian((6, 8, rank), 3))
    found = affinities(q, words)
    assert found.shape == (9, 6)
    assert found.dtype == np.float32
    for i in range(9):
        for j in range(6):
            angles = scipy.linalg.subspace_angles(
                words[j].astype(np.complex128), q[i].astype(np.complex128)
            )
            distance = (np.sin(angles) ** 2).sum()
            # Bases in float32, r N squares of sums of eight products, all of them below 1.
            assert abs(rank - found[i, j] - distance) <= 3 * rank * 16 * FLOAT


def test_nearest_is_the_smallest_distance() -> None:
    q, words = basis(gaussian((300, 8, 2), 4)), basis(gaussian((16, 8, 2), 5))
    exact = projections(q, words)
    index = nearest(q, words)
    assert len(np.unique(index)) == 16
    best = exact.max(axis=1)
    # Nearest but for rounding: 4 sums of eight products below 1.
    assert (best - exact[np.arange(300), index] <= 64 * FLOAT).all()


def test_ties_go_to_the_lowest_index() -> None:
    """Powers of two, so that equal scores are equal to the last bit."""
    units = np.eye(4, dtype=np.complex64)[:, :, None]
    q = np.full((1, 4, 1), 0.5, np.complex64)
    assert nearest(q, units).tolist() == [0]
    # |0.5|^2 four times; the same codewords in another order, turned, twice.
    words = np.concatenate([units[[3, 1]] * 1j, units, -units])
    assert nearest(units, words).tolist() == [2, 1, 4, 0]
    pair = np.stack([units[0], units[1]], axis=1)[..., 0][None]
    assert nearest(pair, units).tolist() == [0]
    assert nearest(pair, units[::-1]).tolist() == [2]


def test_chunks_of_large_codebooks() -> None:
    """2^16 codewords leave 64 samples a chunk; 130 samples need three."""
    q, words = basis(gaussian((130, 2, 1), 6)), basis(gaussian((1 << 16, 2, 1), 7))
    index = nearest(q, words)
    for at in (0, 63, 64, 128, 129):
        exact = np.abs(words[:, :, 0].conj().astype(np.complex128) @ q[at, :, 0]) ** 2
        assert exact.max() - exact[index[at]] <= 16 * FLOAT


@pytest.mark.parametrize("rank", [1, 2])
def test_lloyd_never_gets_worse(rank: int) -> None:
    q = basis(gaussian((400, 6, 2), 8))
    means = []
    for iterations in range(12):
        words = lloyd(q, 4, rank, seed=9, iterations=iterations)
        assert words.shape == (16, 6, rank)
        assert words.dtype == np.complex64
        eye = np.broadcast_to(np.eye(rank), (16, rank, rank))
        np.testing.assert_allclose(gram(words), eye, atol=32 * FLOAT)
        means.append((rank - projections(q, words).max(axis=1)).mean())
    # Codewords are rounded to float32, and assigned by float32 scores.
    assert (np.diff(means) <= 64 * FLOAT).all()
    assert means[-1] < means[0] - 0.05


@pytest.mark.parametrize("rank", [1, 2])
def test_a_step_of_lloyd(rank: int) -> None:
    """A new codeword spans the strongest eigenvectors of the mean of Q Q^H over its cell."""
    q = basis(gaussian((600, 5, 2), 10))
    before = lloyd(q, 2, rank, seed=11, iterations=3)
    after = lloyd(q, 2, rank, seed=11, iterations=4).astype(np.complex128)
    cells = projections(q, before).argmax(axis=1)
    wide = q.astype(np.complex128)
    for j in range(4):
        own = wide[cells == j]
        mean = (own @ own.conj().swapaxes(1, 2)).mean(axis=0)
        values, vectors = scipy.linalg.eigh(mean)
        strongest = vectors[:, -rank:]
        gap = values[-rank] - values[-rank - 1]
        assert gap > 0.05
        # An error of 600 x 2^-24 in the matrix, over the gap of its eigenvalues.
        np.testing.assert_allclose(
            after[j] @ after[j].conj().T,
            strongest @ strongest.conj().T,
            atol=2 * 600 * FLOAT / gap,
        )


def test_lloyd_starts_from_samples_by_seed() -> None:
    q = basis(gaussian((100, 4, 2), 12))
    start = lloyd(q, 3, 1, seed=13, iterations=0)
    columns = {column.tobytes() for column in q[:, :, 0]}
    chosen = {word.tobytes() for word in start[:, :, 0]}
    assert len(chosen) == 8
    assert chosen <= columns
    np.testing.assert_array_equal(
        lloyd(q, 3, 2, seed=13, iterations=5), lloyd(q, 3, 2, seed=13, iterations=5)
    )
    assert (lloyd(q, 3, 1, seed=14, iterations=0) != start).any()


@pytest.mark.parametrize("rank", [1, 2])
def test_more_codewords_than_spaces(rank: int) -> None:
    """Four spaces, four samples each, eight codewords: some cells are always empty."""
    q = np.tile(basis(gaussian((4, 6, 2), 15)), (4, 1, 1))
    words = lloyd(q, 3, rank, seed=16, iterations=10)
    assert np.isfinite(words.view(np.float32)).all()
    eye = np.broadcast_to(np.eye(rank), (8, rank, rank))
    np.testing.assert_allclose(gram(words), eye, atol=32 * FLOAT)
    # All spaces have a codeword of their own.
    np.testing.assert_allclose(projections(q, words).max(axis=1), rank, atol=64 * FLOAT)
    np.testing.assert_array_equal(words, lloyd(q, 3, rank, seed=16, iterations=10))


def test_too_few_samples() -> None:
    q = basis(gaussian((8, 4, 1), 17))
    assert len(lloyd(q, 3, 1, seed=1, iterations=1)) == 8
    with pytest.raises(InputError, match="7 samples for a codebook of 8: give more samples"):
        lloyd(q[:7], 3, 1, seed=1)


def test_lloyd_tells_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    q = basis(gaussian((20, 4, 1), 18))
    lloyd(q, 2, 1, seed=1, iterations=3, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("rank", [1, 2])
def test_codebook_of_a_set_up(rank: int) -> None:
    setup = Setup(antennas=4, streams=2, users=2, bits=3, pilots=4)
    words = codebook(setup, rank, seed=1)
    assert words.shape == (8, 4, rank)
    eye = np.broadcast_to(np.eye(rank), (8, rank, rank))
    np.testing.assert_allclose(gram(words), eye, atol=32 * FLOAT)
    np.testing.assert_array_equal(words, codebook(setup, rank, seed=1))
    assert (words != codebook(setup, rank, seed=2)).any()
    # Codebooks belong to one user's channels, however many users there are.
    alone = Setup(antennas=4, streams=2, users=1, bits=3, pilots=4)
    np.testing.assert_array_equal(words, codebook(alone, rank, seed=1))
    # On channels of other seeds it is better than as many random spaces, by five standard errors.
    q = basis(gaussian((5000, 4, 2), 19))
    random = basis(gaussian((8, 4, rank), 20))
    gain = projections(q, words).max(axis=1) - projections(q, random).max(axis=1)
    assert gain.mean() > 5 * gain.std() / np.sqrt(5000)
