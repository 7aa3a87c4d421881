"""What the manifest of a transceiver's package says: budgets, parts, their ends and layouts.

    ue.onnx  .csib                     y -> feature
    ue-quantizer-bB[-rR].onnx  .csib   feature -> codes, payload
    bs-quantizer-bB[-rR].onnx  .csib   payload -> feature
    bs.onnx  .csib                     feature, snr_db -> W, any number of users up to max_users

B is a budget, bits a user; R a region of the cell, left out where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csideploy.errors import FormatError, InputError
from csideploy.payload import TRANSCEIVER_LAYOUT
from csideploy.transceiver.budgets import MOST_BITS
from csideploy.transceiver.setup import MOST_BITS as MOST_TIER_BITS
from csideploy.transceiver.setup import MOST_USERS, Setup
from csideploy.transceiver.weights import SYSTEM

Ends = dict[str, tuple[str, tuple[int | str, ...]]]
"""Type and shape of inputs or outputs, by name; "n" is the batch, "k" the users."""

_REGION_STEP = 64


def layout_id(bits: int, region: int = 0) -> int:
    """The layout of B bits of a user in a region: 0x0400 + 64 R + B, up to 0x07ff."""
    return TRANSCEIVER_LAYOUT + _REGION_STEP * region + bits


@dataclass(frozen=True)
class Budget:
    """One number of bits a user.

    Attributes:
        bits: B.
        tiers: b_t, B together.
        regions: that have codebooks of it.
        codebooks: CRC-32 of the codewords of all regions. Budgets that were not trained are fitted
            at export: two exports of the same weights may differ there, and this tells.
    """

    bits: int
    tiers: tuple[int, ...]
    regions: int
    codebooks: int

    @property
    def nbytes(self) -> int:
        """Bytes of a user's payload."""
        return (self.bits + 7) // 8

    @property
    def layouts(self) -> tuple[int, ...]:
        """Layout id of each region."""
        return tuple(layout_id(self.bits, region) for region in range(self.regions))

    def figures(self) -> dict[str, Any]:
        """For manifests."""
        return {
            "bits": self.bits,
            "tiers": list(self.tiers),
            "layouts": list(self.layouts),
            "bytes": self.nbytes,
            "codebooks": f"{self.codebooks:08x}",
        }


def quantizer_stem(side: str, bits: int, region: int, regions: int) -> str:
    """The file name, without its end, of a quantizer: `ue-quantizer-b10`, `bs-quantizer-b5-r1`."""
    return f"{side}-quantizer-b{bits}" + (f"-r{region}" if regions > 1 else "")


@dataclass(frozen=True)
class Described:
    """A manifest, read and checked.

    Attributes:
        setup: sizes.
        budgets: the smallest first.
        max_users: the most users of a group.
    """

    setup: Setup
    budgets: tuple[Budget, ...]
    max_users: int

    @property
    def bits(self) -> tuple[int, ...]:
        """B of every budget."""
        return tuple(budget.bits for budget in self.budgets)

    def budget(self, bits: int) -> Budget:
        """The budget of B bits.

        Raises:
            InputError: the package has none; the message lists what it has.
        """
        for budget in self.budgets:
            if budget.bits == bits:
                return budget
        has = ", ".join(map(str, self.bits))
        raise InputError(
            f"--bits {bits}: the package has {has} bits a user; export with --bits {bits} "
            "(any number of bits pairs with the same weights)"
        )

    def quantizers(self, side: str) -> Iterator[tuple[str, Budget, int]]:
        """Stem, budget and region of each quantizer of a side."""
        for budget in self.budgets:
            for region in range(self.setup.regions):
                yield quantizer_stem(side, budget.bits, region, self.setup.regions), budget, region

    def stems(self) -> tuple[str, ...]:
        """All parts, each side's in the order in which they run."""
        ue = [stem for stem, _, _ in self.quantizers("ue")]
        bs = [stem for stem, _, _ in self.quantizers("bs")]
        return ("ue", *ue, *bs, "bs")

    def part_name(self, stem: str) -> str:
        """What a part is: `encoder`, `quantizer-b10`, `dequantizer-b10`, `precoder`."""
        if stem in ("ue", "bs"):
            return "encoder" if stem == "ue" else "precoder"
        side, _, rest = stem.partition("-")
        return rest if side == "ue" else f"de{rest}"

    def interface(self, stem: str) -> tuple[Ends, Ends]:
        """What a part takes and gives.

        Raises:
            InputError: no such part.
        """
        setup = self.setup
        feature: Ends = {"feature": ("float32", ("n", setup.feature))}
        if stem == "ue":
            return {"y": ("float32", ("n", setup.pilots, 2))}, feature
        if stem == "bs":
            taken: Ends = {
                "feature": ("float32", ("n", "k", setup.feature)),
                "snr_db": ("float32", ("n", 1)),
            }
            return taken, {"W": ("float32", ("n", "k", setup.antennas, 2))}
        for side in ("ue", "bs"):
            for own, budget, _ in self.quantizers(side):
                if own == stem:
                    payload: Ends = {"payload": ("uint8", ("n", budget.nbytes))}
                    if side == "bs":
                        return payload, feature
                    return feature, {"codes": ("uint8", ("n", budget.bits)), **payload}
        raise InputError(f"no part {stem}: {', '.join(self.stems())}")

    def layout(self, stem: str) -> tuple[int, int, int] | None:
        """Layout id, codes and bytes of the payload that a part makes or takes."""
        for side in ("ue", "bs"):
            for own, budget, region in self.quantizers(side):
                if own == stem:
                    return layout_id(budget.bits, region), budget.bits, budget.nbytes
        return None


