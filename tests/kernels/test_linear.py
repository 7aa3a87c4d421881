"""linear and binary_linear against float64 NumPy, with the bounds that their sources state."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan, run_step
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import same_bits

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part, instruction_sets

Array = NDArray[Any]
EPS = float(np.finfo(np.float32).eps)

sizes = {
    "rows": st.integers(1, 3),
    "inputs": st.integers(1, 200),
    "outputs": st.integers(1, 9),
    "has_bias": st.booleans(),
    "seed": st.integers(0, 2**32 - 1),
}


def vector(rng: np.random.Generator, count: int) -> Array:
    return rng.normal(size=count).astype(np.float32)


@settings(max_examples=100, deadline=None)
@given(**sizes)
def test_linear(rows: int, inputs: int, outputs: int, has_bias: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = vector(rng, rows * inputs).reshape(rows, -1), vector(rng, outputs * inputs)
    w = w.reshape(outputs, inputs)
    bias = vector(rng, outputs) if has_bias else None
    offset = np.zeros(outputs) if bias is None else bias.astype(np.float64)
    y = run_step(Op.LINEAR, [x, w, bias], [False, True, True], (rows, outputs))
    expected = x.astype(np.float64) @ w.astype(np.float64).T + offset
    size = np.abs(x).astype(np.float64) @ np.abs(w).astype(np.float64).T + np.abs(offset)
    # kernels/reference/linear.c: chains of K / 16, 4 halvings, the product and the bias.
    assert (np.abs(y - expected) <= (inputs / 16 + 7) * EPS * size).all()


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("rows", [1, 3, 4, 5, 9])
def test_tiles_change_no_bit(isa: str, rows: int) -> None:
    """Every rest of rows, outputs and inputs; zeros of both signs, and what is not finite."""
    rng = np.random.default_rng(rows)
    for outputs in (1, 3, 4, 6, 13):
        for inputs in (1, 15, 16, 17, 40, 64):
            x, w = vector(rng, rows * inputs), vector(rng, outputs * inputs)
            x[rng.integers(0, x.size, x.size // 3)] = -0.0
            w[rng.integers(0, w.size, w.size // 3)] = 0.0
            x[-1] = np.inf if outputs == 6 else x[-1]
            hand = HandPlan()
            ends = [hand.input("x", (rows, inputs)), hand.constant("w", w.reshape(outputs, -1))]
            hand.step(Op.LINEAR, [*ends, None, None], [hand.output("y", (rows, outputs))],
                      activation=0, alpha=0.0)  # fmt: skip
            bundle = write_bundle(hand.plan())
            ours, plain = (Part(bundle, isa=i).run(x.reshape(rows, -1))[0]
                           for i in (isa, "reference"))  # fmt: skip
            assert same_bits(ours, plain)


@pytest.mark.parametrize("outputs", [1, 15, 16, 37, 64])
@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 33])
def test_few_inputs_change_no_bit(inputs: int, outputs: int) -> None:
    """Outputs side by side and those left over; zeros of both signs, infinities and NaN."""
    rng = np.random.default_rng([inputs, outputs])
    x, w = vector(rng, 9 * inputs).reshape(9, -1), vector(rng, outputs * inputs)
    x[1], x[2] = 0, -0.0
    x[3, 0], x[4, -1], x[5, 0] = np.inf, -np.inf, np.nan
    w[: outputs // 2] = -0.0
    hand = HandPlan()
    names = [hand.input("x", x.shape), hand.constant("w", w.reshape(outputs, -1)), None, None]
    how = {"activation": Activation.NONE, "alpha": 0.0}
    hand.step(Op.LINEAR, names, [hand.output("y", (9, outputs))], **how)
    bundle = write_bundle(hand.plan())
    y = Part(bundle, isa="reference").run(x)[0]
    for isa in instruction_sets():
        assert same_bits(y, Part(bundle, isa=isa).run(x)[0]), isa
    with np.errstate(invalid="ignore"):
        expected = x @ w.reshape(outputs, -1).T
    np.testing.assert_allclose(y, expected, atol=1e-5)


def unpack(weight: Array, inputs: int) -> Array:
    return np.unpackbits(weight, axis=1, count=inputs).astype(np.float64) * 2 - 1


@settings(max_examples=150, deadline=None)
@given(per_row=st.booleans(), **sizes)
def test_binary_linear(
    per_row: bool, rows: int, inputs: int, outputs: int, has_bias: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = vector(rng, rows * inputs).reshape(rows, -1)
    w = rng.integers(0, 256, (outputs, -(-inputs // 8)), np.uint8)
    scale = vector(rng, outputs if per_row else 1)
    bias = vector(rng, outputs) if has_bias else None
    offset = np.zeros(outputs) if bias is None else bias.astype(np.float64)
    y = run_step(Op.BINARY_LINEAR, [x, w, scale, bias], [False, True, True, True], (rows, outputs))
    expected = scale * (x.astype(np.float64) @ unpack(w, inputs).T) + offset
    size = np.abs(scale) * np.abs(x).astype(np.float64).sum(axis=1, keepdims=True)
    # kernels/reference/binary_linear.c: K / 64 + 18 roundings, then the scale and the bias.
    bound = (inputs / 64 + 20) * EPS * (size + np.abs(offset))
    assert (np.abs(y - expected) <= bound).all()


def test_binary_linear_of_the_ue_encoder() -> None:
    """2048 inputs, 512 outputs: the sizes of a BACRNet UE encoder at compression 1/4."""
    rng = np.random.default_rng(5)
    x = rng.random((4, 2048)).astype(np.float32)
    w = rng.integers(0, 256, (512, 256), np.uint8)
    scale = np.array([0.02], np.float32)
    y = run_step(Op.BINARY_LINEAR, [x, w, scale], [False, True, True], (4, 512))
    expected = 0.02 * (x.astype(np.float64) @ unpack(w, 2048).T)
    # Rounding errors add up like a random walk: far below the worst case, and below the 1e-5
    # band around thresholds within which codes may differ.
    assert np.abs(y - expected).max() < 2e-6


def test_tail_bits_do_not_matter() -> None:
    rng = np.random.default_rng(6)
    x = vector(rng, 2 * 13).reshape(2, 13)
    w = rng.integers(0, 256, (4, 2), np.uint8)
    scale = np.ones(1, np.float32)
    cleared = w & np.array([0xFF, 0xF8], np.uint8)
    results = [
        run_step(Op.BINARY_LINEAR, [x, bits, scale], [False, True, True], (2, 4))
        for bits in (w, cleared, cleared | np.array([0, 7], np.uint8))
    ]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_first_input_is_the_most_significant_bit() -> None:
    x = (2.0 ** np.arange(16, dtype=np.float32))[None]
    w = np.array([[0x80, 0x01]], np.uint8)
    y = run_step(Op.BINARY_LINEAR, [x, w, np.ones(1, np.float32)], [False, True, True], (1, 1))
    assert y[0, 0] == 2 * (x[0, 0] + x[0, 15]) - x.sum()


def test_leading_dimensions_and_activation() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(2, 3, 20)).astype(np.float32)
    w = rng.normal(size=(7, 20)).astype(np.float32)
    slope = rng.normal(size=7).astype(np.float32)
    y = run_step(
        Op.LINEAR,
        [x, w, None, slope],
        [False, True, True, True],
        (2, 3, 7),
        activation=Activation.PRELU,
    )
    plain = x.astype(np.float64) @ w.astype(np.float64).T
    expected = np.where(plain < 0, slope * plain, plain)
    np.testing.assert_allclose(y, expected, rtol=0, atol=20 * EPS * 10)
