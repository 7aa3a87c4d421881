"""What an RU's decoder costs a channel use, and the bandwidth that processors keep up with.

    MAC/s(PRBs) = MACs a channel use x PRBs x 12 subcarriers x 28,000 OFDM symbols a second

at 30 kHz subcarrier spacing (14 symbols in 0.5 ms, 3GPP TS 38.211); 273 PRBs are 100 MHz (TS
38.104, table 5.3.2-1). A processor keeps up with rate / (MACs x 12 x 28,000) PRBs; its rate is a
peak, every unit busy in every cycle with data at hand. So these are upper bounds; our kernels reach
less.

Peak rates, MAC/s:

- Cortex-A53, 1.2 GHz, one core: its NEON pipe does 4 fp32 MACs a cycle (one 128-bit FMLA), 8 int8
  MACs a cycle (SMLAL, no dot product instruction: Arm v8.0).
- Cortex-A76, 2.4 GHz, one core: two 128-bit pipes, 8 fp32, 32 int8 MACs a cycle (SDOT, Arm v8.2).
  Both after Arm's software optimization guides and processor manuals.
- Zen 4, one core: 57 and 228 GMAC/s, measured on the machine of development with loops of vfmadd
  and vpdpbusd.
- RFSoC: 4,272 DSP48E2 slices (Zynq UltraScale+ ZU28DR and others, AMD DS889), one MAC of up to 27 x
  18 bits a cycle, at 0.5 GHz: 2.1e12. An fp32 MAC takes several slices: it has no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SUBCARRIERS = 12
SYMBOLS_A_SECOND = 28_000
PRBS_100_MHZ = 273


@dataclass(frozen=True)
class Processor:
    """A processor's peak rates, MAC/s; None: it has no such units."""

    name: str
    fp32: float | None
    int8: float


PROCESSORS = (
    Processor("Cortex-A53 1.2 GHz, 1 core", 1.2e9 * 4, 1.2e9 * 8),
    Processor("Cortex-A76 2.4 GHz, 1 core", 2.4e9 * 8, 2.4e9 * 32),
    Processor("Zen 4, 1 core", 57e9, 228e9),
    Processor("RFSoC, 4,272 DSPs at 0.5 GHz", None, 4272 * 0.5e9),
)


def rate(macs: int, prbs: int) -> int:
    """MAC/s of a decoder with so many MACs a channel use, on so many PRBs."""
    return macs * prbs * SUBCARRIERS * SYMBOLS_A_SECOND


def most_prbs(macs: int, peak: float) -> int | None:
    """The largest number of PRBs that a processor keeps up with; None: no MACs, no limit."""
    return int(peak // (macs * SUBCARRIERS * SYMBOLS_A_SECOND)) if macs else None


def bandwidth(
    rus: Sequence[tuple[str, int, int]], *, precision: str, tables: bool
) -> dict[str, Any]:
    """Figures for scripts.

    Args:
        rus: stem, MACs a channel use, antennas, of each RU.
        precision: of their decoders, fp32 or int8.
        tables: whether they look their numbers up.

    Returns:
        `rus`: for each `macs_per_use`, `macs_per_second_100mhz`, `read_bytes_per_use` of a table,
        and `most_prbs` by processor, None where nothing is multiplied or the processor has no such
        units; `precision`; `peak_macs_per_second` by processor.
    """
    peaks = {one.name: one.fp32 if precision == "fp32" else one.int8 for one in PROCESSORS}
    rows = {}
    for stem, macs, antennas in rus:
        rows[stem] = {
            "macs_per_use": macs,
            "macs_per_second_100mhz": rate(macs, PRBS_100_MHZ),
            "read_bytes_per_use": 8 * antennas if tables else None,
            "most_prbs": {
                name: None if peak is None else most_prbs(macs, peak)
                for name, peak in peaks.items()
            },
        }
    return {"precision": precision, "rus": rows, "peak_macs_per_second": peaks}


def rows(figures: dict[str, Any], shown: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of the table for people.

    Args:
        figures: of `bandwidth`.
        shown: stems, one of each kind.
    """
    names = list(figures["peak_macs_per_second"])
    heads = ["RU", "MACs a use", "MAC/s at 100 MHz", *(f"{name}, PRBs" for name in names)]
    found = []
    for stem in shown:
        row = figures["rus"][stem]
        cells = [stem.upper(), f"{row['macs_per_use']:,}", f"{row['macs_per_second_100mhz']:.3g}"]
        for name in names:
            most = row["most_prbs"][name]
            cells.append("-" if most is None else f"{most:,}")
        found.append(cells)
    return heads, found


def lines(figures: dict[str, Any], shown: Sequence[str]) -> list[str]:
    """What has to be said below it."""
    said = [
        f"PRBs: the most that an RU's decoder ({figures['precision']}) keeps up with at peak "
        "rates, which are upper bounds: rate / (MACs a use x 12 x 28,000); 273 are "
        "100 MHz at 30 kHz."
    ]
    reads = {stem: figures["rus"][stem]["read_bytes_per_use"] for stem in shown}
    if any(reads.values()):
        each = ", ".join(f"{stem.upper()} {size} bytes" for stem, size in reads.items())
        said.append(f"A look-up multiplies nothing; it reads a row a channel use: {each}.")
    return said
