"""Bit allocation against exhaustive search, on convex tables and on any."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from csideploy.errors import InputError
from csideploy.quantizers.scalar import allocate, distortions, exchange, greedy, optimal
from csideploy.quantizers.scalar.allocation import bound, loss

# Small integers: ties, zeros, and sums without rounding.
any_table = npst.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.integers(1, 9)),
    elements=st.integers(0, 6).map(float),
)
falling = any_table.map(lambda table: np.sort(table, axis=1)[:, ::-1].copy())
any_float = npst.arrays(
    np.float64, st.tuples(st.integers(1, 9), st.integers(2, 9)), elements=st.floats(0, 1e300)
)


def convex(steps: np.ndarray) -> np.ndarray:
    """Rows whose gains, the steps in falling order, never rise."""
    gains = np.sort(steps, axis=1)[:, ::-1]
    return np.cumsum(gains[:, ::-1], axis=1)[:, ::-1].copy()


def searched(table: np.ndarray, total: int) -> float:
    most = table.shape[1]
    return min(
        loss(table, np.array(widths))
        for widths in product(range(most), repeat=len(table))
        if sum(widths) == total
    )


def held(table: np.ndarray, widths: np.ndarray, total: int) -> None:
    assert widths.dtype == np.uint8
    assert widths.shape == (len(table),)
    assert int(widths.sum()) == total
    assert int(widths.max()) <= table.shape[1] - 1


small = st.tuples(st.integers(1, 4), st.integers(1, 5))


@settings(max_examples=60, deadline=None)
@given(npst.arrays(np.float64, small, elements=st.integers(0, 9).map(float)), st.data())
def test_convex_tables_are_solved_by_all(steps: np.ndarray, data: st.DataObject) -> None:
    table = convex(steps)
    total = data.draw(st.integers(0, len(table) * (table.shape[1] - 1)))
    least = searched(table, total)
    for way in (exchange, greedy, optimal, allocate):
        widths = way(table, total)
        held(table, widths, total)
        assert loss(table, widths) == pytest.approx(least)
    assert bound(table, total) == pytest.approx(least, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(npst.arrays(np.float64, small, elements=st.integers(0, 9).map(float)), st.data())
def test_the_optimum_of_any_table(table: np.ndarray, data: st.DataObject) -> None:
    total = data.draw(st.integers(0, len(table) * (table.shape[1] - 1)))
    least = searched(table, total)
    assert loss(table, optimal(table, total)) == least
    assert loss(table, allocate(table, total)) <= least * 1.001
    assert bound(table, total) <= least + 1e-9


@settings(max_examples=200, deadline=None)
@given(any_table | falling | any_float, st.data())
def test_the_exchange_always_ends(table: np.ndarray, data: st.DataObject) -> None:
    most = table.shape[1] - 1
    total = data.draw(st.integers(0, len(table) * most))
    widths = exchange(table, total)
    held(table, widths, total)
    start = data.draw(st.permutations(widths.tolist()))
    again = exchange(table, total, start=np.array(start, dtype=np.uint8))
    held(table, again, total)
    assert loss(table, again) <= loss(table, np.array(start)) * (1 + 1e-9)
    held(table, greedy(table, total), total)
    chosen = allocate(table, total)
    held(table, chosen, total)
    assert loss(table, chosen) <= loss(table, optimal(table, total)) * 1.0010001


def test_the_pair_that_the_paper_would_exchange_for_ever() -> None:
    # Eq. 2 and 3 at 2 bits each: d = 0 loses 1, a = 1 gains 0.5. Exchanged, the pair would be
    # taken back and exchanged again, the total "unchanged" at no point.
    table = np.array([[9.0, 3, 2, 1.9], [9.0, 3, 1.5, 1]])
    widths = exchange(table, 4)
    assert widths.tolist() == [2, 2]
    # d is a: output 0 loses nothing by its second bit, and gains most by a third.
    table = np.array([[4.0, 4, 4, 0], [5.0, 4, 3, 2]])
    assert exchange(table, 4).tolist() == [2, 2]
    assert allocate(table, 4).tolist() == [3, 1]


def test_ties_go_to_the_lowest_output() -> None:
    table = np.array([[4.0, 1, 1], [4.0, 1, 1], [8.0, 4, 2], [8.0, 4, 2]])
    # From 1 1 1 1 and one more for output 0: its second bit is worth nothing, output 2 gains.
    assert exchange(table, 5).tolist() == [1, 1, 2, 1]
    assert greedy(table, 5).tolist() == [1, 1, 2, 1]


def test_real_tables_need_no_more_than_the_exchange() -> None:
    rng = np.random.default_rng(11)
    z = rng.standard_normal((600, 40)) * np.exp(rng.standard_normal(40))
    z[:, ::3] *= np.exp(rng.standard_normal((600, 14)))
    z[:, 5] = np.sign(z[:, 5])
    table = distortions(z).table
    for total in (0, 1, 39, 80, 123, 200, 319, 320):
        least = loss(table, optimal(table, total))
        assert loss(table, exchange(table, total)) <= least * 1.001
        assert loss(table, allocate(table, total)) <= least * 1.001


@pytest.mark.parametrize("way", [allocate, exchange, greedy, optimal, bound])
def test_bad_input(way) -> None:
    table = np.ones((4, 9))
    for bad in (np.ones(4), np.ones((0, 9)), np.ones((4, 10)), np.ones((4, 0))):
        with pytest.raises(InputError, match="table"):
            way(bad, 0)
    for total in (-1, 33):
        with pytest.raises(InputError, match=f"{total} bits; 0 to 32"):
            way(table, total)
    for value in (np.nan, np.inf, -1.0):
        table[2, 3] = value
        with pytest.raises(InputError, match="output 2"):
            way(table, 4)


def test_bad_start() -> None:
    table = np.ones((4, 3))
    for start in ([1, 1, 1], [3, 0, 0, 1], [-1, 2, 2, 1], [1, 1, 1, 0]):
        with pytest.raises(InputError, match="start"):
            exchange(table, 4, start=np.array(start))
    with pytest.raises(InputError, match="start"):
        exchange(table, 4, start=np.ones(4))
