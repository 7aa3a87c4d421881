"""CSI from the files and array conventions of the field, as complex (n, angle, delay).

| array | taken for |
|---|---|
| complex (N, angle, delay) | the matrix itself |
| real (N, 2, angle, delay) | real and imaginary plane |
| real (N, 2048) | CsiNet's rows: (2, 32, 32) |
| complex (N, subcarrier, antenna), domain "frequency" | transformed to (angle, delay), 32 taps |
| `HF_all`, complex (N, 4000) or (N, 32, 125), domain "frequency" | CsiNet's (angle, subcarrier) |

Real values within [0, 1] are taken as centred at 0.5 (the input of a network), others as raw.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.containers import load_array
from csideploy.channels.conventions import from_input
from csideploy.channels.transform import to_angular_delay
from csideploy.errors import InputError

CONVENTIONS = ("auto", "centred", "raw")
DOMAINS = ("angular", "frequency")
TAPS = 32

_CSINET_PLANES = (2, 32, 32)
_CSINET_SUBCARRIERS = (32, 125)

# More angles than this, and more angles than taps, is a grid of subcarriers in all likelihood.
_MOST_ANGLES = 128
# Share of the energy in the tenth of the entries that is strongest: independent Rayleigh entries
# have 0.1 (1 + ln 10) = 0.33, COST2100 matrices more than 0.9, frequency responses 0.1 to 0.45.
_SPREAD_EVENLY = 0.5


@dataclass(frozen=True)
class Csi:
    """CSI as read.

    Attributes:
        h: complex64 (n, angle, delay), on the file's scale.
        absmax: float32 (n,), largest modulus of each sample.
        description: one line that says what the file was taken for.
    """

    h: NDArray[np.complex64]
    absmax: NDArray[np.float32]
    description: str


def read_csi(path: str | Path, *, convention: str = "auto", domain: str = "angular") -> Csi:
    """Reads a CSI file.

    Args:
        path: `.npy`, `.npz`, `.h5`, `.mat` (v5 or v7.3); arrays `H`, `HT`, `HF_all`.
        convention: of real values: "centred" (0.5 is zero), "raw", or "auto".
        domain: "angular" (angle, delay) or "frequency" (subcarrier, antenna).

    Raises:
        InputError: no such file, wrong key, shape, dtype or domain, values that are not finite, or
            a sample that is zero.
    """
    if convention not in CONVENTIONS:
        raise InputError(f"unknown convention {convention!r}; there are {', '.join(CONVENTIONS)}")
    if domain not in DOMAINS:
        raise InputError(f"unknown domain {domain!r}; there are {', '.join(DOMAINS)}")
    path = Path(path)
    array, key = load_array(path, domain)
    name = f"{path}[{key}]" if key else str(path)
    try:
        return csi_from_array(array, convention=convention, domain=domain, key=key)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def csi_from_array(
    array: NDArray[Any], *, convention: str = "auto", domain: str = "angular", key: str = ""
) -> Csi:
    """Reads an array by the conventions above; arguments and errors as `read_csi`."""
    if array.dtype.kind not in "fc":
        raise InputError(f"values of type {array.dtype}; floating point or complex is needed")
    if array.size == 0:
        raise InputError(f"an empty array of shape {array.shape}")
    _check_finite(array)
    if domain == "frequency":
        h, description = _from_frequency(array, key)
    else:
        if key == "HF_all":
            raise InputError("HF_all is frequency-domain CSI: add --domain frequency")
        h, description = _from_angular(array, convention)
    with np.errstate(over="ignore"):
        h = h.astype(np.complex64, copy=False)
    absmax = np.abs(h).max(axis=(1, 2))
    _check_scale(absmax)
    if _strong_share(h) < _SPREAD_EVENLY:
        description += "; energy is spread evenly: uncorrelated fading, or the wrong --domain"
    return Csi(h=h, absmax=absmax, description=f"{len(h)} samples, {description}")


def _from_angular(array: NDArray[Any], convention: str) -> tuple[NDArray[np.complexfloating], str]:
    if np.iscomplexobj(array):
        if array.ndim == 4:
            raise InputError(
                f"complex array of shape {array.shape}; (N, angle, delay) is needed. Channels of a "
                "panel, (N, sub-band, receive, port), are for evaluate etype2,pca-ports --channel"
            )
        if array.ndim != 3:
            raise InputError(f"complex array of shape {array.shape}; (N, angle, delay) is needed")
        if convention == "centred":
            raise InputError("complex values cannot be centred at 0.5: leave --convention out")
        _, angles, delays = array.shape
        if angles > _MOST_ANGLES and angles > delays:
            raise InputError(
                f"shape {array.shape} looks like (N, subcarrier, antenna), not (N, angle, delay): "
                "add --domain frequency"
            )
        return array, f"complex (angle, delay) = {angles} x {delays}"
    if array.ndim == 2 and array.shape[1] == int(np.prod(_CSINET_PLANES)):
        layout = "CsiNet rows of 2048 = (2, 32, 32)"
        planes = array.reshape(-1, *_CSINET_PLANES)
    elif array.ndim == 4 and array.shape[1] == 2:
        layout = f"real (2, angle, delay) = 2 x {array.shape[2]} x {array.shape[3]}"
        planes = array
    else:
        raise InputError(
            f"real array of shape {array.shape}; (N, 2, angle, delay) or (N, 2048) is needed"
        )
    low, high = float(planes.min()), float(planes.max())
    within = low >= 0.0 and high <= 1.0
    if convention == "centred" and not within:
        raise InputError(f"values from {low:.4g} to {high:.4g} are not centred at 0.5 in [0, 1]")
    if convention == "centred" or (convention == "auto" and within):
        return from_input(planes), f"{layout}, centred at 0.5 ({low:.4g} to {high:.4g})"
    h = np.empty((len(planes), *planes.shape[2:]), dtype=np.complex64)
    with np.errstate(over="ignore"):
        h.real, h.imag = planes[:, 0], planes[:, 1]
    return h, f"{layout}, raw values ({low:.4g} to {high:.4g})"


def _from_frequency(array: NDArray[Any], key: str) -> tuple[NDArray[np.complexfloating], str]:
    if not np.iscomplexobj(array):
        raise InputError(
            f"real array of shape {array.shape}; --domain frequency needs complex "
            "(N, subcarrier, antenna)"
        )
    rows, points = _CSINET_SUBCARRIERS
    if key == "HF_all" and array.shape[1:] in ((rows * points,), (rows, points)):
        # These rows are angles already: the field compares them with angular matrices, row by row.
        taps = np.fft.ifft(array.reshape(-1, rows, points), axis=2)[:, :, :TAPS]
        return taps, (
            f"CsiNet's HF_all (angle, subcarrier) = {rows} x {points}, of the part of the band "
            f"that it holds, to (angle, delay) = {rows} x {TAPS}"
        )
    if array.ndim != 3:
        raise InputError(f"complex array of shape {array.shape}; (N, subcarrier, antenna) needed")
    h = to_angular_delay(array, TAPS)
    _, subcarriers, antennas = array.shape
    return h, (
        f"complex (subcarrier, antenna) = {subcarriers} x {antennas}, "
        f"to (angle, delay) = {antennas} x {TAPS}"
    )


def _first(mask: NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(mask)[0])


def _check_finite(array: NDArray[Any]) -> None:
    if array.ndim == 0:
        raise InputError("a single number; an array of samples is needed")
    bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if bad.any():
        raise InputError(f"NaN or infinity in {bad.sum()} samples, the first is {_first(bad)}")


def _check_scale(absmax: NDArray[np.float32]) -> None:
    if not np.isfinite(absmax).all():
        raise InputError(f"sample {_first(~np.isfinite(absmax))} is too large for 32-bit floats")
    zero = absmax == 0
    if zero.any():
        raise InputError(f"{zero.sum()} samples are zero, the first is {_first(zero)}")


def _strong_share(h: NDArray[np.complex64], most: int = 256) -> float:
    """Median share of the energy that the strongest tenth of a sample's entries holds."""
    step = max(1, len(h) // most)
    power = np.abs(h[::step][:most].reshape(-1, h.shape[1] * h.shape[2]).astype(np.complex128)) ** 2
    power.sort(axis=1)
    strongest = power[:, -max(1, power.shape[1] // 10) :].sum(axis=1)
    return float(np.median(strongest / power.sum(axis=1)))
