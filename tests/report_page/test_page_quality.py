"""Quality against bits: by test set, and files that hold none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_reader import parse
from quality_rows import QUALITY, row
from typer.testing import Result

from csideploy import zoo

Run = Callable[..., Result]
Pages = dict[str, tuple[str, dict[str, Any]]]


def test_quality_by_test_set(pages: Pages) -> None:
    root = parse(pages["fp32"][0])
    own, nmse, sgcs = (root.all("svg", id=name)[0] for name in ("nmse-db-0", "nmse-db-1", "sgcs-1"))
    measured = zoo.find("bacrnet10x").card["metrics"]["nmse_db"]
    assert f"bacrnet10x, 2048 bits: {measured} dB" in own.all("desc")[0].text
    assert "bacrnet1x (zoo)" in own.text
    # eType II sends directions: it has SGCS alone.
    assert "etype2" not in nmse.text
    assert "etype2" in sgcs.text
    caption = next(f for f in root.all("figure") if f.all("svg", id="nmse-db-1"))
    words = caption.all("figcaption")[0].text
    assert "No NMSE: etype2" in words
    assert f"Whiskers: {QUALITY['interval']}." in words
    # A whisker is a line and its two ends.
    assert len(nmse.all("line", class_="open")) == 3 * 3
    assert len(sgcs.all("line", class_="open")) == 3 * 5
    # pca-cr8 from 512 to 1024 bits: 4 dB down, which is down on the page; a whisker is 0.9 dB long.
    (joined,) = nmse.all("polyline")
    (x1, y1), (x2, y2) = (
        map(float, place.split(",")) for place in joined.attributes["points"].split()
    )
    assert x2 > x1
    ends = nmse.all("line", class_="open")[0].attributes
    # Places are written to a tenth of a unit.
    assert (y2 - y1) / abs(float(ends["y2"]) - float(ends["y1"])) == pytest.approx(
        4 / 0.9, rel=0.03
    )
    integer = parse(pages["int8"][0])
    assert "of the fp32 network as trained, not of the integers" in integer.text
    codebook = parse(pages["codebook"][0]).all("svg", id="nmse-db-0")[0]
    # Three budgets, a star each, and one in the legend.
    assert len(codebook.all("polygon", class_="own")) == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("no json", "no JSON"),
        ("\udcff".encode("utf-8", "surrogateescape"), "no JSON"),
        ("[]", "no list 'rows'"),
        ('{"rows": []}', "no list 'rows'"),
        (json.dumps({"rows": [1], "channels": 5}), "no text 'channels'"),
        (json.dumps({"rows": [1], "channels": "", "interval": 95}), "'interval' is a text"),
        (json.dumps({"rows": [1], "channels": ""}), "rows[0]: is no object"),
        (json.dumps({"channels": "", "rows": [row("a", 8, -1.0, 0.5), {"system": 5}]}), "rows[1]"),
        (json.dumps({"channels": "", "rows": [row("a", 0, -1.0, 0.5)]}), "'payload_bits'"),
        (json.dumps({"channels": "", "rows": [{"system": "a", "payload_bits": 8}]}), "'nmse_db'"),
        (json.dumps({"channels": "", "rows": [row("a", 8, float("nan"), 0.5)]}), "'nmse_db'"),
        (json.dumps({"channels": "", "rows": [row("a", 10**400, -1.0, 0.5)]}), "'payload_bits'"),
        (
            json.dumps(
                {"channels": "", "rows": [row("a", 8, -1.0, 0.5) | {"nmse_db": -(10**400)}]}
            ),
            "'nmse_db'",
        ),
        (json.dumps({"channels": "", "rows": [row("a", 8, 1.7e308, 0.5)]}), "'nmse_db'"),
        (json.dumps({"channels": "", "rows": [row("a", 8, -1.0, 7.5)]}), "'sgcs'"),
        (
            json.dumps(
                {"channels": "", "rows": [row("a", 8, -1.0, 0.5) | {"nmse_db_interval": [5, -5]}]}
            ),
            "the lower first",
        ),
        (
            json.dumps({"channels": "", "rows": [row("a", 8, -1.0, 0.5) | {"sgcs_subband": [1]}]}),
            "'sgcs_subband'",
        ),
        (
            json.dumps({"channels": "", "rows": [row("a", 8, -1.0, 0.5) | {"rank": "x"}]}),
            "'rank'",
        ),
        (
            json.dumps(
                {"channels": "", "rows": [row("a", 8, -1.0, 0.5) | {"samples": 10**400 + 1}]}
            ),
            "'samples'",
        ),
        ("[" * 100_000, "no JSON"),
        (json.dumps({"channels": "", "rows": [row("a", 8, None, None)]}), "neither"),  # type: ignore[arg-type]
        (
            json.dumps(
                {"channels": "", "rows": [{**row("a", 8, -1.0, 0.5), "sgcs_interval": [1]}]}
            ),
            "'sgcs_interval' is two numbers",
        ),
        (
            json.dumps({"channels": "", "rows": [{"system": "zf", "users": 4, "sum_rate": 8.1}]}),
            "'payload_bits'",
        ),
    ],
)
def test_bad_quality_files(
    content: str | bytes | None, words: str, run: Run, packages: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "q.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run("report", packages["fp32"], "--format", "html", "--quality", path)
    assert done.exit_code == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert words in line
    assert str(path) in line
    assert "csideploy evaluate" in line or content is None
