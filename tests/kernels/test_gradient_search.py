"""GRADIENT_SEARCH against the descent in PyTorch in float64."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from neural_problems import Problem, Sizes, descend, pairs, problem

from csideploy.export.bundle_write import write_bundle
from csideploy.export.gradient_models import gradient_plan
from csideploy.fronthaul.gradient import gradient_search, unpack_bits
from csideploy.runtime import Part, instruction_sets

Array = Any
ONE, EQUAL = [(4, 20, 24)], [(16, 64, 64)] * 4
UNEQUAL = [(3, 5, 7), (2, 33, 20), (4, 17, 40)]
WIDE = [(2, 150, 200), (1, 40, 144), (3, 20, 300)]
"""Rows of more than 128, which are summed in one part."""
VQ_WIDTHS = [(9, 12, 16), (1, 5, 140)]


def part_inputs(p: Problem, method: str, blocks: int = 1) -> list[Array]:
    step = np.full(blocks, p.step, np.float32)
    targets = np.repeat(pairs(p.targets)[None], blocks, axis=0)
    if method == "neural-vq":
        return [targets, step]
    return [np.repeat(pairs(p.effective)[None], blocks, axis=0), targets, step]


def run(p: Problem, iterations: int, method: str = "neural-mq", max_blocks: int = 1,
        inputs: Sequence[Array] | None = None) -> Array:  # fmt: skip
    """The payload, the same from every instruction set, as bits (blocks, R, sum B_m)."""
    uses = len(p.targets)
    plan = gradient_plan(
        p.networks,
        streams=len(p.effective),
        block=uses,
        iterations=iterations,
        method=method,
        max_blocks=max_blocks,
    )
    bundle = write_bundle(plan)
    given = part_inputs(p, method) if inputs is None else list(inputs)
    (payload,) = Part(bundle, isa="reference").run(*given)
    for isa in instruction_sets():
        assert np.array_equal(Part(bundle, isa=isa).run(*given)[0], payload), isa
    return np.stack([unpack_bits(row, p.bits, uses) for row in payload])


def alone(p: Problem, method: str) -> list[Problem]:
    """neural-VQ is a problem for each unit, whose channel is the identity."""
    if method == "neural-mq":
        return [p]
    columns = np.split(p.targets, np.cumsum([net.antennas for net in p.networks])[:-1], axis=1)
    return [
        Problem([net], np.eye(net.antennas), x, p.step)
        for net, x in zip(p.networks, columns, strict=True)
    ]


def searched(p: Problem, iterations: int, dtype: torch.dtype = torch.complex128) -> Array:
    c, d = torch.tensor(p.effective, dtype=dtype), torch.tensor(p.targets, dtype=dtype)
    return gradient_search(p.networks, c, d, p.step, iterations).numpy()


def objective(p: Problem, bits: Array) -> Array:
    """Of each channel use."""
    parts = np.split(bits, np.cumsum(p.bits)[:-1], axis=1)
    x = np.concatenate([n.decode(b) for n, b in zip(p.networks, parts, strict=True)], axis=1)
    return (np.abs(x @ p.effective.T - p.targets) ** 2).sum(1)


def case(sizes: Sizes, layers: int, uses: int, method: str = "neural-mq") -> Problem:
    p = problem(sizes, layers, 3, uses, seed=len(sizes) + layers + uses)
    if method == "neural-mq":
        return p
    antennas = sum(net.antennas for net in p.networks)
    targets = problem(sizes, layers, antennas, uses, seed=5).targets
    return Problem(p.networks, p.effective, targets, 0.02)


@pytest.mark.parametrize("method", ["neural-mq", "neural-vq"])
@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("sizes", [ONE, UNEQUAL, WIDE, VQ_WIDTHS], ids=len)
@pytest.mark.parametrize("uses", [1, 7, 30])
def test_few_iterations(sizes: Sizes, layers: int, uses: int, method: str) -> None:
    """I = 3: nothing is amplified yet, and r, of the order of 0.1, has errors of some 1e-7."""
    p = case(sizes, layers, uses, method)
    bits = run(p, 3, method)[0]
    r = np.concatenate([descend(one, 3) for one in alone(p, method)], axis=1)
    sure = np.abs(r) > 1e-5
    assert sure.mean() > 0.99
    assert np.array_equal(bits[sure], r[sure] > 0)


@pytest.mark.parametrize(
    ("sizes", "layers", "uses"),
    [(EQUAL, 1, 100), (UNEQUAL, 0, 100), (UNEQUAL, 2, 100), ([(8, 150, 150)] * 2, 1, 49)],
)  # fmt: skip
def test_a_hundred_iterations(sizes: Sizes, layers: int, uses: int) -> None:
    """A descent whose steps grow as e^5 amplifies roundings: some channel uses end in another
    minimum, as PyTorch's own do in float32, neither better nor worse on average. So the mean may
    differ by what the means of so many independent draws differ."""
    p = case(sizes, layers, uses)
    bits, wanted = run(p, 100)[0], searched(p, 100)
    single = searched(p, 100, torch.complex64)
    assert (bits != wanted).mean() <= 2 * (single != wanted).mean() + 0.01
    have, want = objective(p, bits), objective(p, wanted)
    other = (bits != wanted).any(axis=1)
    assert not other.all()
    assert np.array_equal(have[~other], want[~other])
    bound = 1e-3 * want.mean() + 4 * (have - want).std() / uses**0.5
    assert abs(have.mean() - want.mean()) <= bound


def test_the_mean_over_many() -> None:
    """Over 20,000 channel uses the drawn minima even out: the objective to 1e-3."""
    p = problem([(4, 16, 16)] * 2, 1, 4, 20_000, seed=3)
    plan = gradient_plan(p.networks, streams=4, block=20_000, iterations=100, method="neural-mq")
    (payload,) = Part(write_bundle(plan)).run(*part_inputs(p, "neural-mq"))
    have = objective(p, unpack_bits(payload[0], p.bits, 20_000)).mean()
    want = objective(p, searched(p, 100)).mean()
    assert abs(have - want) <= 1e-3 * want


def test_pytorch_is_what_is_done_by_hand() -> None:
    p = case(UNEQUAL, 2, 10)
    assert np.array_equal(searched(p, 20), descend(p, 20) > 0)


def test_the_descent_descends() -> None:
    p = case(EQUAL, 1, 20)
    chance = np.random.default_rng(0).integers(0, 2, (20, sum(p.bits)))
    assert objective(p, run(p, 100)[0]).mean() < 0.1 * objective(p, chance).mean()


def test_blocks_one_by_one() -> None:
    """Several blocks in one run, more than the arena is made for, and each alone."""
    p, other = case(UNEQUAL, 1, 9), problem(UNEQUAL, 1, 3, 9, seed=77)
    inputs = [
        np.concatenate([a, b, a])
        for a, b in zip(part_inputs(p, "neural-mq"), part_inputs(other, "neural-mq"), strict=True)
    ]
    bits = run(p, 30, max_blocks=2, inputs=inputs)
    again = Problem(p.networks, other.effective, other.targets, other.step)
    assert np.array_equal(bits[0], run(p, 30)[0])
    assert np.array_equal(bits[1], run(again, 30)[0])
    assert np.array_equal(bits[0], bits[2])


def test_a_use_does_not_know_its_neighbours() -> None:
    """Two and more uses in a group are summed in one order, whatever stands beside them."""
    p = case(UNEQUAL, 2, 30)
    bits = run(p, 100)[0]
    for few in (slice(0, 7), slice(24, 30), slice(3, 5)):
        own = Problem(p.networks, p.effective, p.targets[few], p.step)
        assert np.array_equal(run(own, 100)[0], bits[few])


def test_the_largest() -> None:
    """32 units of one antenna, and one of 512 bits, 512 units and 512 antennas."""
    p = problem([(1, 2, 3)] * 32, 1, 16, 25)
    assert run(p, 3).shape == (1, 25, 64)
    for uses in (1, 2):
        p = problem([(512, 512, 512)], 1, 2, uses)
        r = descend(p, 2)
        sure = np.abs(r) > 1e-5
        assert sure.mean() > 0.95
        assert np.array_equal(run(p, 2)[0][sure], r[sure] > 0)
    assert run(problem([(1, 3, 3)], 0, 512, 2), 2).shape == (1, 2, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e-45])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("uses", [1, 8])
def test_hostile_inputs(layers: int, place: int, value: float, uses: int) -> None:
    """Any number in channel, symbols or step: bits come out, the same everywhere."""
    sizes = UNEQUAL if layers < 2 else WIDE
    p = case(sizes, layers, uses)
    inputs = part_inputs(p, "neural-mq")
    inputs[place].reshape(-1)[0] = value
    assert run(p, 10, inputs=inputs).max() <= 1


def test_the_scratch_is_zero_afterwards() -> None:
    p = case(UNEQUAL, 1, 5)
    plan = gradient_plan(p.networks, streams=3, block=5, iterations=2, method="neural-mq")
    part = Part(write_bundle(plan))
    part._core.fill_arena(0xFF)
    inputs = part_inputs(p, "neural-mq")
    ((_, (payload, scratch)),) = part.trace(*inputs)
    assert scratch.any() == 0
    part._core.fill_arena(0x00)
    assert np.array_equal(part.run(*inputs)[0], payload)
