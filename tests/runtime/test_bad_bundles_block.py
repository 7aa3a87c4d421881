"""Every rule of the verifier for CONV_BLOCK, with a float32 and with an int8 middle,
and with integers around that."""

from typing import Any

import numpy as np
import pytest
from bundle_surgery import put, put_section, rebuilt, repair
from hand_plan import HandPlan
from sound_steps import Held, Sound, Tensor, changed

from csideploy.errors import FormatError
from csideploy.export import bundle_fields as bf
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part

F32, I8, I16 = np.float32, np.int8, np.int16
B = Op.CONV_BLOCK


def image(*shape: Any) -> Tensor:
    return Tensor(("n", *shape), F32)


def ones(*shape: int, dtype: Any = F32, last: float = 1) -> Any:
    made = np.ones(shape, dtype)
    made.reshape(-1)[-1] = last
    return made


def room(floats: int) -> Held:
    return Held((floats,), F32)


SOUND: Sound = {
    B: (
        {
            "x": image(2, 3, 4),
            "expand": ones(4, 2, 1, 3),
            "channels": ones(4, 4),
            "middle": ones(4, 2, 3, 2),
            "project": ones(3, 4, 3, 1),
            "bias": ones(3),
            "slope": None,
            "residual": image(3, 3, 4),
            "y": image(3, 3, 4),
            "scratch": room(48),
        },
        {
            "groups": 2,
            **{"pad_top_1": 0, "pad_left_1": 2, "pad_top_2": 2, "pad_left_2": 1},
            **{"pad_top_3": 2, "pad_left_3": 0},
            **{"activation": Activation.NONE, "alpha": 0.0, "code_scale": 1.0, "code_zero": 0},
            **{"code_bits": 8, "x_scale": 1.0, "m_scale": 1.0, "y_scale": 1.0},
        },
    ),
}
CODED: dict[str, Any] = {
    "channels": ones(5, 4),
    "middle": ones(4, 2, 3, 2, dtype=I8),
    "code_scale": 0.5,
    "code_zero": 128,
}


WHOLE: dict[str, Any] = {
    **CODED,
    "channels": ones(6, 4),
    "expand": ones(4, 2, 1, 3, dtype=I16),
    "project": ones(3, 4, 3, 1, dtype=I16),
    **{"x_scale": 2.0**-12, "m_scale": 2.0**-9, "y_scale": -3.0},
}
WIDE_CODES: dict[str, Any] = {**CODED, "code_zero": 0, "code_bits": 16}


def coded_of(products: int, dtype: Any = F32) -> dict[str, Any]:
    """One group of one channel whose sums have so many products."""
    return {
        **{"groups": 1, "expand": ones(1, 2, 1, 3), "channels": ones(5, 1)},
        **{"middle": ones(1, 1, 1, products, dtype=I8), "project": ones(3, 1, 3, 1, dtype=dtype)},
        **{"scratch": room(24), "pad_top_2": 0, "code_scale": 0.5},
    }


ACCEPTED: dict[str, dict[str, Any]] = {
    "floats": {},
    "codes": CODED,
    "the least zero": {**CODED, "code_zero": 0},
    "codes of 16 bits": WIDE_CODES,
    "integers": WHOLE,
    "integers around codes of 16 bits": {**WHOLE, "code_zero": 0, "code_bits": 16},
    "the least and the greatest scale": {**WHOLE, "x_scale": 2.0**-126, "m_scale": 2.0**126},
    "no scale behind": {**WHOLE, "y_scale": 0.0},
    "more codes than planes": {**WHOLE, **coded_of(9, dtype=I16), "channels": ones(6, 1),
                               "x": image(3, 3, 4), "expand": ones(1, 3, 1, 3, dtype=I16),
                               "scratch": room(12 + 18)},
    "the most products of 16 bits": {**coded_of(511), "code_bits": 16},
    "the greatest zero": {**CODED, "code_zero": 255},
    "one slope": {"activation": Activation.PRELU, "slope": ones(1)},
    "slopes": {"activation": Activation.PRELU, "slope": ones(3)},
    "nothing that may be absent": {"bias": None, "residual": None},
    "a column": {"x": image(2, 12, 1), "y": image(3, 12, 1), "residual": image(3, 12, 1)},
    "a row": {"x": image(2, 1, 12), "y": image(3, 1, 12), "residual": image(3, 1, 12)},
    "no batch": {name: Tensor((2, c, 3, 4), F32) for name, c in
                 (("x", 2), ("y", 3), ("residual", 3))},
    "the most products": coded_of(514),
    "any number of floats": {**coded_of(515), "channels": ones(4, 1), "scratch": room(24),
                             "middle": ones(1, 1, 1, 515), "code_scale": 1.0},
    "the least multiplier": {**CODED, "channels": ones(5, 4, last=1e-45)},
}  # fmt: skip

