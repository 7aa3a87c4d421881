"""The parts of a transceiver as ONNX files, as plans, and running, from its weights."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import Plan
from csideploy.export.residual_models import dequantizer_model, quantizer_model, residual_layout
from csideploy.export.transceiver_models import encoder_model, precoder_model
from csideploy.runtime import Part
from csideploy.transceiver.budgets import METHODS, MOST_BITS, codebooks_for
from csideploy.transceiver.described import Budget, Described, layout_id
from csideploy.transceiver.running import Transceiver
from csideploy.transceiver.setup import MOST_USERS, Setup
from csideploy.transceiver.weights import SYSTEM, Weights

MAX_USERS = 8
"""Of a group, where nothing else is asked for."""

Floats = NDArray[np.float32]


def trained_budgets(setup: Setup) -> tuple[int, ...]:
    """The bits of the first tier, of the first two, ...: what the weights were trained for."""
    sums = np.cumsum(setup.tiers).tolist()
    return tuple(bits for bits in sums if bits <= MOST_BITS)


def encoder_onnx(weights: Weights) -> ModelProto:
    """Y (n, L, 2), received pilots over sqrt(P) -> feature (n, D)."""
    return encoder_model(weights.state)


def precoder_onnx(weights: Weights) -> ModelProto:
    """Feature (n, k, D), snr_db (n, 1) -> W (n, k, M, 2) of total power 1, any k."""
    widths = weights.widths
    return precoder_model(
        weights.state,
        antennas=weights.setup.antennas,
        form=widths["form"],
        layers=widths["layers"],
        alpha=widths["alpha"],
        beta=widths["beta"],
        anchor=widths["anchor"],
    )


def quantizer_onnx(
    weights: Weights, bits: int, region: int = 0, *, method: str = METHODS[0]
) -> ModelProto:
    """Feature (n, D) -> codes (n, B), payload (n, ceil(B / 8))."""
    return quantizer_model(codebooks_for(weights, bits, region, method=method))


def dequantizer_onnx(
    weights: Weights, bits: int, region: int = 0, *, method: str = METHODS[0]
) -> ModelProto:
    """Payload (n, ceil(B / 8)) -> feature (n, D)."""
    return dequantizer_model(codebooks_for(weights, bits, region, method=method))


@dataclass(frozen=True)
class Parts:
    """All parts that a package or a run in memory has.

    Attributes:
        weights: trained.
        bits: B of every budget, in any order.
        max_users: the most users of a group.
        method: what codebooks of other sizes are fitted to (`budgets.codebooks_for`).

    Raises:
        InputError: a budget or the number of users is out of range.
    """

    weights: Weights
    bits: tuple[int, ...]
    max_users: int = MAX_USERS
    method: str = METHODS[0]
    _made: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        bits = tuple(sorted(set(self.bits)))
        if not bits or not all(type(b) is int and 1 <= b <= MOST_BITS for b in bits):
            given = ",".join(map(str, self.bits))
            raise InputError(f"--bits {given}: numbers of bits a user, 1 to {MOST_BITS}")
        if not 1 <= self.max_users <= MOST_USERS:
            raise InputError(f"--max-users {self.max_users}: 1 to {MOST_USERS}")
        object.__setattr__(self, "bits", bits)

    @cached_property
    def codebooks(self) -> dict[tuple[int, int], list[Floats]]:
        """Tiers by budget and region."""
        regions = range(self.weights.setup.regions)
        return {
            (bits, region): codebooks_for(self.weights, bits, region, method=self.method)
            for bits in self.bits
            for region in regions
        }

    @cached_property
    def described(self) -> Described:
        """What the manifest says of them."""
        setup = self.weights.setup
        budgets = []
        for bits in self.bits:
            crc = 0
            for region in range(setup.regions):
                for book in self.codebooks[bits, region]:
                    crc = zlib.crc32(np.ascontiguousarray(book, "<f4").tobytes(), crc)
            tiers = tuple(len(b).bit_length() - 1 for b in self.codebooks[bits, 0])
            budgets.append(Budget(bits, tiers, setup.regions, crc))
        return Described(setup, tuple(budgets), self.max_users)

    def model(self, stem: str) -> ModelProto:
        """A part's ONNX file; raises InputError if there is no such part."""
        if stem == "ue":
            return encoder_onnx(self.weights)
        if stem == "bs":
            return precoder_onnx(self.weights)
        for side, make in (("ue", quantizer_model), ("bs", dequantizer_model)):
            for own, budget, region in self.described.quantizers(side):
                if own == stem:
                    return make(self.codebooks[budget.bits, region])
        raise InputError(f"no part {stem}: {', '.join(self.described.stems())}")

    def onnx(self, stem: str) -> bytes:
        """The same as bytes, made once."""
        if stem not in self._made:
            self._made[stem] = self.model(stem).SerializeToString()
        return self._made[stem]

    def plan(
        self,
        stem: str,
        model: ModelProto | None = None,
        *,
        pairing_id: bytes = bytes(16),
        metadata: Mapping[str, str] | None = None,
        n_max: int = 1,
    ) -> Plan:
        """A part, compiled.

        Args:
            stem: of `described.stems()`.
            model: its network in other numbers, such as integers; None: `model(stem)`.
            pairing_id: that all parts share.
            metadata: strings for people, added to system and precision.
            n_max: samples that one run takes.
        """
        layout = None
        for side in ("ue", "bs"):
            for own, budget, region in self.described.quantizers(side):
                if own == stem:
                    books = self.codebooks[budget.bits, region]
                    layout = residual_layout(books, layout_id(budget.bits, region))
        return compile_model(
            self.model(stem) if model is None else model,
            part=self.described.part_name(stem),
            side=stem.split("-")[0],
            pairing_id=pairing_id,
            payload=layout,
            metadata={"system": SYSTEM, "precision": "fp32", **(metadata or {})},
            n_max=n_max,
            k_max=self.max_users,
        )


class Deployed(Transceiver):
    """The bundles of weights, made in memory.

    Args:
        weights: trained.
        bits: B of each budget.
        max_users: the most users of a group.
        precision: of encoder and precoder: "fp32", "int8" or "auto".
        calibration: for integers, y (n, L, 2) of users as the encoder will see them.
        method: of codebooks of other sizes than trained.

    Attributes:
        made: the parts behind it.
    """

    def __init__(
        self,
        weights: Weights,
        bits: Sequence[int],
        max_users: int = MAX_USERS,
        precision: str = "fp32",
        *,
        calibration: Floats | None = None,
        method: str = "features",
    ) -> None:
        self.made = Parts(weights, tuple(bits), max_users, method)
        models = {}
        if precision != "fp32":
            from csideploy.transceiver.integers import quantize_ends

            quantized = quantize_ends(self.made, calibration, precision)
            models = {stem: one.network for stem, one in quantized.items()}
        opened = {
            stem: Part(write_bundle(self.made.plan(stem, models.get(stem))))
            for stem in self.made.described.stems()
        }
        super().__init__(self.made.described, weights.pilots, opened)
