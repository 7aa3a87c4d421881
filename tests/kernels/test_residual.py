"""RESIDUAL_QUANTIZE and RESIDUAL_DEQUANTIZE: to the bit by their definition, and the exhaustive
search in float64 outside the band in which float32 may choose another codeword."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import EPS, normal, same_bits
from test_edge_attention import fused

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.quantizers.residual import bits_to_indices, distances, indices_to_bits
from csideploy.runtime import Part, instruction_sets

Array = NDArray[Any]
F32, U8 = np.float32, np.uint8


def tier(book: Array, isa: str | None = None, n_max: int = 2) -> Part:
    hand = HandPlan(n_max=n_max)
    bits, width = len(book).bit_length() - 1, book.shape[1]
    ends = [hand.input("residual", ("n", width)), hand.constant("codebook", book)]
    made = [hand.output("codes", ("n", bits), U8), hand.output("rest", ("n", width))]
    hand.step(Op.RESIDUAL_QUANTIZE, ends, made)
    return Part(write_bundle(hand.plan()), isa=isa)


def back(book: Array, count: int, start: int) -> Part:
    hand = HandPlan(n_max=2)
    ends = [hand.input("codes", ("n", count), U8), hand.constant("codebook", book)]
    hand.step(Op.RESIDUAL_DEQUANTIZE, ends, [hand.output("y", ("n", book.shape[1]))], start=start)
    return Part(write_bundle(hand.plan()))


def by_definition(x: Array, book: Array) -> Array:
    """The index of each row, in float32 and in the order of export/operations.py."""
    found = np.zeros((len(x), len(book)), F32)
    with np.errstate(all="ignore"):
        for d in range(x.shape[1]):
            apart = x[:, d, None] - book[None, :, d]
            found = fused(apart, apart, found)
    finite = np.where(np.isfinite(found), found, np.inf)
    return finite.argmin(axis=1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 7),
    st.sampled_from([1, 2, 3, 16, 33]),
    st.integers(1, 7),
    st.sampled_from([1e-3, 1.0, 1e3]),
    st.integers(0, 2**20),
)
def test_to_the_bit_and_outside_the_band(
    bits: int, width: int, samples: int, scale: float, seed: int
) -> None:
    book = normal(seed, 1 << bits, width, scale=scale)
    x = normal(seed + 1, samples, width, scale=scale)
    codes, rest = tier(book).run(x)
    indices = bits_to_indices(codes, [bits])[:, 0]
    np.testing.assert_array_equal(indices, by_definition(x, book))
    assert same_bits(rest, x - book[indices])
    assert ((codes == 0) | (codes == 1)).all()
    exact = distances(x, book)
    two = np.sort(exact, axis=1)[:, :2]
    # A distance in float32: the difference, the square and D sums round once each.
    clear = two[:, 1] - two[:, 0] > 2 * (width + 3) * EPS * two[:, 1]
    np.testing.assert_array_equal(indices[clear], exact.argmin(axis=1)[clear])


@pytest.mark.parametrize("isa", instruction_sets())
def test_every_instruction_set_gives_the_same(isa: str) -> None:
    book, x = normal(3, 256, 20), normal(4, 33, 20)
    for ours, plain in zip(tier(book, isa).run(x), tier(book, "reference").run(x), strict=True):
        assert same_bits(ours, plain)


@pytest.mark.parametrize("bits", [1, 4, 5, 9])
def test_ties_go_to_the_lowest_index(bits: int) -> None:
    """Every codeword four times, or twice."""
    words = 1 << bits
    book = np.tile(normal(bits, max(1, words // 4), 5), (min(4, words), 1))
    x = book[np.arange(words)][::-1].copy()
    codes, rest = tier(book).run(x)
    indices = bits_to_indices(codes, [bits])[:, 0]
    np.testing.assert_array_equal(indices, np.arange(words)[::-1] % max(1, words // 4))
    assert not rest.any()


def test_what_is_not_finite_never_wins() -> None:
    book = normal(5, 32, 3)
    book[0] = 3e19  # its squares are beyond float32
    x = normal(6, 4, 3)
    x[1] = np.nan
    x[2, 1] = np.inf
    x[3] = 3e19
    codes, rest = tier(book).run(x)
    indices = bits_to_indices(codes, [5])[:, 0]
    np.testing.assert_array_equal(indices, by_definition(x, book))
    np.testing.assert_array_equal(indices[1:], [0, 0, 0])
    assert indices[0] != 0
    assert np.isnan(rest[1]).all()


def test_the_largest_tier() -> None:
    book, x = normal(7, 1 << 16, 2), normal(8, 3, 2)
    codes, _ = tier(book).run(x)
    np.testing.assert_array_equal(bits_to_indices(codes, [16])[:, 0], by_definition(x, book))


@pytest.mark.parametrize(("bits", "start", "count"), [(1, 0, 1), (3, 0, 3), (3, 4, 9), (8, 2, 10)])
def test_codewords_by_their_bits(bits: int, start: int, count: int) -> None:
    """Of a code the low bit counts, and what other tiers say does not."""
    book = normal(bits, 1 << bits, 6)
    codes = np.random.default_rng(1).integers(0, 256, (40, count)).astype(U8)
    (y,) = back(book, count, start).run(codes)
    own = bits_to_indices(codes[:, start : start + bits], [bits])[:, 0]
    np.testing.assert_array_equal(y, book[own])
    whole = np.arange(1 << bits)[:, None]
    sent = np.zeros((1 << bits, count), U8)
    sent[:, start : start + bits] = indices_to_bits(whole, [bits])
    np.testing.assert_array_equal(back(book, count, start).run(sent)[0], book)
