"""A fronthaul quantizer as it runs: the DU's bundle, the payload's bytes, the RUs' bundles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.fronthaul.codebooks import Codebooks
from csideploy.fronthaul.link import Complex, Links
from csideploy.fronthaul.parts import (
    Quantizer,
    du_inputs,
    du_plan,
    payload_spans,
    ru_model,
)
from csideploy.fronthaul.setup import Setup
from csideploy.runtime import Part


class Fronthaul:
    """Opened bundles of both sides; a search, see `fronthaul.searches`.

    Args:
        quantizer: what the DU reads.
        setup: sizes.
        block: R.
        du: the DU's part; None where only RUs run.
        rus: the RUs' parts.
    """

    def __init__(
        self,
        quantizer: Quantizer,
        setup: Setup,
        block: int,
        du: Part | None,
        rus: Sequence[Part],
    ) -> None:
        self.quantizer, self.block = quantizer, block
        self.du, self.rus = du, tuple(rus)
        self._spans = payload_spans(setup, block)

    @property
    def nbytes(self) -> int:
        """Bytes of a block's payload."""
        return int(self._spans[-1].stop)

    def payload(self, links: Links, s: Complex, gamma: NDArray[np.float64]) -> NDArray[np.uint8]:
        """What the DU sends: uint8 (c, bytes of a block)."""
        if self.du is None:
            raise InputError("there is no DU here")
        if s.shape[1] != self.block:
            raise InputError(f"{s.shape[1]} channel uses: bundles for blocks of {self.block}")
        read = du_inputs(self.quantizer, links, s, gamma)
        (made,) = self.du.run(*(read[one.name] for one in self.du.inputs))
        payload: NDArray[np.uint8] = made
        return payload

    def decode(self, payload: NDArray[np.uint8]) -> Complex:
        """What the RUs make of it, before Gamma: (c, R, N_tx)."""
        signals = []
        for ru, span in zip(self.rus, self._spans, strict=True):
            (signal,) = ru.run(np.ascontiguousarray(payload[:, span]))
            signals.append(signal.astype(np.float64).view(np.complex128)[..., 0])
        return np.concatenate(signals, axis=-1)

    def __call__(self, links: Links, s: Complex, gamma: NDArray[np.float64]) -> Complex:
        """x_hat (c, R, N_tx), before Gamma."""
        return self.decode(self.payload(links, s, gamma))


class Deployed(Fronthaul):
    """The bundles of codebooks, made in memory.

    Attributes:
        codebooks: what they were made of.
        block: R.
    """

    def __init__(self, codebooks: Codebooks, *, block: int, users: int | None = None) -> None:
        self.codebooks = codebooks
        du = Part(write_bundle(du_plan(codebooks, block=block, users=users)))
        rus = []
        for m in range(codebooks.setup.rus):
            plan = compile_model(
                ru_model(codebooks, m, block=block), part=f"decoder-{m + 1}", side="ru"
            )
            rus.append(Part(write_bundle(plan)))
        super().__init__(codebooks, codebooks.setup, block, du, rus)
