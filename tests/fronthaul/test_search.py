"""The float64 searches against brute force that shares nothing with them."""

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from csideploy.errors import InputError
from csideploy.fronthaul.search import (
    excluded_products,
    interference_classes,
    pack_messages,
    quantize_nearest,
    search_exhaustive,
    search_sequential,
    unpack_messages,
)

Array = Any
CASES = {
    "single antennas": ([(1, 2)] * 4, 3),
    "several antennas": ([(2, 2)] * 3, 2),
    "unequal": ([(1, 3), (3, 1), (2, 2)], 4),
    "one RU": ([(2, 4)], 1),
}
"""(N_m, B_m) of each RU, and streams."""


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def case(name: str, uses: int = 7, seed: int = 0) -> tuple[Array, Array, list[Array]]:
    """Effective channel, targets, tables."""
    rus, streams = CASES[name]
    rng = np.random.default_rng(seed)
    tables = [normal(rng, 1 << bits, antennas) for antennas, bits in rus]
    antennas = sum(n for n, _ in rus)
    return normal(rng, streams, antennas), 2 * normal(rng, uses, streams), tables


def sent(tables: list[Array], index: Any) -> Array:
    return np.concatenate([table[i] for table, i in zip(tables, index, strict=True)])


@pytest.mark.parametrize("name", CASES)
def test_exhaustive_is_the_best_of_all(name: str) -> None:
    effective, targets, tables = case(name)
    found = search_exhaustive(effective, targets, tables)
    for d, index in zip(targets, found, strict=True):
        costs = {
            joint: np.linalg.norm(effective @ sent(tables, joint) - d)
            for joint in product(*(range(len(table)) for table in tables))
        }
        assert min(costs, key=lambda joint: costs[joint]) == tuple(index)


def one_by_one(
    effective: Array, d: Array, tables: list[Array], classes: list[list[int]], iterations: int
) -> list[int]:
    """Algorithm 1 for one channel use, by its disturbances; x_hat starts at 0."""
    ends = np.cumsum([0] + [table.shape[1] for table in tables])
    x = np.zeros(effective.shape[1], complex)
    index = [0] * len(tables)
    for t in range(iterations):
        fixed = x.copy()
        for m in classes[t % len(classes)]:
            costs = []
            for codeword in tables[m]:
                trial = fixed.copy()
                trial[ends[m] : ends[m + 1]] = codeword
                costs.append(np.linalg.norm(effective @ trial - d) ** 2)
            index[m] = int(np.argmin(costs))
            x[ends[m] : ends[m + 1]] = tables[m][index[m]]
    return index


@pytest.mark.parametrize("iterations", [1, 2, 3, 8])
@pytest.mark.parametrize("kind", ["in turn", "all", "pairs"])
@pytest.mark.parametrize("name", CASES)
def test_sequential_is_algorithm_1(name: str, kind: str, iterations: int) -> None:
    effective, targets, tables = case(name, seed=1)
    rus = list(range(len(tables)))
    classes = {"in turn": [[m] for m in rus], "all": [rus], "pairs": [rus[1::2], rus[0::2]]}[kind]
    found = search_sequential(effective, targets, tables, classes, iterations)
    wanted = [one_by_one(effective, d, tables, classes, iterations) for d in targets]
    assert np.array_equal(found, wanted)


def test_unvisited_rus_send_0() -> None:
    effective, targets, tables = case("single antennas", uses=50)
    found = search_sequential(effective, targets, tables, [[0], [2], [1], [3]], 2)
    assert not found[:, [1, 3]].any()
    assert found[:, 0].any()
    assert found[:, 2].any()


@pytest.mark.parametrize("name", CASES)
def test_nearest(name: str) -> None:
    _, _, tables = case(name)
    x = normal(np.random.default_rng(2), 20, sum(table.shape[1] for table in tables))
    found = quantize_nearest(x, tables)
    start = 0
    for m, table in enumerate(tables):
        own = x[:, start : start + table.shape[1]]
        distances = np.linalg.norm(own[:, None] - table, axis=2)
        assert np.array_equal(found[:, m], distances.argmin(axis=1))
        start += table.shape[1]


