"""Channel estimates to an encoder's input in C, against NumPy in float64."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from csideploy.channels.conventions import to_input
from csideploy.channels.transform import to_angular_delay
from csideploy.errors import InputError
from csideploy.runtime import angular_delay, instruction_sets
from csideploy.runtime.angular_delay import _transform

Complex = NDArray[np.complex64]


def channels(count: int, subcarriers: int, antennas: int, seed: int = 0) -> Complex:
    random = np.random.default_rng(seed)
    shape = (count, subcarriers, antennas, 2)
    return random.normal(size=shape).astype(np.float32).view(np.complex64)[..., 0]


def exact(h: Complex, delays: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By the definition, from matrices, in double precision; x and the complex matrix."""
    _, k, a = h.shape
    taps = np.exp(2j * np.pi * np.outer(np.arange(delays), np.arange(k)) / k) / k
    rows = np.arange(a) - a // 2
    angles = np.exp(-2j * np.pi * np.outer(rows, np.arange(a)) / a) / np.sqrt(a)
    found = angles @ np.swapaxes(taps @ h.astype(complex), 1, 2)
    absmax = np.abs(found).max(axis=(1, 2))
    scaled = found / (2 * absmax[:, None, None]) + (0.5 + 0.5j)
    return np.stack([scaled.real, scaled.imag], axis=1), absmax


def bound(h: Complex, absmax: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of x. The transform is unitary up to 1 / sqrt(K): all of H, the cut taps too, has the norm
    |h| / sqrt(K). Rounding leaves a few 2^-24 of it in a number of H, 8 at most here, which is
    divided by 2 max|H|; the sum with 0.5 rounds once more."""
    power = np.sqrt((np.abs(h.astype(complex)) ** 2).sum(axis=(1, 2)) / h.shape[1])
    return np.asarray(2.0**-24 * (1 + 8 * power / (2 * absmax)))


@settings(max_examples=120, deadline=None)
@given(
    count=st.integers(1, 3),
    subcarriers=st.one_of(
        st.integers(1, 70), st.sampled_from([96, 125, 144, 257, 272, 300, 512, 1024])
    ),
    antennas=st.one_of(st.integers(1, 35), st.sampled_from([48, 64])),
    part=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_any_size(count: int, subcarriers: int, antennas: int, part: int, seed: int) -> None:
    h, delays = channels(count, subcarriers, antennas, seed), min(part, subcarriers)
    x, absmax = angular_delay(h, delays)
    want, want_absmax = exact(h, delays)
    assert x.dtype == absmax.dtype == np.float32
    assert x.shape == (count, 2, antennas, delays)
    assert np.all(np.abs(x - want).max(axis=(1, 2, 3)) <= bound(h, want_absmax))
    np.testing.assert_allclose(absmax, want_absmax, rtol=4e-6)
    assert x.min() >= 0
    assert x.max() <= 1


@pytest.mark.parametrize("subcarriers", [1024, 257, 3276, 52])
def test_is_what_the_files_are_made_by(subcarriers: int) -> None:
    h = channels(4, subcarriers, 32)
    x, absmax = angular_delay(h)
    want, want_absmax = to_input(to_angular_delay(h.astype(np.complex128)))
    np.testing.assert_allclose(x, want, atol=3e-7)  # four of x's own last digits at 0.5 to 1
    np.testing.assert_allclose(absmax, want_absmax, rtol=4e-6)


@pytest.mark.parametrize(
    ("subcarriers", "antennas", "delays"), [(48, 7, 19), (36, 32, 32), (25, 9, 7)]
)
def test_every_instruction_set_gives_the_same_bits(
    subcarriers: int, antennas: int, delays: int
) -> None:
    h = channels(2, subcarriers, antennas)
    found = []
    for isa in instruction_sets():
        out = np.empty((2, 2, antennas, delays), np.float32), np.empty(2, np.float32)
        assert _transform(subcarriers, antennas, delays, isa).run(h, out, 2) == 2
        found.append(out)
    for x, absmax in found[1:]:
        assert np.array_equal(x, found[0][0])
        assert np.array_equal(absmax, found[0][1])


@pytest.mark.parametrize("gain", [1e-20, 1e-7, 1e15])
def test_a_scale_changes_nothing(gain: float) -> None:
    """Path loss may stand in the estimate: squares of 1e-20 would be zero in float32."""
    h = channels(1, 64, 8)
    x, absmax = angular_delay(h, 16)
    y, other = angular_delay((h * np.float32(gain)).astype(np.complex64), 16)
    np.testing.assert_allclose(x, y, atol=4e-7)
    np.testing.assert_allclose(other, absmax * np.float32(gain), rtol=1e-6)


def test_refuses() -> None:
    h = channels(3, 16, 4)
    with pytest.raises(InputError, match="complex64 \\(n, subcarrier, antenna\\) needed"):
        angular_delay(h.astype(np.complex128))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="complex64"):
        angular_delay(h[0])
    for delays in (0, 17, -1):
        with pytest.raises(InputError, match="delay taps from 16 subcarriers"):
            angular_delay(h, delays)
    with pytest.raises(InputError, match="0 subcarriers x 4 antennas"):
        angular_delay(h[:, :0], 1)
    with pytest.raises(InputError, match="too large"):
        angular_delay(np.zeros((0, 65535, 1), np.complex64), 65535)
    h[1] = 0
    with pytest.raises(InputError, match="sample 1 is zero"):
        angular_delay(h, 8)
    for value in (np.nan, np.inf):
        h[1, 5, 2] = value
        with pytest.raises(InputError, match="sample 1 is not finite"):
            angular_delay(h, 8)
    good = np.empty((3, 2, 4, 8), np.float32), np.empty(3, np.float32)
    for bad in (good[0][:, :, :, :7], good[0].astype(np.float64), good[0].swapaxes(2, 3)):
        with pytest.raises(InputError, match="out"):
            angular_delay(channels(3, 16, 4), 8, out=(bad, good[1]))  # type: ignore[arg-type]


def test_layouts_and_given_results() -> None:
    h = channels(3, 40, 5)
    want = angular_delay(h, 9)
    out = np.empty_like(want[0]), np.empty_like(want[1])
    turned = np.asfortranarray(h)
    back = angular_delay(turned, 9, out=out)
    assert back[0] is out[0]
    assert np.array_equal(out[0], want[0])
    assert np.array_equal(out[1], want[1])
    empty, none = angular_delay(h[:0], 9)
    assert (empty.shape, none.shape) == ((0, 2, 5, 9), (0,))


def test_reads_and_writes_nothing_outside() -> None:
    """Between other numbers, at every alignment of an element."""
    for subcarriers, antennas, delays in ((32, 3, 5), (20, 9, 17), (7, 5, 7)):
        h = channels(1, subcarriers, antennas)
        want, _ = angular_delay(h, delays)
        for shift in (1, 3, 9):
            room = np.full(h.size * 2 + 32, np.nan, np.float32)
            inside = room[2 * shift : 2 * shift + 2 * h.size].view(np.complex64).reshape(h.shape)
            inside[:] = h
            result = np.full(want.size + 32, 7, np.float32)
            x = result[shift : shift + want.size].reshape(want.shape)
            angular_delay(inside, delays, out=(x, np.empty(1, np.float32)))
            assert np.array_equal(x, want)
            assert np.all(result[:shift] == 7)
            assert np.all(result[shift + want.size :] == 7)


def test_from_several_threads() -> None:
    h = channels(40, 64, 8)
    want = angular_delay(h, 16)[0]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(20):
            if not np.array_equal(angular_delay(h[i : i + 10], 16)[0], want[i : i + 10]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 10, 20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
