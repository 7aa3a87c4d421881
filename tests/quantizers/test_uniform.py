"""The uniform feature quantizer against its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from csideploy.errors import InputError
from csideploy.quantizers.uniform import UniformQuantizer

UNIT = st.floats(0, 1, width=32)


@given(st.lists(UNIT, min_size=1, max_size=40), st.integers(1, 8))
def test_code_counts_the_thresholds_below(values: list[float], bits: int) -> None:
    x = np.array(values, dtype=np.float32)
    thresholds = np.arange(1, 2**bits, dtype=np.float64) / 2**bits
    expected = (x.astype(np.float64)[:, None] >= thresholds).sum(1)
    quantizer = UniformQuantizer(bits)
    codes = quantizer.codes(torch.from_numpy(x))
    assert codes.dtype == torch.uint8
    np.testing.assert_array_equal(codes.numpy(), expected)


@given(st.lists(UNIT, min_size=1, max_size=40), st.integers(1, 8))
def test_forward_is_the_middle_of_the_cell(values: list[float], bits: int) -> None:
    x = torch.tensor(values, dtype=torch.float32)
    quantizer = UniformQuantizer(bits)
    out = quantizer(x)
    # Equal, not close: training must see what the two ends of the link compute.
    assert torch.equal(out, quantizer.values(quantizer.codes(x)))
    assert (out - x).abs().max() <= 0.5 / 2**bits + 1e-7
    assert torch.equal(quantizer(out), out)


def test_gradient_is_one() -> None:
    x = torch.rand(50, generator=torch.Generator().manual_seed(1)).requires_grad_()
    weight = torch.arange(1.0, 51.0)
    (UniformQuantizer(3)(x) * weight).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, weight)


def stairs(x: np.ndarray, bits: int) -> np.ndarray:
    """The smooth staircase of `_SmoothStairs`, as a value, in float64; constant outside [0, 1]."""
    t = np.clip(x, 0, 1) * 2**bits
    return (t + np.sin(2 * np.pi * t) / (2 * np.pi)) / 2**bits


def smooth_slope(x: np.ndarray, bits: int) -> np.ndarray:
    given = torch.from_numpy(x).requires_grad_()
    UniformQuantizer(bits, smooth=True)(given).sum().backward()
    assert given.grad is not None
    return given.grad.numpy()


@pytest.mark.parametrize("bits", range(1, 9))
def test_smooth_gradient_by_finite_differences(bits: int) -> None:
    x = np.random.default_rng(bits).uniform(-0.5, 1.5, 400)
    h = 1e-6 / 2**bits
    # Within h of the ends the staircase has a kink.
    x = x[(np.abs(x) > h) & (np.abs(x - 1) > h)]
    expected = (stairs(x + h, bits) - stairs(x - h, bits)) / (2 * h)
    # Central differences: (2 pi 1e-6)^2 / 6 of curvature, and 2e-16 / 1e-6 t of rounding, t < 256.
    np.testing.assert_allclose(smooth_slope(x, bits), expected, rtol=0, atol=1e-6)
    outside = (x < 0) | (x > 1)
    assert outside.any()
    assert not smooth_slope(x[outside], bits).any()


@pytest.mark.parametrize("bits", range(1, 9))
def test_smooth_gradient_over_a_cell(bits: int) -> None:
    cells = np.arange(2**bits)
    # In the middle of a cell flat, at its ends steepest; the ends are exact in binary.
    middles, ends = (cells + 0.5) / 2**bits, np.arange(2**bits + 1) / 2**bits
    # cos is off by the square of the rounding of 2 pi t, t < 256: below 1e-24, and its own 1e-16.
    np.testing.assert_allclose(smooth_slope(middles, bits), 0, atol=1e-12)
    np.testing.assert_allclose(smooth_slope(ends, bits), 2, atol=1e-12)
    # The mean over equal steps within each cell; a sum of cosines over a period is zero.
    inside = (cells[:, None] + (np.arange(16) + 0.5) / 16) / 2**bits
    means = smooth_slope(inside.ravel(), bits).reshape(inside.shape).mean(1)
    np.testing.assert_allclose(means, 1, atol=1e-12)
    # It meets the stairs in the middle of each cell.
    np.testing.assert_allclose(stairs(middles, bits), middles, atol=1e-15)


def test_smooth_forward_is_the_plain_one() -> None:
    x = torch.linspace(-0.2, 1.2, 1001)
    for bits in (1, 3, 8):
        assert torch.equal(UniformQuantizer(bits, smooth=True)(x), UniformQuantizer(bits)(x))


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(InputError, match=r"1\.\.8"):
        UniformQuantizer(bits)
