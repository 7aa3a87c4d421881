"""Target files: ours load and name their sources; a bad one is refused in one line."""

from pathlib import Path

import pytest

from csideploy.errors import InputError
from csideploy.targets import load, names
from csideploy.targets.files import CONFIDENCES, parse
from csideploy.targets.write import as_toml

EXPECTED = {
    *("cortex-m4", "cortex-m55", "cortex-a53", "cortex-a55", "cortex-a76", "cortex-a720"),
    *("neoverse-n1", "neoverse-v1", "sapphire-rapids", "hexagon-hvx", "rfsoc"),
}

GOOD = """
title = "A core"
side = "ue"
cores = 1
clock_hz = { value = 1e9, source = "s", confidence = "P" }
elementwise_per_cycle = { value = 4, source = "s", confidence = "P" }
overhead_cycles = { value = 100, source = "s", confidence = "C" }

[mac_per_cycle]
fp32 = { value = 4, source = "s", confidence = "P" }
int8 = { value = 16, source = "s", confidence = "P" }
binary = { value = 4, source = "s", confidence = "S" }

[[memories]]
name = "SRAM"
bytes = 1000
bandwidth = 1e9
source = "s"
confidence = "P"
"""


def test_all_targets_are_there() -> None:
    assert set(names()) == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_figure_has_source_and_confidence(name: str) -> None:
    target = load(name)
    assert target.name == name
    figures = list(target.figures())
    assert len(figures) >= 7
    for key, value, source, confidence in figures:
        assert value > 0, key
        assert len(source) > 5, key
        assert confidence in CONFIDENCES, key


def test_peaks_are_those_of_the_measured_tables() -> None:
    # cpufp, one core: GOPS / 2 / GHz, by hand.
    for name, gops, ghz, fp32, int8 in (
        ("cortex-a55", 58.38, 1.82, 4, 16),
        ("cortex-a76", 153.5, 2.4, 8, 32),
    ):
        peaks = load(name).mac_per_cycle
        assert peaks.fp32 is not None
        assert (peaks.fp32.value, peaks.int8.value) == (fp32, int8)
        # Tables are rounded to four digits.
        assert gops / 2 / ghz == pytest.approx(int8, rel=0.01)
        # What is computed from what was read is no primary figure.
        assert (peaks.fp32.confidence, peaks.int8.confidence) == ("C", "C")
    # Four MACs a lane: csideploy has no kernels for I8MM.
    for name in ("cortex-a720", "neoverse-v1"):
        target = load(name)
        assert (target.mac_per_cycle.int8.value, target.mac_per_cycle.int8.confidence) == (32, "M")
        assert "I8MM" in (target.note or "")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    target = load(path)
    assert (target.name, target.title) == ("mine", "A core")
    # Utilisation is left out: the defaults are estimates, so that nothing is surer than those.
    assert target.confidence == "M"


def test_the_writer_is_read_back() -> None:
    target = load("rfsoc")
    tables = target.model_dump(exclude_none=True, exclude={"name"})
    again = parse(as_toml(tables, "a head").encode(), "rfsoc", "written")
    assert again == target


BAD = (
    ("", "", "title: is missing"),
    ("cores = 1", "cores = 0", "cores: should be greater than 0, not 0"),
    ("cores = 1", 'cores = "one"', "cores: should be a valid integer, not 'one'"),
    ("cores = 1", "cores = 1\ncache = 3", "cache: no such key"),
    ("value = 1e9", "value = -1e9", "clock_hz.value: should be greater than 0, not -1000000000.0"),
    ("value = 1e9", 'value = "1e9"', "clock_hz.value: should be a valid number, not '1e9'"),
    ("value = 1e9", "value = inf", "clock_hz.value: should be a finite number, not inf"),
    ("value = 1e9", "value = nan", "clock_hz.value: should be"),
    ('source = "s", confidence = "C"', 'confidence = "C"', "overhead_cycles.source: is missing"),
    ('confidence = "C"', 'confidence = "sure"', "overhead_cycles.confidence: should be 'P', 'C'"),
    ("int8 = {", "int16 = {", "mac_per_cycle.int8: is missing"),
    ("[[memories]]", "[[memory]]", "memories: is missing"),
    ("bytes = 1000", "bytes = 1000\nholds = 'weights'", "memories: none holds activations"),
    ('side = "ue"', 'side = "gnb"', "side: should be 'ue', 'bs', 'ru' or 'du', not 'gnb'"),
    ("[mac", "[mac[", "not a TOML file"),
    ("cores = 1", f"cores = {'1' * 5000}", "not a TOML file"),
    ("value = 1e9", "value = 5e-324", "clock_hz.value: should be between 1e-9 and 1e18"),
    ("bytes = 1000", f"bytes = {10**30}", "memories.0.bytes: should be less"),
    ('title = "A core"', 'title = "A\\ncore"', "a text of one line is needed"),
    ('title = "A core"', 'title = "\\u001b[31mA"', "a text of one line is needed"),
    ("[mac", "[calibration]\ndate = 2024-01-01\n[mac", "calibration.date"),
    ('title = "A core"', 'title = "A core"\nname = "x"', "name: the file's own name"),
)


@pytest.mark.parametrize(("old", "new", "words"), BAD)
def test_a_bad_file_is_one_line(old: str, new: str, words: str) -> None:
    text = GOOD.replace(old, new) if old else ""
    assert text != GOOD
    with pytest.raises(InputError) as error:
        parse(text.encode(), "mine", "mine.toml")
    assert str(error.value).startswith("mine.toml: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"\x7fELF\xff\x00\x80", b"\xff\xfe", b"a = " + b"[" * 5000])
def test_no_text_and_no_toml(data: bytes) -> None:
    with pytest.raises(InputError, match="not a TOML file"):
        parse(data, "mine", "mine.toml")


def test_unknown_names_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no target cortex-m5: did you mean cortex-m55"):
        load("cortex-m5")
    with pytest.raises(InputError, match="one of host, cortex-a53"):
        load("zzz")
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"not measured yet; csideploy bench --calibrate"):
        load("host")
