"""What the link leaves to each side, against the tables of the specifications."""

import pytest

from csideploy.errors import InputError
from csideploy.report.preprocessing import figures, operations
from csideploy.report.timing import allowed, slot, symbol

# TS 38.214 table 5.4-2, Z2': symbols, and microseconds rounded to whole ones.
Z2_PRIME = {
    0: (37, 2643),
    1: (69, 2464),
    2: (140, 2500),
    3: (140, 1250),
    5: (560, 1250),
    6: (1120, 1250),
}


@pytest.mark.parametrize("mu", Z2_PRIME)
def test_ue_processing_time(mu: int) -> None:
    symbols, microseconds = Z2_PRIME[mu]
    own = allowed("ue", mu)
    assert round(own.seconds * 1e6) == microseconds
    assert f"{symbols} symbols" in own.what
    assert own.confidence == "C"


def test_a_time_of_the_budget_instead() -> None:
    own = allowed("ue", 1, symbols=28)
    assert own.seconds == pytest.approx(1e-3)
    assert "28 symbols" in own.what
    assert allowed("ue", 1, seconds=2e-3).seconds == 2e-3


def test_clocks() -> None:
    assert [slot(mu) * 1e3 for mu in range(4)] == [1.0, 0.5, 0.25, 0.125]
    assert [round(symbol(mu) * 1e6, 1) for mu in range(4)] == [71.4, 35.7, 17.9, 8.9]


def test_a_numerology_without_a_row() -> None:
    with pytest.raises(InputError, match=r"--numerology 4: TS 38\.214 table 5\.4-2"):
        allowed("ue", 4)


def test_bs_shares_a_slot_among_reports() -> None:
    assert allowed("bs", 1).seconds == 0.5e-3
    assert allowed("bs", 1, users_per_slot=16).seconds == 0.5e-3 / 16
    assert "16 reports" in allowed("bs", 1, users_per_slot=16).what


def test_ru_has_its_part_of_a_symbol() -> None:
    # 168 of 273 x 12 = 3276 resource elements, of 1 / 28 ms.
    own = allowed("ru-2", 1, block=168)
    assert own.seconds == pytest.approx(1e-3 / 28 * 168 / 3276)
    assert allowed("du", 1, block=168, prbs=14).seconds == pytest.approx(1e-3 / 28)


def test_operations_in_front_of_the_encoder() -> None:
    # Powers of two by hand: 4 FFTs of 8 points (5 x 8 x 3), 2 of 4 (5 x 4 x 2), 8 a number.
    assert operations(antennas=4, delays=2, subcarriers=8) == 4 * 120 + 2 * 40 + 8 * 8
    made = figures(32, 32, rounds=2)
    assert made["flops"] == operations(32, 32)
    assert 0 < made["measured_s"]["min"] <= made["measured_s"]["median"]
