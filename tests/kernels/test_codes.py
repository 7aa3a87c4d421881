"""Quantizing, packing, unpacking and dequantizing, exact against NumPy."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan, run_step
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.runtime import Part

Array = NDArray[Any]


def pack(codes: Array, bits: int) -> Array:
    """By NumPy's own bit packer: most significant bit first, zeros at the end of a sample."""
    rows = np.unpackbits(codes[:, :, None], axis=2)[:, :, 8 - bits :]
    return np.packbits(rows.reshape(len(codes), -1), axis=1)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 8), st.integers(1, 40), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_pack_and_unpack(bits: int, count: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**bits, (n, count), np.uint8)
    expected = pack(codes, bits)
    dirty = codes | rng.integers(0, 256, codes.shape, np.uint8) << bits
    for value in (codes, dirty.astype(np.uint8)):
        packed = run_step(Op.PACK_BITS, [value], [False], expected.shape, np.uint8, bits=bits)
        assert np.array_equal(packed, expected)
    unpacked = run_step(Op.UNPACK_BITS, [expected], [False], codes.shape, np.uint8, bits=bits)
    assert np.array_equal(unpacked, codes)


@pytest.mark.parametrize("bits", range(1, 9))
def test_every_byte_unpacks(bits: int) -> None:
    """All 256 values in every place of a payload, pad bits set or not."""
    count = 11
    nbytes = -(-count * bits // 8)
    payload = np.random.default_rng(bits).integers(0, 256, (256 * nbytes, nbytes), np.uint8)
    for place in range(nbytes):
        payload[256 * place : 256 * (place + 1), place] = np.arange(256)
    codes = run_step(Op.UNPACK_BITS, [payload], [False], (len(payload), count), np.uint8, bits=bits)
    rows = np.unpackbits(payload, axis=1, count=count * bits).reshape(len(payload), count, bits)
    assert np.array_equal(codes, rows @ (1 << np.arange(bits - 1, -1, -1)))


@pytest.mark.parametrize("bits", range(1, 9))
def test_quantize_at_and_beside_every_threshold(bits: int) -> None:
    levels = 2**bits
    at = (np.arange(levels + 1) / levels).astype(np.float32)
    x = np.concatenate([at, np.nextafter(at, np.float32(-1)), np.nextafter(at, np.float32(2))])
    x = np.concatenate([x, np.random.default_rng(bits).random(500).astype(np.float32)])[None]
    codes = run_step(Op.QUANTIZE_UNIFORM, [x], [False], x.shape, np.uint8, bits=bits)
    # The definition: the number of thresholds k / 2^B, k = 1 to 2^B - 1, that are <= x.
    expected = (x[:, :, None] >= at[1:levels]).sum(axis=2)
    assert np.array_equal(codes, expected)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_quantize_out_of_range(bits: int) -> None:
    top = 2**bits - 1
    cases = {
        -0.0: 0,
        -1e-45: 0,
        -3.0: 0,
        -np.inf: 0,
        np.nan: 0,
        -np.nan: 0,
        1e-45: 0,
        1.0: top,
        7.5: top,
        3e38: top,
        np.inf: top,
    }
    x = np.array([list(cases)], np.float32)
    codes = run_step(Op.QUANTIZE_UNIFORM, [x], [False], x.shape, np.uint8, bits=bits)
    assert codes[0].tolist() == list(cases.values())


@pytest.mark.parametrize("bits", range(1, 9))
def test_dequantize_is_exact_and_inverts(bits: int) -> None:
    codes = np.arange(256, dtype=np.uint8)[None]
    y = run_step(Op.DEQUANTIZE_UNIFORM, [codes], [False], codes.shape, bits=bits)
    low = codes & (2**bits - 1)
    assert np.array_equal(y, (low.astype(np.float64) + 0.5) / 2**bits)
    back = run_step(Op.QUANTIZE_UNIFORM, [y], [False], y.shape, np.uint8, bits=bits)
    assert np.array_equal(back, low)


def test_payload_of_many_samples_at_once_equals_one_by_one() -> None:
    """Zero padding ends each sample, also inside a chunk of n_max samples."""
    results = []
    codes = np.random.default_rng(2).integers(0, 8, (7, 5), np.uint8)
    for n_max in (1, 3, 7):
        hand = HandPlan(n_max=n_max)
        x = hand.input("codes", ("n", 5), np.uint8)
        hand.step(Op.PACK_BITS, [x], [hand.output("payload", ("n", 2), np.uint8)], bits=3)
        results.append(Part(write_bundle(hand.plan())).run(codes)[0])
    assert np.array_equal(results[0], pack(codes, 3))
    assert all(np.array_equal(results[0], r) for r in results)
