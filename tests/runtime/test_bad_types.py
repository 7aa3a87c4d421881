"""Element types, kinds of parameters, and what counts as in place: rules that tables carry.

The parts need not make sense to their operation: these rules come before its own.
"""

from typing import Any

import numpy as np
import pytest
from bundle_surgery import edited, put_section
from hand_plan import HandPlan

from csideploy.errors import FormatError
from csideploy.export import bundle_fields as bf
from csideploy.export.bundle_write import write_bundle
from csideploy.export.operation_rules import ParamKind, param_rules
from csideploy.export.plan import OPS, Activation, DType, Op
from csideploy.runtime import Part


def refusal(data: bytes) -> str:
    with pytest.raises(FormatError) as error:
        Part(data)
    return str(error.value)


def quantize(**params: Any) -> bytes:
    hand = HandPlan()
    x, y = hand.input("x", ("n", 4)), hand.output("y", ("n", 4), np.int8)
    hand.step(Op.QUANTIZE, [x], [y], **{"scale": 0.5, "zero": -3, **params})
    return write_bundle(hand.plan())


def word(op: Op, name: str, bits: int) -> tuple[int, int]:
    return list(OPS[op].params).index(name), bits


def test_the_sound_one_runs() -> None:
    (y,) = Part(quantize()).run(np.array([[0.25, 0.75, -100, 1]], np.float32))
    assert np.array_equal(y, [[-3, -1, -128, -1]])  # halves go to even: 0.5 -> 0, 1.5 -> 2


NAN, INFINITY, NEGATIVE = 0x7FC00000, 0x7F800000, 0xBF000000
SUBNORMAL_BELOW_0 = 0x80000001


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("scale", 0),
        ("scale", 0x80000000),
        ("scale", NEGATIVE),
        ("scale", SUBNORMAL_BELOW_0),
        ("scale", INFINITY),
        ("scale", NAN),
        ("zero", 65536),
        ("zero", -65536 & 0xFFFFFFFF),
        ("zero", 0x80000000),
        ("zero", 0x7FFFFFFF),
    ],
)
def test_parameters_of_quantize(name: str, bits: int) -> None:
    place, value = word(Op.QUANTIZE, name, bits)
    data = edited(quantize(), lambda d: put_section(d, "params", place, "value", value))
    assert "BAD_PARAM" in refusal(data)


def test_every_kind_of_parameter_is_tried() -> None:
    """A new kind needs rows here or in the other tables."""
    kinds = {rule.kind for op in Op for _, rule in param_rules(op)}
    assert kinds == set(ParamKind)
    assert len(ParamKind) == 4


@pytest.mark.parametrize(
    ("op", "dtypes"),
    [
        (Op.ACTIVATION, (np.uint8, None, np.uint8)),
        (Op.QUANTIZE, (np.float32, np.int32)),
        (Op.QUANTIZE, (np.int8, np.int8)),
        (Op.QUANTIZE_UNIFORM, (np.float32, np.int8)),
        (Op.COPY, (np.int16, np.int8)),
        (Op.COPY, (np.int32, np.float32)),
    ],
)
def test_types(op: Op, dtypes: tuple[Any, ...]) -> None:
    hand = HandPlan()
    inputs: list[int | None] = [
        None if t is None else hand.input(f"x{i}", ("n", 4), t) for i, t in enumerate(dtypes[:-1])
    ]
    params = {"scale": 1.0} if op is Op.QUANTIZE else {"bits": 4} if op is not Op.COPY else {}
    params = {} if op is Op.ACTIVATION else params
    hand.step(op, inputs, [hand.output("y", ("n", 4), dtypes[-1])], **params)
    assert "BAD_DTYPE" in refusal(write_bundle(hand.plan()))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [(("n", 2, 4), DType.F32), (("n", 8), DType.I32), (("n", 4), DType.F32)],
)
def test_in_place_is_the_same_shape_and_type(shape: tuple[Any, ...], dtype: DType) -> None:
    """Element i of the input must be element i of the output; here the bytes alone agree."""
    hand = HandPlan()
    a = hand.arena("a", ("n", 8))
    hand.step(Op.COPY, [hand.input("x", ("n", 8))], [a])
    over = hand.view(a, "over", ("n", 8))
    hand.step(Op.ACTIVATION, [a], [over], activation=Activation.RELU)
    hand.step(Op.COPY, [over], [hand.output("y", ("n", 8))])
    data = write_bundle(hand.plan())
    (y,) = Part(data).run(np.array([[1, -2, 3, -4, 5, -6, 7, -8]], np.float32))
    assert np.array_equal(y, [[1, 0, 3, 0, 5, 0, 7, 0]])

    def change(out: bytearray) -> None:
        numbers = [bf.DIM_N, *shape[1:]]
        for i, dim in enumerate(numbers):
            put_section(out, "tensors", a, "dims", dim, i)
        put_section(out, "tensors", a, "rank", len(shape))
        put_section(out, "tensors", a, "dtype", dtype)
        put_section(out, "tensors", a, "nbytes", int(np.prod(numbers[1:])) * 4)

    text = refusal(edited(data, change))
    assert any(status in text for status in ("BAD_OVERLAP", "BAD_DTYPE", "BAD_SHAPE"))


def test_in_place_after_a_view_of_another_shape() -> None:
    """The same with a first step that fits, so that only the second can be refused."""
    hand = HandPlan()
    a = hand.arena("a", ("n", 2, 4))
    hand.step(Op.COPY, [hand.input("x", ("n", 8))], [a])
    over = hand.view(a, "over", ("n", 8))
    hand.step(Op.COPY, [a], [over])
    hand.step(Op.COPY, [over], [hand.output("y", ("n", 8))])
    text = refusal(write_bundle(hand.plan()))
    assert "BAD_OVERLAP" in text
    assert "step 1" in text


def joined(a: int, b: int) -> bytes:
    hand = HandPlan(k_max=2)
    inputs: list[int | None] = [
        hand.input(name, ("n", size), np.uint8) for name, size in (("a", a), ("b", b))
    ]
    hand.step(Op.CONCAT, inputs, [hand.output("y", ("n", "k"), np.uint8)], axis=1)
    return write_bundle(hand.plan())


def widened(pad: int) -> bytes:
    hand = HandPlan(k_max=2)
    x = hand.input("x", ("n", 1, 1, bf.DIM_MAX), np.uint8)
    weight = hand.constant("w", np.ones((1, 1, 1, 1), np.int8))
    multiplier = hand.constant("m", np.ones(1, np.float32))
    y = hand.output("y", ("n", 1, 1, "k"), np.uint8)
    limits = {"low": 0, "high": 255}
    hand.step(Op.QCONV2D, [x, weight, None, multiplier], [y], pad_right=pad, **limits)
    return write_bundle(hand.plan())


@pytest.mark.parametrize("data", [joined(2**30, 2**30 + 2), widened(3)], ids=["concat", "conv"])
def test_a_size_that_is_the_code_of_a_symbol(data: bytes) -> None:
    """Sizes up to 2^31 - 1 add up to 0x80000002, which in a shape means k: two bytes here."""
    assert "BAD_SHAPE" in refusal(data)
