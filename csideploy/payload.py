"""The payload: what crosses the air, bit by bit, and the file that carries it.

A sample's payload is its codes in order, most significant bit first: of B bits each, or each of the
width that its own codebook has, which may be 0. Then, if the layout says so, the sample's scale
max|H| as 16 bits (IEEE 754 half, most significant bit first); then zero bits up to the next whole
byte.

A payload file is a header of 32 bytes, little-endian, and the samples, with nothing between them:

    offset  bytes  field
         0      4  magic "CSIP"
         4      2  version, 1
         6      2  layout id: 0x0100 + B (B bits a code) or 0x0200 + B (codebooks, B bits a code on
                   average); bit 15 set when each sample carries a scale; or 0x0300 (a fronthaul's
                   blocks: the bit streams of the RUs, each padded to whole bytes); or 0x0800 (a
                   transceiver's groups of users, `csideploy.transceiver.groups_file`; in its parts
                   0x0400 + 64 R + B, B bits of a user in region R); or 0x1000 + 16 v + B (reports
                   of v layers of B bits a code, `csideploy.profiles.report_file`)
         8      8  first 8 bytes of the link's pairing id
        16      8  count: number of samples
        24      4  bytes a sample
        28      4  CRC-32 (zlib) of bytes 0 to 27
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError, PairingError

MAGIC = b"CSIP"
VERSION = 1
HEADER_BYTES = 32
SCALE_BITS = 16
MOST_BITS = 8
UNIFORM_LAYOUT, CODEBOOK_LAYOUT, FRONTHAUL_LAYOUT = 0x0100, 0x0200, 0x0300
TRANSCEIVER_LAYOUT, GROUPS_LAYOUT = 0x0400, 0x0800
REPORT_LAYOUT = 0x1000
_SCALE_FLAG = 0x8000
_FIELDS = struct.Struct("<4sHH8sQI")
_CRC = struct.Struct("<I")


Widths = int | tuple[int, ...]
"""Bits of a code: one number for all codes, or one a code (0: that code is not sent)."""


@dataclass(frozen=True)
class Layout:
    """Order and widths of the fields of one sample; `uniform` and `codebook` make it.

    Attributes:
        count: codes of a sample.
        bits: of each code; with `widths` the budget, bits a code on average, that was asked for.
        scale: whether 16 bits of scale follow the codes.
        widths: bits of each code, 0 to 8; () where all have `bits`.
    """

    count: int
    bits: int
    scale: bool = False
    widths: tuple[int, ...] = ()

    @classmethod
    def uniform(cls, count: int, bits: int, *, scale: bool = False) -> Layout:
        """`count` codes of `bits` each."""
        return cls(count, bits, scale=scale)

    @classmethod
    def codebook(cls, widths: Iterable[int], budget: int, *, scale: bool = False) -> Layout:
        """Codes of `widths` bits each, 0 to 8, within `budget` bits a code on average.

        Raises:
            InputError: a width or the budget is out of range, there are no bits at all, or more
                than the budget.
        """
        own = tuple(int(width) for width in widths)
        _check_bits(budget)
        for index, width in enumerate(own):
            if not 0 <= width <= MOST_BITS:
                raise InputError(f"code {index} has {width} bits: 0 to {MOST_BITS} are possible")
        if not 1 <= sum(own) <= budget * len(own):
            raise InputError(
                f"{len(own)} codes have {sum(own)} bits together; a budget of {budget} bits a code "
                f"allows 1 to {budget * len(own)}"
            )
        return cls(len(own), budget, scale=scale, widths=own)

    @property
    def layout_id(self) -> int:
        """The 16-bit name of this layout in headers."""
        family = CODEBOOK_LAYOUT if self.widths else UNIFORM_LAYOUT
        return family + self.bits + (_SCALE_FLAG if self.scale else 0)

    @property
    def code_widths(self) -> Widths:
        """What `pack_codes` and `unpack_codes` take."""
        return self.widths or self.bits

    @property
    def code_bits(self) -> int:
        """Bits of a sample's codes, without scale and pad."""
        return sum(self.widths) if self.widths else self.count * self.bits

    @property
    def payload_bits(self) -> int:
        """Bits a sample that carry information, without the pad."""
        return self.code_bits + (SCALE_BITS if self.scale else 0)

    @property
    def nbytes(self) -> int:
        """Bytes a sample, the pad included."""
        return (self.payload_bits + 7) // 8

    def carrying_scale(self, scale: bool) -> Layout:
        """The same codes with or without a scale behind them."""
        return replace(self, scale=scale)

    def pack(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Codes (n, count) -> their bytes (n, ...), without scale: the reference, in NumPy."""
        return pack_codes(codes, self.code_widths)

    def unpack(self, payload: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bytes (n, ...) of codes -> codes (n, count)."""
        return unpack_codes(payload, self.count, self.code_widths)

    def figures(self) -> dict[str, Any]:
        """For manifests."""
        own: dict[str, Any] = {
            "layout_id": self.layout_id,
            "count": self.count,
            "bits": self.bits,
            "bits_per_sample": self.payload_bits,
            "bytes_per_sample": self.nbytes,
        }
        return {**own, "widths": list(self.widths)} if self.widths else own

    def describe(self) -> str:
        """For messages: `512 codes of 4 bits, 256 bytes a sample`."""
        own = f"{self.bits} bits"
        if self.widths:
            own = f"{min(self.widths)} to {max(self.widths)} bits ({self.code_bits} in all)"
        scale = f" and {SCALE_BITS} bits of scale" if self.scale else ""
        return f"{self.count} codes of {own}{scale}, {self.nbytes} bytes a sample"


@dataclass(frozen=True)
class Header:
    """The 32 bytes in front of a payload file."""

    layout_id: int
    pairing_prefix: bytes
    count: int
    sample_bytes: int

    def pack(self) -> bytes:
        """The header's bytes, checksum included."""
        fields = _FIELDS.pack(
            MAGIC, VERSION, self.layout_id, self.pairing_prefix, self.count, self.sample_bytes
        )
        return fields + _CRC.pack(zlib.crc32(fields))


def read_header(data: bytes, *, name: str) -> Header:
    """Parse and check the first 32 bytes of a payload file.

    Args:
        data: the file's first bytes.
        name: the file's name, for messages.

    Raises:
        FormatError: too short, another magic or version, or a checksum that does not fit.
    """
    if data[:4] != MAGIC[: len(data[:4])] or not data:
        raise FormatError(
            f"{name} is no payload file: it does not start with CSIP (if it was written with "
            "--raw, decode it with --raw)"
        )
    if len(data) < HEADER_BYTES:
        raise FormatError(
            f"{name} is truncated: {len(data)} bytes, and its header alone has {HEADER_BYTES}"
        )
    fields = data[: _FIELDS.size]
    _, version, layout_id, prefix, count, sample_bytes = _FIELDS.unpack(fields)
    if version != VERSION:
        raise FormatError(f"{name} has payload version {version}; this csideploy reads {VERSION}")
    (crc,) = _CRC.unpack(data[_FIELDS.size : HEADER_BYTES])
    if crc != zlib.crc32(fields):
        raise FormatError(f"{name} has a damaged header: its checksum does not fit")
    return Header(layout_id, prefix, count, sample_bytes)


def check_header(
    header: Header, layouts: Sequence[Layout], pairing_id: bytes, *, name: str
) -> Layout:
    """The layout that the file's samples follow, out of those that the receiver decodes.

    Args:
        header: of the file.
        layouts: the receiver's, one a budget, without scale.
        pairing_id: the receiver's.
        name: the file's name, for messages.

    Raises:
        PairingError: the file was made by another link, or with another bit budget.
        FormatError: the bytes a sample do not fit the layout.
    """
    check_pairing(header, pairing_id, name=name)
    scale = bool(header.layout_id & _SCALE_FLAG)
    known = {layout.carrying_scale(scale).layout_id: layout for layout in layouts}
    if header.layout_id not in known:
        decodes = ", ".join(f"0x{own.layout_id:04x} ({own.describe()})" for own in layouts)
        raise PairingError(
            f"{name} has payload layout 0x{header.layout_id:04x}, this package decodes {decodes}"
        )
    carried = known[header.layout_id].carrying_scale(scale)
    if header.sample_bytes != carried.nbytes:
        raise FormatError(
            f"{name} says {header.sample_bytes} bytes a sample; its layout has {carried.describe()}"
        )
    return carried


def check_fronthaul(header: Header, nbytes: int, pairing_id: bytes, *, name: str) -> None:
    """Whether a file's samples are blocks of this package's fronthaul.

    Args:
        header: of the file.
        nbytes: of a block, of all RUs together.
        pairing_id: the package's.
        name: the file's name, for messages.

    Raises:
        PairingError: the file was made by another link, or is of another kind.
        FormatError: the bytes a block do not fit.
    """
    check_pairing(header, pairing_id, name=name)
    if header.layout_id != FRONTHAUL_LAYOUT:
        raise PairingError(
            f"{name} has payload layout 0x{header.layout_id:04x}, this package decodes "
            f"0x{FRONTHAUL_LAYOUT:04x} (blocks of a fronthaul)"
        )
    if header.sample_bytes != nbytes:
        raise FormatError(
            f"{name} says {header.sample_bytes} bytes a sample; a block of this package has "
            f"{nbytes}"
        )


def check_pairing(header: Header, pairing_id: bytes, *, name: str) -> None:
    """Whether a file was made by this link.

    Raises:
        PairingError: by another one.
    """
    if header.pairing_prefix != pairing_id[:8]:
        raise PairingError(
            f"{name} was encoded by another link: pairing id {header.pairing_prefix.hex()}, "
            f"this package has {pairing_id[:8].hex()}; decode it with the package that encoded it"
        )


def check_length(header: Header, file_bytes: int, *, name: str) -> None:
    """A file must hold its header and `count` samples, not a byte less or more.

    Raises:
        FormatError: it is truncated, or has bytes behind its last sample.
    """
    expected = HEADER_BYTES + header.count * header.sample_bytes
    if file_bytes < expected:
        raise FormatError(
            f"{name} is truncated: {file_bytes} bytes, its header promises {expected} "
            f"({header.count} samples of {header.sample_bytes} bytes)"
        )
    if file_bytes > expected:
        raise FormatError(
            f"{name} has {file_bytes - expected} bytes behind its last sample; "
            f"its header promises {expected} bytes in all"
        )


def pack_codes(codes: NDArray[np.uint8], widths: Widths) -> NDArray[np.uint8]:
    """Codes (n, M) -> payload (n, ceil(bits of all codes / 8)): the reference, in NumPy.

    Args:
        codes: of `widths` bits.
        widths: one for all, 1 to 8, or M, each 0 to 8.

    Raises:
        InputError: a width is out of range, their number is not M, or a code needs more bits.
    """
    own = _each(widths, codes.shape[1])
    wide = np.argwhere(codes >> own)
    for sample, index in wide[:1]:
        raise InputError(f"code {int(codes[sample, index])} does not fit {own[index]} bits")
    column, shift = _bit_places(own)
    return np.packbits((codes[:, column] >> shift) & np.uint8(1), axis=1)


def unpack_codes(payload: NDArray[np.uint8], count: int, widths: Widths) -> NDArray[np.uint8]:
    """Payload (n, at least ceil(bits of all codes / 8)) -> codes (n, count).

    What follows the codes is ignored; a code of 0 bits is 0.

    Raises:
        InputError: a width is out of range, their number is not `count`, or the payload is too
            short.
    """
    own = _each(widths, count)
    column, shift = _bit_places(own)
    needed = (len(column) + 7) // 8
    if payload.shape[1] < needed:
        raise InputError(f"payload of {payload.shape[1]} bytes a sample, {needed} are needed")
    bits = np.unpackbits(payload[:, :needed], axis=1, count=len(column)) << shift
    codes = np.zeros((len(payload), count), np.uint8)
    sent = np.flatnonzero(own)
    if sent.size:
        starts = (np.cumsum(own, dtype=np.int64) - own)[sent]
        codes[:, sent] = np.add.reduceat(bits, starts, axis=1, dtype=np.uint8)
    return codes


def append_scale(
    payload: NDArray[np.uint8], layout: Layout, scale: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Put each sample's scale right behind its last code bit.

    Args:
        payload: (n, bytes) of codes alone.
        layout: the layout with `scale` set.
        scale: (n,) max|H|, rounded here to half precision.

    Raises:
        InputError: a scale is not a normal number in half precision.
    """
    with np.errstate(over="ignore", under="ignore"):
        half = scale.astype(np.float16)
    tiny = np.finfo(np.float16).tiny
    for index in np.flatnonzero(~(np.isfinite(half) & (half >= tiny)))[:1]:
        raise InputError(
            f"max|H| = {float(scale[index]):.3g} of sample {index} does not fit 16 bits "
            f"({float(tiny):.3g} to 65504): rescale the CSI, or leave --with-scale out"
        )
    code_bits = np.unpackbits(payload, axis=1, count=layout.code_bits)
    scale_bits = np.unpackbits(half.astype(">f2").view(np.uint8).reshape(-1, 2), axis=1)
    return np.packbits(np.concatenate([code_bits, scale_bits], axis=1), axis=1)


def split_scale(
    payload: NDArray[np.uint8], layout: Layout
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Undo `append_scale`: payload (n, layout.nbytes) -> codes' bytes, and scales (n,).

    Raises:
        FormatError: a scale is not a positive finite number, so the payload is damaged.
    """
    code_bits = layout.code_bits
    bits = np.unpackbits(payload, axis=1, count=layout.payload_bits)
    halves = np.packbits(bits[:, code_bits:], axis=1)
    scale = np.ascontiguousarray(halves).view(">f2").astype(np.float32)[:, 0]
    for index in np.flatnonzero(~(np.isfinite(scale) & (scale > 0)))[:1]:
        raise FormatError(f"the scale of sample {index} is {scale[index]}: the payload is damaged")
    return np.packbits(bits[:, :code_bits], axis=1), scale


def _each(widths: Widths, count: int) -> NDArray[np.uint8]:
    """The width of every code, (count,)."""
    if isinstance(widths, int):
        _check_bits(widths)
        return np.full(count, widths, np.uint8)
    if len(widths) != count:
        raise InputError(f"{len(widths)} widths for {count} codes")
    if not all(0 <= width <= MOST_BITS for width in widths):
        raise InputError(f"a code has 0 to {MOST_BITS} bits, not {min(widths)} or {max(widths)}")
    return np.array(widths, np.uint8)


def _bit_places(widths: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Of each bit of a sample, in order: its code, and how far it is above that code's last bit."""
    column = np.repeat(np.arange(len(widths)), widths)
    ends = np.cumsum(widths, dtype=np.int64)[column]
    return column, (ends - 1 - np.arange(len(column))).astype(np.uint8)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= MOST_BITS:
        raise InputError(f"{bits} bits a code: 1 to {MOST_BITS} are possible")
