"""The payload file of a transceiver: what the users of a group send, group after group.

Behind the header of 32 bytes (`csideploy.payload`, layout id 0x0800; a "sample" is a group) stands
a record, little-endian:

    offset  bytes  field
         0      2  K, users of a group, 1 to 64
         2      2  1: the regions of its K users, a byte each, stand in front of each group; 0: all
                   users are in region 0
         4     6 K of each position 2 bytes, 0x0400 + B, B the bits of the user that stands there,
                   and 4 bytes, the CRC-32 of the codebooks of B bits
    4 + 6K      4  CRC-32 (zlib) of the record so far

Then the groups: of each user in order ceil(B / 8) bytes, tier 1 first, the index of a tier MSB
first, zero bits at the end. The layout of a user is 0x0400 + 64 R + B, R its region (Remark 2 of
paper 000): a BS knows that from where the user is, so that it is not counted among the B bits.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError, PairingError
from csideploy.outputs import reason
from csideploy.payload import GROUPS_LAYOUT, HEADER_BYTES, Header, check_pairing, read_header
from csideploy.transceiver.described import Budget, Described, layout_id
from csideploy.transceiver.setup import MOST_USERS

_HEAD, _ENTRY, _CRC = struct.Struct("<HH"), struct.Struct("<HI"), struct.Struct("<I")


@dataclass(frozen=True)
class GroupLayout:
    """What a group's bytes are.

    Attributes:
        budgets: of each position of a group, (K,).
        regions: whether the users' regions stand in front of each group.
    """

    budgets: tuple[Budget, ...]
    regions: bool

    @property
    def users(self) -> int:
        """K."""
        return len(self.budgets)

    @property
    def nbytes(self) -> int:
        """Bytes of a group."""
        return self._front + sum(budget.nbytes for budget in self.budgets)

    @property
    def bits(self) -> int:
        """Bits of a group that carry information."""
        return sum(budget.bits for budget in self.budgets)

    @property
    def _front(self) -> int:
        return self.users if self.regions else 0

    def spans(self) -> Iterator[tuple[int, Budget, slice]]:
        """Position, budget and bytes of each user."""
        at = self._front
        for position, budget in enumerate(self.budgets):
            yield position, budget, slice(at, at + budget.nbytes)
            at += budget.nbytes

    def head(self, pairing_id: bytes, count: int) -> bytes:
        """Header and record of a file of `count` groups."""
        header = Header(GROUPS_LAYOUT, pairing_id[:8], count, self.nbytes).pack()
        record = _HEAD.pack(self.users, self.regions)
        for budget in self.budgets:
            record += _ENTRY.pack(layout_id(budget.bits), budget.codebooks)
        return header + record + _CRC.pack(zlib.crc32(record))

    def region_of(self, groups: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(n, K), of bytes (n, nbytes)."""
        if not self.regions:
            return np.zeros((len(groups), self.users), np.uint8)
        return groups[:, : self.users]


def read_groups(
    path: Path,
    described: Described,
    pairing_id: bytes,
    *,
    raw: GroupLayout | None = None,
) -> tuple[GroupLayout, NDArray[np.uint8]]:
    """Read a payload file.

    Args:
        path: what `encode` wrote.
        described: the package that shall decode it.
        pairing_id: the package's.
        raw: the layout of a file without header and record.

    Returns:
        Layout, and the groups' bytes (n, nbytes).

    Raises:
        InputError: no such file. FormatError: it is damaged. PairingError: of another link, other
        budgets or other codebooks than the package's.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from error
    layout, begin, count = raw, 0, None
    if layout is None:
        header = read_header(data[:HEADER_BYTES], name=str(path))
        check_pairing(header, pairing_id, name=str(path))
        if header.layout_id != GROUPS_LAYOUT:
            raise PairingError(
                f"{path} has payload layout 0x{header.layout_id:04x}, this package decodes "
                f"0x{GROUPS_LAYOUT:04x} (groups of a transceiver's users)"
            )
        layout, begin = _record(path, data, described)
        count = header.count
        if header.sample_bytes != layout.nbytes:
            raise FormatError(
                f"{path} says {header.sample_bytes} bytes a group; its record makes {layout.nbytes}"
            )
    whole = len(data) - begin
    if count is not None and whole != count * layout.nbytes:
        raise FormatError(
            f"{path}: {whole} bytes of groups; its header promises {count} of {layout.nbytes} bytes"
        )
    if not whole or whole % layout.nbytes:
        raise FormatError(f"{path}: {whole} bytes of groups; a group has {layout.nbytes} bytes")
    groups = np.frombuffer(data, np.uint8, offset=begin).reshape(-1, layout.nbytes)
    wrong = np.argwhere(layout.region_of(groups) >= described.setup.regions)
    for group, user in wrong[:1]:
        raise FormatError(
            f"{path}: user {user} of group {group} is in region {groups[group, user]}; there are 0 "
            f"to {described.setup.regions - 1}"
        )
    return layout, groups


def _record(path: Path, data: bytes, described: Described) -> tuple[GroupLayout, int]:
    """The layout that a file's record gives, and where its groups begin."""
    head = data[HEADER_BYTES : HEADER_BYTES + _HEAD.size]
    users, regions = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
    end = HEADER_BYTES + _HEAD.size + users * _ENTRY.size
    record = data[HEADER_BYTES:end]
    crc = data[end : end + _CRC.size]
    if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != zlib.crc32(record):
        raise FormatError(f"{path} has a damaged record of its users: its checksum does not fit")
    if not 1 <= users <= MOST_USERS or regions > 1:
        raise FormatError(f"{path}: groups of {users} users; 1 to {MOST_USERS} are possible")
    if users > described.max_users:
        raise InputError(
            f"{path}: groups of {users} users; this package takes 1 to {described.max_users}: "
            f"export with --max-users {users}"
        )
    known = {layout_id(budget.bits): budget for budget in described.budgets}
    budgets = []
    for own, codebooks in _ENTRY.iter_unpack(record[_HEAD.size :]):
        if own not in known:
            has = ", ".join(f"0x{one:04x}" for one in known)
            raise PairingError(
                f"{path} has a user of layout 0x{own:04x} ({own - layout_id(0)} bits), this "
                f"package decodes {has}: export with --bits {own - layout_id(0)}"
            )
        if known[own].codebooks != codebooks:
            raise PairingError(
                f"{path}: its codebooks of {known[own].bits} bits are others than this package's; "
                "both ends need the parts of one export where the bits were not trained"
            )
        budgets.append(known[own])
    if regions != (described.setup.regions > 1):
        raise FormatError(f"{path}: users with regions {regions}; the package's set-up differs")
    return GroupLayout(tuple(budgets), bool(regions)), end + _CRC.size
