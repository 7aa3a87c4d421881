"""Budget files: what they say, and one line for one that says it wrongly."""

from pathlib import Path

import pytest

from csideploy.errors import InputError
from csideploy.report.budget import read_budget

TEXT = """
target = "cortex-a76"
[ue]
target = "cortex-m55"
memory = "200kB"
latency = "1ms"
macs = 2_000_000
code = "20KiB"
share = 0.3
[bs]
latency = 0.002
users_per_slot = 16
decodes_per_second = 2000.0
[ru]
prbs = 24
[payload]
bits = 2048
"""


def written(text: str, folder: Path) -> Path:
    path = folder / "limits.toml"
    path.write_text(text)
    return path


def test_units(tmp_path: Path) -> None:
    budget = read_budget(written(TEXT, tmp_path))
    assert (budget.ue.memory, budget.ue.code) == (200_000, 20_480)
    assert (budget.ue.latency, budget.bs.latency) == (1e-3, 2e-3)
    assert budget.of("ru-3").prbs == 24
    assert (budget.target_of("ue"), budget.target_of("bs")) == ("cortex-m55", "cortex-a76")
    assert budget.targets() == ["cortex-a76", "cortex-m55"]
    assert budget.limited() == ["ue", "bs", "ru"]
    assert budget.payload is not None
    assert budget.payload.bits == 2048


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"200kB"', '"200xB"', "ue.memory: a size such as 64MB"),
        ('"200kB"', '"-3"', "ue.memory: a size such as"),
        ('"1ms"', '"1 hour"', "ue.latency: a time such as"),
        ("0.3", "1.5", "ue.share: should be less than or equal to 1"),
        ("2_000_000", "0", "ue.macs: should be greater than 0"),
        ("2_000_000", "2.5", "ue.macs: should be a valid integer"),
        ("[ue]", "[eu]", "eu: no such key"),
        ("memory", "memmory", "ue.memmory: no such key"),
        ("code =", "prbs = 3\ncode =", "ue.prbs: goes with ru and du alone"),
        ("prbs = 24", "users_per_slot = 2", "ru.users_per_slot: goes with bs alone"),
        ("bits = 2048", "", "payload.bits: is missing"),
        ("[payload]", "[payload", "not a TOML file"),
        ('"200kB"', "true", "ue.memory: a number or a text with a unit"),
        ("share = 0.3", "share = true", "ue.share: should be a valid number"),
        ("share = 0.3", 'share = "0.5"', "ue.share: should be a valid number"),
        ("2000.0", '"5"', "bs.decodes_per_second: should be a valid number"),
        ("prbs = 24", "", "[ru] is empty"),
        ("share = 0.3", 'time = "1ms"\nsymbols = 30', "ue.time and ue.symbols"),
        ("prbs = 24", 'time = "1ms"', "ru.time: goes with ue alone"),
    ],
)
def test_a_bad_budget_is_one_line(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in TEXT
    path = written(TEXT.replace(old, new), tmp_path)
    with pytest.raises(InputError) as error:
        read_budget(path)
    assert str(error.value).startswith(f"{path}: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_no_file_and_no_limit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"budget .*: no such file"):
        read_budget(tmp_path / "none.toml")
    with pytest.raises(InputError, match="limits nothing"):
        read_budget(written('target = "rfsoc"', tmp_path))
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\x00\xff\xfe")
    with pytest.raises(InputError, match="not a TOML file"):
        read_budget(path)
