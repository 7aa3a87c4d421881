"""Rel-16 enhanced Type II codebook: sizes, what is sent, and the precoder that it stands for.

Source: 3GPP TS 38.214, 5.2.2.2.5. A layer's precoder in sub-band t is, up to its length,

    w_t = [ sum_i b_i sum_f y_f(t) c_(i, f) ;  sum_i b_i sum_f y_f(t) c_(i + L, f) ],

b_i L orthogonal DFT beams over the elements of one polarisation, common to all layers; y_f(t) =
exp(j 2 pi t n_f / N3), M_v of N3; c the coefficients. A coefficient is its polarisation's reference
amplitude times an amplitude times a phase of 16. The strongest coefficient is 1 and not sent, its
tap has index 0 (taps are counted from there, which turns all ports of a sub-band alike), and its
polarisation has reference 1.

Combinations are those of table 5.2.2.2.5-1. The two tables of amplitudes are from memory of the
standard and were not checked against its text [M].

Here R = 1 and N3 is at most 19. Left out: R = 2, port selection, restriction of the codebook
subset, and the choice of rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, comb

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

COMBINATIONS: dict[int, tuple[int, float, float | None, float]] = {
    1: (2, 1 / 4, 1 / 8, 1 / 4),
    2: (2, 1 / 4, 1 / 8, 1 / 2),
    3: (4, 1 / 4, 1 / 8, 1 / 4),
    4: (4, 1 / 4, 1 / 8, 1 / 2),
    5: (4, 1 / 4, 1 / 4, 3 / 4),
    6: (4, 1 / 2, 1 / 4, 1 / 2),
    7: (6, 1 / 4, None, 1 / 2),
    8: (6, 1 / 4, None, 3 / 4),
}
"""paramCombination: L, p_v of 1 or 2 layers, p_v of 3 or 4, beta."""

MOST_RANK = 4
MOST_UNITS = 19
REFERENCE = np.concatenate([[0.0], 2.0 ** (-np.arange(14, -1, -1) / 4)])
"""Reference amplitudes: index 0 reserved, 1 / sqrt(128) to 1 in steps of 1.5 dB [M]."""
AMPLITUDE = 2.0 ** (-np.arange(7, -1, -1) / 2)
"""Amplitudes within a polarisation: 1 / (8 sqrt(2)) to 1 in steps of 3 dB [M]."""
PHASES = 16
REFERENCE_BITS, AMPLITUDE_BITS, PHASE_BITS = 4, 3, 4

_PANELS = (
    (2, 1), (2, 2), (4, 1), (3, 2), (6, 1), (4, 2), (8, 1),
    (4, 3), (6, 2), (12, 1), (4, 4), (8, 2), (16, 1),
)  # fmt: skip
"""(N1, N2) of table 5.2.2.2.1-2."""

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Codebook:
    """One combination for one panel.

    Attributes:
        combination: paramCombination, 1 to 8.
        n1, n2: elements of a polarisation along both axes; 2 n1 n2 ports.
        rank: layers, 1 to 4.
        units: N3, sub-bands, 2 to 19.

    Raises:
        InputError: a number out of range, a combination that the standard bars, or one that has
            fewer coefficients than layers.
    """

    combination: int
    n1: int = 8
    n2: int = 2
    rank: int = 1
    units: int = 13

    def __post_init__(self) -> None:
        if self.combination not in COMBINATIONS:
            raise InputError(f"paramCombination {self.combination}: 1 to 8 are right")
        if (self.n1, self.n2) not in _PANELS:
            there = ", ".join(f"{n1}x{n2}" for n1, n2 in _PANELS)
            raise InputError(f"panel {self.n1}x{self.n2}: the standard has {there}")
        if not 1 <= self.rank <= MOST_RANK:
            raise InputError(f"rank {self.rank}: 1 to {MOST_RANK} are right")
        if not 2 <= self.units <= MOST_UNITS:
            raise InputError(f"eType II with {self.units} sub-bands: 2 to {MOST_UNITS} are right")
        if self.ports == 4 and self.combination > 2:
            raise InputError(
                f"paramCombination {self.combination} is barred for 4 ports: 1 and 2 are right"
            )
        if self.combination > 6 and self.ports < 32:
            raise InputError(
                f"paramCombination {self.combination} is barred for {self.ports} ports: 32 needed"
            )
        if self.combination > 6 and self.rank > 2:
            raise InputError(
                f"paramCombination {self.combination} is barred for rank {self.rank}: 1 or 2 needed"
            )
        if self.rank > self.most:
            raise InputError(
                f"paramCombination {self.combination} has {self.most} coefficients at "
                f"{self.units} sub-bands, too few for rank {self.rank}: 1 a layer needed"
            )

    @property
    def elements(self) -> int:
        """N1 N2, of one polarisation."""
        return self.n1 * self.n2

    @property
    def ports(self) -> int:
        """2 N1 N2."""
        return 2 * self.n1 * self.n2

    @property
    def oversampling(self) -> tuple[int, int]:
        """O1 and O2; O2 is 1 for a single row."""
        return 4, 4 if self.n2 > 1 else 1

    @property
    def beams(self) -> int:
        """L."""
        return COMBINATIONS[self.combination][0]

    @property
    def taps(self) -> int:
        """M_v, of every layer."""
        return self._taps(self.rank)

    def _taps(self, rank: int) -> int:
        share = COMBINATIONS[self.combination][1 if rank <= 2 else 2]
        assert share is not None
        return ceil(share * self.units)

    @property
    def most_layer(self) -> int:
        """K0: non-zero coefficients of a layer, at most."""
        return ceil(COMBINATIONS[self.combination][3] * 2 * self.beams * self._taps(1))

    @property
    def most(self) -> int:
        """Non-zero coefficients of all layers, at most: K0, or 2 K0 of several layers."""
        return self.most_layer * min(self.rank, 2)

    @property
    def group_bits(self) -> tuple[int, int]:
        """Of q1 and q2, i_1,1."""
        o1, o2 = self.oversampling
        return _bits(o1), _bits(o2)

    @property
    def beam_bits(self) -> int:
        """Of i_1,2."""
        return _bits(comb(self.elements, self.beams))

    @property
    def tap_bits(self) -> int:
        """Of i_1,6 of a layer."""
        return _bits(comb(self.units - 1, self.taps - 1))

    @property
    def map_bits(self) -> int:
        """Of i_1,7 of a layer: which coefficients are there."""
        return 2 * self.beams * self.taps

    def payload_bits(self, coefficients: int | None = None) -> int:
        """Bits of a report, without the number of coefficients, which goes into part 1.

        Args:
            coefficients: K of all layers; `most` if left out, which is what has to be reserved.

        Raises:
            InputError: fewer than one a layer, or more than `most`.
        """
        k = self.most if coefficients is None else coefficients
        if not self.rank <= k <= self.most:
            raise InputError(f"{k} coefficients: {self.rank} to {self.most} of {self}")
        strongest = _bits(k) if self.rank == 1 else self.rank * _bits(2 * self.beams)
        layers = self.rank * (self.tap_bits + self.map_bits + REFERENCE_BITS) + strongest
        values = (k - self.rank) * (AMPLITUDE_BITS + PHASE_BITS)
        return sum(self.group_bits) + self.beam_bits + layers + values

    @cached_property
    def groups(self) -> NDArray[np.complex128]:
        """All beams, complex (O1 O2, N1 N2, N1 N2): group q1 O2 + q2, beam n, element.

        Beam n of i_1,2 is N1 n2 + n1; element n1 N2 + n2. Unit vectors.
        """
        o1, o2 = self.oversampling
        first = _dft(self.n1, o1)
        second = _dft(self.n2, o2)
        # (q1, n1, e1) and (q2, n2, e2) -> (q1, q2, n2, n1, e1, e2).
        both = np.einsum("anx,bmy->abmnxy", first, second)
        return np.asarray(both.reshape(o1 * o2, self.elements, self.elements), np.complex128)

    def __str__(self) -> str:
        return f"eType II, combination {self.combination}, {self.n1}x{self.n2}, rank {self.rank}"


@dataclass(frozen=True, eq=False)
class Reports:
    """What n users send; v layers, L beams, M_v taps.

    Attributes:
        group: q1 and q2, int64 (n, 2).
        beams: rising numbers (n, L).
        taps: (n, v, M_v), the first 0, the others rising.
        there: which coefficients are sent, bool (n, v, 2 L, M_v).
        strongest: row of the strongest coefficient, at tap 0, (n, v).
        reference: index of the amplitude of the polarisation without it, (n, v), 1 to 15.
        amplitude, phase: indices (n, v, 2 L, M_v); 7 and 0 for the strongest.
    """

    group: Index
    beams: Index
    taps: Index
    there: NDArray[np.bool_]
    strongest: Index
    reference: Index
    amplitude: Index
    phase: Index


def coefficients(codebook: Codebook, reports: Reports) -> NDArray[np.complex128]:
    """The coefficients c that indices stand for, (n, v, 2 L, M_v)."""
    first = reports.strongest < codebook.beams
    weaker = REFERENCE[reports.reference]
    reference = np.stack([np.where(first, 1, weaker), np.where(first, weaker, 1)], axis=-1)
    amplitude = np.repeat(reference, codebook.beams, axis=-1)[..., None]
    amplitude = amplitude * AMPLITUDE[reports.amplitude] * reports.there
    made: NDArray[np.complex128] = amplitude * np.exp(2j * np.pi * reports.phase / PHASES)
    return made


def precoders(codebook: Codebook, reports: Reports) -> NDArray[np.complex64]:
    """The precoders, unit vectors, complex64 (n, v, units, ports)."""
    o2 = codebook.oversampling[1]
    own = codebook.groups[reports.group[:, 0] * o2 + reports.group[:, 1]]
    beams = np.take_along_axis(own, reports.beams[:, :, None], axis=1)
    over = np.exp(2j * np.pi / codebook.units * reports.taps[..., None] * _range(codebook.units))
    c = coefficients(codebook, reports) @ over
    halves = c.reshape(*c.shape[:2], 2, codebook.beams, codebook.units)
    # (n, v, pol, L, t) and (n, L, e) -> (n, v, t, pol, e).
    w = np.swapaxes(halves, 3, 4) @ beams[:, None, None]
    w = np.swapaxes(w, 2, 3).reshape(*c.shape[:2], codebook.units, codebook.ports)
    size = np.linalg.norm(w, axis=-1, keepdims=True)
    unit = np.divide(w, size, out=np.zeros_like(w), where=size > 0)
    return np.asarray(unit, np.complex64)


def subset_index(total: int, chosen: Index) -> Index:
    """The number of a subset, as i_1,2 and i_1,6 count them.

    Args:
        total: numbers to choose from, 0 to total - 1.
        chosen: rising, (..., size).
    """
    size = chosen.shape[-1]
    index = np.zeros(chosen.shape[:-1], np.int64)
    for i in range(size):
        table = np.array([comb(x, size - i) for x in range(total)])
        index += table[total - 1 - chosen[..., i]]
    return index


def subset_of(total: int, size: int, index: Index) -> Index:
    """The inverse: the rising numbers (..., size) of a subset below C(total, size)."""
    chosen = np.empty((*index.shape, size), np.int64)
    left = index.copy()
    for i in range(size):
        table = np.array([comb(x, size - i) for x in range(total)])
        x = np.searchsorted(table, left, side="right") - 1
        left = left - table[x]
        chosen[..., i] = total - 1 - x
    return chosen


def _bits(count: int) -> int:
    """Bits that tell `count` things apart."""
    return (count - 1).bit_length()


def _range(count: int) -> NDArray[np.float64]:
    return np.arange(count, dtype=np.float64)


def _dft(elements: int, oversampling: int) -> NDArray[np.complex128]:
    """(oversampling, elements, elements): group, beam, element; unit vectors."""
    q, n = np.arange(oversampling), np.arange(elements)
    at = (oversampling * n[None, :] + q[:, None]) / (oversampling * elements)
    turns = at[..., None] * n
    made: NDArray[np.complex128] = np.exp(2j * np.pi * turns) / np.sqrt(elements)
    return made