def whole_numbers(seed: int) -> tuple[Array, Array, list[Array]]:
    """Costs are whole numbers or halves, and many are equal."""
    rng = np.random.default_rng(seed)

    def small(*shape: int) -> Array:
        return rng.integers(-1, 2, shape) + 1j * rng.integers(-1, 2, shape)

    return small(2, 4), small(40, 2), [small(4, 2), small(8, 1), small(4, 1)]


def test_ties_go_to_the_lowest_index() -> None:
    ties = 0
    for seed in range(4):
        effective, targets, tables = whole_numbers(seed)
        found = search_exhaustive(effective, targets, tables)
        for d, index in zip(targets, found, strict=True):
            costs = [
                np.sum(np.abs(effective @ sent(tables, joint) - d) ** 2).round(6)
                for joint in product(range(4), range(8), range(4))
            ]
            ties += costs.count(min(costs)) > 1
            assert costs.index(min(costs)) == np.ravel_multi_index(tuple(index), (4, 8, 4))
        classes = [[0, 2], [1]]
        turns = search_sequential(effective, targets, tables, classes, 5)
        for d, index in zip(targets, turns, strict=True):
            assert list(index) == whole_turns(effective, d, tables, classes, 5)
        near = quantize_nearest(np.repeat(targets, 2, axis=1), tables)
        assert near.max() < 8
    assert ties > 50


def whole_turns(
    effective: Array, d: Array, tables: list[Array], classes: list[list[int]], iterations: int
) -> list[int]:
    """`one_by_one` with costs rounded to whole numbers, which they are."""
    starts = np.cumsum([0] + [table.shape[1] for table in tables])
    x, index = np.zeros(effective.shape[1], complex), [0] * len(tables)
    for t in range(iterations):
        fixed = x.copy()
        for m in classes[t % len(classes)]:
            own = slice(starts[m], starts[m + 1])
            rest = effective @ fixed - effective[:, own] @ fixed[own] - d
            costs = [
                round(float(np.sum(np.abs(rest + effective[:, own] @ c) ** 2))) for c in tables[m]
            ]
            index[m] = costs.index(min(costs))
            x[own] = tables[m][index[m]]
    return index


def test_equal_codewords_and_equal_rus() -> None:
    table = np.array([[1.0], [1.0], [-1.0], [-1.0]]) + 0j
    near = quantize_nearest(np.array([[0.0], [2.0], [-3.0]]) + 0j, [table])
    assert near.tolist() == [[0], [0], [2]]
    both = search_exhaustive(np.ones((1, 2)), np.array([[2.0], [0.0], [-2.0]]) + 0j, [table, table])
    assert both.tolist() == [[0, 0], [0, 2], [2, 2]]


def graphs() -> Iterator[tuple[Array, float]]:
    rng = np.random.default_rng(4)
    for rus in (1, 2, 3, 8, 13, 32):
        for alpha in (0, 0.3, 0.5, 0.9, 1):
            yield rng.exponential(size=(rus, 5)) * 10 ** rng.uniform(-3, 0, (rus, 5)), alpha


def edges_of(gains: Array, alpha: float) -> set[tuple[int, int]]:
    """The largest products, counted from above."""
    pairs = sorted(combinations(range(len(gains)), 2), key=lambda p: gains[p[0]] @ gains[p[1]])
    return set(pairs[excluded_products(len(gains), alpha) :])


def largest_first(rus: int, edges: set[tuple[int, int]]) -> list[list[int]]:
    """Recursive largest first with lists and loops."""
    near = [[(min(i, j), max(i, j)) in edges for j in range(rus)] for i in range(rus)]
    colour = [-1] * rus
    colours = 0
    while -1 in colour:
        left = [i for i in range(rus) if colour[i] < 0]
        degrees = [sum(near[i][j] for j in left) for i in left]
        chosen = left[degrees.index(max(degrees))]
        banned: list[int] = []
        while True:
            colour[chosen] = colours
            banned += [i for i in left if near[chosen][i] and i not in banned]
            free = [i for i in left if colour[i] < 0 and i not in banned]
            if not free:
                break
            keys = [(-sum(near[i][j] for j in banned), sum(near[i][j] for j in free)) for i in free]
            chosen = free[keys.index(min(keys))]
        colours += 1
    return [[i for i in range(rus) if colour[i] == c] for c in range(colours)]


