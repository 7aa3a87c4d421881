"""eType II: sizes against the field's table, bits there and back, quality on a panel."""

from __future__ import annotations

from itertools import combinations
from math import ceil, comb, log2
from typing import Any

import numpy as np
import pytest

from csideploy.baselines.etype2 import (
    AMPLITUDE,
    COMBINATIONS,
    REFERENCE,
    Codebook,
    Reports,
    precoders,
    subset_index,
    subset_of,
)
from csideploy.baselines.etype2_payload import pack, payload_bytes, unpack
from csideploy.baselines.etype2_search import search, search_flops
from csideploy.channels.panel_file import draw_panel
from csideploy.channels.umi_panel import Panel
from csideploy.directions import cosines, eigenvectors
from csideploy.errors import FormatError, InputError

TABLE = {
    1: (62, 113, 100, 111),
    2: (91, 169, 156, 167),
    3: (111, 207, 187, 207),
    4: (168, 319, 299, 319),
    5: (225, 431, 471, 511),
    6: (279, 539, 527, 567),
    7: (243, 467),
    8: (328, 635),
}
"""Bits at 32 ports (8, 2), 13 sub-bands, R = 1, coefficients at their cap."""

CELLS = [(pc, rank + 1) for pc, row in TABLE.items() for rank in range(len(row))]


@pytest.fixture(scope="module")
def directions() -> Any:
    """400 users of a street canyon, four layers."""
    return eigenvectors(draw_panel(Panel(8, 2), 4, 400, seed=11).h, 4)


def fields(codebook: Codebook, reports: Reports) -> list[list[tuple[int, int]]]:
    """(value, bits) of every sample, from the standard's list, one number after the other."""
    rows, taps, v = 2 * codebook.beams, codebook.taps, codebook.rank
    out = []
    for n in range(len(reports.group)):
        line = [(int(q), 2) for q in reports.group[n]]
        subsets = list(combinations(range(codebook.elements), codebook.beams))
        # The first subset in this order has the highest number.
        place = len(subsets) - 1 - subsets.index(tuple(reports.beams[n]))
        line.append((place, ceil(log2(len(subsets)))))
        for layer in range(v):
            subsets = list(combinations(range(1, codebook.units), taps - 1))
            place = len(subsets) - 1 - subsets.index(tuple(reports.taps[n, layer, 1:]))
            line.append((place, ceil(log2(len(subsets))) if len(subsets) > 1 else 0))
            there = reports.there[n, layer]
            line += [(int(there[i, f]), 1) for f in range(taps) for i in range(rows)]
            one = int(reports.strongest[n, layer])
            if v == 1:
                line.append((int(there[: one + 1, 0].sum()) - 1, ceil(log2(there.sum()))))
            else:
                line.append((one, ceil(log2(rows))))
            line.append((int(reports.reference[n, layer]), 4))
            rest = [
                (i, f)
                for f in range(taps)
                for i in range(rows)
                if there[i, f] and (i, f) != (one, 0)
            ]
            line += [(int(reports.amplitude[n, layer, i, f]), 3) for i, f in rest]
            line += [(int(reports.phase[n, layer, i, f]), 4) for i, f in rest]
        out.append(line)
    return out


@pytest.mark.parametrize(("combination", "rank"), CELLS)
def test_payload_bits_are_those_of_the_table(combination: int, rank: int) -> None:
    assert Codebook(combination, rank=rank).payload_bits() == TABLE[combination][rank - 1]


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("combination", [7, 8])
def test_barred_for_many_layers(combination: int, rank: int) -> None:
    with pytest.raises(InputError, match=f"paramCombination {combination} is barred for rank"):
        Codebook(combination, rank=rank)


def test_barred_for_few_ports() -> None:
    for combination in range(3, 9):
        with pytest.raises(InputError, match=f"paramCombination {combination} is barred for 4"):
            Codebook(combination, 2, 1)
    for combination in (7, 8):
        with pytest.raises(InputError, match="barred for 16 ports"):
            Codebook(combination, 4, 2)
    assert Codebook(2, 2, 1).ports == 4
    for wrong in ({"n1": 5}, {"rank": 5}, {"units": 20}, {"combination": 9}):
        with pytest.raises(InputError, match=r"right|standard has"):
            Codebook(**{"combination": 1, **wrong})


