"""Codes are ranks of the nearest value; ties go down; what does not fit is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csideploy.errors import InputError
from csideploy.quantizers.scalar import Codebook


def made(widths: list[int], values: list[float]) -> Codebook:
    return Codebook(np.array(widths, dtype=np.uint8), np.array(values, dtype=np.float32))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.integers(0, 999))
def test_codes_are_the_nearest_values(widths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Multiples of 1/8, so that midpoints are hit and exact; values repeat.
    books = [np.sort(rng.integers(-20, 20, 1 << b)) / 8 for b in widths]
    book = made(widths, np.concatenate(books).tolist())
    z = (rng.integers(-50, 50, (40, len(widths))) / 16).astype(np.float32)
    codes = book.quantize(z)
    assert codes.dtype == np.uint8
    back = book.dequantize(codes)
    for m, own in enumerate(books):
        distance = np.abs(z[:, m, None].astype(np.float64) - own)
        np.testing.assert_array_equal(np.abs(back[:, m] - z[:, m]), distance.min(axis=1))
        # The first of equally near values is the lower one.
        np.testing.assert_array_equal(back[:, m], own[distance.argmin(axis=1)])
        np.testing.assert_array_equal(book.book(m), own.astype(np.float32))
    assert book.bits == sum(widths)
    assert len(book.thresholds) == sum((1 << b) - 1 for b in widths)


def test_nan_and_infinities() -> None:
    book = made([2, 0], [-1, 0, 1, 2, 5])
    z = np.array([[np.nan, np.nan], [np.inf, np.inf], [-np.inf, 0]], dtype=np.float32)
    assert book.quantize(z).tolist() == [[0, 0], [3, 0], [0, 0]]


def test_only_the_low_bits_of_a_code_are_read() -> None:
    book = made([1, 0], [-1, 1, 5])
    codes = np.array([[255, 255], [254, 1]], dtype=np.uint8)
    assert book.dequantize(codes).tolist() == [[1, 5], [-1, 5]]


def test_rounded_values_are_float16() -> None:
    book = made([1], [0.1, 1e6]).rounded()
    assert book.values.tolist() == [float(np.float16(0.1)), 65504.0]


@pytest.mark.parametrize(
    ("widths", "values", "message"),
    [
        ([1], [0.0], "fit the widths"),
        ([9], [0.0] * 512, "9 bits"),
        ([], [], "at least 1"),
        ([1], [0.0, np.nan], "not finite"),
        ([0, 1], [5.0, 2.0, 1.0], "output 1"),
    ],
)
def test_refused(widths: list[int], values: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(widths, values)


def test_a_fall_between_outputs_is_none() -> None:
    assert made([1, 1], [5, 6, 1, 2]).thresholds.tolist() == [5.5, 1.5]
