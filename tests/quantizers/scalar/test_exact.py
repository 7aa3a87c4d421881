"""The dynamic programme against partitions tried one by one, and against the plain recursion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_kinds import cell, exhaustive, kinds, quadratic

from csideploy.quantizers.scalar.exact import partitions, partitions_of_few
from csideploy.quantizers.scalar.refine import marry, refine, split, transfer
from csideploy.quantizers.scalar.samples import Samples

numbers = st.lists(st.integers(-40, 40), min_size=1, max_size=9).map(
    lambda found: np.array(found) / 8.0
)


def spent(values: np.ndarray, one: Samples, edges: np.ndarray) -> float:
    """Squared error of the samples in the cells that the edges make."""
    places = one.weights[edges].astype(int)
    ordered = np.sort(values).astype(np.float64)
    return sum(cell(part) for part in np.split(ordered, places[1:-1]))


@pytest.mark.parametrize("solve", [partitions, partitions_of_few])
@settings(max_examples=80, deadline=None)
@given(values=numbers, cells=st.integers(1, 5))
def test_no_partition_is_better(solve, values: np.ndarray, cells: int) -> None:
    one = Samples.of(values[:, None])
    edges = solve(one.weights, one.sums, [cells])[0]
    assert edges[0] == 0
    assert edges[-1] == one.counts[0]
    assert len(edges) == cells + 1
    assert (np.diff(edges) >= 0).all()
    found = spent(values, one, edges)
    assert found == pytest.approx(exhaustive(np.sort(values), cells), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("solve", [partitions, partitions_of_few])
@pytest.mark.parametrize("name", list(kinds(1, 0)))
def test_equals_the_plain_recursion(solve, name: str) -> None:
    values = kinds(90, 3)[name]
    one = Samples.of(values[:, None])
    expected = quadratic(np.sort(values).astype(np.float64), 32)
    found = solve(one.weights, one.sums, list(range(1, 33)))
    for cells, edges in enumerate(found, 1):
        # 1e-6 is the promise; what is below 1e-13 of the power is not resolved (`samples`).
        power = float((values.astype(np.float64) ** 2).sum())
        assert spent(values, one, edges) == pytest.approx(
            expected[cells - 1], rel=1e-6, abs=1e-13 * power
        )


def test_large_offset_does_not_hurt() -> None:
    values = np.random.default_rng(5).standard_normal(60) + 1e6
    one = Samples.of(values[:, None])
    edges = partitions(one.weights, one.sums, [8])[0]
    expected = quadratic(np.sort(values) - 1e6, 8)[-1]
    assert spent(values - 1e6, one, edges) == pytest.approx(expected, rel=1e-6)


def gains(samples: Samples, edges: np.ndarray) -> np.ndarray:
    starts = samples.starts[:, None]
    weight = np.diff(samples.weights[edges + starts], axis=1)
    total = np.diff(samples.sums[edges + starts], axis=1)
    return (total**2 / np.maximum(weight, 0.5)).sum(axis=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.sampled_from([4, 8, 32]), st.sampled_from([2.0, 1.0, 0.25, 0.03]))
def test_no_round_loses(seed: int, cells: int, reach: float) -> None:
    samples = Samples.of(np.stack(list(kinds(300, seed).values()), axis=1))
    rows = np.arange(len(samples.counts))
    rng = np.random.default_rng(seed)
    inner = np.sort(rng.integers(0, samples.counts[:, None] + 1, (len(rows), cells - 1)), axis=1)
    edges = np.concatenate([0 * rows[:, None], inner, samples.counts[:, None]], axis=1)
    before = gains(samples, edges)
    slack = 1e-12 * before + 1e-9
    for after in (
        refine(samples, rows, edges, reach),
        transfer(samples, rows, edges),
        split(samples, rows, edges),
        marry(samples, rows, edges, edges[:, ::-1].copy() * 0 + edges),
    ):
        assert (np.diff(after, axis=1) >= 0).all()
        assert (after[:, 0] == 0).all()
        assert (after[:, -1] == samples.counts).all()
        assert (gains(samples, after) >= before - slack).all()


def test_one_round_carries_a_value_across_all_cells() -> None:
    # Nine equal groups, of which the first has two cells and the last two share one.
    values = np.repeat(np.arange(9.0), 3)[:, None] + np.tile([0, 1e-3, 2e-3], 9)[:, None]
    samples = Samples.of(values)
    edges = np.array([[0, 1, 3, 6, 9, 12, 15, 18, 21, 27]])
    moved = refine(samples, np.array([0]), edges, 1.0)
    assert moved[0, 1:-1].tolist()[:-1] == [3, 6, 9, 12, 15, 18, 21]
    assert 22 <= moved[0, -2] <= 25


def test_grid_finds_modes_and_outliers() -> None:
    values = np.concatenate([np.linspace(0, 1, 5000), np.linspace(50, 50.1, 5000), [999.0]])
    one = Samples.of(values[:, None])
    grid = one.grid(64)
    assert len(grid) <= 65
    assert {0, 5000, 10000, 10001} <= set(grid.tolist())
