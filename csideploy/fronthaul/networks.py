"""Neural codebooks of radio units, as plain numbers (paper 003, Fig. 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

Array = NDArray[Any]


@dataclass(frozen=True)
class Network:
    """f: bits b in [0, 1]^B -> N complex numbers, over K hidden layers of D ReLU units.

    weights: K + 1 matrices, (outputs, inputs): (D, B), (D, D), ..., (2N, D); (2N, B) if K = 0. The
        first N outputs are real parts, the last N imaginary ones.
    biases: K + 1 vectors.

    Raises:
        InputError: matrices that do not fit one another, an odd number of outputs, a number that is
            not finite.
    """

    weights: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]

    def __post_init__(self) -> None:
        for name in ("weights", "biases"):
            values = tuple(np.ascontiguousarray(a, np.float32) for a in getattr(self, name))
            object.__setattr__(self, name, values)
        shapes = [w.shape for w in self.weights]
        if not shapes or len(shapes) != len(self.biases) or any(len(s) != 2 for s in shapes):
            raise InputError(f"{len(shapes)} weights and {len(self.biases)} biases; matrices and "
                             "one vector for each are right")  # fmt: skip
        for w, b in zip(self.weights, self.biases, strict=True):
            if b.shape != w.shape[:1] or 0 in w.shape:
                raise InputError(f"weight {w.shape} with bias {b.shape}; ({w.shape[0]},) is right")
        hidden = [s[0] for s in shapes[:-1]]
        if [s[1] for s in shapes[1:]] != hidden or len(set(hidden)) > 1:
            raise InputError(f"layers {shapes}; hidden layers of one size, in a chain, are right")
        if shapes[-1][0] % 2:
            raise InputError(
                f"{shapes[-1][0]} outputs; real and imaginary parts are an even number"
            )
        if not all(np.isfinite(a).all() for a in (*self.weights, *self.biases)):
            raise InputError("a number of the network is not finite")

    @property
    def bits(self) -> int:
        """B, bits a channel use."""
        return int(self.weights[0].shape[1])

    @property
    def antennas(self) -> int:
        """N, complex outputs."""
        return int(self.weights[-1].shape[0]) // 2

    @property
    def layers(self) -> int:
        """K, hidden layers."""
        return len(self.weights) - 1

    @property
    def hidden(self) -> int:
        """D, units of a hidden layer; 0 without one."""
        return int(self.weights[0].shape[0]) if self.layers else 0

    def decode(self, bits: Array) -> NDArray[np.complex128]:
        """Bits (R, B), 0 or 1 -> the radio unit's numbers (R, N), in float64."""
        values = np.asarray(bits, np.float64)
        if values.ndim != 2 or values.shape[1] != self.bits:
            raise InputError(f"bits {values.shape}; (uses, {self.bits}) is right")
        for k, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ w.astype(np.float64).T + b
            if k < self.layers:
                values = np.maximum(values, 0.0)
        return values[:, : self.antennas] + 1j * values[:, self.antennas :]
