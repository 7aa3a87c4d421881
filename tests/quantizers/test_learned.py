"""The codebook quantizer that training runs through, against NumPy's and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.scalar import Codebook, fit_codebook, uniform_widths

MIXED = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2]

# A seed, and widths that may all be 0 or all be 8.
BOOKS = st.tuples(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 8), min_size=1, max_size=6))


def book_of(widths: list[int], seed: int = 1) -> Codebook:
    """Values of very different spreads, some of them twice."""
    random = np.random.default_rng(seed)
    values = []
    for width in widths:
        own = np.sort(random.normal(random.normal(), np.exp(random.normal()), 1 << width))
        if width > 2 and random.random() < 0.5:
            own[1] = own[0]
        values.append(own)
    return Codebook(np.array(widths, np.uint8), np.concatenate(values).astype(np.float32))


def quantizer_of(book: Codebook, budget: int = 4) -> CodebookQuantizer:
    quantizer = CodebookQuantizer(book.outputs, (budget,))
    quantizer.put(budget, book)
    return quantizer


def around(book: Codebook, n: int = 40, seed: int = 2) -> NDArray[np.float32]:
    """Z (n, M) near the values, every second row on midpoints or the float32 beside them."""
    random = np.random.default_rng(seed)
    z = random.normal(0, 1.5, (n, book.outputs)).astype(np.float32)
    ends = np.cumsum(book.sizes - 1)
    for m in np.flatnonzero(book.widths):
        own = book.thresholds[ends[m] - book.sizes[m] + 1 : ends[m]]
        ties = random.choice(own, n // 2)
        steps = random.choice([-np.inf, 0.0, np.inf], n // 2).astype(np.float32)
        z[::2, m] = np.where(steps == 0, ties, np.nextafter(ties, steps))
    return z


@given(BOOKS)
@settings(max_examples=30, deadline=None)
def test_codes_are_those_of_the_codebook(drawn: tuple[int, list[int]]) -> None:
    seed, widths = drawn
    book = book_of(widths, seed)
    z = around(book, seed=seed)
    codes = quantizer_of(book).codes(torch.from_numpy(z))
    assert codes.dtype == torch.uint8
    np.testing.assert_array_equal(codes.numpy(), book.quantize(z))


def test_a_midpoint_goes_to_the_lower_code() -> None:
    book = Codebook(np.array([2, 0], np.uint8), np.array([-1, 0, 2, 3, 0.5], np.float32))
    z = torch.tensor([[-0.5, 9.0], [1.0, 0.5], [2.5, -9.0], [2.500001, 0.0]])
    quantizer = quantizer_of(book)
    assert quantizer.codes(z).tolist() == [[0, 0], [1, 0], [2, 0], [3, 0]]
    assert quantizer(z).tolist() == [[-1, 0.5], [0, 0.5], [2, 0.5], [3, 0.5]]


def test_values_beyond_the_codebook() -> None:
    book = book_of(MIXED)
    z = np.array([[-np.inf], [-1e30], [1e30], [np.inf]], np.float32).repeat(len(MIXED), 1)
    np.testing.assert_array_equal(
        quantizer_of(book).codes(torch.from_numpy(z)).numpy(), book.quantize(z)
    )


@given(BOOKS)
@settings(max_examples=30, deadline=None)
def test_forward_is_the_value_of_the_code(drawn: tuple[int, list[int]]) -> None:
    seed, widths = drawn
    book = book_of(widths, seed)
    z = around(book, seed=seed)
    expected = book.dequantize(book.quantize(z))
    found = quantizer_of(book)(torch.from_numpy(z)).numpy()
    # z + (c - z) is rounded twice, each time by half a unit in the last place.
    assert (np.abs(found - expected) <= 2.0**-23 * (np.abs(expected) + np.abs(z))).all()
    silent = book.widths == 0
    np.testing.assert_array_equal(found[:, silent], expected[:, silent])


@given(BOOKS)
@settings(max_examples=30, deadline=None)
def test_put_and_book_are_inverse(drawn: tuple[int, list[int]]) -> None:
    seed, widths = drawn
    book = book_of(widths, seed)
    quantizer = quantizer_of(book)
    # What stood there before, of other widths, leaves nothing behind.
    quantizer.put(4, book_of([8] * len(widths), seed + 1))
    quantizer.put(4, book)
    found = quantizer.book()
    np.testing.assert_array_equal(found.widths, book.widths)
    np.testing.assert_array_equal(found.values, book.values)
    np.testing.assert_array_equal(found.thresholds, book.thresholds)
    in_use = torch.isfinite(quantizer.values(4)).sum(1)
    assert in_use.tolist() == book.sizes.tolist()


def weight(own: NDArray[np.float32], code: int) -> float:
    """w^L - w^R of eq. (7) in the paper's words, in float64."""
    values = own.astype(np.float64)
    if len(values) == 1:
        return 0.0
    if code == 0:
        return float(2 * (values[1] - values[0]))
    if code == len(values) - 1:
        return float(2 * (values[-1] - values[-2]))
    return float(values[code + 1] - values[code - 1])


