"""What a user does for the eType II codebook: from directions to indices.

The standard leaves the search to the user. This one takes, one after the other,

1. the group of orthogonal beams, and the L beams in it, that hold most energy over all layers,
   sub-bands and both polarisations;
2. the phases of the sub-bands, which are free: from two starts (neighbours aligned; the strongest
   beam real in every sub-band) they are fitted to what the kept taps and coefficients make, and
   these chosen anew, `ROUNDS` times; the start that ends with more energy is taken;
3. the M_v taps with most energy of each layer;
4. the strongest coefficients, K0 a layer and 2 K0 in all at most; one that is nearer to 0 than to
   the smallest amplitude is not sent;
5. the reference amplitude that leaves the least error, then each amplitude and phase by itself.

A report is as long as its number of coefficients makes it; `Codebook.payload_bits()` is the most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.etype2 import AMPLITUDE, PHASES, REFERENCE, Codebook, Reports
from csideploy.directions import align
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet

ROUNDS = 3
_CHUNK = 250

Complex = NDArray[np.complex128]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class _Kept:
    """Taps (n, v, M), rising, their coefficients (n, v, 2 L, M), and which of these to keep."""

    taps: Index
    values: Complex
    there: NDArray[np.bool_]


def search(
    codebook: Codebook, v: NDArray[np.complexfloating], *, progress: Advance = quiet
) -> Reports:
    """Indices of directions.

    Args:
        codebook: its sizes.
        v: directions (n, rank, units, ports), the strongest layer first; a length is taken as a
            weight. Ports are numbered pol N1 N2 + n1 N2 + n2.
        progress: called with samples done.

    Raises:
        InputError: another shape, or values that are not finite.
    """
    shape = (codebook.rank, codebook.units, codebook.ports)
    if v.ndim != 4 or v.shape[1:] != shape or not len(v):
        raise InputError(f"directions {v.shape} for {codebook}: (n, {', '.join(map(str, shape))})")
    if not np.isfinite(v).all() or not v.any(axis=(2, 3)).all():
        raise InputError("directions: a number is not finite, or a layer is zero")
    parts = []
    for start in range(0, len(v), _CHUNK):
        parts.append(_search(codebook, v[start : start + _CHUNK]))
        progress(min(start + _CHUNK, len(v)), len(v))
    names = Reports.__dataclass_fields__
    return Reports(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def search_flops(codebook: Codebook) -> int:
    """Operations of a search, real additions and multiplications, from its formulas.

    A complex multiplication and addition is 8, a squared magnitude 3. The products with all groups
    of beams, their energies, and of each start and round the transform over sub-bands, the
    energies, the way back and the phases. Sorting, the quantizer's look-ups and the eigenvectors
    are left out.
    """
    o1, o2 = codebook.oversampling
    layers, units = codebook.rank, codebook.units
    rows, taps, elements = 2 * codebook.beams, codebook.taps, codebook.elements
    beams = o1 * o2 * layers * units * 2 * elements * (8 * elements + 4)
    alignment = 8 * layers * (units - 1) * codebook.ports
    around = layers * rows * (8 * units * units + 4 * units + 3 * taps)
    back = layers * rows * units * (8 * taps + 8 + 6)
    return beams + alignment + 2 * ((ROUNDS + 1) * around + ROUNDS * back)


def _search(codebook: Codebook, v: NDArray[np.complexfloating]) -> Reports:
    aligned = align(v).astype(np.complex128)
    group, beams, c = _beams(codebook, aligned)
    strongest = np.sum(np.abs(c) ** 2, axis=3).argmax(axis=2)
    one = np.take_along_axis(c, strongest[:, :, None, None], axis=2)
    first = _fitted(codebook, c)
    second = _fitted(codebook, c * np.exp(-1j * np.angle(one)))
    kept = _better(first, second)
    taps, strongest, values, there = _from_strongest(codebook, kept)
    reference, amplitude, phase, there = _quantize(codebook, strongest, values, there)
    o2 = codebook.oversampling[1]
    return Reports(
        np.stack([group // o2, group % o2], axis=1),
        beams, taps, there, strongest, reference, amplitude, phase,
    )  # fmt: skip


def _fitted(codebook: Codebook, c: Complex) -> _Kept:
    """What is kept once the phases of the sub-bands follow it."""
    kept = _keep(codebook, c)
    for _ in range(ROUNDS):
        over = np.exp(2j * np.pi / codebook.units * kept.taps[..., None] * _units(codebook))
        made = np.where(kept.there, kept.values, 0) @ over
        turn = np.angle(np.sum(np.conj(c) * made, axis=2))
        c = c * np.exp(1j * turn)[:, :, None]
        kept = _keep(codebook, c)
    return kept


def _better(first: _Kept, second: _Kept) -> _Kept:
    """Of each sample the one that holds more energy, over all layers."""
    held = [np.sum(np.abs(one.values) ** 2 * one.there, axis=(1, 2, 3)) for one in (first, second)]
    wins = held[1] > held[0]
    return _Kept(
        np.where(wins[:, None, None], second.taps, first.taps),
        np.where(wins[:, None, None, None], second.values, first.values),
        np.where(wins[:, None, None, None], second.there, first.there),
    )


def _units(codebook: Codebook) -> NDArray[np.float64]:
    return np.arange(codebook.units, dtype=np.float64)


def _beams(codebook: Codebook, v: Complex) -> tuple[Index, Index, Complex]:
    """The group (n,), beams (n, L) and what they see, (n, v, 2 L, units)."""
    count, size = len(v), codebook.elements
    halves = v.reshape(count, -1, size)
    # (g, e, b): the inner products with all beams of all groups as one product.
    onto = np.conj(codebook.groups).transpose(2, 0, 1).reshape(size, -1)
    seen = (halves.reshape(-1, size) @ onto).reshape(count, halves.shape[1], -1, size)
    energy = np.sum(np.abs(seen) ** 2, axis=1)
    order = np.argsort(-energy, axis=2, kind="stable")[..., : codebook.beams]
    held = np.take_along_axis(energy, order, axis=2).sum(axis=2)
    group = held.argmax(axis=1)
    rows = np.arange(count)
    beams = np.sort(order[rows, group], axis=1)
    own = np.take_along_axis(seen[rows, :, group], beams[:, None, :], axis=2)
    # (n, v, t, pol, L) -> (n, v, pol, L, t).
    own = own.reshape(count, codebook.rank, codebook.units, 2, codebook.beams)
    c = own.transpose(0, 1, 3, 4, 2).reshape(count, codebook.rank, -1, codebook.units)
    return group, beams, c


def _keep(codebook: Codebook, c: Complex) -> _Kept:
    """The taps with most energy, and the strongest coefficients within the caps."""
    over = np.exp(-2j * np.pi / codebook.units * np.outer(_units(codebook), _units(codebook)))
    every = c @ (over / codebook.units)
    energy = np.sum(np.abs(every) ** 2, axis=2)
    most = np.argsort(-energy, axis=2, kind="stable")[..., : codebook.taps]
    taps = np.sort(most, axis=2)
    values = np.take_along_axis(every, taps[:, :, None, :], axis=3)
    return _Kept(taps, values, _strong(codebook, np.abs(values)))


def _strong(codebook: Codebook, size: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which coefficients (n, v, 2 L, M) are kept: K0 a layer, and of all layers the strongest."""
    flat = size.reshape(*size.shape[:2], -1)
    place = _places(flat)
    there = place < codebook.most_layer
    if codebook.rank > 2:
        # Every layer keeps its strongest, whatever the others have.
        weight = np.where(there, flat, -1.0)
        weight[place == 0] = np.inf
        there &= (_places(weight.reshape(len(flat), -1)) < codebook.most).reshape(there.shape)
    return there.reshape(size.shape)


