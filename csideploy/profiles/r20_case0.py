"""The profile `r20-case0`: what RAN1 reported for Rel-20 two-sided CSI compression, as data.

Source: agreements of RAN1#124bis as two independent meeting notes report them [S]. None of it is
text of a standard, and the wording may move until the specifications are written. What is our own
reading or choice says so.

The default scalar codebooks are those of an encoder that ends in a sigmoid: the middles of 2^Q
equal cells of [0, 1], which is csideploy's uniform quantizer (paper 002, eq. 12): a code is
min(floor(x 2^Q), 2^Q - 1), its value (code + 0.5) / 2^Q.
"""

from __future__ import annotations

from typing import NamedTuple

from csideploy.errors import InputError

NAME = "r20-case0"
STATUS = "reported agreements (RAN1#124bis), not standard text; wording may move [S]"
READING = (
    "a payload pair is read as {outputs of the encoder, bits of an output} of one layer [our "
    "reading]"
)
BIT_ORDER = "msb-first, strongest-layer-first"
SCOPE = "precoding matrix in the port-sub-band domain"
"""What the reported agreements compress."""
CARRIED = "angular-delay channel matrix of one receive antenna a layer"
"""What csideploy's links compress: the same two parts, another target CSI."""

MOST_PORTS = 128
MOST_RANK = 4
MOST_SUBBANDS = 19

CODEBOOKS: dict[int, tuple[float, ...]] = {
    1: (1 / 4, 3 / 4),
    2: (1 / 8, 3 / 8, 5 / 8, 7 / 8),
}
"""Bits of an output -> the default scalar codebook, where the network exchanges none."""


class Pair(NamedTuple):
    """Payload of one layer: outputs of the encoder, and bits of each."""

    outputs: int
    bits: int

    def __str__(self) -> str:
        """As the notes write it: `{64, 2}`."""
        return f"{{{self.outputs}, {self.bits}}}"


_LOWER = tuple(Pair(*own) for own in ((32, 2), (64, 2), (96, 2), (128, 2), (192, 2), (32, 1)))
_FOURTH = tuple(Pair(*own) for own in ((32, 2), (64, 2), (96, 2), (32, 1)))
PAIRS: dict[int, tuple[Pair, ...]] = {1: _LOWER, 2: _LOWER, 3: _LOWER, 4: _FOURTH}
"""Layer -> the pairs that it may have."""


def check_name(name: str) -> None:
    """Whether there is such a profile.

    Raises:
        InputError: there is not.
    """
    if name != NAME:
        raise InputError(f"--profile {name}: {NAME} is the one profile there is")


def check_pair(outputs: int, bits: int | None, quantizer: str | None) -> Pair:
    """The payload pair of a link.

    Args:
        outputs: M of the encoder.
        bits: of an output; None where floats are fed back.
        quantizer: one of `registry.QUANTIZERS`.

    Raises:
        InputError: the profile has no such pair, or the quantizer has other values than its
            default codebook.
    """
    pairs = f"the pairs {{outputs, bits}} are {', '.join(map(str, PAIRS[1]))}"
    change = "--cr 64, 32 or 16 (32, 64, 128 outputs) with --bits 2, or --cr 64 --bits 1"
    if bits is None or quantizer != "uniform":
        kind = "float features" if bits is None else f"the quantizer {quantizer}"
        raise InputError(
            f"--profile {NAME}: this link has {kind}; the profile's default codebooks are those of "
            f"--quantizer uniform, {pairs}: train {change}"
        )
    pair = Pair(outputs, bits)
    if pair not in PAIRS[1]:
        raise InputError(
            f"--profile {NAME}: this link has {outputs} outputs of {bits} bits; {pairs}: "
            f"take {change}"
        )
    return pair


def layers_of(pair: Pair) -> int:
    """How many layers may have this pair: one encoder codes all layers of a report."""
    return max((layer for layer, pairs in PAIRS.items() if pair in pairs), default=0)