@pytest.mark.parametrize("adaptive", [True, False])
def test_penalty_by_a_plain_loop(adaptive: bool) -> None:
    beta, spread = 0.3, 0.7
    book = book_of(MIXED)
    z = around(book)
    codes = book.quantize(z)
    values = book.dequantize(codes).astype(np.float64)
    expected = 0.0
    for i in range(len(z)):
        for m in range(book.outputs):
            factor = weight(book.book(m), int(codes[i, m])) / spread if adaptive else 1.0
            expected += beta * factor * (values[i, m] - float(z[i, m])) ** 2 / spread**2
    quantizer = quantizer_of(book).train()
    quantizer.beta, quantizer.adaptive = beta, adaptive
    quantizer.spread.fill_(spread)
    quantizer(torch.from_numpy(z))
    assert quantizer.penalty is not None
    # 440 terms summed in float32, none of them negative: 440 half units in the last place at most.
    assert float(quantizer.penalty.detach()) == pytest.approx(expected / len(z), rel=440 * 2.0**-24)


def test_weights_of_first_last_and_silent_values() -> None:
    book = Codebook(np.array([2, 0], np.uint8), np.array([-1, 0, 2, 3, 0.5], np.float32))
    for z, gap in ((-1.5, 2.0), (0.25, 3.0), (2.25, 3.0), (4.0, 2.0)):
        quantizer = quantizer_of(book).train()
        quantizer.beta = 1.0
        quantizer.spread.fill_(2.0)
        quantizer(torch.tensor([[z, 100.0]]))
        nearest = min((-1, 0, 2, 3), key=lambda value: abs(value - z))
        assert quantizer.penalty is not None
        # Powers of two alone, so it is exact; the output without bits adds nothing.
        assert float(quantizer.penalty.detach()) == gap / 2 * (nearest - z) ** 2 / 4


def test_the_gradient_is_straight_where_something_is_sent() -> None:
    book = book_of(MIXED)
    z = torch.from_numpy(around(book)).requires_grad_()
    weights = torch.arange(1.0, z.numel() + 1).view_as(z)
    (quantizer_of(book)(z) * weights).sum().backward()
    assert z.grad is not None
    sent = torch.from_numpy(book.widths) > 0
    assert torch.equal(z.grad, torch.where(sent, weights, 0.0))


def test_the_penalty_pulls_to_the_codeword() -> None:
    book = book_of(MIXED)
    z = torch.from_numpy(around(book)).requires_grad_()
    quantizer = quantizer_of(book).train()
    quantizer.beta = 0.5
    quantizer.spread.fill_(1.5)
    quantizer(z)
    assert quantizer.penalty is not None
    quantizer.penalty.backward()
    assert z.grad is not None
    plain = z.detach().numpy()
    codes = book.quantize(plain)
    chosen = book.dequantize(codes)
    rows = [[weight(book.book(m), int(c)) for m, c in enumerate(row)] for row in codes]
    gaps = np.array(rows)
    expected = 0.5 * gaps / 1.5 * 2 * (plain - chosen.astype(np.float64)) / 1.5**2 / len(plain)
    # A handful of float32 operations, the difference z - c among them: exact where it is small.
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=1e-5, atol=1e-9)
    assert not z.grad[:, book.widths == 0].any()
    assert (np.sign(z.grad.numpy()) * (plain - chosen) >= 0).all()
    # A small step against it brings every output nearer to its value, or leaves it.
    nearer = np.abs(plain - 0.1 * z.grad.numpy() - chosen)
    assert (nearer <= np.abs(plain - chosen) + 1e-6).all()


def test_nothing_is_noted_in_evaluation() -> None:
    book = book_of(MIXED)
    quantizer = quantizer_of(book).eval()
    quantizer.beta = 1.0
    quantizer(torch.from_numpy(around(book)))
    assert quantizer.penalty is None


