"""O-RAN modulation compression against bits written as text; weights in block floating point."""

from __future__ import annotations

import numpy as np
import pytest

from csideploy.baselines.block_floating_point import compress as compress_numbers
from csideploy.baselines.block_floating_point import decompress as decompress_numbers
from csideploy.baselines.compress_precode import floating_point_load, floating_point_precoder
from csideploy.baselines.modulation_compression import (
    ORDERS,
    bits_per_second,
    compress,
    constellation,
    decompress,
    prb_bytes,
    unit_scale,
)
from csideploy.errors import FormatError, InputError


@pytest.mark.parametrize("order", ORDERS)
def test_lossless_and_as_written(order: int) -> None:
    points = constellation(order)
    assert len(set(points.round(9))) == 2**order
    assert np.mean(np.abs(points) ** 2) == pytest.approx(1)
    rng = np.random.default_rng(order)
    symbols = points[rng.integers(2**order, size=12 * 7)]
    data = compress(symbols, order)
    assert len(data) == 7 * prb_bytes(order) == 7 * 12 * order // 8
    assert np.array_equal(decompress(data, order), symbols)
    # By hand: odd multiples of the unit, as two's complement of (odd - 1) / 2.
    unit = 1 / np.sqrt(2 * (2**order - 1) / 3)
    width = order // 2
    text = ""
    for part in symbols.view(np.float64) / unit:
        text += f"{((round(part) - 1) // 2) & (2**width - 1):0{width}b}"
    assert data == bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    # float32 symbols, and another scale.
    assert compress(symbols.astype(np.complex64), order) == data
    loud = decompress(compress(3 * symbols, order, scale=3 * unit_scale(order)), order, scale=0.5)
    np.testing.assert_allclose(loud, symbols * 0.5 / unit_scale(order), rtol=1e-12)


def test_known_qpsk() -> None:
    """1 bit of two's complement: 0 is +1/2, 1 is -1/2."""
    symbols = np.full(12, 1 + 1j) / np.sqrt(2)
    symbols[0] = (1 - 1j) / np.sqrt(2)
    assert compress(symbols, 2) == bytes([0b01000000, 0, 0])


def test_rates() -> None:
    """Gbit/s of a layer of 273 blocks at 30 kHz."""
    rates = [bits_per_second(order) / 1e9 for order in ORDERS]
    assert rates == pytest.approx([0.183, 0.367, 0.550, 0.734], abs=5e-4)


def test_refusals() -> None:
    good = np.full(12, 1 + 1j) / np.sqrt(2)
    for wrong in (good * 1.01, good * 3, good * np.nan):
        with pytest.raises(InputError, match="symbol 0 is no point of 4-QAM"):
            compress(wrong, 2)
    for shape in (good[:11], good.reshape(2, 6), good.real):
        with pytest.raises(InputError, match="a multiple of 12"):
            compress(shape, 2)
    with pytest.raises(InputError, match="symbols of 3 bits"):
        compress(good, 3)
    with pytest.raises(InputError, match="scale"):
        decompress(bytes(3), 2, scale=0.0)
    with pytest.raises(FormatError, match="a multiple of 6"):
        decompress(bytes(3), 4)


def test_weights_are_what_the_blocks_of_samples_are() -> None:
    """Twelve antennas: a stream's weights are a resource block of the sample codec."""
    rng = np.random.default_rng(3)
    w = rng.standard_normal((5, 12, 2)) + 1j * rng.standard_normal((5, 12, 2))
    w[0, :, 1] *= 0.01
    made = floating_point_precoder(w, 9)
    for matrix, own in zip(w, made, strict=True):
        step = max(np.abs(matrix.real).max(), np.abs(matrix.imag).max()) / 32767
        for stream in range(2):
            pairs = np.stack([matrix[:, stream].real, matrix[:, stream].imag], axis=1) / step
            data = compress_numbers(np.rint(pairs).astype(np.int16), 9)
            back = decompress_numbers(data, 9) + (2.0 ** data[0] - 1) / 2
            np.testing.assert_allclose(
                own[:, stream], (back[:, 0] + 1j * back[:, 1]) * step, rtol=1e-12
            )
    # 9 bits: steps of 2^-8 of the largest, an error of a third of half of one squared at most.
    error = np.sum(np.abs(made - w) ** 2) / np.sum(np.abs(w) ** 2)
    assert error < (2.0**-8) ** 2 * 2
    assert not floating_point_precoder(np.zeros((3, 2), complex), 9).any()
    assert floating_point_load(antennas=16, streams=8, width=9, reuse=2016) == pytest.approx(
        8 * (8 + 2 * 9 * 16) / 2016
    )
    with pytest.raises(InputError, match="from 2 to 16"):
        floating_point_precoder(w, 1)
    with pytest.raises(InputError, match="finite"):
        floating_point_precoder(w * np.nan, 9)