def _places(values: NDArray[np.float64]) -> Index:
    """Place of each number along the last axis in falling order."""
    order = np.argsort(-values, axis=-1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(values.shape[-1]), axis=-1)
    return places


def _from_strongest(
    codebook: Codebook, kept: _Kept
) -> tuple[Index, Index, Complex, NDArray[np.bool_]]:
    """Taps counted from the strongest coefficient's, its row, and coefficients over it."""
    count, layers, _, taps = kept.values.shape
    at = np.abs(kept.values).reshape(count, layers, -1).argmax(axis=2)
    strongest, column = at // taps, at % taps
    one = np.take_along_axis(kept.values.reshape(count, layers, -1), at[..., None], axis=2)
    values = kept.values / one[..., None]
    middle = np.take_along_axis(kept.taps, column[..., None], axis=2)
    moved = (kept.taps - middle) % codebook.units
    order = np.argsort(moved, axis=2)
    moved = np.take_along_axis(moved, order, axis=2)
    values = np.take_along_axis(values, order[:, :, None, :], axis=3)
    there = np.take_along_axis(kept.there, order[:, :, None, :], axis=3)
    return moved, strongest, values, there


def _quantize(
    codebook: Codebook, strongest: Index, values: Complex, there: NDArray[np.bool_]
) -> tuple[Index, Index, Index, NDArray[np.bool_]]:
    """Reference (n, v), amplitude and phase (n, v, 2 L, M), and what is still sent."""
    size = np.where(there, np.abs(values), 0.0)
    phase = np.rint(np.angle(values) * PHASES / (2 * np.pi)).astype(np.int64) % PHASES
    # Along the phase that is sent only this part of a coefficient is of use.
    size = size * np.cos(np.angle(values) - 2 * np.pi * phase / PHASES)
    halves = size.reshape(*size.shape[:2], 2, -1)
    first = (strongest < codebook.beams)[..., None]
    weaker = np.where(first, halves[:, :, 1], halves[:, :, 0])
    stronger = np.where(first, halves[:, :, 0], halves[:, :, 1])
    error = np.stack([_loss(weaker, level) for level in REFERENCE[1:]], axis=-1)
    reference = error.argmin(axis=-1) + 1
    weak_index = _nearest(weaker / REFERENCE[reference][..., None])
    strong_index = _nearest(stronger)
    index = np.stack(
        [np.where(first, strong_index, weak_index), np.where(first, weak_index, strong_index)],
        axis=2,
    ).reshape(values.shape)
    sent = there & (index >= 0)
    mine = np.arange(values.shape[2])[:, None] == strongest[..., None, None]
    mine = mine & (np.arange(values.shape[3]) == 0)
    amplitude = np.where(mine, len(AMPLITUDE) - 1, np.where(sent, index, 0))
    phase = np.where(mine | ~sent, 0, phase)
    return reference, amplitude, phase, sent | mine


def _nearest(size: NDArray[np.float64]) -> Index:
    """Index of the nearest amplitude; -1 where 0 is nearer than the smallest."""
    levels = np.concatenate([[0.0], AMPLITUDE])
    middles = (levels[1:] + levels[:-1]) / 2
    return np.searchsorted(middles, size, side="left") - 1


def _loss(size: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Squared error of a polarisation (..., L M) -> (...) with a reference amplitude."""
    index = _nearest(size / level)
    made = level * np.where(index >= 0, AMPLITUDE[index], 0.0)
    loss: NDArray[np.float64] = np.sum((size - made) ** 2, axis=-1)
    return loss