def test_tables() -> None:
    """Steps of 1.5 and 3 dB up to 1; the first reference is reserved."""
    assert REFERENCE[0] == 0
    assert REFERENCE[[1, 2, 3, 4, 11, 15]] ** 4 == pytest.approx(
        [1 / 128**2, 1 / 8192, 1 / 8**4, 1 / 2048, 1 / 16, 1]
    )
    eighth = [1 / (8 * 2**0.5), 1 / 8, 1 / (4 * 2**0.5), 1 / 4]
    assert pytest.approx([*eighth, 1 / 8**0.5, 1 / 2, 1 / 2**0.5, 1]) == AMPLITUDE


def test_subsets_are_counted_as_in_the_standard() -> None:
    total, size = 7, 3
    chosen = np.array(list(combinations(range(total), size)))
    index = subset_index(total, chosen)
    assert index.tolist() == list(range(comb(total, size)))[::-1]
    assert np.array_equal(subset_of(total, size, index), chosen)
    assert subset_index(12, np.zeros((2, 0), int)).tolist() == [0, 0]


def test_beams_are_orthogonal_and_cover_the_panel() -> None:
    codebook = Codebook(1)
    groups = codebook.groups
    assert groups.shape == (16, 16, 16)
    for group in groups:
        np.testing.assert_allclose(group.conj() @ group.T, np.eye(16), atol=1e-12)
    # Group (q1, q2), beam N1 n2 + n1 = (5, 1): a plane wave (4 5 + q1) / 32, (4 + q2) / 8.
    n1, n2 = np.meshgrid(np.arange(8), np.arange(2), indexing="ij")
    wave = np.exp(2j * np.pi * (n1 * (4 * 5 + 3) / 32 + n2 * (4 + 2) / 8)) / 4
    np.testing.assert_allclose(groups[3 * 4 + 2, 8 + 5], wave.reshape(-1), atol=1e-12)


@pytest.mark.parametrize(("combination", "rank"), CELLS)
def test_bits_are_as_listed_and_come_back(combination: int, rank: int, directions: Any) -> None:
    codebook = Codebook(combination, rank=rank)
    reports = search(codebook, directions[:40, :rank])
    payload, bits = pack(codebook, reports)
    assert payload.shape == (40, payload_bytes(codebook))
    for line, row, length in zip(fields(codebook, reports), payload, bits, strict=True):
        text = "".join(f"{value:0{size}b}" for value, size in line if size)
        assert len(text) == length
        assert "".join(f"{byte:08b}" for byte in row) == text.ljust(8 * len(row), "0")
    count = reports.there.sum(axis=(1, 2, 3))
    assert bits.tolist() == [codebook.payload_bits(int(k)) for k in count]
    assert count.max() == codebook.most
    assert bits.max() == TABLE[combination][rank - 1]
    assert (reports.there.sum(axis=(2, 3)) <= codebook.most_layer).all()
    again = unpack(codebook, payload)
    for name in Reports.__dataclass_fields__:
        assert np.array_equal(getattr(again, name), getattr(reports, name)), name


def test_precoders_are_the_formula(directions: Any) -> None:
    """One sample, written out from the sums of 5.2.2.2.5."""
    codebook = Codebook(5, rank=2)
    reports = search(codebook, directions[3:4, :2])
    made = precoders(codebook, reports)[0]
    q1, q2 = reports.group[0]
    for layer in range(2):
        one = reports.strongest[0, layer]
        for t in range(13):
            w = np.zeros((2, 8, 2), complex)
            for i in range(8):
                pol, beam = divmod(i, 4)
                n2, n1 = divmod(int(reports.beams[0, beam]), 8)
                for f in range(codebook.taps):
                    if not reports.there[0, layer, i, f]:
                        continue
                    size = AMPLITUDE[reports.amplitude[0, layer, i, f]]
                    if pol != one // 4:
                        size *= REFERENCE[reports.reference[0, layer]]
                    turn = reports.phase[0, layer, i, f] / 16
                    turn += t * reports.taps[0, layer, f] / 13
                    for x in range(8):
                        for y in range(2):
                            place = x * (4 * n1 + q1) / 32 + y * (4 * n2 + q2) / 8
                            w[pol, x, y] += size * np.exp(2j * np.pi * (turn + place))
            own = w.reshape(-1) / np.linalg.norm(w)
            # float32 results.
            np.testing.assert_allclose(made[layer, t], own, atol=1e-6)


