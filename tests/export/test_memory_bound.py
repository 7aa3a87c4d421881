"""The bytes of the fullest step, against a count byte by byte, and the zoo's arenas beside it."""

from pathlib import Path

import numpy as np
import pytest
from hand_plan import HandPlan

from csideploy.bundles import compile_file
from csideploy.export.bundle_read import read_bundle
from csideploy.export.memory_bound import fullest_step
from csideploy.export.plan import Activation, Op, Plan, Storage
from csideploy.runtime import Part


def chain(n_max: int = 1) -> HandPlan:
    """x -> a (32 bytes) -> b (32) -> in place -> c = b + a (32) -> y."""
    hand = HandPlan(n_max=n_max)
    x = hand.input("x", ("n", 8))
    a, b = hand.arena("a", ("n", 8)), hand.arena("b", ("n", 8))
    hand.step(Op.COPY, [x], [a])
    hand.step(Op.ACTIVATION, [a], [b], activation=Activation.TANH)
    over = hand.view(b, "over", ("n", 8))
    hand.step(Op.ACTIVATION, [b], [over], activation=Activation.RELU)
    c = hand.arena("c", ("n", 8))
    hand.step(Op.ADD, [over, a], [c])
    hand.step(Op.COPY, [c], [hand.output("y", ("n", 8))])
    return hand


def by_bytes(plan: Plan) -> int:
    """Bytes alive at the fullest step: those written before it or by it, and read at it or later
    before they are written again."""
    last: list[list[int]] = [[] for _ in range(plan.arena_bytes)]
    alive = np.zeros((len(plan.steps), plan.arena_bytes), bool)
    for s, step in enumerate(plan.steps):
        for index, reads in [(i, True) for i in step.inputs] + [(i, False) for i in step.outputs]:
            if index is None or plan.tensors[index].storage is not Storage.ARENA:
                continue
            t = plan.tensors[index]
            for byte in range(t.place, t.place + t.nbytes * plan.n_max):
                if reads:
                    alive[last[byte][-1] : s + 1, byte] = True
                else:
                    last[byte].append(s)
                    alive[s, byte] = True
    return int(alive.sum(axis=1).max())


@pytest.mark.parametrize("n_max", [1, 3])
def test_a_chain(n_max: int) -> None:
    plan = chain(n_max).plan()
    assert plan.arena_bytes == 96 * n_max
    assert fullest_step(plan) == (3, 96 * n_max)
    assert by_bytes(plan) == 96 * n_max


def test_without_an_arena() -> None:
    hand = HandPlan()
    hand.step(Op.COPY, [hand.input("x", ("n", 8))], [hand.output("y", ("n", 8))])
    assert fullest_step(hand.plan()) == (0, 0)


@pytest.mark.parametrize("side", ["ue", "bs"])
def test_the_zoos_arenas_are_the_smallest_that_their_steps_allow(
    repository: Path, tmp_path: Path, side: str
) -> None:
    path = tmp_path / f"{side}.csib"
    model = repository / "zoo" / "bacrnet10x" / f"{side}.onnx"
    compile_file(model, path, side=side, part=side, vectors=0)
    plan = read_bundle(path.read_bytes())
    step, nbytes = fullest_step(plan)
    assert nbytes == by_bytes(plan)
    assert 0 <= step < len(plan.steps)
    assert plan.arena_bytes == nbytes

    part = Part(path)
    info = part.inputs[0]
    shape = (3, *(int(d) for d in info.shape[1:]))
    x = np.random.default_rng(2).integers(0, 256, shape).astype(info.dtype)
    x = x / np.float32(255) if info.dtype == "float32" else x
    expected = part.run(x)
    # Rubbish in the arena changes nothing, all of it is enough, and one byte less is refused.
    for poison in (0xA5, 0xFF):
        part._core.fill_arena(poison)
        assert all(np.array_equal(a, b) for a, b in zip(part.run(x), expected, strict=True))
    assert part._core.set_arena(part.arena_bytes)
    assert all(np.array_equal(a, b) for a, b in zip(part.run(x), expected, strict=True))
    assert not part._core.set_arena(part.arena_bytes - 1)