def describe(manifest: Mapping[str, Any]) -> Described:
    """Read a manifest.

    Raises:
        InputError: it does not fit together; the message says what.
    """
    if manifest["system"] != SYSTEM:
        raise InputError(f"system {manifest['system']!r}: {SYSTEM} is known")
    try:
        setup = Setup(**manifest["setup"])
    except TypeError as error:
        raise InputError(f"setup: {error}") from None
    if manifest["setup"] != setup.describe():
        raise InputError(f"setup {manifest['setup']}: all sizes are right, {setup.describe()}")
    users = manifest["max_users"]
    if type(users) is not int or not 1 <= users <= MOST_USERS:
        raise InputError(f"max_users {users}: 1 to {MOST_USERS}")
    listed = manifest["budgets"]
    if not isinstance(listed, list) or not listed:
        raise InputError("budgets: at least one")
    budgets = tuple(_budget(entry, setup.regions) for entry in listed)
    bits = [budget.bits for budget in budgets]
    if bits != sorted(set(bits)) or bits != manifest["bits"]:
        raise InputError(f"budgets of {bits} bits, 'bits' {manifest['bits']}: alike and ascending")
    return Described(setup, budgets, users)


def _budget(entry: object, regions: int) -> Budget:
    if not isinstance(entry, dict):
        raise InputError("a budget is no JSON object")
    bits, tiers, crc = entry.get("bits"), entry.get("tiers"), entry.get("codebooks")
    fits = isinstance(tiers, list) and all(
        type(own) is int and 1 <= own <= MOST_TIER_BITS for own in tiers
    )
    if type(bits) is not int or not 1 <= bits <= MOST_BITS or not fits or sum(tiers or ()) != bits:
        raise InputError(f"a budget of {bits} bits in tiers {tiers}")
    try:
        budget = Budget(bits, tuple(tiers or ()), regions, int(str(crc), 16))
    except ValueError:
        raise InputError(f"budget of {bits} bits: codebooks {crc!r}, no checksum") from None
    for key, value in budget.figures().items():
        if entry.get(key) != value:
            raise InputError(f"budget of {bits} bits: {key} {entry.get(key)}, {value} is right")
    return budget


def check_manifest(manifest: dict[str, Any], path: Path) -> None:
    """Whether a manifest is of a transceiver's package, every part with a file.

    Raises:
        FormatError: it is not; export it again.
    """
    try:
        described = describe(manifest)
    except InputError as error:
        raise FormatError(f"{path}: {error}; export the package again") from error
    if not any(name.endswith((".csib", ".onnx")) for name in manifest["files"]):
        return  # `--emit c` alone: nothing to run here, and what is read says so.
    for stem in described.stems():
        ends = ("csib", "int8.csib", "onnx")
        if not any(f"{stem}.{end}" in manifest["files"] for end in ends):
            raise FormatError(f"{path} lists no file of {stem}: export the package again")
