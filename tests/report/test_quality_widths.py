"""The table of `evaluate` at the width of a terminal: columns go, figures are never cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from csideploy.report import quality_table

LINK = {
    "system": "acrnet1x-cr8-codebook",
    "bits": 3,
    "payload_bits": 768,
    "nmse_db": -12.834,
    "nmse_db_interval": [-13.071, -12.612],
    "sgcs": 0.94861,
    "sgcs_subband": 0.95192,
    "ue_bundle_bytes": 2_112_532,
    "ue_memory_bytes": 2_128_916,
    "ue_macs": 774_144,
    "spread": [1.86, 1.0, 0.54],
}
CODEBOOK = {
    "system": "etype2",
    "combination": 7,
    "payload_bits": 241,
    "nmse_db": None,
    "sgcs": 0.93123,
    "sgcs_subband": 0.93577,
    "spread": [],
}
RESULT = {"channels": "40 samples", "rows": [CODEBOOK, LINK], "left_out": []}


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_figures_are_whole_at_any_width(width: int) -> None:
    text = io.StringIO()
    quality_table.show(RESULT, Console(file=text, width=width))
    shown = text.getvalue()
    assert "…" not in shown
    assert max(len(line) for line in shown.splitlines()) <= width
    for figure in ("-12.83", "0.9486", "0.9519", "0.9312", "0.9358", "768", "241"):
        assert figure in shown
    # What goes first is what the JSON and the chart have too.
    assert ("0.54 1.86" in shown) == (width == 160)
    assert ("-13.07 -12.61" in shown) == (width >= 100)