def test_classes_are_independent_and_hold_every_ru_once() -> None:
    for gains, alpha in graphs():
        rus = len(gains)
        edges, classes = edges_of(gains, alpha), interference_classes(gains, alpha)
        assert len(edges) == rus * (rus - 1) // 2 - excluded_products(rus, alpha)
        assert sorted(m for c in classes for m in c) == list(range(rus))
        assert not [pair for c in classes for pair in combinations(c, 2) if pair in edges]
        assert classes == largest_first(rus, edges)
        if alpha == 0:
            assert classes == [[m] for m in range(rus)]
        if alpha == 1:
            assert classes == [list(range(rus))]


def test_equal_products_and_those_that_are_not_finite() -> None:
    same = np.ones((4, 2))
    assert interference_classes(same, 0) == [[0], [1], [2], [3]]
    assert interference_classes(same, 0.2) == [[0, 1, 2, 3]]  # none is above another
    same[3] = np.inf
    assert interference_classes(same, 0) == [[0, 3], [1], [2]]
    same[3] = np.nan
    assert interference_classes(same, 0) == [[0, 3], [1], [2]]


def test_threshold() -> None:
    assert [excluded_products(8, alpha) for alpha in (0, 0.5, 0.999, 1)] == [0, 14, 27, 28]
    assert excluded_products(25, 0.29) == 87
    assert excluded_products(1, 0.7) == 0


@pytest.mark.parametrize("uses", [1, 7, 8, 33])
def test_messages(uses: int) -> None:
    bits = [1, 2, 3, 7, 8, 12]
    rng = np.random.default_rng(uses)
    indices = np.stack([rng.integers(0, 1 << b, uses) for b in bits], axis=1)
    indices[-1] = [(1 << b) - 1 for b in bits]
    data = pack_messages(indices, bits)
    wanted = b""
    for m, count in enumerate(bits):
        text = "".join(f"{index:0{count}b}" for index in indices[:, m])
        text += "0" * (-len(text) % 8)
        wanted += int(text, 2).to_bytes(len(text) // 8, "big")
    assert data == wanted
    assert np.array_equal(unpack_messages(data, bits, uses), indices)


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    effective, targets, tables = case("unequal", uses=30)
    whole = search_exhaustive(effective, targets, tables)
    turns = search_sequential(effective, targets, tables, [[0, 2], [1]], 5)
    monkeypatch.setattr("csideploy.fronthaul.search._NUMBERS", 300)
    assert np.array_equal(search_exhaustive(effective, targets, tables), whole)
    assert np.array_equal(search_sequential(effective, targets, tables, [[0, 2], [1]], 5), turns)


X, C = np.zeros((3, 2), complex), np.zeros((1, 2), complex)
TABLES = [np.zeros((2, 1), complex)] * 2
D = np.zeros((3, 1), complex)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: interference_classes(np.ones(3), 0.5), "RUs, users"),
        (lambda: interference_classes(np.ones((3, 2)), 1.1), "alpha = 1.1"),
        (lambda: interference_classes(np.ones((33, 2)), 0.5), "33 RUs"),
        (lambda: quantize_nearest(X, TABLES[:1]), "1 antennas"),
        (lambda: quantize_nearest(X, []), "no tables"),
        (lambda: quantize_nearest(X, [np.zeros(2, complex)]), "table 0"),
        (lambda: search_sequential(C, D, TABLES, [[0], [2]], 1), "RUs 0 to 1"),
        (lambda: search_sequential(C, D, TABLES, [[0], [1]], 0), "0 iterations"),
        (lambda: search_sequential(C, D[:, :0], TABLES, [[0], [1]], 1), "targets"),
        (lambda: search_exhaustive(C[:, :1], D, TABLES), "effective"),
        (lambda: search_exhaustive(C, D, [np.zeros((2048, 1), complex)] * 2), "2\\^22"),
        (lambda: pack_messages(np.array([[4, 0]]), [2, 2]), "outside"),
        (lambda: pack_messages(np.array([[-1, 0]]), [2, 2]), "outside"),
        (lambda: pack_messages(np.array([[1, 0]]), [2]), "1 RUs"),
        (lambda: unpack_messages(b"ab", [2], 3), "1 are right"),
    ],
)
def test_refusals(call: Callable[[], object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        call()