SHAPE, PARAM, RANGE = "BAD_SHAPE", "BAD_PARAM", "FIELD_RANGE"
ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "x of rank 3": ({"x": image(2, 12)}, SHAPE),
    "y of rank 5": ({"y": image(3, 3, 4, 1)}, SHAPE),
    "batch": ({"x": Tensor((1, 2, 3, 4), F32)}, SHAPE),
    "rows of users": ({"x": image(2, "k", 4), "y": image(3, "k", 4)}, SHAPE),
    "columns of users": ({"x": image(2, 3, "k"), "y": image(3, 3, "k")}, SHAPE),
    "rows": ({"y": image(3, 4, 4)}, SHAPE),
    "columns": ({"y": image(3, 3, 5)}, SHAPE),
    "one pixel": ({"x": image(2, 1, 1), "y": image(3, 1, 1), "residual": image(3, 1, 1),
                   "scratch": room(4)}, SHAPE),
    "channels of users": ({"x": image("k", 3, 4)}, SHAPE),
    "outputs of users": ({"y": image("k", 3, 4), "residual": None}, SHAPE),
    "groups that do not divide": ({"groups": 3}, SHAPE),
    "groups of another size": ({"groups": 1}, SHAPE),
    "more groups than channels": ({"groups": 8}, SHAPE),
    "expand of rank 3": ({"expand": ones(4, 2, 3)}, SHAPE),
    "middle of rank 5": ({"middle": ones(4, 2, 3, 2, 1)}, SHAPE),
    "project of rank 2": ({"project": ones(3, 12)}, SHAPE),
    "inputs": ({"expand": ones(4, 3, 1, 3)}, SHAPE),
    "channels of middle": ({"middle": ones(2, 2, 3, 2)}, SHAPE),
    "channels to project": ({"project": ones(3, 2, 3, 1)}, SHAPE),
    "outputs": ({"project": ones(2, 4, 3, 1)}, SHAPE),
    "first pad at the top": ({"pad_top_1": 1}, SHAPE),
    "first pad at the left": ({"pad_left_1": 3}, SHAPE),
    "second pad at the top": ({"pad_top_2": 3}, SHAPE),
    "second pad at the left": ({"pad_left_2": 2}, SHAPE),
    "third pad at the top": ({"pad_top_3": 3}, SHAPE),
    "third pad at the left": ({"pad_left_3": 1}, SHAPE),
    "channels' rank": ({"channels": ones(16)}, SHAPE),
    "channels' rows": ({"channels": ones(5, 4)}, SHAPE),
    "channels' rows of codes": ({**CODED, "channels": ones(4, 4)}, SHAPE),
    "channels' columns": ({"channels": ones(4, 2)}, SHAPE),
    "bias": ({"bias": ones(2)}, SHAPE),
    "residual": ({"residual": image(2, 3, 4)}, SHAPE),
    "slope without PReLU": ({"slope": ones(3)}, SHAPE),
    "slope": ({"activation": Activation.PRELU, "slope": ones(2)}, SHAPE),
    "scratch is an output": ({"scratch": Tensor((48,), F32)}, SHAPE),
    "scratch of rank 2": ({"scratch": Held((48, 1), F32)}, SHAPE),
    "scratch too small": ({"scratch": room(47)}, SHAPE),
    "scratch of codes too small": ({**CODED, "scratch": room(47)}, SHAPE),
    "rows of integers": ({**WHOLE, "channels": ones(5, 4)}, SHAPE),
    "rows without integers": ({**CODED, "channels": ones(6, 4)}, SHAPE),
    "scratch of integers too small": ({**WHOLE, "x": image(8, 3, 4), "scratch": room(48),
                                       "expand": ones(4, 8, 1, 3, dtype=I16)}, SHAPE),
    "integers in front alone": ({**WHOLE, "project": ones(3, 4, 3, 1)}, "BAD_DTYPE"),
    "integers behind alone": ({**WHOLE, "expand": ones(4, 2, 1, 3)}, "BAD_DTYPE"),
    "integers around floats": ({**WHOLE, "middle": ones(4, 2, 3, 2)}, "BAD_DTYPE"),
    "weights of 8 bits in front": ({**WHOLE, "expand": ones(4, 2, 1, 3, dtype=I8)}, "BAD_DTYPE"),
    "x_scale without integers": ({**CODED, "x_scale": 0.5}, PARAM),
    "m_scale without integers": ({"m_scale": 0.5}, PARAM),
    "y_scale without integers": ({**CODED, "y_scale": 0.5}, PARAM),
    "x_scale no power": ({**WHOLE, "x_scale": 0.75}, PARAM),
    "m_scale no power": ({**WHOLE, "m_scale": 0.1}, PARAM),
    "x_scale too small": ({**WHOLE, "x_scale": 2.0**-127}, PARAM),
    "m_scale too great": ({**WHOLE, "m_scale": 2.0**127}, PARAM),
    "last multiplier 0": ({**WHOLE, "channels": ones(6, 4, last=0)}, RANGE),
    "scale without codes": ({"code_scale": 2.0}, PARAM),
    "zero without codes": ({"code_zero": 1}, PARAM),
    "16 bits without codes": ({"code_bits": 16}, PARAM),
    "codes of 12 bits": ({**CODED, "code_bits": 12}, PARAM),
    "a zero of 16 bits": ({**WIDE_CODES, "code_zero": 1}, PARAM),
    "too many products of 16 bits": ({**coded_of(512), "code_bits": 16}, SHAPE),
    "too many products": (coded_of(515), SHAPE),
    "multiplier 0": ({**CODED, "channels": ones(5, 4, last=0)}, RANGE),
    "multiplier below 0": ({**CODED, "channels": ones(5, 4, last=-1)}, RANGE),
    "multiplier infinite": ({**CODED, "channels": ones(5, 4, last=np.inf)}, RANGE),
    "middle of u8": ({**CODED, "middle": ones(4, 2, 3, 2, dtype=np.uint8)}, "BAD_DTYPE"),
    "weights of an input": ({"expand": Tensor((4, 2, 1, 3), F32)}, "BAD_OPERANDS"),
    "middle of an input": ({"middle": Tensor((4, 2, 3, 2), F32)}, "BAD_OPERANDS"),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_sound(name: str) -> None:
    Part(changed(SOUND, B, **ACCEPTED[name]))


