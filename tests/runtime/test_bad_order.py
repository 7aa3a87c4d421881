"""Who wrote last: a bundle in which a step would find another step's bytes is refused.

Each row is a sound bundle, changed in one place; the bytes that a run would read are all there, so
nothing but the order of writing can refuse.
"""

from collections.abc import Callable

import numpy as np
import pytest
from bundle_surgery import edited, put_section, section_start
from hand_plan import HandPlan

from csideploy.errors import FormatError
from csideploy.export import bundle_fields as bf
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op, Plan, Step
from csideploy.runtime import Part

SHAPE = ("n", 8)
X = np.random.default_rng(5).normal(size=(3, 8)).astype(np.float32)


def refusal(data: bytes) -> str:
    with pytest.raises(FormatError) as error:
        Part(data)
    return str(error.value)


def chain(*, n_max: int = 1) -> HandPlan:
    """x -> a -> b -> c, and c + a -> y: b at 0, a at 64, c at 128, d (not read) at 192; 32 bytes
    a sample each."""
    hand = HandPlan(n_max=n_max)
    x = hand.input("x", SHAPE)
    a, b = hand.arena("a", SHAPE, place=64), hand.arena("b", SHAPE, place=0)
    c = hand.arena("c", SHAPE, place=128)
    hand.step(Op.COPY, [x], [a])
    hand.step(Op.ACTIVATION, [a], [b], activation=Activation.TANH)
    hand.step(Op.ACTIVATION, [b], [c], activation=Activation.RELU)
    hand.step(Op.ADD, [c, a], [hand.output("y", SHAPE)])
    hand.step(Op.COPY, [x], [hand.arena("d", SHAPE, place=192)])
    return hand


def moved(hand: HandPlan, name: str, place: int) -> bytes:
    """The bundle with one arena tensor somewhere else."""
    index = next(i for i, t in enumerate(hand.tensors) if t.name == name)
    return edited(
        write_bundle(hand.plan()), lambda data: put_section(data, "tensors", index, "place", place)
    )


def test_the_chain_runs() -> None:
    (y,) = Part(write_bundle(chain().plan())).run(X)  # so does each row before its change
    assert np.allclose(y, np.maximum(np.tanh(X), 0) + X, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "place", "where"),
    [
        ("b", 64, "OVERWRITTEN"),  # in place over a, which is read once more
        ("b", 80, "BAD_OVERLAP"),  # half over its own input
        ("c", 64, "OVERWRITTEN"),
        ("c", 48, "OVERWRITTEN"),  # the first half of a
        ("c", 80, "OVERWRITTEN"),  # the second
        ("a", 112, "OVERWRITTEN"),
        ("c", 96, ""),  # right behind a
        ("c", 32, ""),  # right before it
        ("d", 0, ""),  # over what nobody reads any more
    ],
)
def test_a_tensor_that_was_written_over(name: str, place: int, where: str) -> None:
    hand = chain()
    hand.step(Op.COPY, [0], [hand.arena("end", SHAPE, place=224)])
    data = moved(hand, name, place)
    if where:
        text = refusal(data)
        assert where in text
        assert "BAD_OVERLAP" in text or "step 3, inputs" in text
    else:
        (y,) = Part(data).run(X)
        assert np.allclose(y, np.maximum(np.tanh(X), 0) + X, atol=1e-6)


def test_apart_for_one_sample_is_not_apart_for_n_max() -> None:
    """c lies behind one sample of a and over its second: what counts is n_max."""
    assert "OVERWRITTEN" in refusal(moved(chain(n_max=2), "c", 96))
    (y,) = Part(moved(chain(n_max=1), "c", 96)).run(X)
    assert np.allclose(y, np.maximum(np.tanh(X), 0) + X, atol=1e-6)


