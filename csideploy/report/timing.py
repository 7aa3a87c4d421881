"""The time that a link leaves to each side, by numerology.

A slot of 14 OFDM symbols takes 1 ms / 2^mu (3GPP TS 38.211, 4.3), a symbol a 14th of it.

UE: Z2' of TS 38.214, table 5.4-2: symbols from the last one of CSI-RS to the report, for CSI that
is not of the fast classes. Channel estimation and packing share it with the encoder. What Rel-20
will ask of reports by a network is not known; `--budget-share` leaves room.

BS: one slot for all reports that arrive in a slot.

RU and DU: a channel use is one resource element; at 100 MHz and 30 kHz (273 PRBs) a symbol has
3,276 of them. So a block of R uses may take R / 3,276 of a symbol on a core that keeps up alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from csideploy.errors import InputError

Z2_PRIME = {0: 37, 1: 69, 2: 140, 3: 140, 5: 560, 6: 1120}
"""Symbols, TS 38.214 table 5.4-2; it has no row for mu = 4."""

SYMBOLS = 14
SUBCARRIERS = 12
PRBS = 273


@dataclass(frozen=True)
class Allowed:
    """Seconds that a side has, for one sample or block.

    confidence: as in `csideploy.targets.files.CONFIDENCES`. share: what part of them it may take,
    None where that is not judged. most: seconds that it may take, by its share and whatever else
    limits it; `seconds`, if left out.
    """

    what: str
    seconds: float
    source: str
    confidence: str
    share: float | None = None
    most: float | None = None

    def figures(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "what": self.what,
            "seconds": self.seconds,
            "source": self.source,
            "confidence": self.confidence,
            "share": self.share,
            "allowed_s": self.seconds if self.most is None else self.most,
        }


def check_numerology(mu: int) -> None:
    """Refuse a numerology that the table of CSI processing times lacks.

    Raises:
        InputError: it does.
    """
    if mu not in Z2_PRIME:
        known = ", ".join(map(str, Z2_PRIME))
        raise InputError(
            f"--numerology {mu}: TS 38.214 table 5.4-2 has no processing time for it; one of "
            f"{known} is needed"
        )


def slot(mu: int) -> float:
    """Seconds of a slot."""
    return 1e-3 / (1 << mu)


def symbol(mu: int) -> float:
    """Seconds of an OFDM symbol, its cyclic prefix included."""
    return slot(mu) / SYMBOLS


def allowed(
    side: str,
    mu: int,
    *,
    users_per_slot: int = 1,
    prbs: int = PRBS,
    block: int | None = None,
    seconds: float | None = None,
    symbols: int | None = None,
) -> Allowed:
    """What a side has.

    Args:
        side: ue, bs, du, or an RU's name.
        mu: numerology.
        users_per_slot: of the BS, reports that arrive in a slot for one core.
        prbs: of RU and DU, resource blocks of the carrier.
        block: of RU and DU, channel uses of a block.
        seconds: of the UE, in place of Z2'.
        symbols: likewise, as OFDM symbols.

    Raises:
        InputError: the table has no such numerology.
    """
    check_numerology(mu)
    if side == "ue" and (seconds is not None or symbols is not None):
        what = "the budget's own time" if symbols is None else f"the budget's {symbols:,} symbols"
        own = seconds if symbols is None else symbols * symbol(mu)
        assert own is not None
        return Allowed(what, own, "the budget file, in place of Z2' of TS 38.214", "C")
    if side == "ue":
        return Allowed(
            f"Z2' of TS 38.214 table 5.4-2, {Z2_PRIME[mu]} symbols",
            Z2_PRIME[mu] * symbol(mu),
            "the table's symbols, 1000 / 14 / 2^mu us each; values for Rel-20 reports not known",
            "C",
        )
    if block is None:
        reports = f"{users_per_slot} report" + ("s" if users_per_slot > 1 else "")
        return Allowed(
            f"one slot for {reports} a core",
            slot(mu) / users_per_slot,
            "TS 38.211: 1 ms / 2^mu a slot; how many reports arrive is the operator's choice",
            "C",
        )
    elements = SUBCARRIERS * prbs
    return Allowed(
        f"{block} of {elements:,} resource elements of one OFDM symbol ({prbs} PRBs)",
        symbol(mu) * block / elements,
        "TS 38.211: 1/14 slot a symbol; what the DL window leaves to the RU is less [M]",
        "C",
    )
