"""Quality of reconstructed CSI: NMSE, rho and SGCS.

All take complex (n, angle, delay) matrices of the angular-delay domain, are means over samples
(so that the means of equal chunks may be averaged), and do not change when a sample and its
reconstruction are scaled together.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

ComplexArray = NDArray[np.complexfloating]
Real = NDArray[np.float64]

FREQUENCY_POINTS = 257
"""Length to which the delay axis is zero-padded: the field's files have 257 subcarriers."""

RATED_SUBCARRIERS = 125
"""The first ones of the 257: the field's tables are computed on these."""

_CHUNK = 1000


def to_db(ratio: float) -> float:
    """10 log10(ratio); minus infinity for 0."""
    with np.errstate(divide="ignore"):
        return float(10.0 * np.log10(ratio))


def nmse(h: ComplexArray, h_hat: ComplexArray) -> float:
    """Normalised mean square error, linear.

    NMSE = mean over samples of ||H - H_hat||_F^2 / ||H||_F^2 (as in CsiNet, Wen et al. 2018),
    both scaled by the sample's own max|H| (any common scale cancels out).

    Args:
        h: reference, (n, angle, delay).
        h_hat: reconstruction on the same scale, (n, angle, delay).

    Raises:
        InputError: shapes differ, or a reference sample is zero.
    """
    _check(h, h_hat)
    total = 0.0
    for reference, estimate in _chunks(h, h_hat):
        scale = np.abs(reference).max(axis=(1, 2), keepdims=True)
        reference, estimate = reference / scale, estimate / scale
        error = _power(reference - estimate, axis=(1, 2))
        total += float(np.sum(error / _power(reference, axis=(1, 2))))
    return total / len(h)


def rho(h: ComplexArray, h_hat: ComplexArray) -> float:
    """Cosine similarity over frequency.

    rho = mean over samples and subcarriers of |h_k^H h_hat_k| / (||h_k|| ||h_hat_k||) (as in
    CsiNet, Wen et al. 2018), h_k the column of subcarrier k: delay axis zero-padded to 257, FFT,
    first 125 points.
    The angle axis stays as it is, since a unitary transform changes no inner product.

    Args, raises: as `nmse`.
    """
    _check(h, h_hat)
    total = sum(float(np.sum(np.sqrt(_squared_cosine(*pair)))) for pair in _chunks(h, h_hat))
    return total / (len(h) * RATED_SUBCARRIERS)


def sgcs(h: ComplexArray, h_hat: ComplexArray) -> float:
    """Squared generalised cosine similarity over frequency, 3GPP's intermediate measure.

    SGCS = mean over samples and subcarriers of |h_k^H h_hat_k|^2 / (||h_k||^2 ||h_hat_k||^2)
    (3GPP TR 38.843), on the same subcarriers as `rho`. With one receive antenna the channel
    vector is the precoding direction.

    Args, raises: as `nmse`.
    """
    _check(h, h_hat)
    total = sum(float(np.sum(_squared_cosine(*pair))) for pair in _chunks(h, h_hat))
    return total / (len(h) * RATED_SUBCARRIERS)


def by_sample(h: ComplexArray, h_hat: ComplexArray) -> Real:
    """NMSE (linear), SGCS and rho of each sample, (3, n), whose means are the three above.

    Args:
        h: reference, (n, angle, delay).
        h_hat: reconstruction on the same scale, (n, angle, delay).

    Raises:
        InputError: shapes differ, or a reference sample is zero.
    """
    _check(h, h_hat)
    parts = []
    for reference, estimate in _chunks(h, h_hat):
        error = _power(reference - estimate, axis=(1, 2)) / _power(reference, axis=(1, 2))
        squared = _squared_cosine(reference, estimate)
        parts.append([error, squared.mean(axis=1), np.sqrt(squared).mean(axis=1)])
    return np.concatenate(parts, axis=1)


def _check(h: ComplexArray, h_hat: ComplexArray) -> None:
    if h.shape != h_hat.shape:
        raise InputError(f"CSI of shape {h.shape} and its reconstruction of shape {h_hat.shape}")
    if h.ndim != 3 or h.size == 0:
        raise InputError(f"CSI of shape {h.shape}; complex (n, angle, delay) is needed")
    if h.shape[2] > FREQUENCY_POINTS:
        raise InputError(f"{h.shape[2]} delay taps; at most {FREQUENCY_POINTS} can be zero-padded")
    zero = np.flatnonzero(~h.any(axis=(1, 2)))
    if zero.size:
        raise InputError(f"reference sample {zero[0]} is zero: no relative error exists for it")


def _chunks(h: ComplexArray, h_hat: ComplexArray) -> Iterator[tuple[ComplexArray, ComplexArray]]:
    for start in range(0, len(h), _CHUNK):
        at = slice(start, start + _CHUNK)
        yield h[at], h_hat[at]


def _power(values: ComplexArray, axis: int | tuple[int, int]) -> Real:
    squares = values.real.astype(np.float64) ** 2 + values.imag.astype(np.float64) ** 2
    return np.asarray(squares.sum(axis=axis))


def _subcarriers(h: ComplexArray) -> ComplexArray:
    """(n, angle, 125): zero-padded FFT along the delay, as one matrix product."""
    turns = np.outer(np.arange(h.shape[2]), np.arange(RATED_SUBCARRIERS)) / FREQUENCY_POINTS
    dft = np.exp(-2j * np.pi * turns)
    dft = dft.astype(np.complex64 if h.dtype == np.complex64 else np.complex128)
    # One product of two matrices: as a batch of small ones, BLAS starts its threads for each.
    return np.asarray((h.reshape(-1, h.shape[-1]) @ dft).reshape(*h.shape[:-1], dft.shape[1]))


def _squared_cosine(h: ComplexArray, h_hat: ComplexArray) -> Real:
    """(n, 125); 0 where the reconstruction (or the reference) has no energy."""
    first, second = _subcarriers(h), _subcarriers(h_hat)
    inner = np.einsum("nak,nak->nk", first.conj(), second)
    top = inner.real.astype(np.float64) ** 2 + inner.imag.astype(np.float64) ** 2
    bottom = _power(first, axis=1) * _power(second, axis=1)
    result: Real = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0.0)
    return result
