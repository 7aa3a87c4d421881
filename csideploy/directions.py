"""Directions of precoding: what a user feeds back for each sub-band, and how well it fits.

A direction is a unit vector over ports, fixed up to a phase of its own in every sub-band: a common
phase changes neither the received power nor SGCS.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.progress import Advance, quiet

Complex = NDArray[np.complexfloating]
_CHUNK = 500


def eigenvectors(h: Complex, rank: int = 1, *, progress: Advance = quiet) -> NDArray[np.complex64]:
    """The strongest right singular vectors of every channel: y = H x, x along them.

    Args:
        h: channels, complex (n, units, rows, ports). Rows are receive antennas; several channels of
            one unit are stacked, and the vectors are those of the sum of H^H H.
        rank: layers, the strongest first.
        progress: called with samples done.

    Returns:
        complex64 (n, rank, units, ports), unit vectors; 0 where a channel is zero.

    Raises:
        InputError: another shape, fewer rows than layers, or a channel without so many directions.
    """
    if h.ndim != 4 or not np.iscomplexobj(h) or 0 in h.shape:
        raise InputError(f"channels {h.dtype} {h.shape}: complex (n, units, rows, ports) needed")
    if not 1 <= rank <= min(h.shape[2:]):
        raise InputError(f"rank {rank} of channels {h.shape[2]} x {h.shape[3]}")
    made = np.empty((len(h), rank, h.shape[1], h.shape[3]), np.complex64)
    for start in range(0, len(h), _CHUNK):
        part = h[start : start + _CHUNK].astype(np.complex128)
        _, u = np.linalg.eigh(part @ np.conj(np.swapaxes(part, 2, 3)))
        # v = H^H u over its length; the last columns are the strongest.
        v = np.conj(np.swapaxes(part, 2, 3)) @ u[..., : -rank - 1 : -1]
        size = np.linalg.norm(v, axis=2, keepdims=True)
        # Below this of the strongest, what float64 leaves of a square is noise.
        if (size < 1e-6 * size[..., :1]).any():
            raise InputError(f"a channel near sample {start} has fewer than {rank} directions")
        unit = np.divide(v, size, out=np.zeros_like(v), where=size > 0)
        made[start : start + len(part)] = np.moveaxis(unit, 3, 1)
        progress(start + len(part), len(h))
    return made


def align(v: Complex) -> NDArray[np.complex64]:
    """Turn the phases so that a direction changes as little as it can from unit to unit.

    The inner product of neighbours becomes real and not negative, and so does the sum over units
    of the first port.

    Args:
        v: complex (..., units, ports).

    Returns:
        complex64, the same shape.
    """
    inner = np.sum(np.conj(v[..., 1:, :]) * v[..., :-1, :], axis=-1, dtype=np.complex128)
    turn = np.cumsum(np.angle(inner), axis=-1)
    first = np.zeros((*turn.shape[:-1], 1))
    made = v * np.exp(1j * np.concatenate([first, turn], axis=-1))[..., None]
    whole = np.angle(np.sum(made[..., 0], axis=-1))
    return np.asarray(made * np.exp(-1j * whole)[..., None, None], np.complex64)


def cosines(v: Complex, v_hat: Complex) -> NDArray[np.float64]:
    """|v^H v_hat|^2 / (||v||^2 ||v_hat||^2) over the last axis; 0 where one of them is zero.

    Its mean over samples and sub-bands is SGCS, a value a layer (3GPP TR 38.843).
    """
    if v.shape != v_hat.shape:
        raise InputError(f"directions {v.shape} and {v_hat.shape}")
    inner = np.abs(np.sum(np.conj(v) * v_hat, axis=-1, dtype=np.complex128)) ** 2
    power = _power(v) * _power(v_hat)
    result: NDArray[np.float64] = np.divide(inner, power, out=np.zeros_like(inner), where=power > 0)
    return result


def _power(v: Complex) -> NDArray[np.float64]:
    made: NDArray[np.float64] = np.sum(np.abs(v).astype(np.float64) ** 2, axis=-1)
    return made
