"""The bits of an eType II report, and back: what the network reconstructs from is what was sent.

Of a sample, MSB first: q1 and q2 (i_1,1), the beams (i_1,2); then layer after layer, the strongest
first:

- its taps (i_1,6);
- which coefficients are there (i_1,7): tap after tap, in a tap beam after beam, first polarisation
  first;
- the strongest of them (i_1,8): with one layer its place among the coefficients at tap 0, in
  ceil(log2 K) bits, K the number of all coefficients; with several layers its row, in
  ceil(log2 2L) bits;
- the reference amplitude of the other polarisation (i_2,3);
- of every coefficient there but the strongest, in the order of i_1,7, the amplitude (i_2,4), then
  of every one the phase (i_2,5).

The order in which UCI has the fields is another (TS 38.212 puts them into groups by priority); the
number of bits is the same. K itself goes into part 1 of UCI and is not counted here; this order can
be read without it.
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.etype2 import (
    AMPLITUDE,
    AMPLITUDE_BITS,
    PHASE_BITS,
    REFERENCE_BITS,
    Codebook,
    Reports,
    subset_index,
    subset_of,
)
from csideploy.errors import FormatError, InputError

Index = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def payload_bytes(codebook: Codebook) -> int:
    """Bytes that hold the longest report."""
    return -(-codebook.payload_bits() // 8)


def pack(codebook: Codebook, reports: Reports) -> tuple[Bytes, Index]:
    """The payloads.

    Returns:
        uint8 (n, `payload_bytes`), zeros behind the last bit; and bits of each report, (n,).
    """
    pen = _Pen(len(reports.group))
    for axis, width in enumerate(codebook.group_bits):
        pen.write(reports.group[:, axis], width)
    pen.write(subset_index(codebook.elements, reports.beams), codebook.beam_bits)
    for layer in range(codebook.rank):
        there = _by_tap(reports.there[:, layer])
        rows = 2 * codebook.beams
        taps = reports.taps[:, layer, 1:] - 1
        pen.write(subset_index(codebook.units - 1, taps), codebook.tap_bits)
        for at in range(there.shape[1]):
            pen.write(there[:, at].astype(np.int64), 1)
        strongest = reports.strongest[:, layer]
        if codebook.rank == 1:
            before = np.cumsum(there[:, :rows], axis=1)
            place = np.take_along_axis(before, strongest[:, None], axis=1)[:, 0] - 1
            pen.write(place, _widths(there.sum(axis=1)))
        else:
            pen.write(strongest, (rows - 1).bit_length())
        pen.write(reports.reference[:, layer], REFERENCE_BITS)
        told = there.copy()
        np.put_along_axis(told, strongest[:, None], False, axis=1)
        for values, bits in (
            (_by_tap(reports.amplitude[:, layer]), AMPLITUDE_BITS),
            (_by_tap(reports.phase[:, layer]), PHASE_BITS),
        ):
            for at in range(told.shape[1]):
                pen.write(values[:, at], np.where(told[:, at], bits, 0))
    return pen.close(payload_bytes(codebook))


def unpack(codebook: Codebook, payload: Bytes) -> Reports:
    """The reports.

    Args:
        codebook: its sizes.
        payload: uint8 (n, `payload_bytes`).

    Raises:
        InputError: another shape or type.
        FormatError: a payload that no report has.
    """
    size = payload_bytes(codebook)
    if payload.dtype != np.uint8 or payload.ndim != 2 or payload.shape[1] != size:
        raise InputError(f"payload {payload.dtype} {payload.shape}: uint8 (n, {size}) needed")
    eye = _Eye(payload)
    count, layers = len(payload), codebook.rank
    rows, taps = 2 * codebook.beams, codebook.taps
    group = np.stack([eye.read(bits) for bits in codebook.group_bits], axis=1)
    beams = eye.read(codebook.beam_bits)
    _check(beams < comb(codebook.elements, codebook.beams), "a subset of beams that there is not")
    shape = (count, layers, rows, taps)
    reports = Reports(
        group,
        subset_of(codebook.elements, codebook.beams, beams),
        np.zeros((count, layers, taps), np.int64),
        np.zeros(shape, np.bool_),
        np.zeros((count, layers), np.int64),
        np.zeros((count, layers), np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
    )
    for layer in range(layers):
        chosen = eye.read(codebook.tap_bits)
        _check(chosen < comb(codebook.units - 1, taps - 1), "a subset of taps that there is not")
        reports.taps[:, layer, 1:] = subset_of(codebook.units - 1, taps - 1, chosen) + 1
        there = np.stack([eye.read(1) for _ in range(rows * taps)], axis=1) == 1
        total = there.sum(axis=1)
        _check((total > 0) & (total <= codebook.most_layer), "too many coefficients, or none")
        strongest = _strongest(codebook, eye, there)
        reference = eye.read(REFERENCE_BITS)
        _check(reference > 0, "the reserved reference amplitude")
        told = there.copy()
        np.put_along_axis(told, strongest[:, None], False, axis=1)
        found = []
        for bits in (AMPLITUDE_BITS, PHASE_BITS):
            columns = [eye.read(np.where(told[:, at], bits, 0)) for at in range(told.shape[1])]
            found.append(np.stack(columns, axis=1))
        np.put_along_axis(found[0], strongest[:, None], len(AMPLITUDE) - 1, axis=1)
        reports.strongest[:, layer], reports.reference[:, layer] = strongest, reference
        for into, values in zip(
            (reports.there, reports.amplitude, reports.phase), (there, *found), strict=True
        ):
            into[:, layer] = values.reshape(count, taps, rows).swapaxes(1, 2)
    _check(reports.there.sum(axis=(1, 2, 3)) <= codebook.most, "too many coefficients in all")
    return reports


def _strongest(codebook: Codebook, eye: _Eye, there: Mask) -> Index:
    rows = 2 * codebook.beams
    if codebook.rank > 1:
        row = eye.read((rows - 1).bit_length())
        inside = np.minimum(row, rows - 1)
        sent = np.take_along_axis(there, inside[:, None], axis=1)[:, 0]
        _check((row < rows) & sent, "a strongest coefficient that is not sent")
        return row
    place = eye.read(_widths(there.sum(axis=1)))
    before = np.cumsum(there[:, :rows], axis=1)
    _check(place < before[:, -1], "a strongest coefficient that is not sent")
    found: Index = (before <= place[:, None]).sum(axis=1)
    return found


def _by_tap(values: NDArray[Any]) -> NDArray[Any]:
    """(n, 2 L, M) -> (n, M 2 L), tap after tap."""
    return values.swapaxes(1, 2).reshape(len(values), -1)


def _widths(counts: Index) -> Index:
    """ceil(log2 of each)."""
    return np.ceil(np.log2(np.maximum(counts, 1))).astype(np.int64)


def _check(right: Mask, what: str) -> None:
    wrong = np.flatnonzero(~right)
    if wrong.size:
        raise FormatError(f"eType II payload of sample {wrong[0]}: {what}")


class _Pen:
    """Bits of many samples at once, each of its own length."""

    def __init__(self, count: int) -> None:
        self._bits: list[NDArray[np.uint8]] = []
        self._used: list[Mask] = []
        self._count = count

    def write(self, values: Index, bits: int | Index) -> None:
        """The low `bits` bits of every value, the highest first."""
        widths = np.broadcast_to(np.asarray(bits, np.int64), (self._count,))
        for at in range(int(widths.max(initial=0)) - 1, -1, -1):
            self._bits.append((values >> at & 1).astype(np.uint8))
            self._used.append(widths > at)

    def close(self, size: int) -> tuple[Bytes, Index]:
        """Bytes (n, size), and bits of each sample."""
        bits, used = np.stack(self._bits, axis=1), np.stack(self._used, axis=1)
        lengths = used.sum(axis=1)
        line = np.zeros((self._count, 8 * size), np.uint8)
        rows, _ = np.nonzero(used)
        line[rows, (np.cumsum(used, axis=1) - 1)[used]] = bits[used]
        return np.packbits(line, axis=1), lengths


class _Eye:
    """Reads them, every sample at a place of its own."""

    def __init__(self, payload: Bytes) -> None:
        self._bits = np.unpackbits(payload, axis=1)
        self._at = np.zeros(len(payload), np.int64)
        self._rows = np.arange(len(payload))

    def read(self, bits: int | Index) -> Index:
        """A number of so many bits from each; beyond the end there are zeros."""
        widths = np.broadcast_to(np.asarray(bits, np.int64), self._at.shape)
        value = np.zeros(len(self._at), np.int64)
        for done in range(int(widths.max(initial=0))):
            reading = done < widths
            inside = np.minimum(self._at, self._bits.shape[1] - 1)
            bit = self._bits[self._rows, inside] * (self._at < self._bits.shape[1])
            value = np.where(reading, 2 * value + bit, value)
            self._at += reading
        return value
