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


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(InputError, match=r"1\.\.8"):
        UniformQuantizer(bits)
