"""Rows of 3GPP's evaluation table from the benchmark to the notes, as cells.

A cell is a figure with what it was measured on behind it, or empty. None begins with a sign: a
spreadsheet would take it for a formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csideploy.package import LinkPackage
from csideploy.profiles.described import about, section
from csideploy.report import evaluation_words as words
from csideploy.report.evaluation_gains import BINS, Bin, has_own

BENCHMARK, RESULTS = "Benchmark", "Evaluation results"
LOADS = ("RU <=39%", "RU 40-69%", "RU >=70%")
Value = str | float | None
Row = tuple[str, str, Value]
_QUALITY = (("NMSE", "nmse_db", " dB"), ("SGCS", "sgcs", ""), ("rho", "rho", ""))


def result_rows(compared: list[dict[str, Any]], link: LinkPackage) -> list[Row]:
    """From the benchmark to the notes."""
    measured = [one for one in compared if one["benchmark"] is not None]
    codebook = None
    if measured:
        listed = ", ".join(f"{one['combination']} ({one['bin']})" for one in measured)
        codebook = f"Rel-16 eType II, paramCombination {listed}"
    made: list[Row] = [
        (BENCHMARK, "Type of legacy codebook (e.g. Rel-16 eType II, paramCombination)", codebook)
    ]
    for what, key in (
        ("SGCS of benchmark, [layer 1]", _benchmark_sgcs),
        ("Gain for SGCS, [layer 1]", _sgcs_gain),
        ("NMSE of benchmark, [layer 1]", _benchmark_nmse),
        ("Gain for NMSE, [layer 1]", _nmse_gain),
    ):
        made += [
            (RESULTS, f"{what}: {own}", key(one)) for own, one in zip(BINS, compared, strict=True)
        ]
    kpi = [_kpi(one, own, link) for own, one in zip(BINS, compared, strict=True)]
    for what, values in (
        ("Other intermediate KPI (description/value)", kpi),
        ("Gain for other intermediate KPI", [None] * len(BINS)),
    ):
        made += [(RESULTS, f"{what}: {own}", cell) for own, cell in zip(BINS, values, strict=True)]
    for what in ("Gain for mean UPT", "Gain for 5% UPT"):
        made += [
            (RESULTS, f"{what} ([specific CSI feedback overhead], {load})", None) for load in LOADS
        ]
    made.append((RESULTS, "FTP or full buffer", None))
    made.append((RESULTS, "CSI feedback reduction (%) [for a given UPT/overhead]", None))
    return made


def _against(one: dict[str, Any]) -> str:
    return f"paramCombination {one['combination']}, {one['benchmark_bits']} bits"


def _benchmark_sgcs(one: dict[str, Any]) -> Value:
    sgcs = one["benchmark_sgcs"]
    return None if sgcs is None else f"{sgcs} ({_against(one)})"


def _benchmark_nmse(one: dict[str, Any]) -> Value:
    nmse = one["benchmark_nmse_db"]
    return None if nmse is None else f"NMSE {nmse} dB ({_against(one)})"


def _sgcs_gain(one: dict[str, Any]) -> Value:
    gain = one["sgcs_gain_percent"]
    return None if gain is None else f"gain {gain} % ({one['sgcs']} at {_bits(one)})"


def _nmse_gain(one: dict[str, Any]) -> Value:
    gain = one["nmse_gain_db"]
    return None if gain is None else f"gain {gain} dB ({one['nmse_db']} dB at {_bits(one)})"


def _bits(one: dict[str, Any]) -> str:
    """Payloads of a bin are not the same: a gain says both."""
    return f"{one['bits']} bits against {one['benchmark_bits']}"


def _kpi(one: dict[str, Any], own: Bin, link: LinkPackage) -> Value:
    """Our own figures in a bin: of a file, else of the card of the weights."""
    figures = one
    where = "SGCS by sub-band" if one["sgcs_of"] == "sgcs_subband" else "SGCS by subcarrier"
    if one["bits"] is None:
        inside = [layout for layout in link.layouts if layout.payload_bits in own]
        if not inside:
            return None
        measured = _of_card(link, link.bits_of(inside[-1]))
        figures = {**measured, "bits": inside[-1].payload_bits}
        where = "card of the weights, fp32" if link.is_integer else "card of the weights"
        tested = words.tested_by_card(link)
        where += f"{', ' if tested else ''}{tested or ''}; SGCS by subcarrier"
    parts = [
        f"{name} {figures[key]}{unit}"
        for name, key, unit in _QUALITY
        if figures.get(key) is not None
    ]
    return f"{', '.join(parts)} at {figures['bits']} bits ({where})" if parts else None


def _of_card(link: LinkPackage, bits: int) -> Mapping[str, Any]:
    """What the weights' card says of a bit budget."""
    by_budget = section(about(link.manifest.get("provenance")), "metrics_per_budget")
    if str(bits) in by_budget:
        return section(by_budget, str(bits))
    return section(link.manifest, "metrics") if bits == link.manifest["bits"] else {}


def left_out(quality: Sequence[Mapping[str, Any]], link: LinkPackage, *, ue_macs: int) -> list[str]:
    """Notes on files that gave nothing; arguments as `evaluation_gains.compare`."""
    return [
        f"{file.get('channels')}: no row of this package, so that no benchmark is taken from it"
        for file in quality
        if not has_own(file, link, ue_macs=ue_macs)
    ]
