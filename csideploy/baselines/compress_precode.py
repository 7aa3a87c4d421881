"""Compress-and-precode (CP): the DU sends coded bits and quantized precoders, RUs precode.

Source: "Scalable multivariate fronthaul quantization for cell-free massive MIMO", Section II-B. The
fronthaul link of RU m carries, in bits a channel use, eq. (11),

    B_m >= R_sum / R_code + N_m L B_CP / K_CP

all users' coded bits, and a precoding matrix W_m (N_m, L) of B_CP bits a complex entry that holds
for K_CP channel uses. The RU sends x_m = gamma_m W_hat_m s, eq. (10).

The paper leaves Q_CP open beyond "entry-wise uniform". Here real and imaginary part of an entry
have B_CP / 2 bits each; of an odd number the real part has one more, so that with 1 bit only the
sign of the real part is sent. 2^b levels lie in the middles of equal steps over [-a, a], what is
beyond saturates. a is one number a matrix, sent beside and not counted (once in K_CP channel uses):
the part of max(|re|, |im|) with the least squared error, the choice that flatters CP most.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.block_floating_point import SAMPLE_BITS
from csideploy.errors import InputError

SHARED = tuple(12 * 14 * blocks for blocks in (48, 36, 24, 12))
"""K_CP of Section V: PRBs of 12 resource elements, 14 symbols a slot."""
BITS = 16
"""B_CP of Section V."""
CODE_RATE = 0.5
"""R_code of Section V."""

_SHARES = np.arange(32, 0, -1) / 32
"""Parts of the largest value that are tried as the range."""
_FINE = 20
"""Bits of a real number from which on the whole range is the best."""
_EXACT = 50
"""From here on a step is as fine as float64: the number itself."""

Complex = NDArray[np.complexfloating[Any, Any]]
Double = NDArray[np.complex128]


def precoder_load(*, antennas: int, streams: int, precoder_bits: int, reuse: int) -> float:
    """N_m L B_CP / K_CP, bits a channel use.

    Args:
        antennas: N_m, of the RU.
        streams: L, of all users.
        precoder_bits: B_CP, a complex entry.
        reuse: K_CP, channel uses that share a precoder.

    Raises:
        InputError: a size that is no whole number of 1 or more.
    """
    sizes = {"antennas": antennas, "streams": streams, "bits": precoder_bits, "reuse": reuse}
    for name, value in sizes.items():
        if type(value) is not int or value < 1:
            raise InputError(f"{name} {value}: a whole number of 1 or more")
    return antennas * streams * precoder_bits / reuse


def fronthaul_bits(
    sum_rate: float,
    code_rate: float,
    antennas: int,
    streams: int,
    precoder_bits: int,
    reuse: int,
) -> float:
    """The least B_m of eq. (11), bits a channel use.

    Args:
        sum_rate: R_sum of all users, bits a channel use, 0 or more.
        code_rate: R_code, above 0, at most 1.
        antennas: N_m, of the RU.
        streams: L, of all users.
        precoder_bits: B_CP, a complex entry.
        reuse: K_CP, channel uses that share a precoder.

    Raises:
        InputError: a number out of range.
    """
    _check_rate(code_rate)
    if not 0 <= sum_rate < np.inf:
        raise InputError(f"sum-rate {sum_rate}: a finite number of 0 or more")
    load = precoder_load(
        antennas=antennas, streams=streams, precoder_bits=precoder_bits, reuse=reuse
    )
    return sum_rate / code_rate + load


def sum_rate_within(
    bits: float,
    code_rate: float,
    antennas: int,
    streams: int,
    precoder_bits: int,
    reuse: int,
) -> float:
    """The largest R_sum that eq. (11) lets through a link; 0 where the precoder alone fills it.

    Args:
        bits: B_m, bits a channel use, 0 or more.
        code_rate: R_code, above 0, at most 1.
        antennas: N_m, of the RU.
        streams: L, of all users.
        precoder_bits: B_CP, a complex entry.
        reuse: K_CP, channel uses that share a precoder.

    Raises:
        InputError: a number out of range.
    """
    _check_rate(code_rate)
    if not 0 <= bits < np.inf:
        raise InputError(f"fronthaul of {bits} bits: a finite number of 0 or more")
    load = precoder_load(
        antennas=antennas, streams=streams, precoder_bits=precoder_bits, reuse=reuse
    )
    return max(0.0, (bits - load) * code_rate)


def _check_rate(code_rate: float) -> None:
    if not 0 < code_rate <= 1:
        raise InputError(f"code rate {code_rate}: above 0, at most 1")


def quantize_precoder(precoder: Complex, bits: int) -> Double:
    """Q_CP of each matrix: W_hat, before `power_factor`.

    Args:
        precoder: W, complex (..., N_m, L); each RU's matrix by itself, with a range of its own.
        bits: B_CP, 1 or more, a complex entry. From 100 on a float64 is what it was.

    Returns:
        complex128 of the same shape.

    Raises:
        InputError: another shape or type, a number that is not finite, or no whole number of bits.
    """
    if type(bits) is not int or bits < 1:
        raise InputError(f"precoder of {bits} bits an entry: a whole number of 1 or more")
    precoder = np.asarray(precoder)
    if precoder.dtype.kind != "c" or precoder.ndim < 2 or 0 in precoder.shape[-2:]:
        raise InputError(f"precoder {precoder.dtype} {precoder.shape}: complex (..., antennas, L)")
    if not np.isfinite(precoder).all():
        raise InputError("precoder: a number is not finite")
    w = precoder.astype(np.complex128)
    largest = np.maximum(np.abs(w.real), np.abs(w.imag)).max(axis=(-2, -1), keepdims=True)
    # Matrices of zeros come back as they are; the others with a largest part of 1.
    w = np.divide(w, largest, out=np.zeros_like(w), where=largest > 0)
    best = _quantized(w, 1.0, bits)
    if bits // 2 < _FINE:
        error = _error(w, best)
        for share in _SHARES[1:]:
            tried = _quantized(w, float(share), bits)
            found = _error(w, tried)
            best = np.where(found < error, tried, best)
            error = np.minimum(found, error)
    return np.asarray(best * largest, np.complex128)


def floating_point_load(*, antennas: int, streams: int, width: int, reuse: int) -> float:
    """Bits a channel use of weights in block floating point: per stream an exponent byte.

    O-RAN's beamforming weights have their own compression header: the vector of one stream over the
    antennas shares an exponent. Arguments as `precoder_load`, width the mantissas' bits.

    Raises:
        InputError: a size that is no whole number of 1 or more.
    """
    entries = precoder_load(
        antennas=antennas, streams=streams, precoder_bits=2 * width, reuse=reuse
    )
    return entries + 8 * streams / reuse


def floating_point_precoder(precoder: Complex, width: int) -> Double:
    """W_hat of weights in block floating point; a stream's vector shares an exponent.

    Numbers are first of 16 bits, the largest part of the matrix just within. The receiver adds half
    a step to what the shift cut off, as in `block_floating_point.round_trip`.

    Args:
        precoder: W, complex (..., N_m, L).
        width: bits of a mantissa, 2 to 16.

    Raises:
        InputError: another shape or width, or a number that is not finite.
    """
    if type(width) is not int or not 2 <= width <= SAMPLE_BITS:
        raise InputError(f"mantissas of {width} bits: a whole number from 2 to {SAMPLE_BITS}")
    w = np.asarray(precoder, np.complex128)
    if w.ndim < 2 or 0 in w.shape[-2:] or not np.isfinite(w).all():
        raise InputError(f"precoder {w.shape}: finite, complex (..., antennas, L)")
    parts = np.stack([w.real, w.imag])
    largest = np.abs(parts).max(axis=(0, -2, -1), keepdims=True)
    most = 2.0 ** (SAMPLE_BITS - 1) - 1
    # A matrix of zeros comes back as it is.
    step = np.where(largest > 0, largest, 1.0) / most
    numbers = np.rint(parts / step).astype(np.int64)
    # ~x is |x| - 1 below zero: both sides then need one bit more than their own length.
    size = np.where(numbers < 0, ~numbers, numbers).max(axis=(0, -2), keepdims=True)
    needed = 1 + np.ceil(np.log2(size + 1.0)).astype(np.int64)
    exponent = np.maximum(needed - width, 0)
    held = ((numbers >> exponent) << exponent) + (2.0**exponent - 1) / 2
    made = np.where(largest > 0, held * step, 0.0)
    return np.asarray(made[0] + 1j * made[1], np.complex128)


def power_factor(precoder: Complex, power: float = 1.0) -> NDArray[np.float64]:
    """gamma_m, so that E|gamma_m W_hat_m s|^2 = P_m for E[s s^H] = I, eqs. (6) and (10).

    Args:
        precoder: W_hat, complex (..., N_m, L).
        power: P_m, above 0.

    Returns:
        (..., 1, 1), to multiply by; 0 for a matrix of zeros.

    Raises:
        InputError: the power is not above 0.
    """
    if not 0 < power < np.inf:
        raise InputError(f"power {power}: a finite number above 0")
    size = np.linalg.norm(np.asarray(precoder, np.complex128), axis=(-2, -1), keepdims=True)
    gamma = np.divide(np.sqrt(power), size, out=np.zeros_like(size), where=size > 0)
    return np.asarray(gamma, np.float64)


def _error(w: Double, made: Double) -> NDArray[np.float64]:
    return np.asarray(np.sum(np.abs(made - w) ** 2, axis=(-2, -1), keepdims=True), np.float64)


def _quantized(w: Double, limit: float, bits: int) -> Double:
    made = np.empty_like(w)
    made.real = _levels(w.real, limit, (bits + 1) // 2)
    made.imag = _levels(w.imag, limit, bits // 2)
    return made


def _levels(x: NDArray[np.float64], limit: float, bits: int) -> NDArray[np.float64]:
    """The middle of each number's step in [-limit, limit]; no bits: 0."""
    if bits == 0:
        return np.zeros_like(x)
    if bits >= _EXACT:
        return x
    half = 2.0 ** (bits - 1)
    code = np.clip(np.floor(x * (half / limit)), -half, half - 1)
    return np.asarray((code + 0.5) * (limit / half), np.float64)
