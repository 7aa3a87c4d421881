"""The payload: what crosses the air, bit by bit, and the file that carries it.

A sample's payload is its codes in order, B bits each, most significant bit first; then, if the
layout says so, the sample's scale max|H| as 16 bits (IEEE 754 half, most significant bit first);
then zero bits up to the next whole byte.

A payload file is a header of 32 bytes, little-endian, and the samples, with nothing between them:

    offset  bytes  field
         0      4  magic "CSIP"
         4      2  version, 1
         6      2  layout id: 0x0100 + B; bit 15 set when each sample carries a scale
         8      8  first 8 bytes of the link's pairing id
        16      8  count: number of samples
        24      4  bytes a sample
        28      4  CRC-32 (zlib) of bytes 0 to 27
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError, PairingError

MAGIC = b"CSIP"
VERSION = 1
HEADER_BYTES = 32
SCALE_BITS = 16
_SCALE_FLAG = 0x8000
_FIELDS = struct.Struct("<4sHH8sQI")
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class Layout:
    """Order and widths of the fields of one sample: `count` codes of `bits`, a scale or none."""

    count: int
    bits: int
    scale: bool = False

    @property
    def layout_id(self) -> int:
        """The 16-bit name of this layout in headers."""
        return 0x0100 + self.bits + (_SCALE_FLAG if self.scale else 0)

    @property
    def payload_bits(self) -> int:
        """Bits a sample that carry information, without the pad."""
        return self.count * self.bits + (SCALE_BITS if self.scale else 0)

    @property
    def nbytes(self) -> int:
        """Bytes a sample, the pad included."""
        return (self.payload_bits + 7) // 8

    def figures(self) -> dict[str, int]:
        """For manifests."""
        return {
            "layout_id": self.layout_id,
            "count": self.count,
            "bits": self.bits,
            "bits_per_sample": self.payload_bits,
            "bytes_per_sample": self.nbytes,
        }

    def describe(self) -> str:
        """For messages: `512 codes of 4 bits, 256 bytes a sample`."""
        scale = f" and {SCALE_BITS} bits of scale" if self.scale else ""
        return f"{self.count} codes of {self.bits} bits{scale}, {self.nbytes} bytes a sample"


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


def check_header(header: Header, layout: Layout, pairing_id: bytes, *, name: str) -> Layout:
    """The layout that the file's samples follow, given the receiver's own layout without scale.

    Raises:
        PairingError: the file was made by another link, or with another bit budget.
        FormatError: the bytes a sample do not fit the layout.
    """
    if header.pairing_prefix != pairing_id[:8]:
        raise PairingError(
            f"{name} was encoded by another link: pairing id {header.pairing_prefix.hex()}, "
            f"this package has {pairing_id[:8].hex()}; decode it with the package that encoded it"
        )
    carried = Layout(layout.count, layout.bits, scale=bool(header.layout_id & _SCALE_FLAG))
    if header.layout_id != carried.layout_id:
        raise PairingError(
            f"{name} has payload layout 0x{header.layout_id:04x}, this package decodes "
            f"0x{layout.layout_id:04x} ({layout.describe()})"
        )
    if header.sample_bytes != carried.nbytes:
        raise FormatError(
            f"{name} says {header.sample_bytes} bytes a sample; its layout has {carried.describe()}"
        )
    return carried


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


def pack_codes(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Codes (n, M) of `bits` each -> payload (n, ceil(M bits / 8)): the reference, in NumPy.

    Raises:
        InputError: `bits` is not 1 to 8, or a code needs more than `bits`.
    """
    _check_bits(bits)
    if codes.size and int(codes.max()) >> bits:
        raise InputError(f"code {int(codes.max())} does not fit {bits} bits")
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    expanded = (codes[:, :, None] >> shifts) & np.uint8(1)
    return np.packbits(expanded.reshape(codes.shape[0], -1), axis=1)


def unpack_codes(payload: NDArray[np.uint8], count: int, bits: int) -> NDArray[np.uint8]:
    """Payload (n, at least ceil(count bits / 8)) -> codes (n, count); what follows is ignored.

    Raises:
        InputError: `bits` is not 1 to 8, or the payload is too short.
    """
    _check_bits(bits)
    needed = (count * bits + 7) // 8
    if payload.shape[1] < needed:
        raise InputError(f"payload of {payload.shape[1]} bytes a sample, {needed} are needed")
    flat = np.unpackbits(payload[:, :needed], axis=1, count=count * bits)
    weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.uint8)
    codes: NDArray[np.uint8] = flat.reshape(-1, count, bits) @ weights
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
    code_bits = np.unpackbits(payload, axis=1, count=layout.count * layout.bits)
    scale_bits = np.unpackbits(half.astype(">f2").view(np.uint8).reshape(-1, 2), axis=1)
    return np.packbits(np.concatenate([code_bits, scale_bits], axis=1), axis=1)


def split_scale(
    payload: NDArray[np.uint8], layout: Layout
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Undo `append_scale`: payload (n, layout.nbytes) -> codes' bytes, and scales (n,).

    Raises:
        FormatError: a scale is not a positive finite number, so the payload is damaged.
    """
    code_bits = layout.count * layout.bits
    bits = np.unpackbits(payload, axis=1, count=layout.payload_bits)
    halves = np.packbits(bits[:, code_bits:], axis=1)
    scale = np.ascontiguousarray(halves).view(">f2").astype(np.float32)[:, 0]
    for index in np.flatnonzero(~(np.isfinite(scale) & (scale > 0)))[:1]:
        raise FormatError(f"the scale of sample {index} is {scale[index]}: the payload is damaged")
    return np.packbits(bits[:, :code_bits], axis=1), scale


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= 8:
        raise InputError(f"{bits} bits a code: 1 to 8 are possible")
