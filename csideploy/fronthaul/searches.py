"""What the DU does with symbols: precode, quantize, and keep every RU's power.

A search takes blocks and gives what the RUs will make of the bits, before Gamma. Two kinds: the
float64 NumPy oracle of tables (training, tests), and the native part of a bundle, in `deployed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.fronthaul.channels import link_gains
from csideploy.fronthaul.codebooks import Codebooks
from csideploy.fronthaul.link import Complex, Links, per_antenna, power_gains
from csideploy.fronthaul.search import (
    interference_classes,
    quantize_nearest,
    search_exhaustive,
    search_sequential,
)

Indices = NDArray[np.int64]
Search = Callable[[Links, Complex, NDArray[np.float64]], Complex]
"""(blocks, s (c, R, L), gamma (c, M)) -> x_hat (c, R, N_tx), before Gamma."""


_FULL_ROUNDS = 5


def precoded(links: Links, s: Complex) -> NDArray[np.complex128]:
    """X = W s: (c, R, N_tx)."""
    x: NDArray[np.complex128] = s @ np.swapaxes(links.w, 1, 2)
    return x


def table_indices(
    codebooks: Codebooks, links: Links, s: Complex, gamma: NDArray[np.float64]
) -> Indices:
    """What the DU chooses by tables, in float64 NumPy: (c, R, M)."""
    if codebooks.neural:
        raise InputError(f"{codebooks.method} has no tables")
    x, wanted, channel = precoded(links, s), links.wanted(s), links.gained(gamma)
    gains = link_gains(links.setup, links.h)
    rus, found = links.setup.rus, []
    for i in range(len(links)):
        if codebooks.method == "vq":
            found.append(quantize_nearest(x[i], codebooks.tables))
        elif codebooks.method == "mq":
            found.append(search_exhaustive(channel[i], wanted[i], codebooks.tables))
        else:
            smq = codebooks.method == "smq"
            classes = (
                [[m] for m in range(rus)]
                if smq
                else interference_classes(gains[i], codebooks.alpha)
            )
            rounds = rus if smq else codebooks.iterations
            found.append(
                search_sequential(channel[i], wanted[i], codebooks.tables, classes, rounds)
            )
    return np.stack(found)


def look_up(tables: Sequence[NDArray[np.complexfloating]], indices: Indices) -> Complex:
    """(..., M) indices to (..., N_tx) signals."""
    parts = [table[indices[..., m]] for m, table in enumerate(tables)]
    return np.concatenate(parts, axis=-1).astype(np.complex128)


def oracle(codebooks: Codebooks) -> Search:
    """The search of tables in NumPy."""

    def search(links: Links, s: Complex, gamma: NDArray[np.float64]) -> Complex:
        return look_up(codebooks.tables, table_indices(codebooks, links, s, gamma))

    return search


def settle(search: Search, links: Links, s: Complex, rounds: int) -> NDArray[np.float64]:
    """Gamma (c, M) of blocks, by symbols that stand for all.

    gamma_m follows the power of what is chosen, and a joint search chooses by A Gamma: the two are
    found in turns, from gamma = 1. After five rounds gamma goes half the way (in dB), since it
    may swing. The paper leaves open how gamma is found.

    Args:
        search: of the DU.
        links: c blocks.
        s: (c, R, L), symbols to estimate the power with.
        rounds: `Codebooks.rounds`.
    """
    gamma = np.ones((len(links), links.setup.rus))
    for done in range(rounds):
        found = power_gains(links.setup, search(links, s, gamma))
        gamma = found if done < _FULL_ROUNDS else np.sqrt(gamma * found)
    return gamma


def send(search: Search, links: Links, s: Complex, gamma: NDArray[np.float64]) -> Complex:
    """What the RUs send, Gamma x_hat (c, R, N_tx).

    `gamma` is what the DU searches with. What an RU applies it finds itself, from the mean power of
    the block that it has decoded.
    """
    x_hat = search(links, s, gamma)
    held = power_gains(links.setup, x_hat)
    sent: Complex = x_hat * per_antenna(links.setup, held)[:, None]
    return sent
