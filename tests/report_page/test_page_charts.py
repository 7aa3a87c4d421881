"""The charts: labelled, as long as their figures, told apart without colour; nothing is loaded."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_reader import Node, parse
from quality_rows import row
from typer.testing import Result

Run = Callable[..., Result]
Pages = dict[str, tuple[str, dict[str, Any]]]
KINDS = ("fp32", "int8", "codebook", "precoder", "fronthaul", "transceiver")


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_says_what_it_shows(kind: str, pages: Pages, packages: dict[str, Path]) -> None:
    for text in (pages[kind][0], (packages[kind] / "report.html").read_text()):
        root = parse(text)
        figures = root.all("figure")
        assert figures
        for figure in figures:
            chart = figure.all("svg", role="img")[0]
            name, described = chart.attributes["aria-labelledby"].split()
            assert chart.all("title", id=name)[0].text
            assert chart.all("desc", id=described)[0].text
            labels = [node.text for node in chart.all("text", class_="axis")]
            units = ("KiB", "MiB", "bytes", " us", " ms", " s", "as marked", "dB", "SGCS")
            assert any(unit in label for label in labels for unit in units), labels
            assert len(figure.all("figcaption")[0].text) > 60
        identities = [node.attributes["id"] for node in root.all() if "id" in node.attributes]
        assert len(identities) == len(set(identities))
        used = re.findall(r"url\(#([^)]+)\)", text)
        assert set(used) <= set(identities)


def test_which_charts_there_are(pages: Pages) -> None:
    def charts(kind: str) -> list[str]:
        return [node.attributes["id"] for node in parse(pages[kind][0]).all("svg", role="img")]

    feedback = ["memory-ue", "memory-bs", "latency-ue", "latency-bs", "nmse-db-0", "sgcs-0"]
    assert charts("fp32") == [*feedback, "nmse-db-1", "sgcs-1"]
    assert charts("int8") == charts("codebook") == feedback
    assert charts("precoder") == charts("transceiver") == feedback[:4]
    assert charts("fronthaul") == ["memory-du", "memory-ru-1", "latency-du", "latency-ru-1"]
    for kind, words in (("precoder", "sum rate"), ("fronthaul", "spectral efficiency")):
        assert re.search(f"left out: a [a-z ]+ is judged by the {words}", pages[kind][0])


def test_bars_are_as_long_as_their_figures(pages: Pages) -> None:
    text, result = pages["fp32"]
    root = parse(text)
    # Memory: the FC's 128 KiB of bits against the arena's 16 KiB, in pixels.
    chart = root.all("svg", id="memory-ue")[0]
    (bits,) = chart.all("rect", class_="one-bit")
    (arena,) = chart.all("rect", class_="arena")
    ratio = float(bits.attributes["width"]) / float(arena.attributes["width"])
    # Places are written to a tenth of a unit, and the arena's bar is some 16 long.
    assert ratio == pytest.approx(128 / (result["sides"]["ue"]["arena_bytes"] / 1024), rel=0.02)
    for side in ("ue", "bs"):
        chart = root.all("svg", id=f"latency-{side}")[0]
        bars = [n for n in chart.all("rect") if n.attributes["class"] in ("measured", "outlined")]
        ends = [sum(float(bar.attributes[k]) for k in ("x", "width")) for bar in bars]
        seconds = [target["sides"][side]["latency_s"] for target in result["targets"]]
        assert len(ends) == len(seconds) == 3
        assert sorted(range(3), key=ends.__getitem__) == sorted(range(3), key=seconds.__getitem__)
        limit = float(chart.all("line", class_="limit")[0].attributes["x1"])
        outcomes = [n.text for n in chart.all("text", class_="value")]
        allowed = 0.3 * result["timing"]["sides"][side]["seconds"]
        fits = [target["sides"][side]["fits"] for target in result["targets"]]
        for end, taken, outcome, room in zip(ends, seconds, outcomes, fits, strict=True):
            word = "PASS" if taken <= allowed else "FAIL"
            assert outcome.endswith(word if room else "DOES NOT FIT")
            assert (end <= limit + 0.1) == (taken <= allowed)
        marks = [node.text.split(", ")[-1] for node in chart.all("text") if "modelled" in node.text]
        assert marks == ["modelled"] * 2
        # What was not measured looks different without its colour.
        assert [("style" in bar.attributes) for bar in bars] == [False, True, True]


def test_the_verdict_comes_first(pages: Pages) -> None:
    root = parse(pages["fp32"][0])
    assert root.all("h2")[0].text == "Verdict"
    (outcome,) = root.all("span", class_="outcome")
    assert outcome.text == "FAIL"
    assert "BS memory" in root.all("section")[0].text
    holding = parse(pages["int8"][0])
    assert holding.all("span", class_="outcome")[0].text == "NO BUDGET GIVEN"


def test_tags_reach_the_reader(pages: Pages) -> None:
    root = parse(pages["fp32"][0])
    cells = {node.text.strip() for node in root.all("td")}
    assert "modelled [M]" in cells
    assert "measured [P]" in cells
    assert "[M] from memory or estimated, not checked" in root.text


def test_it_loads_nothing(pages: Pages, packages: dict[str, Path]) -> None:
    texts = [text for text, _ in pages.values()]
    texts += [(folder / "report.html").read_text() for folder in packages.values()]
    for text in texts:
        root = parse(text)
        tags = {node.tag for node in root.all()}
        assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "a"}
        names = {name for node in root.all() for name in node.attributes}
        assert not {n for n in names if n.startswith("on") or n in ("src", "href", "xlink:href")}
        assert "http" not in text
        assert "@import" not in text
        assert root.all("html")[0].attributes["lang"] == "en"
        assert all(table.all("caption")[0].text for table in root.all("table"))


def test_names_are_escaped(run: Run, packages: dict[str, Path], tmp_path: Path) -> None:
    spoilt = Path(shutil.copytree(packages["fp32"], tmp_path / "P"))
    manifest = json.loads((spoilt / "manifest.json").read_text())
    manifest["system"] = '<b>&"'
    (spoilt / "manifest.json").write_text(json.dumps(manifest))
    evil = "</svg></text><script>alert(1)</script>"
    quality = tmp_path / "q.json"
    quality.write_text(json.dumps({"channels": evil, "rows": [row(evil, 62, -3.0, 0.5)]}))
    done = run("report", spoilt, "--format", "html", "--rounds", 1, "--quality", quality)
    assert done.exit_code == 0, done.stderr
    root = parse(done.stdout)
    assert root.all("h1")[0].text.startswith('<b>&", cr 4')
    assert not root.all("script")
    assert not root.all("b")
    assert evil in root.all("svg", id="sgcs-1")[0].all("desc")[0].text


def test_the_parser_sees_bad_pages() -> None:
    """What reads the pages above would notice elements that are not closed in order."""
    good: Node = parse("<p>a<b>c</b></p>")
    assert good.all("p")[0].text == "ac"
    with pytest.raises(AssertionError):
        parse("<p><b></p></b>")
