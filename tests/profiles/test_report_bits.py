"""The two-part report: round trip, exact lengths, the bits in their places, bad input."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csideploy.errors import FormatError, InputError
from csideploy.profiles.r20_case0 import PAIRS, Pair
from csideploy.profiles.report_bits import ReportLayout, crc_bits

ANY = st.builds(Pair, st.integers(1, 70), st.integers(1, 8))
"""Any pair, so that layers begin and end within bytes; those of the profile are whole bytes."""

LAYOUTS = st.one_of(
    st.tuples(ANY, ANY, ANY, ANY).flatmap(
        lambda pairs: st.builds(
            ReportLayout,
            st.integers(1, 4).map(lambda rank: pairs[:rank]),
            st.integers(0, 9),
            st.integers(2, 4),
            st.integers(0, 9),
        )
    ),
    st.integers(1, 4).flatmap(
        lambda rank: st.tuples(*(st.sampled_from(PAIRS[n + 1]) for n in range(rank))).map(
            ReportLayout
        )
    ),
)


def drawn(layout: ReportLayout, seed: int, n: int) -> tuple[list[np.ndarray], Any, Any]:
    """Payloads with zero pads, and fields."""
    random = np.random.default_rng(seed)
    payloads = [
        np.packbits(random.integers(0, 2, (n, bits), np.uint8), axis=1)
        for bits in layout.layer_bits
    ]
    cqi = random.integers(0, 1 << layout.cqi_bits, n)
    return payloads, cqi, random.integers(0, 1 << layout.cri_bits, n)


@given(LAYOUTS, st.integers(0, 2**32 - 1), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_a_report_comes_back(layout: ReportLayout, seed: int, n: int) -> None:
    payloads, cqi, cri = drawn(layout, seed, n)
    reports = layout.pack(payloads, cqi=cqi, cri=cri)
    assert reports.shape == (n, layout.nbytes)
    found = layout.unpack(reports)
    np.testing.assert_array_equal(found.cqi, cqi)
    np.testing.assert_array_equal(found.cri, cri)
    for own, sent in zip(found.payloads, payloads, strict=True):
        np.testing.assert_array_equal(own, sent)


@given(LAYOUTS, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_bit_has_its_place(layout: ReportLayout, seed: int) -> None:
    """The report as text of zeros and ones, put together by hand."""
    payloads, cqi, cri = drawn(layout, seed, 1)

    def number(value: int, bits: int) -> str:
        return f"{value:0{bits}b}" if bits else ""

    part1 = (
        number(int(cri[0]), layout.cri_bits)
        + number(layout.rank - 1, layout.ri_bits)
        + number(int(cqi[0]), layout.cqi_bits)
    )
    part2 = "".join(
        "".join(f"{byte:08b}" for byte in own[0])[:bits]
        for own, bits in zip(payloads, layout.layer_bits, strict=True)
    )
    figures = layout.figures()
    assert (len(part1), len(part2)) == (figures["part1_bits"], figures["part2_bits"])
    assert figures["group1_bits"] + figures["group2_bits"] == len(part2)
    padded = [part + "0" * (-len(part) % 8) for part in (part1, part2)]
    expected = bytes(int("".join(padded)[i : i + 8], 2) for i in range(0, len("".join(padded)), 8))
    assert layout.pack(payloads, cqi=cqi, cri=cri)[0].tobytes() == expected


@given(LAYOUTS, st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_what_stands_behind_a_part_is_ignored(layout: ReportLayout, seed: int) -> None:
    payloads, cqi, cri = drawn(layout, seed, 2)
    reports = layout.pack(payloads, cqi=cqi, cri=cri)
    first = -(-layout.part1_bits // 8)
    for end, bits in ((first, layout.part1_bits), (layout.nbytes, layout.part2_bits)):
        reports[:, end - 1] |= np.uint8((1 << (-bits % 8)) - 1)
    for own, sent in zip(layout.unpack(reports).payloads, payloads, strict=True):
        np.testing.assert_array_equal(own, sent)


def test_sizes_by_rank() -> None:
    """Computed by hand for {64, 2}: 128 bits a layer, part 1 of RI 2 and CQI 4 without CRC."""
    rows = [ReportLayout((Pair(64, 2),) * rank).figures() for rank in (1, 2, 3, 4)]
    assert [row["part2_bits"] for row in rows] == [128, 256, 384, 512]
    assert [(row["group1_bits"], row["group2_bits"]) for row in rows] == [
        *((128, 0), (128, 128), (256, 128), (256, 256))
    ]
    assert [row["bits"] for row in rows] == [134, 262, 390, 518]
    assert [row["bits_with_crc"] for row in rows] == [145, 273, 401, 529]
    assert [row["part1_crc_bits"] for row in rows] == [0] * 4


def test_check_bits() -> None:
    assert [crc_bits(n) for n in (0, 1, 11, 12, 19, 20, 1536)] == [0, 0, 0, 6, 6, 11, 11]


TWO = ReportLayout((Pair(3, 2), Pair(2, 1)), cri_bits=1)
GOOD = [np.array([[0b10110100]], np.uint8), np.array([[0b01000000]], np.uint8)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ReportLayout(()), "0 layers"),
        (lambda: ReportLayout((Pair(32, 2),) * 5), "5 layers"),
        (lambda: ReportLayout((Pair(0, 2),)), "0 outputs"),
        (lambda: ReportLayout((Pair(4, 9),)), "9 bits"),
        (lambda: ReportLayout((Pair(4, 2),), cri_bits=-1), "cri_bits -1"),
        (lambda: ReportLayout((Pair(4, 2),), cqi_bits=17), "cqi_bits 17"),
        (lambda: ReportLayout((Pair(4, 2),) * 3, ri_bits=1), "ri_bits 1 cannot say rank 3"),
        (lambda: TWO.pack(GOOD[:1]), "1 layers; this report has 2"),
        (lambda: TWO.pack([GOOD[0], GOOD[1].astype(np.int16)]), "layer 2 are int16"),
        (lambda: TWO.pack([GOOD[0], GOOD[1].repeat(2, 0)]), r"layer 2 are uint8 \(2, 1\)"),
        (lambda: TWO.pack([GOOD[0], GOOD[1].repeat(2, 1)]), r"layer 2 are uint8 \(1, 2\)"),
        (lambda: TWO.pack(GOOD, cqi=16), "cqi 16 of report 0 does not fit 4 bits"),
        (lambda: TWO.pack(GOOD, cqi=-1), "cqi -1"),
        (lambda: TWO.pack(GOOD, cri=[2]), "cri 2 of report 0 does not fit 1 bits"),
        (lambda: TWO.pack(GOOD, cri=0.5), "cri is float64"),
        (lambda: TWO.pack(GOOD, cqi=[1, 2]), r"cqi is int64 \(2,\)"),
    ],
)
def test_bad_reports_are_refused(make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


def test_bad_bytes_are_refused() -> None:
    reports = TWO.pack(GOOD, cqi=5, cri=1)
    # CRI 1, RI 01, CQI 0101, pad; then 101101 and 01 of the two layers.
    assert reports.tolist() == [[0b1_01_0101_0, 0b101101_01]]
    for bad in (reports[:, :1], reports[0], reports.astype(np.int64)):
        with pytest.raises(FormatError, match=r"uint8 \(n, 2\) is right"):
            TWO.unpack(bad)
    reports[0, 0] ^= 0b0_01_0000_0
    with pytest.raises(FormatError, match="report 0 says rank 1; the others have 2"):
        TWO.unpack(reports)
