"""Fronthaul quantizers on every instruction set: the indices of csideploy.fronthaul.search."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan, run_step

from csideploy.errors import InputError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.bundle_write import write_bundle
from csideploy.export.emit_c import emit_c
from csideploy.export.fronthaul_rules import payload_bytes, search_scratch
from csideploy.export.fronthaul_tables import search_plan
from csideploy.export.macs import costs, total
from csideploy.export.operations import Op, Search
from csideploy.export.plan import PayloadLayout
from csideploy.fronthaul.search import (
    excluded_products,
    interference_classes,
    quantize_nearest,
    search_exhaustive,
    search_sequential,
    unpack_messages,
)
from csideploy.runtime import Part, instruction_sets

Array = Any
Rus = list[tuple[int, int]]
CASES: dict[str, tuple[Rus, int]] = {
    "eight of two": ([(2, 2)] * 8, 3),
    "single antennas": ([(1, 1)] * 9, 2),
    "unequal": ([(1, 5), (3, 1), (2, 2), (1, 4)], 4),
    "many codewords": ([(2, 12), (1, 7)], 1),
    "one RU": ([(4, 3)], 2),
    "more than 8 antennas": ([(9, 2), (8, 1)], 2),
}
"""(N_m, B_m) of each RU, and streams."""
USES = (1, 2, 11, 12, 31, 32, 33, 75)
"""Around the tile of 32, and around what is left over."""


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def reals(x: Array) -> Array:
    return np.stack([x.real, x.imag], axis=-1).astype(np.float32)


def tables_of(rng: np.random.Generator, rus: Rus) -> list[Array]:
    return [normal(rng, 1 << bits, antennas) for antennas, bits in rus]


def run(bundle: bytes, bits: list[int], uses: int, *arrays: Array) -> Array:
    """Indices (n, R, M), the same on every instruction set; pads are 0."""
    (first,) = Part(bundle, isa="reference").run(*arrays)
    for isa in instruction_sets()[1:]:
        assert np.array_equal(Part(bundle, isa=isa).run(*arrays)[0], first), isa
    ends = np.cumsum([-(-uses * b // 8) for b in bits])
    for end, b in zip(ends, bits, strict=True):
        assert not (first[:, end - 1] & (1 << -uses * b % 8) - 1).any()
    return np.stack([unpack_messages(row.tobytes(), bits, uses) for row in first])


@pytest.mark.parametrize("uses", USES)
@pytest.mark.parametrize("name", CASES)
def test_methods(name: str, uses: int) -> None:
    rus, streams = CASES[name]
    bits, rng = [b for _, b in rus], np.random.default_rng(uses)
    tables, antennas, count = tables_of(rng, rus), sum(n for n, _ in rus), len(rus)
    effective, targets = normal(rng, 3, streams, antennas), 2 * normal(rng, 3, uses, streams)
    gains = rng.exponential(size=(3, count, 3)).astype(np.float32)
    arrays = reals(effective), reals(targets)
    how: dict[str, Any] = {"streams": streams, "block": uses, "max_blocks": 2}

    x = normal(rng, 3, uses, antennas)
    found = run(write_bundle(search_plan(tables, method="vq", block=uses)), bits, uses, reals(x))
    assert np.array_equal(found, [quantize_nearest(one, tables) for one in x])

    for turns in (None, 1, 3 * count):
        plan = search_plan(tables, method="smq", iterations=turns, **how)
        found = run(write_bundle(plan), bits, uses, *arrays)
        order = [[m] for m in range(count)]
        for n in range(3):
            wanted = search_sequential(effective[n], targets[n], tables, order, turns or count)
            assert np.array_equal(found[n], wanted)

    for alpha in (0, 0.5, 1):
        plan = search_plan(tables, method="pmq", alpha=alpha, users=3, iterations=2 * count, **how)
        found = run(write_bundle(plan), bits, uses, *arrays, gains)
        for n in range(3):
            classes = interference_classes(gains[n], alpha)
            wanted = search_sequential(effective[n], targets[n], tables, classes, 2 * count)
            assert np.array_equal(found[n], wanted)

    if sum(bits) <= 12:
        found = run(write_bundle(search_plan(tables, method="mq", **how)), bits, uses, *arrays)
        for n in range(3):
            assert np.array_equal(found[n], search_exhaustive(effective[n], targets[n], tables))


def test_mq_of_20_bits() -> None:
    rng = np.random.default_rng(5)
    rus = [(1, 4), (2, 12), (1, 4)]
    tables, bits = tables_of(rng, rus), [b for _, b in rus]
    effective, targets = normal(rng, 1, 1, 4), normal(rng, 1, 2, 1)
    bundle = write_bundle(search_plan(tables, method="mq", streams=1, block=2))
    found = run(bundle, bits, 2, reals(effective), reals(targets))
    assert np.array_equal(found[0], search_exhaustive(effective[0], targets[0], tables))


def test_small_whole_numbers_tie_to_the_lowest_index() -> None:
    rng = np.random.default_rng(6)

    def small(*shape: int) -> Array:
        values = rng.integers(-1, 2, shape) + 1j * rng.integers(-1, 2, shape)
        return values.astype(np.complex64)

    tables, bits = [small(4, 2), small(8, 1), small(2, 1)], [2, 3, 1]
    effective, targets = small(20, 2, 4), small(20, 40, 2)
    arrays = reals(effective), reals(targets)
    mq = run(write_bundle(search_plan(tables, method="mq", streams=2, block=40)), bits, 40, *arrays)
    smq = search_plan(tables, method="smq", streams=2, block=40, iterations=7)
    turns = run(write_bundle(smq), bits, 40, *arrays)
    vq = write_bundle(search_plan(tables, method="vq", block=40))
    x = small(20, 40, 4)
    near = run(vq, bits, 40, reals(x))
    for n in range(20):
        assert np.array_equal(mq[n], search_exhaustive(effective[n], targets[n], tables))
        wanted = search_sequential(effective[n], targets[n], tables, [[0], [1], [2]], 7)
        assert np.array_equal(turns[n], wanted)
        assert np.array_equal(near[n], quantize_nearest(x[n], tables))


def by_classes(tables: list[Array], streams: int, uses: int, turns: int) -> bytes:
    """TABLE_SEARCH alone, its classes an input."""
    hand, count = HandPlan(n_max=4), len(tables)
    bits = [len(table).bit_length() - 1 for table in tables]
    sizes = [[t.shape[1], b] for t, b in zip(tables, bits, strict=True)]
    operands: list[int | None] = [
        hand.input("effective", ("n", streams, sum(n for n, _ in sizes), 2)),
        hand.input("targets", ("n", uses, streams, 2)),
        hand.input("classes", ("n", count), np.int32),
        hand.constant("tables", np.concatenate([reals(t).reshape(-1) for t in tables])),
        hand.constant("rus", np.array(sizes, np.int32)),
    ]
    made = [
        hand.output("payload", ("n", payload_bytes(uses, bits)), np.uint8),
        hand.arena("scratch", (search_scratch(streams, bits),)),
    ]
    hand.step(Op.TABLE_SEARCH, operands, made, function=Search.SEQUENTIAL, iterations=turns)
    return write_bundle(hand.plan())


def test_classes_are_data() -> None:
    """Classes may be empty; what is no class is class 0."""
    rng = np.random.default_rng(7)
    tables = tables_of(rng, [(1, 2)] * 4)
    effective, targets = normal(rng, 4, 2, 4), normal(rng, 4, 40, 2)
    effective[:], targets[:] = effective[0], targets[0]
    classes = np.array([[3, 1, 1, 3], [-1, 4, 2, 2**31 - 1], [0, 0, 0, 0], [3, 2, 1, 0]])
    meant = [
        [[], [1, 2], [], [0, 3]], [[0, 1, 3], [], [2]], [[0, 1, 2, 3]], [[3], [2], [1], [0]],
    ]  # fmt: skip
    for turns in (1, 3, 9):
        bundle = by_classes(tables, 2, 40, turns)
        arrays = reals(effective), reals(targets), classes.astype(np.int32)
        found = run(bundle, [2] * 4, 40, *arrays)
        for n in range(4):
            wanted = search_sequential(effective[n], targets[n], tables, meant[n], turns)
            assert np.array_equal(found[n], wanted)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e-45])
def test_any_number_gives_a_payload(value: float) -> None:
    """Not a number and infinity: index 0, or any; the largest and smallest: those of NumPy."""
    rng = np.random.default_rng(8)
    tables = tables_of(rng, [(2, 2), (1, 3)])
    arrays = [rng.choice([value, -value], (2, 2, 3, 2)), rng.choice([value, 0, 1], (2, 40, 2, 2))]
    arrays = [a.astype(np.float32) for a in arrays]
    for method in ("mq", "smq"):
        plan = search_plan(tables, method=method, streams=2, block=40)
        found = run(write_bundle(plan), [2, 3], 40, *arrays)
        if np.isfinite(value):
            c, d = (a.astype(np.float64) @ [1, 1j] for a in arrays)
            for n in range(2):
                wanted = (
                    search_exhaustive(c[n], d[n], tables)
                    if method == "mq"
                    else search_sequential(c[n], d[n], tables, [[0], [1]], 2)
                )
                assert np.array_equal(found[n], wanted)
        else:
            assert not found[:, np.isnan(arrays[1]).any(axis=(0, 2, 3))].any()
    x = rng.choice([value, 1], (2, 40, 3, 2)).astype(np.float32)
    run(write_bundle(search_plan(tables, method="vq", block=40)), [2, 3], 40, x)


@pytest.mark.parametrize("rus", [1, 2, 3, 8, 17, 32])
def test_schedule(rus: int) -> None:
    rng = np.random.default_rng(rus)
    gains = rng.exponential(size=(40, rus, 4)) * 10 ** rng.uniform(-3, 0, (40, rus, 4))
    gains[30:] = rng.integers(0, 3, (10, rus, 4))  # equal products
    gains = gains.astype(np.float32)
    gains[37, 0, 0], gains[38, 0], gains[39, -1, 0] = -np.inf, np.inf, np.nan
    for alpha in (0, 0.2, 0.5, 0.9, 1):
        excluded = excluded_products(rus, alpha)
        found = run_step(
            Op.INTERFERENCE_SCHEDULE, [gains], [False], (40, rus), np.int32, excluded=excluded
        )
        for own, classes in zip(gains, found, strict=True):
            wanted = interference_classes(own, alpha)
            assert [np.flatnonzero(classes == c).tolist() for c in range(len(wanted))] == wanted


def test_plan_and_costs() -> None:
    rng = np.random.default_rng(9)
    tables = tables_of(rng, [(2, 2), (1, 3)])
    layout = PayloadLayout(0x0101, payload_bytes(10, [2, 3]) * 8, 1)
    how: dict[str, Any] = {"streams": 3, "block": 10}
    plan = search_plan(
        tables, method="pmq", users=5, payload=layout, pairing_id=b"p" * 16, max_blocks=4,
        iterations=6, metadata={"system": "pmq"}, **how,
    )  # fmt: skip
    assert [plan.tensors[i].name for i in plan.inputs] == ["effective", "targets", "gains"]
    data = write_bundle(plan)
    info = read_bundle(data)
    assert (info.part, info.side, info.payload) == ("quantizer", "du", layout)
    once = 4 * 3 * (4 * 2 + 8 * 1) + 6 * (4 + 8)
    assert [row.macs for row in costs(plan)] == [5, once + 10 * 6 * (4 + 8) * 6]
    assert total(costs(plan)).weight_bytes == 4 * 2 * (4 * 2 + 8) + 2 * 8
    smq = search_plan(tables, method="smq", iterations=5, **how)
    assert total(costs(smq)).macs == once + 10 * 6 * (3 * 4 + 2 * 8)
    mq = search_plan(tables, method="mq", **how)
    assert total(costs(mq)).macs == once + 10 * 6 * 4 * (8 + 1)
    vq = search_plan(tables, method="vq", block=10)
    assert total(costs(vq)).macs == 10 * 2 * (4 * 2 + 8 * 1)
    assert [vq.tensors[i].name for i in vq.inputs] == ["precoded"]
    golden = {
        "effective": reals(normal(rng, 2, 3, 3)),
        "targets": reals(normal(rng, 2, 10, 3)),
        "gains": rng.exponential(size=(2, 2, 5)).astype(np.float32),
    }
    golden["payload"] = Part(data).run(*golden.values())[0]
    files = emit_c(data, title="quantizer.csib", vectors=golden)
    kernels = {name for name in files if name.startswith("kernels/")}
    assert kernels == {
        "kernels/kernels.h", "kernels/fronthaul.h", "kernels/reference/table.c",
        "kernels/reference/table_search.c", "kernels/reference/interference_schedule.c",
    }  # fmt: skip


def test_what_a_plan_must_be() -> None:
    tables = [np.ones((4, 2), np.complex64), np.ones((2, 1), np.complex64)]
    how: dict[str, Any] = {"method": "pmq", "streams": 2, "users": 2, "block": 3}
    search_plan(tables, **how)
    for changes, why in (
        ({"method": "tcq"}, "method 'tcq'"),
        ({"streams": None}, "streams: None"),
        ({"users": 0}, "users: 0"),
        ({"block": 65536}, "channel uses a block: 65536"),
        ({"max_blocks": 0}, "blocks at a time: 0"),
        ({"iterations": 0}, "iterations: 0"),
        ({"alpha": -0.1}, "alpha = -0.1"),
        ({"pairing_id": b"x"}, "pairing id of 1 bytes"),
        ({"payload": PayloadLayout(0x0108, 3, 8)}, "payload of 3 bytes a block declared; it has 2"),
    ):
        with pytest.raises(InputError, match=why):
            search_plan(tables, **{**how, **changes})
    for wrong, why in (
        ([], "tables of 0 RUs"),
        ([tables[0]] * 33, "tables of 33 RUs"),
        ([np.ones((3, 1), complex)], "3 codewords"),
        ([np.ones((1, 1), complex)], "1 codewords"),
        ([np.ones((8192, 1), complex)], "8192 codewords"),
        ([np.ones((4, 2))], "float64"),
        ([np.ones(4, complex)], r"complex128 \(4,\)"),
        ([np.full((2, 1), 1e39 + 0j)], "not finite"),
    ):
        with pytest.raises(InputError, match=why):
            search_plan(wrong, **how)
    with pytest.raises(InputError, match="mq: 22 bits"):
        search_plan([np.ones((2048, 1), complex)] * 2, method="mq", streams=1, block=1)
