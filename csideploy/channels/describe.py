"""What is in a CSI file: how it was read, its scale, sparsity, delay and angle spread."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.agreement import angle_profile, delay_profile, rms_delay_spread
from csideploy.channels.files import Csi, read_csi
from csideploy.channels.parts import subcarriers_of
from csideploy.channels.synthesis import SPACING, SUBCARRIERS

Real = NDArray[np.float64]

_MOST_ROWS = 5000
_LEVELS = (5, 50, 95)


def describe(
    path: str | Path, *, convention: str = "auto", domain: str = "angular"
) -> dict[str, Any]:
    """Reads a file and sums it up; arguments and errors as `read_csi`.

    Returns plain numbers, strings and lists, ready for JSON:

    - `taken_for`, `samples`, `angles`, `delays`;
    - `absmax`: the samples' largest moduli (smallest, median, largest);
    - `energy_to_peak`: median of ||H||^2 / max|H|^2;
    - `coefficients`: how many of a sample's complex entries hold 90 % and 99 % of its energy, and
      how many lie within 20 dB of its peak;
    - `subcarriers`: those that a generated file names, else null; `tap_ns`: what that makes a tap,
      49.8 ns for the field's 257, which is also assumed where the file says nothing;
    - `rms_delay_spread_taps`, `rms_delay_spread_ns`, `circular_angle_spread_bins`;
    - `delay_profile`, `angle_profile`: mean share of a sample's energy by tap and by angle row.

    Spreads and counts are the 5 %, 50 % and 95 % points. All but the scale are taken from at most
    5000 samples, spread evenly over the file; `samples_described` is their number.
    """
    csi = read_csi(path, convention=convention, domain=domain)
    return {"file": str(path), **describe_csi(csi, subcarriers=_named(Path(path)))}


def _named(path: Path) -> int | None:
    """Subcarriers in the parameters of a generated file."""
    if path.suffix.lower() != ".npz":
        return None
    with np.load(path, allow_pickle=False) as archive:
        try:
            return subcarriers_of(str(archive["parameters"]))
        except (KeyError, ValueError):
            return None


def describe_csi(csi: Csi, *, subcarriers: int | None = None) -> dict[str, Any]:
    """As `describe`, of CSI in memory."""
    tap_ns = 1e9 / ((subcarriers or SUBCARRIERS) * SPACING)
    step = -(-len(csi.h) // _MOST_ROWS)
    h = csi.h[::step] / csi.absmax[::step, None, None]
    power = np.sort(np.abs(h).reshape(len(h), -1).astype(np.float64) ** 2, axis=1)[:, ::-1]
    energy = np.cumsum(power, axis=1)
    share = energy / energy[:, -1:]
    by_angle = angle_profile(h)
    delay_spread = rms_delay_spread(h)
    return {
        "taken_for": csi.description,
        "samples": len(csi.h),
        "angles": csi.h.shape[1],
        "delays": csi.h.shape[2],
        "samples_described": len(h),
        "subcarriers": subcarriers,
        "tap_ns": tap_ns,
        "absmax": [float(v) for v in (csi.absmax.min(), np.median(csi.absmax), csi.absmax.max())],
        "energy_to_peak": float(np.median(energy[:, -1])),
        "coefficients": {
            "for_90_percent_of_energy": _levels((share < 0.90).sum(axis=1) + 1.0),
            "for_99_percent_of_energy": _levels((share < 0.99).sum(axis=1) + 1.0),
            "within_20_db_of_peak": _levels((power >= 0.01).sum(axis=1).astype(np.float64)),
        },
        "rms_delay_spread_taps": _levels(delay_spread),
        "rms_delay_spread_ns": _levels(delay_spread * tap_ns),
        "circular_angle_spread_bins": _levels(circular_angle_spread(by_angle)),
        "delay_profile": [float(value) for value in delay_profile(h).mean(axis=0)],
        "angle_profile": [float(value) for value in by_angle.mean(axis=0)],
    }


def circular_angle_spread(profile: Real) -> Real:
    """Circular standard deviation of angle profiles (n, angle), in DFT bins: (n,).

    sqrt(-2 ln R) angles / (2 pi), R = |sum_a p_a exp(j 2 pi a / angles)|: DFT bins lie on a ring.
    """
    angles = profile.shape[1]
    ring = np.exp(2j * np.pi * np.arange(angles) / angles)
    length = np.clip(np.abs(profile @ ring), 1e-300, 1.0)
    return np.asarray(np.sqrt(-2.0 * np.log(length)) * angles / (2.0 * np.pi))


def _levels(values: Real) -> list[float]:
    return [float(value) for value in np.percentile(values, _LEVELS)]