@pytest.mark.parametrize("name", ROWS)
def test_rule(name: str) -> None:
    changes, status = ROWS[name]
    with pytest.raises(FormatError, match="refused at step 0") as error:
        Part(changed(SOUND, B, **changes))
    assert f"[{status}]" in str(error.value)


def test_parameters_have_limits() -> None:
    for name, value in (
        ("code_zero", 256),
        ("code_zero", -1),
        ("code_bits", 17),
        ("code_bits", 7),
        ("code_scale", 0.0),
        ("x_scale", 0.0),
        ("m_scale", -1.0),
    ):
        with pytest.raises(FormatError, match=r"legal is|not above 0"):
            changed(SOUND, B, **{**CODED, name: value})


def test_a_block_of_version_1_6() -> None:
    """It had twelve parameters: those before the three scales."""
    sound = changed(SOUND, B, **CODED)
    data = bytearray(rebuilt(sound, {"params": lambda body: body[: 12 * bf.PARAM.size]}))
    assert Part(rebuilt(sound)) is not None
    put(data, bf.HEADER, 0, "minor", 6)
    put_section(data, "steps", 0, "param_count", 12)
    with pytest.raises(FormatError, match="refused at step 0") as error:
        Part(repair(data))
    assert "[BAD_OPERANDS]" in str(error.value)


@pytest.mark.parametrize("role", ["x", "residual"])
def test_the_result_lies_on_no_input(role: str) -> None:
    """Groups read x and the residual after y is begun."""
    hand = HandPlan()
    x, r = hand.input("x", ("n", 2, 3, 4)), hand.input("r", ("n", 2, 3, 4))
    held = hand.arena("held", ("n", 2, 3, 4))
    hand.step(Op.COPY, [x], [held])
    weights = [hand.constant(str(i), a) for i, a in enumerate(
        (ones(4, 2, 1, 1), ones(4, 4), ones(4, 2, 1, 1), ones(2, 4, 1, 1)))]  # fmt: skip
    ends = {"x": x, "residual": r, role: held}
    made = [hand.view(held, "y", ("n", 2, 3, 4)), hand.arena("scratch", (48,))]
    hand.step(B, [ends["x"], *weights, None, None, ends["residual"]], made, groups=2)
    hand.step(Op.COPY, [made[0]], [hand.output("out", ("n", 2, 3, 4))])
    with pytest.raises(FormatError, match="BAD_OVERLAP"):
        Part(write_bundle(hand.plan()))


def test_scratch_is_no_symbol_whatever_its_size() -> None:
    """2 x 1321 x 2501 x 325 floats are 0x80000002, which stands for k."""
    channels, height, width = 1321, 2501, 325
    hand = HandPlan()
    x, y = (
        make(name, ("n", 1, height, width))
        for make, name in ((hand.input, "x"), (hand.output, "y"))
    )
    scratch = hand.arena("scratch", ("k",))
    weights = [ones(channels, 1, 1, 1), ones(4, channels), ones(channels, channels, 1, 1)]
    weights += [ones(1, channels, 1, 1), ones(1)]
    operands = [x, *(hand.constant(f"c{i}", w) for i, w in enumerate(weights)), None, None]
    params = {
        **SOUND[B][1],
        "groups": 1,
        **{f"pad_{side}_{i}": 0 for side in ("top", "left") for i in (1, 2, 3)},
    }
    hand.step(B, operands, [y, scratch], **params)
    with pytest.raises(FormatError, match="BAD_SHAPE"):
        Part(write_bundle(hand.plan()))
