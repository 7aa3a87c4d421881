"""The bandwidth that RUs keep up with, by hand."""

from __future__ import annotations

from csideploy.fronthaul.systems import FRONTHAUL, decoder_sizes
from csideploy.report.ru_bandwidth import PROCESSORS, bandwidth, lines, most_prbs, rate, rows


def test_paper_sized_networks() -> None:
    # 64 bits -> 64 units -> 32 numbers.
    (sizes, *_) = decoder_sizes(FRONTHAUL["neural-mq"])
    assert sizes == {"macs": 64 * 64 + 64 * 32, "parameters": 64 * 64 + 64 + 64 * 32 + 32}
    # 273 PRBs of 12 subcarriers, 28,000 symbols a second: 91.728 million channel uses.
    assert rate(6144, 273) == 6144 * 91_728_000
    figures = bandwidth([("ru-1", 6144, 16)], precision="fp32", tables=False)
    most = figures["rus"]["ru-1"]["most_prbs"]
    # One PRB takes 6144 x 336,000 = 2.064e9 MAC/s.
    assert list(most.values()) == [2, 9, 27, None]
    int8 = bandwidth([("ru-1", 6144, 16)], precision="int8", tables=False)
    assert list(int8["rus"]["ru-1"]["most_prbs"].values()) == [4, 37, 110, 1034]
    heads, cells = rows(int8, ["ru-1"])
    assert len(heads) == 3 + len(PROCESSORS)
    assert cells == [["RU-1", "6,144", "5.64e+11", "4", "37", "110", "1,034"]]
    assert "upper bounds" in lines(int8, ["ru-1"])[0]


def test_tables_multiply_nothing() -> None:
    figures = bandwidth([("ru-1", 0, 2), ("ru-2", 0, 3)], precision="fp32", tables=True)
    assert figures["rus"]["ru-2"]["read_bytes_per_use"] == 24
    assert set(figures["rus"]["ru-1"]["most_prbs"].values()) == {None}
    assert most_prbs(0, 1e9) is None
    assert "RU-1 16 bytes, RU-2 24 bytes" in lines(figures, ["ru-1", "ru-2"])[1]
    assert rows(figures, ["ru-1"])[1] == [["RU-1", "0", "0", *"----"]]
