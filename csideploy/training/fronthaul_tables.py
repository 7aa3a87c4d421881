"""Training the tables of vq, mq, smq and pmq (paper 003, eqs. 18 and 25; Lloyd's algorithm).

Two steps in turns over blocks of Gaussian symbols:

1. the DU's search, given the tables;
2. the tables, given what was chosen: least squares with the power constraint
   sum_j p_j ||x_mj||^2 <= P_m, p_j how often codeword j is sent.

Step 2 goes RU by RU, the others held. In one channel use an RU sends one codeword, so that the
codewords of an RU do not meet in any term, and each has its own N_m x N_m system,

    (sum_k C_m^H C_m + lambda_m n_j I) x_mj = sum_k C_m^H (d - sum_m' C_m' x_m'),

k over the n_j channel uses that sent j. lambda_m >= 0 is the multiplier of the power constraint:
the power falls as lambda_m grows, so bisection finds it. The first tables are those of vq: k-means.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from csideploy.fronthaul.channels import carrier, draw
from csideploy.fronthaul.codebooks import Codebooks, check_table_bits
from csideploy.fronthaul.link import Complex, Links, prepare
from csideploy.fronthaul.quality import gaussian_symbols
from csideploy.fronthaul.searches import look_up, precoded, settle, table_indices
from csideploy.fronthaul.searches import oracle as search_of
from csideploy.fronthaul.setup import Setup
from csideploy.progress import Advance, quiet

CHANNELS, SYMBOLS = 100, 100
"""Of the training set (paper 003, Section VI)."""
ROUNDS = 15
_SWEEPS = 3
_LARGEST_MULTIPLIER = 1e9


def train_tables(
    method: str,
    setup: Setup,
    *,
    channel: str,
    alpha: float = 0.5,
    iterations: int | None = None,
    rounds: int = ROUNDS,
    channels: int = CHANNELS,
    symbols: int = SYMBOLS,
    seed: int = 0,
    progress: Advance = quiet,
) -> Codebooks:
    """Tables for one method on one kind of channel.

    Args:
        method: vq, mq, smq or pmq.
        setup: sizes.
        channel: kind, of `fronthaul.channels.KINDS`.
        alpha: of pmq.
        iterations: T of pmq; None: 2 M.
        rounds: of Lloyd's algorithm.
        channels: blocks of the training set.
        symbols: channel uses of each.
        seed: of channels, symbols, k-means.
        progress: called with rounds done and rounds in all.

    Raises:
        InputError: sizes that the method cannot search.
    """
    check_table_bits(setup, method)
    began = time.perf_counter()
    rng = np.random.default_rng([seed, 1])
    links = prepare(setup, carrier(draw(channel, setup, channels, rng)))
    s = gaussian_symbols(channels, symbols, setup.total_streams, rng)
    if method == "pmq":
        iterations = iterations if iterations is not None else 2 * setup.rus
    codebooks = Codebooks(
        method,
        setup,
        tables=_nearest_tables(links, s, rng),
        iterations=iterations or 0 if method == "pmq" else 0,
        alpha=alpha,
    )
    spent = rounds if method != "vq" else 0
    for done in range(spent):
        search = search_of(codebooks)
        gamma = settle(search, links, s, codebooks.rounds)
        indices = table_indices(codebooks, links, s, gamma)
        # The power of what is sent, not of what gamma cuts: the constraint is on the tables.
        codebooks = replace(codebooks, tables=_least_squares(codebooks, links, s, gamma, indices))
        progress(done + 1, spent)
    about = {
        "channel": channel,
        "rounds": spent,
        "channels": channels,
        "symbols": symbols,
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
    }
    return replace(codebooks, about=about)


def _nearest_tables(
    links: Links, s: Complex, rng: np.random.Generator
) -> tuple[NDArray[np.complex64], ...]:
    """k-means of the precoded signals of each RU (eq. 18)."""
    x = precoded(links, s).reshape(-1, links.setup.total_antennas)
    tables = []
    for span, bits in zip(links.setup.spans, links.setup.bits, strict=True):
        numbers = np.ascontiguousarray(x[:, span]).view(np.float64)
        if bits == 1:
            # Two means of a symmetric cloud: k-means may stop at any line through it.
            start = np.linalg.svd(numbers[:4096], full_matrices=False)[2][:1]
            start = np.concatenate([start, -start]) * numbers.std()
            centres, _ = kmeans2(numbers, start, iter=50, minit="matrix", seed=rng)
        else:
            centres, _ = kmeans2(numbers, 1 << bits, iter=50, minit="++", seed=rng)
        tables.append(centres.view(np.complex128).astype(np.complex64))
    return tuple(tables)


def _least_squares(
    codebooks: Codebooks,
    links: Links,
    s: Complex,
    gamma: NDArray[np.float64],
    indices: NDArray[np.int64],
) -> tuple[NDArray[np.complex64], ...]:
    channel, wanted = links.gained(gamma), links.wanted(s)
    tables: list[Complex] = [table.astype(np.complex128) for table in codebooks.tables]
    spans = links.setup.spans
    sent = [look_up([table], indices[..., [m]]) for m, table in enumerate(tables)]
    residual = wanted - sum(
        one @ np.swapaxes(channel[:, :, span], 1, 2) for one, span in zip(sent, spans, strict=True)
    )
    for _ in range(_SWEEPS):
        for m, span in enumerate(spans):
            own = channel[:, :, span]
            residual = residual + sent[m] @ np.swapaxes(own, 1, 2)
            tables[m] = _own_table(own, residual, indices[..., m], tables[m])
            sent[m] = look_up([tables[m]], indices[..., [m]])
            residual = residual - sent[m] @ np.swapaxes(own, 1, 2)
    return tuple(table.astype(np.complex64) for table in tables)


def _own_table(
    own: Complex,
    wanted: Complex,
    indices: NDArray[np.int64],
    before: Complex,
) -> Complex:
    """The table of one RU: own (c, L, N_m), wanted (c, R, L), indices (c, R)."""
    words, uses = len(before), indices.size
    counts = np.zeros((len(own), words))
    np.add.at(counts, (np.arange(len(own))[:, None], indices), 1)
    gram = np.einsum("cj,cla,clb->jab", counts, own.conj(), own, optimize=True)
    projected = wanted @ own.conj()
    right = np.zeros_like(before)
    np.add.at(right, indices.reshape(-1), projected.reshape(-1, projected.shape[-1]))
    share = counts.sum(axis=0) / uses
    used = share > 0
    values, vectors = np.linalg.eigh(gram[used] / uses)
    turned = np.einsum("jab,ja->jb", vectors.conj(), right[used] / uses)
    floor = 1e-12 * max(float(values.max()), np.finfo(np.float64).tiny)

    def solution(multiplier: float) -> Complex:
        loaded = np.maximum(values, 0) + multiplier * share[used, None] + floor
        found: Complex = turned / loaded
        return found

    def power(multiplier: float) -> float:
        norms = np.sum(np.abs(solution(multiplier)) ** 2, axis=1)
        return float(np.sum(share[used] * norms))

    multiplier = _multiplier(power)
    table = before.copy()
    table[used] = np.einsum("jab,jb->ja", vectors, solution(multiplier))
    return table


def _multiplier(power: Callable[[float], float]) -> float:
    """The smallest lambda >= 0 whose power is at most 1, to 1e-6 of itself."""
    if power(0.0) <= 1:
        return 0.0
    low, high = 0.0, 1e-6
    while power(high) > 1 and high < _LARGEST_MULTIPLIER:
        low, high = high, high * 4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) > 1 else (low, middle)
        if high - low < 1e-6 * high:
            break
    return high
