"""RESIDUAL_QUANTIZE where a scan in bytes comes first: the indices stay those of the definition, to
the bit, also where the bounds are tight, equal, useless or not there at all."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import normal, same_bits
from test_residual import by_definition, tier

from csideploy.quantizers.residual import bits_to_indices
from csideploy.runtime import instruction_sets

Array = NDArray[Any]
F32 = np.float32
WITH_VECTORS = [isa for isa in instruction_sets() if isa not in ("reference", "baseline")]


def check(book: Array, x: Array) -> None:
    """Every instruction set against the scalar reference, one row a step and many."""
    with np.errstate(all="ignore"):
        expected = tier(book, "reference", n_max=7).run(x)
        for isa in instruction_sets()[1:]:
            for n_max in (1, 7):
                made = tier(book, isa, n_max=n_max).run(x)
                for ours, plain in zip(made, expected, strict=True):
                    assert same_bits(ours, plain), (isa, n_max)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(4, 12),
    st.integers(1, 150),
    st.integers(1, 9),
    st.sampled_from(["noise", "near", "unequal", "sparse"]),
    st.sampled_from([1e-9, 1e-3, 1.0, 1e6]),
    st.integers(0, 2**20),
)
def test_any_size(bits: int, width: int, rows: int, kind: str, scale: float, seed: int) -> None:
    words = 1 << bits
    book = normal(seed, words, width, scale=scale)
    x = normal(seed + 1, rows, width, scale=scale)
    chosen = np.random.default_rng(seed).integers(0, words, rows)
    if kind == "near":  # codewords of one cluster, rows on them
        book = (book * F32(1e-4) + normal(seed + 2, 1, width, scale=scale)).astype(F32)
        x = (book[chosen] + x * F32(1e-6)).astype(F32)
    elif kind == "unequal":  # lengths over six decades
        book *= (10.0 ** np.random.default_rng(seed).uniform(-4, 2, (words, 1))).astype(F32)
    elif kind == "sparse":
        book[np.abs(book) < 1.5 * scale] = 0.0
        x[np.abs(x) < 1.5 * scale] = 0.0
    check(book, x)


@pytest.mark.parametrize("kind", ["noise", "near", "words"])
@pytest.mark.parametrize("width", [192, 201, 256, 384, 390])
def test_large_codebooks(width: int, kind: str) -> None:
    """Those of which single rows read four bytes in three (up to 384 wide), and one that is not."""
    book, x = normal(width, 1031, width), normal(width + 1, 5, width)
    if kind == "near":  # of which the scan leaves many
        book = (book * F32(1e-2) + normal(width + 2, 1, width)).astype(F32)
        x = (x * F32(1e-2) + book[7]).astype(F32)
    elif kind == "words":
        x = book[[0, 17, 255, 1023, 1030]].copy()
    check(book[:1024], x)


@pytest.mark.parametrize("width", [16, 128, 130])
@pytest.mark.parametrize("copies", [2, 16, 512])
def test_equal_codewords(width: int, copies: int) -> None:
    """The lowest index of equal ones, few of them and more than the scan leaves to the rest."""
    own = normal(width, 1024 // copies, width)
    book = np.tile(own, (copies, 1))
    x = np.concatenate([own[:8], normal(3, 4, width)]).astype(F32)
    check(book, x)
    codes, _ = tier(book, n_max=7).run(x)
    indices = bits_to_indices(codes, [10])[:, 0]
    np.testing.assert_array_equal(indices, by_definition(x, book))
    assert (indices < len(own)).all()


def test_the_last_bit_of_a_distance_decides() -> None:
    """Codewords that differ from one another in single last bits: the definition's own rounding
    says who is nearest, often not the one that is so in exact arithmetic."""
    rng = np.random.default_rng(5)
    centre = normal(1, 128)
    book = np.repeat(centre[None], 32, axis=0)
    step = rng.integers(-1, 2, book.shape)
    book = (book.view(np.int32) + step.astype(np.int32)).view(F32)
    book = np.concatenate([normal(2, 480, 128), book]).astype(F32)
    x = (centre + normal(3, 40, 128, scale=1.0)).astype(F32)
    check(book, x)
    exact = ((x.astype(np.float64)[:, None] - book) ** 2).sum(-1).argmin(1)
    indices = bits_to_indices(tier(book).run(x)[0], [9])[:, 0]
    assert (indices != exact).any()  # or the data says nothing


@pytest.mark.parametrize("scale", [0.0, 1e-42, 1e-30, 3e-20, 1e-10, 1e9, 3e10, 1e18, 1e30, 1e37])
def test_huge_and_vanishing_numbers(scale: float) -> None:
    with np.errstate(all="ignore"):
        book, x = normal(1, 256, 40), normal(2, 9, 40)
        check((book * F32(scale)).astype(F32), x)
        check(book, (x * F32(scale)).astype(F32))
        check((book * F32(scale)).astype(F32), (x * F32(scale)).astype(F32))
        mixed = np.where(np.arange(256)[:, None] % 3 == 0, book * F32(scale), book).astype(F32)
        check(mixed, (x * F32(scale)).astype(F32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 17, 127])
def test_what_is_not_finite(bad: float, at: int) -> None:
    book, rows = normal(3, 512, 128), normal(4, 9, 128)
    rows[[1, 5, 6], at] = bad  # among rows that are whole
    check(book, rows)


def test_a_row_on_a_codeword() -> None:
    book = normal(6, 1024, 256)
    check(book, book[[0, 1, 63, 64, 255, 256, 1022, 1023]])


def small(width: int) -> NDArray[np.bool_]:
    """The dimensions in which `uneven` books have little: a third of them, sixteen at a time."""
    return (np.arange(width) // 16) % 3 == 1


def uneven(seed: int, words: int, width: int) -> Array:
    """What is scanned in part: a tenth as large where it is small."""
    return (normal(seed, words, width) * np.where(small(width), 0.1, 1.0)).astype(F32)


def check_in_part(book: Array, x: Array) -> None:
    """A book of which a part is scanned for single rows: it holds a second set of blocks, which one
    of as many words that has as much everywhere does not, of tight groups or not."""
    even = normal(1, *book.shape)
    for isa in WITH_VECTORS:
        one_set = tier(even, isa, n_max=7)._core.prepared_bytes
        assert tier(book, isa, n_max=1)._core.prepared_bytes > one_set, isa
    check(book, x)


@pytest.mark.parametrize("width", [64, 131, 256, 400])
@pytest.mark.parametrize("seed", [1, 2])
def test_books_that_are_little_in_some_dimensions(width: int, seed: int) -> None:
    """Those of which a part is scanned, for rows like them."""
    book = uneven(seed, 1024, width)
    mixed = np.random.default_rng(seed).permuted(book[:9], axis=0)
    check_in_part(
        book, np.concatenate([uneven(seed, 1033, width)[1024:], mixed, book[[0, 511, 1023]]])
    )


def test_words_that_are_equal_in_what_is_scanned() -> None:
    """A few, and so many that all must be scanned; rows that have more in the other dimensions than
    the book, some of which the general kernel does."""
    few = small(256)
    for equal in (3, 100, 300, 1024):
        book, rows = uneven(4, 1024, 256), uneven(4, 1030, 256)[1020:]
        book[:equal, ~few] = book[0, ~few]
        rows[:, ~few] = book[0, ~few] + F32(1e-3) * rows[:, ~few]
        for scale in (1.0, 30.0, 1e6):
            check_in_part(book, (rows * np.where(few, F32(scale), F32(1))).astype(F32))
        check_in_part(book, (rows * few).astype(F32))
        check_in_part((book * np.where(few, F32(1e-6), F32(1))).astype(F32), rows)


@pytest.mark.parametrize("width", [128, 256])
@pytest.mark.parametrize("along", [1.0, 4.0, 16.0])
@pytest.mark.parametrize("group", [2, 128])
def test_what_is_not_scanned_decides(width: int, along: float, group: int) -> None:
    """Groups of words that are a little off a row where the book is large; where it is small the
    row is `along` times one of them and the first word its opposite: there the bound of a product,
    which is all that the scan knows, is reached. Of the large groups too many are left, so that
    all dimensions must be scanned."""
    book = uneven(7, 1024, width)
    few, rng = small(width), np.random.default_rng(width)
    rows = []
    for first in range(0, 512, group):
        words, centre = book[first : first + group], book[first].copy()
        words[0, few] = -words[1, few]
        gain = 2 * along * np.square(words[1, few], dtype=np.float64).sum()
        off = rng.normal(size=words.shape) * ~few
        off *= np.sqrt(2 * gain) / np.linalg.norm(off, axis=1, keepdims=True)
        off *= np.sqrt(rng.uniform(0.1, 1.2, (group, 1)))
        off[0] = 0
        words[:, ~few] = (centre + off)[:, ~few]
        rows += [np.where(few, along * word, centre) for word in words[1:9]]
    check_in_part(book, np.array(rows, F32))


def test_rows_that_are_not_finite_beyond() -> None:
    book, rows = uneven(5, 512, 128), uneven(6, 9, 128)
    rows[[1, 5, 6], 16] = np.nan, np.inf, 1e30
    check_in_part(book, rows)
