"""The 1-bit layer against alpha sign(W) in NumPy."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from csideploy.quantizers.binary import BinaryLinear


def layer(outputs: int, inputs: int, seed: int, zeros: bool = False) -> BinaryLinear:
    torch.manual_seed(seed)
    built = BinaryLinear(inputs, outputs)
    if zeros:
        with torch.no_grad():
            built.weight[::2, ::3] = 0.0
    return built


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 99), st.booleans())
def test_forward_and_packed_agree_with_the_definition(
    outputs: int, inputs: int, seed: int, zeros: bool
) -> None:
    built = layer(outputs, inputs, seed, zeros)
    weight = built.weight.detach().numpy().astype(np.float64)
    alpha = np.abs(weight).mean()
    signs = np.where(weight >= 0, 1.0, -1.0)
    x = np.random.default_rng(seed).standard_normal((3, inputs))
    expected = x @ (alpha * signs).T + built.bias.detach().numpy()
    out = built(torch.from_numpy(x.astype(np.float32))).detach().numpy()
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)

    bits, scale, bias = built.packed()
    assert bits.shape == (outputs, (inputs + 7) // 8)
    assert bits.nbytes == outputs * ((inputs + 7) // 8)
    # MSB first, tail bits zero: written out bit by bit, not by unpackbits.
    for row in range(outputs):
        for position in range(8 * bits.shape[1]):
            bit = bits[row, position // 8] >> (7 - position % 8) & 1
            assert bit == (position < inputs and signs[row, position] > 0)
    assert np.isclose(scale, alpha, rtol=1e-5)
    np.testing.assert_array_equal(bias, built.bias.detach().numpy())


def test_gradient_passes_straight_through() -> None:
    # y = sum_ij a s_ij x_j with a = mean |W|: dy/dW_ij = a x_j (straight through the sign)
    # + s_ij mean_kl (s_kl x_l) (through the scale).
    built = layer(4, 6, 5)
    x = torch.arange(1.0, 7.0)
    built(x).sum().backward()
    weight = built.weight.detach()
    signs = torch.where(weight >= 0, 1.0, -1.0)
    expected = weight.abs().mean() * x + signs * (signs * x).mean()
    assert built.weight.grad is not None
    torch.testing.assert_close(built.weight.grad, expected)


def test_stored_size_of_the_encoder_fc() -> None:
    bits, _, _ = layer(512, 2048, 0).packed()
    assert bits.nbytes == 128 * 1024
