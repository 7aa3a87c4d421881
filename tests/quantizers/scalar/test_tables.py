"""Tables and codebooks: what they promise of every kind of samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sample_kinds import kinds, quadratic

from csideploy.errors import InputError
from csideploy.quantizers.scalar import Codebook, distortions, fit_codebook, uniform_widths

FAST_DB = 0.02
"""What the fast mode may lose against the exact one."""


def matrix(n: int, seed: int) -> np.ndarray:
    return np.stack(list(kinds(n, seed).values()), axis=1)


def measured(z: np.ndarray, book: Codebook) -> np.ndarray:
    """Mean squared error (M,) of what comes back."""
    away = book.dequantize(book.quantize(z)).astype(np.float64) - z
    return (away**2).mean(axis=0)


@pytest.mark.parametrize("n", [700, 6000])
def test_fast_is_near_exact(n: int) -> None:
    z = matrix(n, 7)
    fast, exact = distortions(z), distortions(z, exact=True)
    floor = 1e-13 * z.astype(np.float64).var(axis=0)[:, None]
    assert (fast.table <= exact.table * 10 ** (FAST_DB / 10) + floor).all()
    if n <= 4096:
        assert (fast.table >= exact.table * (1 - 1e-9) - floor).all()


def test_exact_equals_the_plain_recursion() -> None:
    z = matrix(70, 2)
    tables = distortions(z, most_bits=5, exact=True)
    for m, values in enumerate(z.T):
        least = quadratic(np.sort(values).astype(np.float64), 32)
        expected = np.array(least)[(1 << np.arange(6)) - 1] / len(z)
        power = float((values.astype(np.float64) ** 2).mean())
        np.testing.assert_allclose(tables.table[m], expected, rtol=1e-6, atol=1e-13 * power)


@pytest.mark.parametrize("exact", [False, True])
def test_table_is_what_the_codebook_does(exact: bool) -> None:
    z = matrix(900, 1)
    tables = distortions(z, exact=exact)
    assert tables.table.shape == (z.shape[1], 9)
    assert (np.diff(tables.table, axis=1) <= 0).all()
    np.testing.assert_allclose(tables.table[:, 0], z.var(axis=0, dtype=np.float64), atol=1e-12)
    for bits in range(9):
        book = tables.codebook(uniform_widths(z.shape[1], bits))
        # Values are rounded to float32.
        step = 4e-7 * np.abs(z).max(axis=0)
        expected = tables.table[:, bits]
        slack = step**2 + 2 * step * np.sqrt(expected)
        assert (np.abs(measured(z, book) - expected) <= slack).all()


def test_zero_bits_are_the_mean() -> None:
    z = matrix(500, 4)
    book = distortions(z).codebook(uniform_widths(z.shape[1], 0))
    np.testing.assert_allclose(book.values, z.mean(axis=0, dtype=np.float64), rtol=1e-6, atol=1e-7)
    assert not book.quantize(z).any()


def test_mixed_widths_and_single_fits_agree() -> None:
    z = matrix(1500, 6)
    widths = (np.arange(z.shape[1]) * 5 % 9).astype(np.uint8)
    book = distortions(z).codebook(widths)
    again = fit_codebook(z, widths)
    np.testing.assert_array_equal(book.widths, widths)
    np.testing.assert_array_equal(book.values, again.values)


def test_an_output_has_the_same_book_in_any_company() -> None:
    z = np.tile(matrix(300, 8), (1, 6))  # more outputs than are fitted at once
    table = distortions(z).table
    np.testing.assert_array_equal(table[:12], table[-12:])
    np.testing.assert_array_equal(table[3:4], distortions(z[:, 3:4]).table)


@settings(max_examples=40, deadline=None)
@given(
    npst.arrays(
        st.sampled_from([np.float16, np.float32, np.float64]),
        st.tuples(st.integers(1, 12), st.integers(1, 3)),
        elements=st.integers(-9, 9).map(float),
    ),
    st.booleans(),
)
def test_few_values_cost_nothing(z: np.ndarray, exact: bool) -> None:
    tables = distortions(z, exact=exact)
    for m, values in enumerate(z.T):
        enough = np.left_shift(1, np.arange(9)) >= len(np.unique(values))
        assert (tables.table[m, enough] == 0).all()
    book = tables.codebook(uniform_widths(z.shape[1], 4))
    np.testing.assert_array_equal(book.dequantize(book.quantize(z)), z.astype(np.float32))


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
def test_scale_and_sign(scale: float) -> None:
    z = matrix(400, 9).astype(np.float64)
    table = distortions(z).table
    scaled = distortions(-z * scale, exact=False).table / scale**2
    # A mirrored search may end elsewhere, within its promise.
    floor = 1e-12 * z.var(axis=0)[:, None]
    assert (scaled <= table * 10 ** (FAST_DB / 10) + floor).all()


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    distortions(matrix(50, 0), most_bits=2, progress=lambda *step: told.append(step))
    assert told == [(0, 12), (12, 12)]
    told.clear()
    fit_codebook(
        matrix(50, 0), uniform_widths(12, 1), exact=True, progress=lambda *s: told.append(s)
    )
    assert told == [(0, 12), (4, 12), (8, 12), (12, 12)]


@pytest.mark.parametrize(
    "z",
    [
        np.zeros(5),
        np.zeros((0, 3)),
        np.zeros((3, 0)),
        np.zeros((3, 3), dtype=np.int64),
        np.full((3, 3), np.nan),
        np.full((3, 3), np.inf),
        np.full((3, 3), 1e39),
    ],
)
def test_bad_samples(z: np.ndarray) -> None:
    with pytest.raises(InputError):
        distortions(z)
    with pytest.raises(InputError):
        fit_codebook(z, uniform_widths(3, 1))


def test_the_bad_output_is_named() -> None:
    z = np.ones((9000, 4))
    z[8000, 2] = np.nan
    with pytest.raises(InputError, match="output 2"):
        distortions(z)


def test_bad_widths() -> None:
    z = matrix(40, 0)
    tables = distortions(z, most_bits=3)
    for widths in (uniform_widths(12, 4), uniform_widths(11, 1), np.ones(12), np.full(12, -1)):
        with pytest.raises(InputError):
            tables.codebook(widths)
    with pytest.raises(InputError):
        fit_codebook(z, np.full(12, 9, dtype=np.uint8))
    for most in (-1, 9):
        with pytest.raises(InputError):
            distortions(z, most_bits=most)
    for m, bits in ((0, 1), (3, 9), (3, -1)):
        with pytest.raises(InputError):
            uniform_widths(m, bits)
