"""Codes with a number of bits each: quantizers, packing and their inverses, exact against NumPy."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import run_fixed

from csideploy.export.bundle_write import write_bundle
from csideploy.export.integer import payload as spec
from csideploy.export.integer.lookup import qcodebook, rank
from csideploy.export.plan import Op
from csideploy.export.widths import pack_widths
from csideploy.quantizers.scalar import Codebook
from csideploy.runtime import Part

Array = NDArray[Any]
U8, F32 = np.uint8, np.float32
WIDTHS = st.lists(st.integers(0, 8), min_size=1, max_size=12).filter(any)
SEEDS = st.integers(0, 2**32 - 1)


def random_codebook(widths: list[int], rng: np.random.Generator) -> Codebook:
    """Values on a coarse grid, so that some are equal; halves all of them."""
    values = [np.sort(np.round(rng.normal(size=1 << b) * 64) / 64) for b in widths]
    return Codebook(np.array(widths, U8), np.concatenate(values).astype(F32))


def features(book: Codebook, rng: np.random.Generator, count: int = 6) -> Array:
    """Normal numbers, thresholds themselves, their neighbours, and what is no number."""
    x = rng.normal(size=(count, book.outputs)).astype(F32)
    ends = np.cumsum(book.sizes - 1)
    for m in np.flatnonzero(book.widths):
        own = book.thresholds[ends[m] - book.sizes[m] + 1 : ends[m]]
        x[0, m] = own[rng.integers(len(own))]
        x[1, m] = np.nextafter(x[0, m], F32(9))
        x[2, m] = np.nextafter(x[0, m], F32(-9))
    x[3], x[4], x[5] = np.nan, np.inf, -np.inf
    return x


def bits_of(codes: Array, widths: list[int]) -> Array:
    """By way of text."""
    rows = ["".join(f"{c:08b}"[8 - b :] for c, b in zip(r, widths, strict=True)) for r in codes]
    size = -(-sum(widths) // 8)
    return np.array([list(int(r.ljust(8 * size, "0"), 2).to_bytes(size, "big")) for r in rows], U8)


@settings(max_examples=80, deadline=None)
@given(WIDTHS, SEEDS)
def test_quantize(widths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    book = random_codebook(widths, rng)
    x, table = features(book, rng), pack_widths(widths)
    codes = run_fixed(
        Op.QUANTIZE_CODEBOOK, [x, book.thresholds, table], x.shape, U8, constants=(1, 2)
    )
    assert np.array_equal(codes, book.quantize(x))
    assert np.array_equal(codes, rank(x, book.thresholds, table, side="left"))
    assert not codes[3].any()
    assert np.array_equal(codes[4], book.sizes - 1)
    # The definition, without a search.
    ends = np.cumsum(book.sizes - 1)
    for m, end in enumerate(ends):
        own = book.thresholds[end - book.sizes[m] + 1 : end]
        assert np.array_equal(codes[:, m], (own < x[:, m, None]).sum(axis=1))


@settings(max_examples=80, deadline=None)
@given(WIDTHS, SEEDS, st.sampled_from([np.uint8, np.int8, np.int16]))
def test_quantize_integers(widths: list[int], seed: int, dtype: Any) -> None:
    rng = np.random.default_rng(seed)
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max + 1, (5, len(widths))).astype(dtype)
    x[0], x[1] = limits.min, limits.max
    # One above the type's range is never reached.
    pieces = [
        np.sort(rng.integers(limits.min, limits.max + 2, (1 << b) - 1)).astype(np.int32)
        for b in widths
    ]
    for m, own in enumerate(pieces):
        if len(own) and own[len(own) // 2] <= limits.max:
            x[2, m] = own[len(own) // 2]
    thresholds, table = np.concatenate(pieces), pack_widths(widths)
    codes = run_fixed(Op.QCODEBOOK, [x, thresholds, table], x.shape, U8, constants=(1, 2))
    for m, own in enumerate(pieces):
        assert np.array_equal(codes[:, m], (own <= x[:, m, None].astype(int)).sum(axis=1))
    assert np.array_equal(codes, qcodebook(x, thresholds, table))


@settings(max_examples=80, deadline=None)
@given(WIDTHS, SEEDS)
def test_pack_and_unpack(widths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = pack_widths(widths)
    dirty = rng.integers(0, 256, (4, len(widths))).astype(U8)
    clean = (dirty & ((1 << np.array(widths)) - 1)).astype(U8)
    expected = bits_of(clean, widths)
    for codes in (clean, dirty):
        packed = run_fixed(Op.PACK_WIDTHS, [codes, table], expected.shape, U8, constants=(1,))
        assert np.array_equal(packed, expected)
        assert np.array_equal(spec.pack_widths(codes, table), expected)
    noise = expected.copy()
    noise[:, -1] |= (1 << (-sum(widths) % 8)) - 1  # the pad is ignored
    for payload in (expected, noise):
        codes = run_fixed(Op.UNPACK_WIDTHS, [payload, table], clean.shape, U8, constants=(1,))
        assert np.array_equal(codes, clean)
        assert np.array_equal(spec.unpack_widths_of(payload, table, len(widths)), clean)


@settings(max_examples=80, deadline=None)
@given(WIDTHS, SEEDS, st.booleans())
def test_dequantize(widths: list[int], seed: int, half: bool) -> None:
    rng = np.random.default_rng(seed)
    book, table = random_codebook(widths, rng), pack_widths(widths)
    stored = book.values.astype(np.float16).view(np.int16) if half else book.values
    codes = rng.integers(0, 256, (4, len(widths))).astype(U8)
    inputs = [codes, stored, table]
    y = run_fixed(Op.DEQUANTIZE_CODEBOOK, inputs, codes.shape, constants=(1, 2))
    assert np.array_equal(y, book.dequantize(codes))
    assert np.array_equal(y, spec.dequantize_codebook(*inputs))
    if half:
        again = book.quantize(y)
        assert np.array_equal(book.dequantize(again), y)


def test_every_finite_half() -> None:
    """All of them, the subnormal ones and both zeros too, to the bit."""
    halves = np.arange(65536).astype(np.uint16)
    halves = halves[np.isfinite(halves.view(np.float16))]
    outputs = len(halves) // 256
    assert outputs * 256 == len(halves)
    codes = np.repeat(np.arange(256, dtype=U8)[:, None], outputs, axis=1)
    inputs = [codes, halves.view(np.int16), pack_widths([8] * outputs)]
    y = run_fixed(Op.DEQUANTIZE_CODEBOOK, inputs, codes.shape, constants=(1, 2))
    expected = halves.view(np.float16).astype(F32).reshape(outputs, 256).T
    assert np.array_equal(y.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("n_max", [1, 3, 7])
def test_payload_of_many_samples_at_once_equals_one_by_one(n_max: int) -> None:
    """Zero padding ends each sample, also inside a chunk of n_max samples."""
    widths = [5, 0, 4, 1]
    codes = np.random.default_rng(2).integers(0, 256, (7, 4)).astype(U8)
    hand = HandPlan(n_max=n_max)
    x, table = hand.input("codes", ("n", 4), U8), hand.constant("widths", pack_widths(widths))
    hand.step(Op.PACK_WIDTHS, [x, table], [hand.output("payload", ("n", 2), U8)])
    (payload,) = Part(write_bundle(hand.plan())).run(codes)
    assert np.array_equal(payload, bits_of(codes, widths))
