"""O-RAN block floating point against a slow reference that writes the bits as text."""

from typing import Any

import numpy as np
import pytest

from csideploy.baselines.block_floating_point import (
    bits_per_sample,
    compress,
    decompress,
    from_samples,
    prb_bytes,
    round_trip,
    to_samples,
)
from csideploy.errors import FormatError, InputError

Array = Any


def twos(number: int, bits: int) -> str:
    """A number in two's complement, as text."""
    assert -(1 << bits - 1) <= number < 1 << bits - 1
    return f"{number & (1 << bits) - 1:0{bits}b}"


def slowly(x: Array, width: int) -> bytes:
    """One PRB after the other: the least exponent with which all numbers fit, then the bits."""
    out = b""
    for start in range(0, len(x), 12):
        numbers = [int(value) for pair in x[start : start + 12] for value in pair]
        exponent = 0
        while any(not -(1 << width - 1) <= n >> exponent < 1 << width - 1 for n in numbers):
            exponent += 1
        text = f"{exponent:08b}" + "".join(twos(n >> exponent, width) for n in numbers)
        assert len(text) % 8 == 0
        out += bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    return out


def slowly_back(data: bytes, width: int) -> Array:
    size, numbers = 3 * width + 1, []
    for start in range(0, len(data), size):
        text = "".join(f"{byte:08b}" for byte in data[start + 1 : start + size])
        for i in range(24):
            bits = text[i * width : (i + 1) * width]
            value = int(bits, 2) - (1 << width if bits[0] == "1" else 0)
            numbers.append(value * 2 ** data[start])
    return np.array(numbers).reshape(-1, 2)


def samples() -> Array:
    """PRBs of all sizes, from 0 to full scale, the two ends of every number of bits among them."""
    rng = np.random.default_rng(5)
    rows = [rng.integers(-(1 << k), 1 << k, (12, 2)) for k in range(16) for _ in range(3)]
    for k in range(16):
        for edge in ((1 << k) - 1, -(1 << k), -(1 << k) + 1):
            row = np.zeros((12, 2), int)
            row[k % 12, k % 2] = edge
            rows.append(row)
    rows += [np.zeros((12, 2), int), np.full((12, 2), -1)]
    return np.concatenate(rows).astype(np.int16)


@pytest.mark.parametrize("width", range(1, 17))
def test_against_the_slow_reference(width: int) -> None:
    x = samples()
    data = compress(x, width)
    assert data == slowly(x, width)
    assert len(data) == len(x) // 12 * prb_bytes(width)
    back = decompress(data, width)
    assert back.dtype == np.int16
    np.testing.assert_array_equal(back, slowly_back(data, width))
    exponents = np.frombuffer(data, np.uint8).reshape(-1, prb_bytes(width))[:, 0]
    # A shift drops the low bits: what is lost is 0 to 2^e - 1, upwards never.
    lost = (x.astype(int) - back).reshape(-1, 24)
    assert (lost >= 0).all()
    assert (lost < 1 << exponents.astype(int)[:, None]).all()
    # What has been through it goes through again unchanged.
    assert np.array_equal(decompress(compress(back, width), width), back)


def test_known_values() -> None:
    """1000 needs 11 bits: with 9 the exponent is 2, the mantissa 250; -3 >> 2 is -1."""
    x = np.zeros((12, 2), np.int16)
    x[0] = 1000, -3
    data = compress(x, 9)
    assert len(data) == 28
    assert data == bytes([2, 0b01111101, 0b01111111, 0b11000000, *bytes(24)])
    assert decompress(data, 9)[0].tolist() == [1000, -4]
    x[5, 1] = -32768
    assert compress(x, 9)[0] == 7
    assert compress(x, 16) == b"\0" + x.astype(">i2").tobytes()
    assert compress(np.zeros((0, 2), np.int16), 9) == b""
    assert decompress(b"", 9).shape == (0, 2)


def test_sizes() -> None:
    sizes = {16: 49, 14: 43, 12: 37, 10: 31, 9: 28, 8: 25, 1: 4}
    for width, size in sizes.items():
        assert prb_bytes(width) == size
        assert bits_per_sample(width) == (8 + 24 * width) / 12
    assert bits_per_sample(9) == pytest.approx(18.67, abs=0.005)


@pytest.mark.parametrize("width", [6, 9, 14, 16])
def test_complex_samples(width: int) -> None:
    """About 6 dB a bit: mantissas cut off, uniformly over 2^e, lose 2^(2e) / 3 a number."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((100, 3)) + 1j * rng.standard_normal((100, 3))
    made = round_trip(x, width, 8.0)
    assert made.shape == (100, 3)
    loss = 10 * np.log10(np.sum(np.abs(made - x) ** 2) / np.sum(np.abs(x) ** 2))
    print(f"\nBFP {width}: {loss:.1f} dB, {bits_per_sample(width):.2f} bits a sample")
    # The largest of 24 Gaussian numbers is between 1.5 and 4 standard deviations: steps of at most
    # 8 / 2^W, 16 bits of full scale 8 rounded once.
    assert loss < 10 * np.log10((8 / 2**width) ** 2 / 3) + 1
    column = round_trip(x[:, 1:2], width, 8.0)
    np.testing.assert_array_equal(made[:, 1:2], column)
    padded = np.zeros(108, complex)
    padded[:100] = x[:, 1]
    again = from_samples(decompress(compress(padded, width, full_scale=8.0), width), 8.0)
    np.testing.assert_array_equal(again[:100], column[:, 0])


def test_full_scale() -> None:
    x = np.array([1.0 + 1e9j, -1.0 - 2.0j, 0.25 - 0.25j / 2**15])
    assert to_samples(x, 1.0).tolist() == [[32767, 32767], [-32768, -32768], [8192, 0]]
    np.testing.assert_array_equal(from_samples(to_samples(x[2:], 1.0), 1.0), [0.25])


def test_refusals() -> None:
    good, wave = np.zeros((12, 2), np.int16), np.zeros(12, complex)
    for width in (0, 17, 9.0, True):
        with pytest.raises(InputError, match="from 1 to 16"):
            compress(good, width)  # type: ignore[arg-type]
    for x in (good[:11], good[:, :1], good.astype(np.int32), good.reshape(-1)):
        with pytest.raises(InputError, match="n a multiple of 12"):
            compress(x, 9)
    for x, scale in ((good, 1.0), (wave, None)):
        with pytest.raises(InputError, match="full scale"):
            compress(x, 9, full_scale=scale)
    for scale in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(InputError, match="above 0"):
            compress(wave, 9, full_scale=scale)
    with pytest.raises(InputError, match="not finite"):
        compress(wave * np.nan, 9, full_scale=1.0)
    with pytest.raises(InputError, match="resource elements, antennas"):
        round_trip(wave, 9, 1.0)
    with pytest.raises(FormatError, match="27 bytes of PRBs: a multiple of 28"):
        decompress(bytes(27), 9)
    with pytest.raises(FormatError, match="exponent 8 of mantissas of 9 bits: 0 to 7"):
        decompress(bytes([8, *bytes(27)]), 9)
