"""The fronthaul quantizers that csideploy knows. Beside `registry` and `precoders`; no torch.

The DU quantizes what all RUs shall send and gives each RU its bits; an RU makes samples of them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from csideploy.errors import InputError
from csideploy.fronthaul.setup import Setup

_PAPER = "Scalable multivariate fronthaul quantization for cell-free massive MIMO"
_FIG5 = Setup((2,) * 8, (2,) * 8, users=3, receive_antennas=2, streams=1)
_FIG5_MQ = Setup((2,) * 4, (2,) * 4, users=3, receive_antennas=2, streams=1)


@dataclass(frozen=True)
class FronthaulSpec:
    """One way over the fronthaul.

    Attributes:
        name: of the system.
        paper: where it stands.
        training: what `csideploy train` makes of it; None: nothing.
        setup: sizes where none are asked for, those of the paper.
        deployed: whether there are parts for DU and RUs; else it is only measured.
    """

    name: str
    paper: str
    training: Literal["tables", "networks"] | None
    setup: Setup
    deployed: bool = True

    def parts(self, setup: Setup | None = None) -> tuple[tuple[str, str], ...]:
        """Name and side of each deployable part: quantizer at the DU, a decoder an RU."""
        if not self.deployed:
            return ()
        rus = (setup or self.setup).rus
        return (("quantizer", "du"), *((f"decoder-{m + 1}", "ru") for m in range(rus)))


def _specs() -> dict[str, FronthaulSpec]:
    specs = (
        FronthaulSpec("cp", f"{_PAPER}: compress-and-precode, Section II-B", None, Setup(), False),
        FronthaulSpec("vq", f"{_PAPER}: each RU by itself, eq. (16)", "tables", _FIG5),
        FronthaulSpec("mq", f"{_PAPER}: all combinations, eq. (19)", "tables", _FIG5_MQ),
        FronthaulSpec("smq", f"{_PAPER}: RU after RU, Section III-C", "tables", _FIG5),
        FronthaulSpec("pmq", f"{_PAPER}: alpha-PMQ, Algorithm 1", "tables", _FIG5),
        FronthaulSpec("neural-vq", f"{_PAPER}: Algorithm 3", "networks", Setup()),
        FronthaulSpec("neural-mq", f"{_PAPER}: Algorithm 2", "networks", Setup()),
    )
    return {spec.name: spec for spec in specs}


FRONTHAUL: dict[str, FronthaulSpec] = _specs()


def decoder_sizes(
    spec: FronthaulSpec, *, layers: int = 1, hidden: int | None = None
) -> list[dict[str, int]]:
    """MACs a channel use and stored numbers of each RU's decoder at the system's own sizes.

    Args:
        spec: of a deployable system.
        layers: K of neural decoders.
        hidden: D_m; None: B_m.

    Raises:
        InputError: a system without parts.
    """
    if not spec.deployed:
        raise InputError(f"{spec.name} is a baseline without parts")
    found = []
    for bits, antennas in zip(spec.setup.bits, spec.setup.antennas, strict=True):
        if spec.training == "tables":
            found.append({"macs": 0, "parameters": 2 * antennas << bits})
            continue
        widths = [bits, *[hidden or bits] * layers, 2 * antennas]
        macs = sum(a * b for a, b in itertools.pairwise(widths))
        found.append({"macs": macs, "parameters": macs + sum(widths[1:])})
    return found
