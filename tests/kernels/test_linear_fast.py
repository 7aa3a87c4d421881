"""Every instruction set gives the scalar bits: what is looked up, streamed or packed."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import same_bits

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part, instruction_sets

Array = NDArray[Any]
SEED = st.integers(0, 2**32 - 1)
CODES = (np.uint8, np.int8, np.int16)
codes = st.sampled_from(CODES)


def compare(
    op: Op,
    inputs: list[Array | None],
    out_shape: tuple[int, ...],
    out_dtype: Any = np.float32,
    **params: Any,
) -> Array:
    """Run on every instruction set; all inputs but the first are constants."""
    hand = HandPlan()
    operands: list[int | None] = []
    arrays = []
    for i, value in enumerate(inputs):
        if value is None:
            operands.append(None)
        elif i == 0:
            operands.append(hand.input(f"x{i}", value.shape, value.dtype))
            arrays.append(value)
        else:
            operands.append(hand.constant(f"c{i}", value))
    hand.step(op, operands, [hand.output("y", out_shape, out_dtype)], **params)
    bundle = write_bundle(hand.plan())
    expected = Part(bundle, isa="reference").run(*arrays)[0]
    for isa in instruction_sets()[1:]:
        assert same_bits(Part(bundle, isa=isa).run(*arrays)[0], expected), isa
    return expected


def numbers(rng: np.random.Generator, *shape: int, special: bool = False) -> Array:
    """Of many sizes, with zeros of both signs; `special`: with infinities and NaN too."""
    x = rng.normal(size=shape) * 10.0 ** rng.integers(-6, 6, shape)
    x[rng.random(shape) < 0.1] = 0.0
    x[rng.random(shape) < 0.1] = -0.0
    if special:
        x[rng.random(shape) < 0.02] = np.inf
        x[rng.random(shape) < 0.02] = -np.inf
        x[rng.random(shape) < 0.02] = np.nan
    return x.astype(np.float32)


# Beside every length that a kernel is cut at: groups, bytes, steps, blocks and chunks.
lengths = st.one_of(
    st.integers(1, 150), st.sampled_from((255, 256, 257, 511, 512, 513, 1024, 1033, 2048, 2079))
)
widths = st.one_of(st.integers(1, 80), st.sampled_from((127, 128, 129, 160, 512, 1056)))


@settings(max_examples=100, deadline=None)
@given(
    rows=st.integers(1, 5),
    inputs=lengths,
    outputs=widths,
    per_row=st.booleans(),
    has_bias=st.booleans(),
    special=st.booleans(),
    activation=st.sampled_from(Activation),
    seed=SEED,
)
def test_binary_linear(
    rows: int,
    inputs: int,
    outputs: int,
    per_row: bool,
    has_bias: bool,
    special: bool,
    activation: Activation,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    slope = numbers(rng, outputs) if activation is Activation.PRELU else None
    compare(
        Op.BINARY_LINEAR,
        [
            numbers(rng, rows, inputs, special=special),
            rng.integers(0, 256, (outputs, -(-inputs // 8)), np.uint8),
            numbers(rng, outputs if per_row else 1),
            numbers(rng, outputs) if has_bias else None,
            slope,
        ],
        (rows, outputs),
        activation=activation,
        alpha=0.25,
    )


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 6),
    inputs=st.one_of(st.integers(1, 150), st.sampled_from((512, 1023, 2048))),
    outputs=st.one_of(st.integers(1, 80), st.sampled_from((128, 511))),
    has_bias=st.booleans(),
    special=st.booleans(),
    activation=st.sampled_from(Activation),
    seed=SEED,
)
def test_linear(
    rows: int,
    inputs: int,
    outputs: int,
    has_bias: bool,
    special: bool,
    activation: Activation,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    compare(
        Op.LINEAR,
        [
            numbers(rng, rows, inputs, special=special),
            numbers(rng, outputs, inputs),
            numbers(rng, outputs) if has_bias else None,
            numbers(rng, outputs) if activation is Activation.PRELU else None,
        ],
        (rows, outputs),
        activation=activation,
        alpha=0.25,
    )


def sparse_codes(
    rng: np.random.Generator, dtype: Any, zero: int, size: float, *shape: int
) -> Array:
    """About `size` away from the zero point; a few anywhere, and at the ends of the type."""
    info = np.iinfo(dtype)
    usual = np.clip(np.rint(rng.normal(zero, size, shape)), info.min, info.max)
    far = rng.integers(info.min, info.max, shape, endpoint=True)
    ends = np.where(rng.random(shape) < 0.5, info.min, info.max)
    kind = rng.random(shape) / max(1e-9, rng.choice([1.0, 1e-3, 1e-9]))
    return np.where(kind < 0.01, ends, np.where(kind < 0.02, far, usual)).astype(dtype)


QUANTIZED = {
    "rows": st.integers(1, 5),
    "has_bias": st.booleans(),
    "x_type": codes,
    "y_type": codes,
    # How many entries of a table 16 bits hold together depends on the size.
    "size": st.sampled_from((1.0, 60.0, 500.0, 2000.0, 5000.0, 9000.0, 30000.0)),
    "seed": SEED,
}


def quantized(
    rng: np.random.Generator, x_type: Any, y_type: Any, size: float, *shape: int
) -> tuple[Array, dict[str, int]]:
    """x of two dimensions, and what requantizes its products."""
    x_info, y_info = np.iinfo(x_type), np.iinfo(y_type)
    zero = int(rng.choice([0, x_info.min, x_info.max, int(rng.integers(x_info.min, x_info.max))]))
    zero = min(max(zero, x_info.min), x_info.max)
    params = {"x_zero": zero, "y_zero": int(rng.integers(y_info.min, y_info.max))}
    return sparse_codes(rng, x_type, zero, size, *shape), {
        **params,
        "low": y_info.min,
        "high": y_info.max,
    }


@settings(max_examples=150, deadline=None)
@given(inputs=lengths, outputs=widths, per_row=st.booleans(), **QUANTIZED)
def test_qbinary_linear(
    inputs: int,
    outputs: int,
    per_row: bool,
    rows: int,
    has_bias: bool,
    x_type: Any,
    y_type: Any,
    size: float,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    x, params = quantized(rng, x_type, y_type, size, rows, inputs)
    spread = np.iinfo(y_type).max / (size * np.sqrt(inputs))
    compare(
        Op.QBINARY_LINEAR,
        [
            x,
            rng.integers(0, 256, (outputs, -(-inputs // 8)), np.uint8),
            rng.integers(-(2**20), 2**20, outputs).astype(np.int32) if has_bias else None,
            rng.uniform(0.1, 0.7, outputs if per_row else 1).astype(np.float32)
            * np.float32(spread),
        ],
        (rows, outputs),
        y_type,
        **params,
    )


@pytest.mark.parametrize("x_type", CODES)
@pytest.mark.parametrize("end", ["low", "high"])
def test_qbinary_linear_at_the_ends_of_32_bits(x_type: Any, end: str) -> None:
    """The verifier's 32768 inputs, all as far from the zero point as they go."""
    info = np.iinfo(x_type)
    x = np.full((1, 32768), info.min if end == "low" else info.max, x_type)
    weight = np.repeat(np.array([0, 255], np.uint8), 4096).reshape(2, 4096)
    params = {"x_zero": int(info.max if end == "low" else info.min), "y_zero": 0}
    y = compare(
        Op.QBINARY_LINEAR,
        [x, weight, None, np.full(1, 2.0**-17, np.float32)],
        (1, 2),
        np.int16,
        low=-32768,
        high=32767,
        **params,
    )
    assert y[0, 0] == -y[0, 1] != 0


