"""The two-part report of the profile `r20-case0`, bit by bit.

Part 1 has a fixed size: CRI, RI, CQI, each most significant bit first. Part 2 has the payloads of
all layers, the strongest layer first, each as the encoder made it, most significant bit first: the
layers of group 1, then those of group 2 [S: two parts, groups and orders, as meeting notes of
RAN1#124bis report them].

From memory of TS 38.212 and not checked against it [M]: the order CRI, RI, CQI, the sizes (RI 2
bits for up to four layers, CQI 4, CRI as many as the resources need), and the check bits. Our own
choice: group 1 has the stronger half of the layers, as the notes do not say which it has.

In memory and in files each part begins at a whole byte and has zero bits behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError
from csideploy.profiles.r20_case0 import MOST_RANK, Pair

RI_BITS, CQI_BITS = 2, 4
_MOST_FIELD = 16


def crc_bits(bits: int) -> int:
    """Check bits that go with a part of so many bits: none up to 11, 6 up to 19, else 11 [M].

    They are counted, not computed: the physical layer adds them. A part above 1012 bits may be cut
    in two blocks with check bits each, which is not counted.
    """
    if bits <= 11:
        return 0
    return 6 if bits <= 19 else 11


@dataclass(frozen=True)
class Reports:
    """What `ReportLayout.unpack` finds in n reports: fields (n,), and payloads a layer."""

    cri: NDArray[np.int64]
    cqi: NDArray[np.int64]
    payloads: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True)
class ReportLayout:
    """Fields of a report of a given rank.

    Attributes:
        pairs: the payload pair of each layer, the strongest layer first.
        cri_bits, ri_bits, cqi_bits: widths of part 1's fields.

    Raises:
        InputError: no layer, more than four, a pair or a width that is none.
    """

    pairs: tuple[Pair, ...]
    cri_bits: int = 0
    ri_bits: int = RI_BITS
    cqi_bits: int = CQI_BITS

    def __post_init__(self) -> None:
        if not 1 <= len(self.pairs) <= MOST_RANK:
            raise InputError(f"a report of {len(self.pairs)} layers: 1 to {MOST_RANK} are right")
        for outputs, bits in self.pairs:
            if outputs < 1 or not 1 <= bits <= 8:
                raise InputError(
                    f"a layer of {outputs} outputs of {bits} bits: at least 1, of 1 to 8 bits"
                )
        for name in ("cri_bits", "ri_bits", "cqi_bits"):
            if not 0 <= getattr(self, name) <= _MOST_FIELD:
                raise InputError(f"{name} {getattr(self, name)}: 0 to {_MOST_FIELD} are right")
        if self.rank > 1 << self.ri_bits:
            raise InputError(f"ri_bits {self.ri_bits} cannot say rank {self.rank}")

    @property
    def rank(self) -> int:
        """Layers of a report."""
        return len(self.pairs)

    @property
    def group1(self) -> int:
        """How many layers, the strongest ones, are in group 1 (our choice: the stronger half)."""
        return (self.rank + 1) // 2

    @property
    def layer_bits(self) -> tuple[int, ...]:
        """Payload bits of each layer."""
        return tuple(outputs * bits for outputs, bits in self.pairs)

    @property
    def part1_bits(self) -> int:
        """Bits of part 1."""
        return self.cri_bits + self.ri_bits + self.cqi_bits

    @property
    def part2_bits(self) -> int:
        """Bits of part 2."""
        return sum(self.layer_bits)

    @property
    def nbytes(self) -> int:
        """Bytes of a report in memory: both parts, each with its pad."""
        return _bytes(self.part1_bits) + _bytes(self.part2_bits)

    def figures(self) -> dict[str, Any]:
        """Exact sizes, with and without check bits."""
        groups = (sum(self.layer_bits[: self.group1]), sum(self.layer_bits[self.group1 :]))
        bits = self.part1_bits + self.part2_bits
        crc = crc_bits(self.part1_bits) + crc_bits(self.part2_bits)
        return {
            "rank": self.rank,
            "part1_bits": self.part1_bits,
            "part1_crc_bits": crc_bits(self.part1_bits),
            "group1_bits": groups[0],
            "group2_bits": groups[1],
            "part2_bits": self.part2_bits,
            "part2_crc_bits": crc_bits(self.part2_bits),
            "bits": bits,
            "bits_with_crc": bits + crc,
        }

    def pack(
        self, payloads: Sequence[NDArray[np.uint8]], *, cqi: object = 0, cri: object = 0
    ) -> NDArray[np.uint8]:
        """Payloads of all layers -> reports (n, nbytes).

        Args:
            payloads: a layer each, uint8 (n, bytes of its payload), strongest layer first.
            cqi: number or (n,), below 2^cqi_bits.
            cri: likewise.

        Raises:
            InputError: the payloads are not those of the layers, or a field is out of range.
        """
        if len(payloads) != self.rank:
            raise InputError(f"payloads of {len(payloads)} layers; this report has {self.rank}")
        count = len(payloads[0])
        for layer, (own, bits) in enumerate(zip(payloads, self.layer_bits, strict=True), 1):
            if own.dtype != np.uint8 or own.shape != (count, _bytes(bits)):
                raise InputError(
                    f"payloads of layer {layer} are {own.dtype} {own.shape}; uint8 "
                    f"{(count, _bytes(bits))} is right ({bits} bits a report)"
                )
        part1 = [
            _field_bits(_field(cri, count, self.cri_bits, "cri"), self.cri_bits),
            _field_bits(np.full(count, self.rank - 1), self.ri_bits),
            _field_bits(_field(cqi, count, self.cqi_bits, "cqi"), self.cqi_bits),
        ]
        part2 = [
            np.unpackbits(own, axis=1, count=bits)
            for own, bits in zip(payloads, self.layer_bits, strict=True)
        ]
        packed = [np.packbits(np.concatenate(part, axis=1), axis=1) for part in (part1, part2)]
        return np.concatenate(packed, axis=1)

    def unpack(self, reports: NDArray[np.uint8]) -> Reports:
        """Undo `pack`; bits behind a part are ignored.

        Raises:
            FormatError: another size, or a report that says another rank.
        """
        if reports.dtype != np.uint8 or reports.ndim != 2 or reports.shape[1] != self.nbytes:
            raise FormatError(
                f"reports are {reports.dtype} {reports.shape}; uint8 (n, {self.nbytes}) is right "
                f"for rank {self.rank}"
            )
        first = _bytes(self.part1_bits)
        bits = np.unpackbits(reports[:, :first], axis=1, count=self.part1_bits)
        ends = np.cumsum([self.cri_bits, self.ri_bits])
        cri, ri, cqi = (_number(own) for own in np.split(bits, ends, axis=1))
        for index in np.flatnonzero(ri != self.rank - 1)[:1]:
            raise FormatError(
                f"report {index} says rank {int(ri[index]) + 1}; the others have {self.rank}"
            )
        bits = np.unpackbits(reports[:, first:], axis=1, count=self.part2_bits)
        layers = np.split(bits, np.cumsum(self.layer_bits)[:-1], axis=1)
        return Reports(cri, cqi, tuple(np.packbits(own, axis=1) for own in layers))


def _bytes(bits: int) -> int:
    return (bits + 7) // 8


def _field(value: object, count: int, bits: int, name: str) -> NDArray[np.int64]:
    """A field of every report, (count,), in range."""
    given = np.asarray(value)
    if given.dtype.kind not in "iu" or given.shape not in ((), (count,)):
        raise InputError(f"{name} is {given.dtype} {given.shape}: one number, or one a report")
    own = np.broadcast_to(given.astype(np.int64), (count,))
    wrong = np.flatnonzero((own < 0) | (own >> bits != 0))
    for index in wrong[:1]:
        raise InputError(f"{name} {own[index]} of report {index} does not fit {bits} bits")
    return own


def _field_bits(values: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    """(n,) -> (n, bits), most significant bit first."""
    return ((values[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)


def _number(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Undo `_field_bits`."""
    weights = 1 << np.arange(bits.shape[1], dtype=np.int64)[::-1]
    number: NDArray[np.int64] = bits.astype(np.int64) @ weights
    return number
