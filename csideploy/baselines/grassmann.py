"""Codebooks of directions: Lloyd's algorithm on subspaces (Xia and Giannakis 2006).

A codeword is an orthonormal basis A_j (M x r). What is quantized is the column space of an
estimated channel (M x N), as a basis Q. The chordal distance of two subspaces of dimension N is
d^2 = N - ||A^H Q||_F^2; for a single direction (r = 1) N is replaced by 1, and the user is free to
combine its antennas so that it hears the direction of its space that is nearest to a codeword
(Jindal, "Antenna Combining for the MIMO Downlink Channel", 2008): that is the projection again.
So both maximise ||A_j^H Q||_F^2, and the best codeword of a cell is, for both, the r strongest
eigenvectors of the mean of Q Q^H over the cell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.downlink.channels import Complex, dft_pilots, estimate, observe, rayleigh
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet

_ITERATIONS = 40
_SAMPLES_A_CODEWORD = 600
_MOST_SAMPLES = 160_000
"""Keeps a codebook of 2^12 words at minutes; 2^8 and fewer have 600 samples a word."""
_CHUNK = 1 << 22


def basis(h: Complex) -> NDArray[np.complex64]:
    """An orthonormal basis of the column space: (..., M, N)."""
    q: NDArray[np.complex64] = np.linalg.qr(h)[0].astype(np.complex64)
    return q


def projectors(q: Complex) -> NDArray[np.float32]:
    """Q Q^H of each subspace as M^2 real numbers whose dot products are traces.

    tr(A A^H Q Q^H) = ||A^H Q||_F^2, and for Hermitian matrices tr(X Y) = sum_i x_ii y_ii +
    2 sum_(i < j) (Re x_ij Re y_ij + Im x_ij Im y_ij): so the diagonal stands as it is, what is
    above it times sqrt 2. Ranks do not matter then, and all distances are one matrix product.

    Args:
        q: (n, M, r).

    Returns:
        (n, M^2).
    """
    matrix = q @ q.conj().swapaxes(1, 2)
    upper = np.triu_indices(q.shape[1], 1)
    above = matrix[:, upper[0], upper[1]] * np.sqrt(2)
    diagonal = np.diagonal(matrix, axis1=1, axis2=2).real
    return np.concatenate([diagonal, above.real, above.imag], axis=1).astype(np.float32)


def _matrices(vectors: NDArray[np.floating]) -> NDArray[np.complex128]:
    """The upper triangles, diagonal included, that `projectors` wrote: (n, M, M)."""
    size = round(np.sqrt(vectors.shape[1]))
    upper = np.triu_indices(size, 1)
    count = len(upper[0])
    above = vectors[:, size : size + count] + 1j * vectors[:, size + count :]
    made = np.zeros((len(vectors), size, size), np.complex128)
    made[:, upper[0], upper[1]] = above / np.sqrt(2)
    made[:, np.arange(size), np.arange(size)] = vectors[:, :size]
    return made


def affinities(q: Complex, codebook: Complex) -> NDArray[np.float32]:
    """||A_j^H Q||_F^2 of each subspace and codeword.

    Args:
        q: (n, M, N).
        codebook: (J, M, r).

    Returns:
        (n, J).
    """
    return projectors(q) @ projectors(codebook).T


def nearest(q: Complex, codebook: Complex) -> NDArray[np.int64]:
    """Index of the codeword at the smallest chordal distance, ties to the lowest: (n,)."""
    return _nearest(projectors(q), codebook)


def _nearest(vectors: NDArray[np.float32], codebook: Complex) -> NDArray[np.int64]:
    words = np.ascontiguousarray(projectors(codebook).T)
    found = np.empty(len(vectors), np.int64)
    step = max(1, _CHUNK // len(codebook))
    for at in range(0, len(vectors), step):
        found[at : at + step] = (vectors[at : at + step] @ words).argmax(axis=1)
    return found


def lloyd(
    q: Complex,
    bits: int,
    rank: int,
    *,
    seed: int,
    iterations: int = _ITERATIONS,
    progress: Advance = quiet,
) -> NDArray[np.complex64]:
    """A codebook of 2^B subspaces of dimension `rank` for the samples' column spaces.

    Args:
        q: bases, (n, M, N).
        bits: B, 1 to 16.
        rank: columns of a codeword, 1 to N.
        seed: of the samples that the codewords start from.
        iterations: of assignment and update.
        progress: called with iterations done and in all.

    Returns:
        complex64 (2^B, M, rank), orthonormal columns.

    Raises:
        InputError: fewer samples than codewords, or bits or rank out of range.
    """
    if not 1 <= bits <= 16 or not 1 <= rank <= q.shape[2]:
        raise InputError(
            f"{bits} bits, rank {rank}: 1 to 16 bits, and columns from 1 to {q.shape[2]}, are right"
        )
    if len(q) < 1 << bits:
        raise InputError(f"{len(q)} samples for a codebook of {1 << bits}: give more samples")
    rng = np.random.default_rng(seed)
    codebook = q[rng.choice(len(q), 1 << bits, replace=False)][:, :, :rank].astype(np.complex64)
    vectors = projectors(q)
    for iteration in range(iterations):
        index = _nearest(vectors, codebook)
        order = np.argsort(index, kind="stable")
        cells, starts = np.unique(index[order], return_index=True)
        sums = np.add.reduceat(vectors[order].astype(np.float64), starts, axis=0)
        strongest = np.linalg.eigh(_matrices(sums), UPLO="U")[1][:, :, : -rank - 1 : -1]
        codebook[cells] = strongest
        for j in np.setdiff1d(np.arange(1 << bits), cells):
            # An empty cell takes a sample anew.
            codebook[j] = q[rng.integers(len(q))][:, :rank]
        progress(iteration + 1, iterations)
    return codebook


def codebook(
    setup: Setup, rank: int, *, seed: int, progress: Advance = quiet
) -> NDArray[np.complex64]:
    """The codebook of a set-up: of the estimates that its users make with DFT pilots.

    Args:
        setup: sizes.
        rank: 1 for directions, N for the whole column space.
        seed: of channels, noise and start.
        progress: as in `lloyd`.

    Returns:
        complex64 (2^B, M, rank).
    """
    rng = np.random.default_rng(seed)
    samples = max(2 << setup.bits, min(_SAMPLES_A_CODEWORD << setup.bits, _MOST_SAMPLES))
    single = Setup(**{**setup.describe(), "users": 1})
    pilots = dft_pilots(setup)
    h = rayleigh(single, samples, rng)[:, 0]
    q = basis(estimate(setup, observe(setup, h, pilots, rng), pilots))
    return lloyd(q, setup.bits, rank, seed=seed, progress=progress)