def distortion(quantizer: CodebookQuantizer, z: NDArray[np.float32]) -> NDArray[np.float64]:
    """Quantization loss of each output, by the codebook as the exporter takes it."""
    book = quantizer.book()
    error = book.dequantize(book.quantize(z)).astype(np.float64) - z
    found: NDArray[np.float64] = (error**2).mean(0)
    return found


def test_follow_lowers_the_loss_of_the_batch() -> None:
    random = np.random.default_rng(4)
    before = random.laplace(0, np.geomspace(0.01, 30, len(MIXED)), (500, len(MIXED)))
    book = fit_codebook(before.astype(np.float32), np.array(MIXED, np.uint8))
    # The encoder has moved: other mean, other spread.
    z = (1.2 * before + 0.1 * before.std(0)).astype(np.float32)[:100]
    quantizer = quantizer_of(book).train()
    start = last = distortion(quantizer, z)
    for _ in range(20):
        quantizer(torch.from_numpy(z))
        quantizer.follow(0.05)
        now = distortion(quantizer, z)
        # Never worse; a value that is where it should be moves by its rounding alone.
        assert (now <= last * (1 + 1e-5)).all()
        last = now
        # `book` raises if an order is lost or a value is not finite.
        found = quantizer.book()
        np.testing.assert_array_equal(found.widths, book.widths)
        in_use = torch.isfinite(quantizer.values(4)).sum(1)
        assert in_use.tolist() == book.sizes.tolist()
        assert (quantizer.values(4).diff(dim=1)[:, :-1].nan_to_num(0.0) >= 0).all()
    assert (last < start).all()


def test_follow_is_the_documented_step() -> None:
    book = Codebook(np.array([1, 0], np.uint8), np.array([-1, 1, 0.5], np.float32))
    z = torch.tensor([[-2.0, 0.0], [-1.5, 0.0], [-0.5, 2.0], [3.0, 4.0]])
    quantizer = quantizer_of(book).train()
    quantizer(z)
    quantizer.follow(0.125)
    # -1 + 1/8 (-1 - 0.5 + 0.5) 2/4, 1 + 1/8 2 2/4, 0.5 + 1/8 4 (1.5 - 0.5) 1/4: exact in binary.
    assert quantizer.book().values.tolist() == [-1.0625, 1.125, 0.625]


def test_follow_sorts_values_that_meet() -> None:
    values = np.array([0, 0.001, 0.002, 0.003], np.float32)
    quantizer = quantizer_of(Codebook(np.array([2], np.uint8), values)).train()
    z = torch.tensor([[-1.0], [0.001], [0.002], [5.0], [0.0009], [0.0021]])
    quantizer(z)
    quantizer.follow(2.0)
    assert (np.diff(quantizer.book().values) >= 0).all()


def test_budgets_do_not_share_anything() -> None:
    random = np.random.default_rng(6)
    z = random.normal(size=(300, 5)).astype(np.float32)
    quantizer = CodebookQuantizer(5, (3, 1, 2, 1)).train()
    assert quantizer.budgets == (1, 2, 3)
    assert quantizer.active == 3
    books = {b: fit_codebook(z, uniform_widths(5, b)) for b in quantizer.budgets}
    for budget, book in books.items():
        quantizer.put(budget, book)
    quantizer.active = 2
    quantizer(torch.from_numpy(z + np.float32(0.5)))
    quantizer.follow(0.1)
    assert not np.array_equal(quantizer.book(2).values, books[2].values)
    for budget in (1, 3):
        np.testing.assert_array_equal(quantizer.book(budget).values, books[budget].values)
        codes = quantizer.codes(torch.from_numpy(z), budget).numpy()
        np.testing.assert_array_equal(codes, books[budget].quantize(z))
    np.testing.assert_array_equal(quantizer.book().values, quantizer.book(2).values)
    assert set(quantizer.state_dict()) == {"spread"} | {
        f"{name}_{budget}" for name in ("values", "widths") for budget in (1, 2, 3)
    }
    assert not list(quantizer.parameters()), "codebooks are no optimizer's"


@pytest.mark.parametrize("budgets", [(), (0,), (9,), (2, 9), (0, 3)])
def test_budgets_out_of_range(budgets: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"1\.\.8"):
        CodebookQuantizer(4, budgets)
