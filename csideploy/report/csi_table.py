"""The outcome of `csideploy data info`, for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table

_BARS = " ▁▂▃▄▅▆▇█"
_PLAIN_BARS = " .:-=+*#@"
"""For a terminal whose character set lacks the others."""


def show(result: dict[str, Any], console: Console) -> None:
    """Print what a CSI file holds."""
    console.print(f"{result['file']}: {result['taken_for']}")
    if result["subcarriers"] is not None:
        grid = f"{result['subcarriers']} subcarriers, taps of {result['tap_ns']:.1f} ns"
        console.print(f"generated on {grid}")
    low, middle, high = result["absmax"]
    console.print(f"max|H| of a sample: {low:.4g} to {high:.4g}, median {middle:.4g}")
    console.print(f"energy / peak power, median: {result['energy_to_peak']:.2f}")
    table = plain_table(f"Over {result['samples_described']} samples")
    for heading in ("", "5 %", "median", "95 %"):
        table.add_column(heading, justify="right" if heading else "left")
    coefficients = result["coefficients"]
    rows = (
        ("entries with 90 % of the energy", coefficients["for_90_percent_of_energy"], ".0f"),
        ("entries with 99 % of the energy", coefficients["for_99_percent_of_energy"], ".0f"),
        ("entries within 20 dB of the peak", coefficients["within_20_db_of_peak"], ".0f"),
        ("rms delay spread, taps", result["rms_delay_spread_taps"], ".2f"),
        (
            f"rms delay spread, ns (taps of {result['tap_ns']:.1f} ns)",
            result["rms_delay_spread_ns"],
            ".1f",
        ),
        ("circular angle spread, DFT bins", result["circular_angle_spread_bins"], ".2f"),
    )
    for text, levels, form in rows:
        table.add_row(text, *(format(level, form) for level in levels))
    console.print(table)
    for text, key in (("delay", "delay_profile"), ("angle", "angle_profile")):
        profile = result[key]
        peak = max(profile)
        line = _sparkline(profile, _BARS if console.encoding.startswith("utf") else _PLAIN_BARS)
        console.print(f"{text} profile, peak {peak:.1%} of the energy: |{line}|")


def _sparkline(profile: list[float], bars: str) -> str:
    """One character a tap or angle, in eighths of the largest."""
    peak = max(profile)
    return "".join(bars[round(8 * value / peak)] for value in profile)