def test_a_view_dies_with_its_tensor() -> None:
    hand = HandPlan()
    a, b = hand.arena("a", SHAPE), hand.arena("b", SHAPE)
    hand.step(Op.COPY, [hand.input("x", SHAPE)], [a])
    square = hand.view(a, "square", ("n", 2, 4))
    hand.step(Op.COPY, [a], [b])
    late = hand.view(a, "late", SHAPE)
    hand.step(Op.ACTIVATION, [b], [late], activation=Activation.TANH)
    hand.step(Op.COPY, [square], [hand.output("y", ("n", 2, 4))])
    data = write_bundle(hand.plan())
    # The writer gives the view to the last writer before the first read: step 2.
    (y,) = Part(data).run(X)
    assert np.allclose(y.reshape(X.shape), np.tanh(X), atol=1e-6)
    # A bundle that says it were the first writer's must not be believed.
    text = refusal(edited(data, lambda d: put_section(d, "tensors", square, "producer", 0)))
    assert "OVERWRITTEN" in text
    assert "step 3, inputs" in text


def test_in_place_ends_the_operand() -> None:
    hand = HandPlan()
    a = hand.arena("a", SHAPE)
    hand.step(Op.COPY, [hand.input("x", SHAPE)], [a])
    over = hand.view(a, "over", SHAPE)
    hand.step(Op.ACTIVATION, [a], [over], activation=Activation.TANH)
    hand.step(Op.ADD, [over, over], [hand.output("y", SHAPE)])
    data = write_bundle(hand.plan())
    (y,) = Part(data).run(X)
    assert np.allclose(y, 2 * np.tanh(X), atol=1e-6)

    def reads_the_operand(out: bytearray) -> None:
        at = section_start(out, "steps") + 2 * bf.STEP.size
        first = bf.STEP.unpack(out, at)["operand_first"]
        put_section(out, "operands", first, "tensor", a)

    assert "OVERWRITTEN" in refusal(edited(data, reads_the_operand))


def outputs(order: tuple[int, int]) -> Callable[[], bytes]:
    """Two steps write the part's output; the interface names the first or the second tensor."""

    def make() -> bytes:
        hand = HandPlan()
        x = hand.input("x", SHAPE)
        first, second = hand.output("y", SHAPE), hand.output("y", SHAPE)
        hand.outputs = [hand.outputs[order[0]]]
        tensors = [
            t if t.name != "y" else type(t)(t.name, t.dtype, t.shape, t.storage, 0)
            for t in hand.tensors
        ]
        hand.tensors = tensors
        hand.step(Op.COPY, [x], [first])
        hand.step(Op.ACTIVATION, [first], [second], activation=Activation.TANH)
        return write_bundle(hand.plan())

    return make


def test_an_output_is_what_its_last_step_wrote() -> None:
    (y,) = Part(outputs((1, 0))()).run(X)
    assert np.allclose(y, np.tanh(X), atol=1e-6)
    text = refusal(outputs((0, 1))())
    assert "OVERWRITTEN" in text
    assert "interface 1, tensor" in text


def long_plan(steps: int) -> Plan:
    hand = HandPlan()
    x, y = hand.input("x", SHAPE), hand.output("y", SHAPE)
    hand.step(Op.COPY, [x], [y])
    copy = hand.steps[0]
    again = Step(copy.op, copy.name, copy.inputs, copy.outputs, copy.params)
    hand.steps += [again] * (steps - 1)
    return hand.plan()


def test_the_number_of_steps_is_bounded() -> None:
    """Looking through the steps takes a time that grows with their square."""
    with pytest.raises(FormatError, match=f"4097 steps, a bundle holds at most {bf.MAX_STEPS}"):
        write_bundle(long_plan(4097))


def test_the_longest_bundle_is_verified_in_time() -> None:
    """As many steps as may be, each of which reads what the first wrote: the worst there is."""
    hand = HandPlan()
    a = hand.arena("a", SHAPE)
    hand.step(Op.COPY, [hand.input("x", SHAPE)], [a])
    for i in range(bf.MAX_STEPS - 2):
        hand.step(Op.ADD, [a, a], [hand.arena(f"t{i}", SHAPE)])
    hand.step(Op.ADD, [a, a], [hand.output("y", SHAPE)])
    (y,) = Part(write_bundle(hand.plan())).run(X)
    assert np.array_equal(y, 2 * X)
