"""BITS_NETWORK: to the bit by its specification in integers on every instruction set, which is that
of the four steps that it stands for."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import same_bits

from csideploy.export.bundle_write import write_bundle
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import Op, Plan
from csideploy.runtime import Part, instruction_sets

Array = NDArray[Any]
F32, I8, I32, U8 = np.float32, np.int8, np.int32, np.uint8
LIMITS = {
    **{"hidden_zero": 0, "hidden_low": 0, "hidden_high": 255},
    **{"y_zero": 130, "low": 0, "high": 255, "y_scale": 0.01},
}


def network(
    rng: np.random.Generator, bits: int, hidden: int, outputs: int, *, biased: bool = True
) -> list[Array | None]:
    """Weights, biases and multipliers by which codes spread over their range."""
    drawn = [rng.integers(-128, 128, (hidden, bits)), rng.integers(-128, 128, (outputs, hidden))]
    scales = [1.5 / bits**0.5, 0.02 / hidden**0.5]
    made: list[Array | None] = []
    for weight, scale in zip(drawn, scales, strict=True):
        rows = len(weight)
        bias = rng.integers(-3000, 3000, rows).astype(I32) if biased else None
        multiplier = (scale * rng.uniform(0.5, 2.0, rows)).astype(F32)
        made += [weight.astype(I8), bias, multiplier]
    return made


def plan(weights: list[Array | None], rows: int, n_max: int = 2, **limits: Any) -> Plan:
    hand = HandPlan(n_max=n_max)
    assert weights[0] is not None
    assert weights[3] is not None
    length = (rows * weights[0].shape[1] + 7) // 8
    ends: list[int | None] = [hand.input("payload", ("n", length), U8)]
    for i, data in enumerate(weights):
        ends.append(None if data is None else hand.constant(f"w{i}", data))
    y = hand.output("y", ("n", rows, len(weights[3])))
    hand.step(Op.BITS_NETWORK, ends, [y], **{**LIMITS, **limits})
    return hand.plan()


def check(
    weights: list[Array | None], rows: int, payload: Array, n_max: int = 2, **limits: Any
) -> Array:
    made = plan(weights, rows, n_max, **limits)
    with np.errstate(over="ignore"):
        expected = np.asarray(run_plan(made, [payload])["y"], F32)
    for isa in instruction_sets():
        (y,) = Part(write_bundle(made), isa=isa).run(payload)
        assert same_bits(y, expected), isa
    return expected


def payload_of(rng: np.random.Generator, samples: int, rows: int, bits: int) -> Array:
    return rng.integers(0, 256, (samples, (rows * bits + 7) // 8)).astype(U8)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(8, 200),
    st.integers(1, 90),
    st.integers(1, 70),
    st.sampled_from([1, 7, 8, 31, 32, 33, 64, 97, 200]),
    st.booleans(),
    st.integers(0, 2**20),
)
def test_any_size(bits: int, hidden: int, outputs: int, rows: int, biased: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = network(rng, bits, hidden, outputs, biased=biased)
    check(weights, rows, payload_of(rng, 3, rows, bits))


@pytest.mark.parametrize(
    ("bits", "hidden", "outputs"), [(64, 64, 32), (128, 128, 32), (300, 300, 32), (512, 512, 40)]
)
def test_sizes_of_radio_units(bits: int, hidden: int, outputs: int) -> None:
    rng = np.random.default_rng(bits)
    y = check(network(rng, bits, hidden, outputs), 168, payload_of(rng, 2, 168, bits))
    assert len(np.unique(y)) > 100


@pytest.mark.parametrize(("bits", "rows"), [(64, 21), (75, 8), (300, 42), (75, 21), (300, 21)])
def test_many_samples(bits: int, rows: int) -> None:
    """Samples with a pad behind each (the last two cases) and without; blocks that span them."""
    rng = np.random.default_rng(rows)
    weights, payload = network(rng, bits, 36, 32), payload_of(rng, 11, rows, bits)
    y = check(weights, rows, payload, n_max=11)
    one = check(weights, rows, payload[7:8], n_max=1)
    np.testing.assert_array_equal(y[7:8], one)


@pytest.mark.parametrize("bits", [64, 300, 512])
@pytest.mark.parametrize("sign", [-128, 127])
def test_the_largest_sums(bits: int, sign: int) -> None:
    """All weights at an end of their range, all bits set: 512 x 128 is more than 16 bits hold."""
    weights = network(np.random.default_rng(1), bits, 40, 24)
    weights[0] = np.full((40, bits), sign, I8)
    weights[3] = np.full((24, 40), sign, I8)
    payload = np.full((2, 35 * bits // 8 + 1), 255, U8)[:, : (35 * bits + 7) // 8]
    for scale in (1e-3, 1e-2):
        weights[2] = np.full(40, scale, F32)
        check(weights, 35, payload)
        check(weights, 35, payload, hidden_zero=200, hidden_low=3, hidden_high=250)


def test_numbers_of_any_size() -> None:
    """Biases up to 2^31, multipliers up to the largest float: sums of 64 bits, codes at an end."""
    rng = np.random.default_rng(2)
    payload = payload_of(rng, 2, 40, 64)
    for place, edge in ((1, 2**31 - 1), (1, -(2**31)), (4, 2**31 - 1), (4, -(2**31)), (1, 2**22)):
        weights = network(rng, 64, 20, 20)
        bias = weights[place]
        assert bias is not None
        bias[::2] = edge
        check(weights, 40, payload)
    for place in (2, 5):
        for edge in (1e-45, 1e4, 3.4e38):
            weights = network(rng, 64, 20, 20)
            multiplier = weights[place]
            assert multiplier is not None
            multiplier[::2] = edge
            check(weights, 40, payload)


def test_codes_cut_off_anywhere() -> None:
    rng = np.random.default_rng(3)
    weights, payload = network(rng, 96, 33, 17), payload_of(rng, 2, 50, 96)
    check(weights, 50, payload, hidden_zero=128, hidden_low=100, hidden_high=140)
    check(weights, 50, payload, hidden_zero=255, hidden_low=0, hidden_high=255)
    check(weights, 50, payload, hidden_zero=0, hidden_low=9, hidden_high=9)
    far = [*weights[:2], weights[2] * F32(3000), *weights[3:]]  # codes beyond 16 bits, both ways
    check(far, 50, payload)
    check(far, 50, payload, hidden_zero=128)
    check(weights, 50, payload, y_zero=0, low=10, high=20, y_scale=3e38)
    check(weights, 50, payload, y_zero=255, low=0, high=0)


@pytest.mark.parametrize("bits", [64, 72, 75])  # rows of one lane, of bytes, of neither
def test_every_bit_has_its_place(bits: int) -> None:
    """One bit set at a time moves each hidden unit by its own weight alone."""
    rng = np.random.default_rng(4)
    weights = network(rng, bits, bits, bits, biased=False)
    weights[0] = np.eye(bits, dtype=I8)
    weights[3] = np.eye(bits, dtype=I8)
    weights[2] = weights[5] = np.ones(bits, F32)
    payload = np.packbits(np.eye(bits, dtype=U8).reshape(1, -1), axis=1)
    y = check(weights, bits, payload, y_zero=0, y_scale=1.0)
    np.testing.assert_array_equal(y[0], np.eye(bits))
