"""A fronthaul quantizer as it runs: the DU's bundle, the payload's bytes, the RUs' bundles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.fronthaul.codebooks import Codebooks
from csideploy.fronthaul.link import Complex, Links
from csideploy.fronthaul.parts import du_inputs, du_plan, payload_spans, ru_model
from csideploy.runtime import Part


class Deployed:
    """Bundles of both sides; a search, see `fronthaul.searches`.

    Attributes:
        codebooks: what they were made of.
        block: R.
    """

    def __init__(self, codebooks: Codebooks, *, block: int, users: int | None = None) -> None:
        self.codebooks, self.block = codebooks, block
        self._du = Part(write_bundle(du_plan(codebooks, block=block, users=users)))
        self._rus = []
        for m in range(codebooks.setup.rus):
            plan = compile_model(
                ru_model(codebooks, m, block=block), part=f"decoder-{m + 1}", side="ru"
            )
            self._rus.append(Part(write_bundle(plan)))

    def payload(self, links: Links, s: Complex, gamma: NDArray[np.float64]) -> NDArray[np.uint8]:
        """What the DU sends: uint8 (c, bytes of a block)."""
        if s.shape[1] != self.block:
            raise InputError(f"{s.shape[1]} channel uses: bundles for blocks of {self.block}")
        read = du_inputs(self.codebooks, links, s, gamma)
        (made,) = self._du.run(*(read[one.name] for one in self._du.inputs))
        payload: NDArray[np.uint8] = made
        return payload

    def decode(self, payload: NDArray[np.uint8]) -> Complex:
        """What the RUs make of it, before Gamma: (c, R, N_tx)."""
        spans = payload_spans(self.codebooks.setup, self.block)
        signals = []
        for ru, span in zip(self._rus, spans, strict=True):
            (signal,) = ru.run(np.ascontiguousarray(payload[:, span]))
            signals.append(signal.astype(np.float64).view(np.complex128)[..., 0])
        return np.concatenate(signals, axis=-1)

    def __call__(self, links: Links, s: Complex, gamma: NDArray[np.float64]) -> Complex:
        """x_hat (c, R, N_tx), before Gamma."""
        return self.decode(self.payload(links, s, gamma))
