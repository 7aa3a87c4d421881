"""Random neural codebooks and problems of a size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from csideploy.fronthaul.networks import Network

Array = Any
Sizes = Sequence[tuple[int, int, int]]
"""Of each unit: antennas, bits, units of a hidden layer."""


def network(rng: Any, antennas: int, bits: int, hidden: int, layers: int) -> Network:
    """He's start; the first layer is centred on bits of one half, so that units go both ways."""
    weights, biases, inputs = [], [], bits
    for k in range(layers):
        w = rng.normal(size=(hidden, inputs)) * (2 / inputs) ** 0.5
        weights.append(w)
        biases.append((0 if k else -0.5 * w.sum(1)) + 0.1 * rng.normal(size=hidden))
        inputs = hidden
    weights.append(rng.normal(size=(2 * antennas, inputs)) * 2 / inputs**0.5)
    biases.append(0.1 * rng.normal(size=2 * antennas))
    return Network(tuple(weights), tuple(biases))


@dataclass(frozen=True)
class Problem:
    """Networks, C (L, N), d (R, L), complex128, and a step."""

    networks: list[Network]
    effective: Array
    targets: Array
    step: float

    @property
    def bits(self) -> list[int]:
        return [net.bits for net in self.networks]


def problem(sizes: Sizes, layers: int, streams: int, uses: int, seed: int = 0) -> Problem:
    """Gaussian channel and symbols; numbers are those of float32, so that nothing is rounded."""
    rng = np.random.default_rng(seed)
    antennas = sum(row[0] for row in sizes)

    def normal(*shape: int) -> Array:
        values = rng.normal(size=(2, *shape)).astype(np.float32).astype(np.float64)
        return values[0] + 1j * values[1]

    channel = normal(streams, antennas) / 2 ** np.ceil(np.log2(antennas) / 2)
    step = float(np.float32(0.5 / np.linalg.norm(channel, 2) ** 2))
    networks = [network(rng, *row, layers) for row in sizes]
    return Problem(networks, channel, normal(uses, streams), step)


def pairs(values: Array) -> Array:
    """Complex -> float32 (..., 2)."""
    return np.ascontiguousarray(np.stack([values.real, values.imag], -1), np.float32)


def descend(p: Problem, iterations: int) -> Array:
    """r (R, sum B_m) after the descent of |C f - d|^2, in float64 with gradients by hand."""
    r = [np.zeros((len(p.targets), net.bits)) for net in p.networks]
    antennas = np.cumsum([net.antennas for net in p.networks])[:-1]
    channels = np.split(p.effective, antennas, axis=1)
    for i in range(iterations):
        tau = np.exp(-5 * i / iterations)
        q = [1 / (1 + np.exp(-np.clip(x / tau, -700, 700))) for x in r]
        values = [_layers(net, x) for net, x in zip(p.networks, q, strict=True)]
        error = -p.targets
        for net, c, h in zip(p.networks, channels, values, strict=True):
            error = error + (h[-1][:, : net.antennas] + 1j * h[-1][:, net.antennas :]) @ c.T
        for m, (net, c, h) in enumerate(zip(p.networks, channels, values, strict=True)):
            back = 2 * error @ c.conj()
            gradient = np.concatenate([back.real, back.imag], axis=1)
            for k in range(net.layers, -1, -1):
                gradient = gradient @ net.weights[k].astype(np.float64)
                if k:
                    gradient = gradient * (h[k - 1] > 0)
            r[m] = r[m] - p.step * gradient * q[m] * (1 - q[m]) / tau
    return np.concatenate(r, axis=1)


def _layers(net: Network, values: Array) -> list[Array]:
    out = []
    for k, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        values = values @ w.astype(np.float64).T + b
        values = np.maximum(values, 0) if k < net.layers else values
        out.append(values)
    return out