@settings(max_examples=60, deadline=None)
@given(
    inputs=st.one_of(st.integers(1, 150), st.sampled_from((255, 256, 257, 512, 2049))),
    outputs=st.one_of(st.integers(1, 80), st.sampled_from((128, 515))),
    **QUANTIZED,
)
def test_qlinear(
    inputs: int,
    outputs: int,
    rows: int,
    has_bias: bool,
    x_type: Any,
    y_type: Any,
    size: float,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    x, params = quantized(rng, x_type, y_type, size, rows, inputs)
    weight = rng.integers(-128, 127, (outputs, inputs), np.int8, endpoint=True)
    spread = np.iinfo(y_type).max / (60 * size * np.sqrt(inputs))
    compare(
        Op.QLINEAR,
        [
            x,
            weight,
            rng.integers(-(2**20), 2**20, outputs).astype(np.int32) if has_bias else None,
            (rng.uniform(0.1, 0.7, outputs) * spread).astype(np.float32),
        ],
        (rows, outputs),
        y_type,
        **params,
    )


@settings(max_examples=60, deadline=None)
@given(x_type=codes, count=st.integers(1, 255), total=st.integers(1, 200), seed=SEED)
def test_qthreshold(x_type: Any, count: int, total: int, seed: int) -> None:
    """Thresholds beyond the type of x too, and many that are equal."""
    rng = np.random.default_rng(seed)
    info = np.iinfo(x_type)
    thresholds = rng.integers(info.min - 9, info.max + 9, count, endpoint=True)
    thresholds[rng.random(count) < 0.05] = rng.choice([-(2**31), 2**31 - 1, 32768, -32768])
    thresholds.sort()
    x = rng.integers(info.min, info.max, (1, total), endpoint=True).astype(x_type)
    y = compare(Op.QTHRESHOLD, [x, thresholds.astype(np.int32)], x.shape, np.uint8)
    assert np.array_equal(y[0], (x.astype(np.int64)[0, :, None] >= thresholds).sum(axis=1))


@settings(max_examples=60, deadline=None)
@given(bits=st.integers(1, 8), count=st.integers(1, 70), rows=st.integers(1, 3), seed=SEED)
def test_packing(bits: int, count: int, rows: int, seed: int) -> None:
    """Bits above a code's, and behind the last one, are not read."""
    rng = np.random.default_rng(seed)
    dirty = rng.integers(0, 256, (rows, count), np.uint8)
    nbytes = -(-count * bits // 8)
    compare(Op.PACK_BITS, [dirty], (rows, nbytes), np.uint8, bits=bits)
    payload = rng.integers(0, 256, (rows, nbytes), np.uint8)
    compare(Op.UNPACK_BITS, [payload], (rows, count), np.uint8, bits=bits)
