"""The precoding systems that csideploy knows, and their sizes by closed formula.

Beside `registry`, which knows the CSI feedback links: here K users send B bits each, and the BS
makes precoding matrices of them. Needs no torch.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from csideploy.downlink import Setup

_KD = (
    'Kong, Song, Min, "Knowledge Distillation-aided End-to-End Learning for Linear Precoding in '
    'Multiuser MIMO Downlink Systems with Finite-Rate Feedback"'
)
_BD = (
    'Ravindran, Jindal, "Limited feedback-based block diagonalization for the MIMO broadcast '
    'channel"'
)
_RBD = 'Stankovic, Haardt, "Generalized design of multiuser MIMO precoding matrices"'
_RANK1 = "one quantized direction a user and regularized zero forcing; conventional, no paper"


@dataclass(frozen=True)
class PrecoderSpec:
    """One way from pilots to precoding matrices.

    Attributes:
        name: of the system.
        paper: where it stands.
        training: what `csideploy train` makes of it, "networks" or "codewords"; None: nothing.
        parts: name and side of each deployable function.
    """

    name: str
    paper: str
    training: Literal["networks", "codewords"] | None
    parts: tuple[tuple[str, str], ...]

    @property
    def trained(self) -> bool:
        """Whether there is nothing without training: its parts are networks."""
        return self.training == "networks"


def _specs() -> dict[str, PrecoderSpec]:
    quantized = (("quantizer", "ue"), ("precoder", "bs"))
    specs = (
        PrecoderSpec("kd-precoder", _KD, "networks", (("receiver", "ue"), ("transmitter", "bs"))),
        PrecoderSpec("bd", _BD, None, quantized),
        PrecoderSpec("rbd", _RBD, None, quantized),
        PrecoderSpec("rank1-rzf", _RANK1, "codewords", quantized),
    )
    return {spec.name: spec for spec in specs}


PRECODERS: dict[str, PrecoderSpec] = _specs()


def receiver_sizes(setup: Setup) -> tuple[int, ...]:
    """Widths of the receiver's layers, input and output included (paper 004, Section IV-A)."""
    width = setup.antennas * setup.streams
    return setup.inputs, 40 * width, 30 * width, 20 * width, setup.bits


def transmitter_sizes(setup: Setup, *, power_input: bool = False) -> tuple[int, ...]:
    """Widths of the transmitter's layers; one more input where it is told P (eq. 5)."""
    width = setup.antennas * setup.streams * setup.users
    return setup.bits * setup.users + power_input, 20 * width, 30 * width, 40 * width, 2 * width


def parameters(setup: Setup, *, power_input: bool = False) -> dict[str, int]:
    """Weights and biases of the two networks; the receiver of one user."""
    transmitter = transmitter_sizes(setup, power_input=power_input)
    return {"receiver": _weights(receiver_sizes(setup)), "transmitter": _weights(transmitter)}


def macs(setup: Setup, *, power_input: bool = False) -> dict[str, int]:
    """Multiply-accumulates of the two networks; the receiver of one user."""
    transmitter = transmitter_sizes(setup, power_input=power_input)
    return {"receiver": _products(receiver_sizes(setup)), "transmitter": _products(transmitter)}


def receiver_flops(setup: Setup) -> int:
    """10MN(16LN + 360MN - 9) + B(40MN - 1): multiplications and additions (paper 004, III-C).

    The same as 2 a MAC less one addition an output. At L = M = 8, N = 2, B = 6 it is 964,954; the
    paper prints 471,040, which is the MACs of an input of 16 without the last layer.
    """
    width = setup.antennas * setup.streams
    hidden = 10 * width * (16 * setup.pilots * setup.streams + 360 * width - 9)
    return hidden + setup.bits * (40 * width - 1)


def _weights(sizes: tuple[int, ...]) -> int:
    return _products(sizes) + sum(sizes[1:])


def _products(sizes: tuple[int, ...]) -> int:
    return sum(a * b for a, b in itertools.pairwise(sizes))
