"""What compress-and-precode takes of the fronthaul, eq. (11), and its quantizer."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from csideploy.baselines.compress_precode import (
    BITS,
    CODE_RATE,
    SHARED,
    fronthaul_bits,
    power_factor,
    precoder_load,
    quantize_precoder,
    sum_rate_within,
)
from csideploy.errors import InputError

Array = Any


def matrices(*shape: int, seed: int = 0) -> Array:
    parts = np.random.default_rng(seed).standard_normal((2, *shape))
    return parts[0] + 1j * parts[1]


def test_equation_11() -> None:
    """The paper's setting: 16 antennas, 8 streams, 16 bits an entry, rate 1/2."""
    assert SHARED == (8064, 6048, 4032, 2016)
    loads = [Fraction(16 * 8 * 16, reuse) for reuse in SHARED]
    for reuse, load in zip(SHARED, loads, strict=True):
        for rate in (0.0, 12.5, 40.0):
            bits = fronthaul_bits(rate, CODE_RATE, 16, 8, BITS, reuse)
            assert bits == pytest.approx(float(2 * Fraction(rate) + load), rel=1e-15)
            assert sum_rate_within(bits, CODE_RATE, 16, 8, BITS, reuse) == pytest.approx(rate)
    assert fronthaul_bits(30.0, 0.5, 16, 8, 16, 2016) == pytest.approx(60 + 2048 / 2016)


def test_a_link_that_the_precoder_fills() -> None:
    """2 antennas, 6 streams, 1 bit, shared by 4 * 12 * 14: the least of Section V-A."""
    load = precoder_load(antennas=2, streams=6, precoder_bits=1, reuse=672)
    assert load == 12 / 672
    assert sum_rate_within(load, 0.5, 2, 6, 1, 672) == 0
    assert sum_rate_within(load / 2, 0.5, 2, 6, 1, 672) == 0
    assert sum_rate_within(2.0, 0.5, 2, 6, 1, 672) == pytest.approx((2 - load) / 2)


def test_error_falls_with_every_bit() -> None:
    w = matrices(50, 16, 8)
    errors = [
        np.sum(np.abs(quantize_precoder(w, bits) - w) ** 2, axis=(1, 2)) for bits in range(1, 61)
    ]
    for fewer, more in pairwise(errors):
        assert (more < fewer).mean() > 0.9
        assert more.sum() < fewer.sum()
    power = np.sum(np.abs(w) ** 2, axis=(1, 2))
    shares = {bits: float(np.mean(errors[bits - 1] / power)) for bits in (1, 2, 4, 8, 16)}
    decibels = {bits: f"{10 * np.log10(share):.1f} dB" for bits, share in shares.items()}
    print(f"\nerror of Q_CP: {decibels}")
    # Of Gaussian numbers a sign leaves 1 - 2 / pi; the best uniform quantizers of 2 and 4 bits
    # leave -9.25 and -19.4 dB (Max, 1960). 8 bits over 2.8 standard deviations, where the largest
    # of 256 numbers lies, leave (5.6 / 256)^2 / 12.
    assert shares[1] == pytest.approx((1 + 1 - 2 / np.pi) / 2, rel=0.03)
    assert shares[2] == pytest.approx(1 - 2 / np.pi, rel=0.03)
    assert shares[4] == pytest.approx(0.1188, rel=0.05)
    assert shares[8] == pytest.approx(0.01154, rel=0.1)
    assert 3e-5 < shares[16] < 8e-5


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 16])
def test_levels(bits: int) -> None:
    """At most 2^b values a part, equal steps apart, the same up and down."""
    w = matrices(3, 64, 8, seed=1)
    for made in quantize_precoder(w, bits):
        for part, share in ((made.real, (bits + 1) // 2), (made.imag, bits // 2)):
            values = np.unique(np.round(np.abs(part), 14))
            assert len(values) <= max(1, 1 << share >> 1)
            if share:
                steps = values / values[0]
                assert np.allclose(steps, np.rint(steps), rtol=0, atol=1e-6 * steps.max())
                assert (np.rint(steps) % 2 == 1).all()
            else:
                assert not part.any()
    assert np.array_equal(np.sign(quantize_precoder(w, bits).real), np.sign(w.real))


def test_each_matrix_by_itself_and_of_any_size() -> None:
    w = matrices(4, 16, 8, seed=2) * np.array([1e-200, 1.0, 1e200, 0.0])[:, None, None]
    made = quantize_precoder(w, 8)
    for one, alone in zip(made, w, strict=True):
        np.testing.assert_array_equal(one, quantize_precoder(alone, 8))
    np.testing.assert_allclose(made[0] / 1e-200, quantize_precoder(w[0] / 1e-200, 8), rtol=1e-12)
    assert not made[3].any()
    np.testing.assert_allclose(quantize_precoder(w, 100), w, rtol=1e-15)
    np.testing.assert_allclose(quantize_precoder(w, 2048), w, rtol=1e-15)


def test_the_power_is_held() -> None:
    w = matrices(5, 16, 8, seed=3)
    for bits in (1, 2, 16):
        made = quantize_precoder(w, bits)
        gamma = power_factor(made, 2.5)
        assert gamma.shape == (5, 1, 1)
        sent = gamma * made
        np.testing.assert_allclose(np.sum(np.abs(sent) ** 2, axis=(1, 2)), 2.5, rtol=1e-12)
    assert power_factor(np.zeros((2, 3), complex)).tolist() == [[0.0]]


def test_refusals() -> None:
    good = matrices(4, 2)
    for bits in (0, 1.0, True):
        with pytest.raises(InputError, match="whole number of 1 or more"):
            quantize_precoder(good, bits)  # type: ignore[arg-type]
    for w in (good.real, good[0], good[:0]):
        with pytest.raises(InputError, match=r"complex \(..., antennas, L\)"):
            quantize_precoder(w, 2)
    with pytest.raises(InputError, match="not finite"):
        quantize_precoder(good * np.nan, 2)
    with pytest.raises(InputError, match="power 0"):
        power_factor(good, 0.0)
    how: dict[str, Any] = {"antennas": 2, "streams": 2, "precoder_bits": 2, "reuse": 9}
    for name, text in (("antennas", "antennas"), ("precoder_bits", "bits"), ("reuse", "reuse")):
        with pytest.raises(InputError, match=f"{text} 0: a whole number"):
            fronthaul_bits(1.0, 0.5, **{**how, name: 0})
    for rate in (0.0, 1.1, np.nan):
        with pytest.raises(InputError, match="code rate"):
            fronthaul_bits(1.0, rate, **how)
        with pytest.raises(InputError, match="code rate"):
            sum_rate_within(1.0, rate, **how)
    for value in (-1.0, np.inf, np.nan):
        with pytest.raises(InputError, match="sum-rate"):
            fronthaul_bits(value, 0.5, **how)
        with pytest.raises(InputError, match="fronthaul of"):
            sum_rate_within(value, 0.5, **how)