def test_finds_what_it_can_say_exactly() -> None:
    """A direction that is in the codebook comes back, whatever phases its sub-bands have."""
    codebook = Codebook(4)
    rng = np.random.default_rng(2)
    count, rows, taps = 30, 8, codebook.taps
    there = np.zeros((count, 1, rows, taps), bool)
    amplitude, phase = np.zeros((2, *there.shape), int)
    for n in range(count):
        # The strongest alone at 1, six others 6 to 15 dB below, one in each of six rows.
        there[n, 0, 0, 0] = True
        amplitude[n, 0, 0, 0] = 7
        for row in rng.permutation(np.arange(1, rows))[:6]:
            tap = rng.integers(taps)
            there[n, 0, row, tap] = True
            amplitude[n, 0, row, tap] = rng.integers(2, 6)
            phase[n, 0, row, tap] = rng.integers(16)
    chosen = [np.sort(rng.permutation(np.arange(1, 13))[: taps - 1]) for _ in range(count)]
    taps_of = np.concatenate([np.zeros((count, 1), int), chosen], axis=1)[:, None]
    beams = np.array([np.sort(rng.permutation(16)[:4]) for _ in range(count)])
    group = rng.integers(0, 4, (count, 2))
    ones = np.zeros((count, 1), int)
    sent = Reports(group, beams, taps_of, there, ones, ones + 15, amplitude, phase)
    v = precoders(codebook, sent)
    turned = v * np.exp(2j * np.pi * rng.uniform(size=(count, 1, 13, 1)))
    found = precoders(codebook, search(codebook, turned))
    # The strongest row has one tap, so that the search's second start is exact; float32 vectors.
    assert cosines(v, found).min() > 1 - 1e-5


def test_quality_rises_with_the_combination(directions: Any) -> None:
    """On a dual-polarised (8, 2) set, of the same beams or the same coefficients."""
    for rank in (1, 2):
        v = directions[:, :rank]
        found = {}
        for combination in COMBINATIONS:
            codebook = Codebook(combination, rank=rank)
            payload, _ = pack(codebook, search(codebook, v))
            sent = precoders(codebook, unpack(codebook, payload))
            found[combination] = float(cosines(v, sent).mean())
        print(f"\nrank {rank}: " + ", ".join(f"PC{c} {x:.4f}" for c, x in found.items()))
        assert found[1] < found[2] < found[4] < found[5]
        assert found[7] < found[8]
        # A codebook of four numbers on channels of many: neither lost nor perfect.
        assert found[1] > 0.6
        assert found[8] < 0.97


def test_a_combination_of_caps_holds_over_layers(directions: Any) -> None:
    codebook = Codebook(5, rank=4)
    reports = search(codebook, directions[:, :4])
    assert (reports.there.sum(axis=(1, 2, 3)) <= codebook.most).all()
    strongest = np.take_along_axis(reports.there[..., 0], reports.strongest[..., None], axis=2)
    assert strongest.all()
    assert search_flops(codebook) > 4 * search_flops(Codebook(5)) * 0.9


def test_payloads_that_no_report_has(directions: Any) -> None:
    codebook = Codebook(1)
    payload, _ = pack(codebook, search(codebook, directions[:1, :1]))
    line = np.unpackbits(payload, axis=1)

    def changed(at: slice, bits: int) -> Any:
        other = line.copy()
        other[0, at] = bits
        return np.packbits(other, axis=1)

    # 4 bits of groups, 7 of 120 pairs of beams, 9 of 220 triples of taps would be 8.
    assert (codebook.beam_bits, codebook.tap_bits, codebook.map_bits) == (7, 8, 16)
    for at, bits, says in (
        (slice(4, 11), 1, "subset of beams"),
        (slice(11, 19), 1, "subset of taps"),
        (slice(19, 35), 0, "too many coefficients, or none"),
        (slice(19, 35), 1, "too many coefficients, or none"),
        (slice(37, 41), 0, "reserved"),
    ):
        with pytest.raises(FormatError, match=says):
            unpack(codebook, changed(at, bits))
    with pytest.raises(InputError, match="uint8"):
        unpack(codebook, payload[:, :-1])
    with pytest.raises(InputError, match="directions"):
        search(codebook, directions[:, :1, :, :16])
