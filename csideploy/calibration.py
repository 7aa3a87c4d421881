"""Calibration data: what the network will see, which its scales are chosen by.

By default generated channels of the scenario that a link was trained on; never a row of the
reference samples. A user's own file says more.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.channels.generate import generate
from csideploy.errors import InputError

SAMPLES = 192
CHUNK = 32
TRIALS = 64
"""Samples that the sensitivity sweep runs on."""
LEAST = 16
_SPACING = 10
"""Generated samples come 20 to an environment; every tenth is taken."""

Chunks = list[NDArray[Any]]


def generated(scenario: str, *, seed: int) -> NDArray[np.float32]:
    """Inputs x (n, 2, angle, delay) of generated channels, from n / 2 environments."""
    made = generate(scenario, SAMPLES * _SPACING, seed=seed).H[::_SPACING].astype(np.float32)
    x, _ = to_input(made[:, 0] + 1j * made[:, 1])
    return x


def from_csi(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Inputs x of a CSI file, evenly spaced samples of it.

    Args:
        path: as `read_csi` takes it.
        shape: of one sample of the part's input, (2, angle, delay).

    Raises:
        InputError: no such file, other sizes, or fewer than 16 samples.
    """
    csi = read_csi(path)
    if csi.h.shape[1:] != shape[1:]:
        raise InputError(
            f"--calibration {path}: CSI of {csi.h.shape[1]} x {csi.h.shape[2]} (angle x delay), "
            f"the network takes {shape[1]} x {shape[2]}"
        )
    x, _ = to_input(_spaced(csi.h, path))
    return x


def from_arrays(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Inputs of any part, as they are: `.npy`, or the first array of an `.npz`.

    Args:
        path: the file.
        shape: of one sample.
        dtype: of the part's input.

    Raises:
        InputError: no such file, another shape or type, or fewer than 16 samples.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            with loaded as archive:
                loaded = archive[archive.files[0]]
    except (OSError, ValueError, EOFError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"--calibration {path} is no .npy or .npz file of numbers: {error}"
        ) from error
    if loaded.shape[1:] != shape or loaded.dtype.kind != dtype.kind:
        raise InputError(
            f"--calibration {path}: {loaded.dtype} {loaded.shape}, the network takes "
            f"{dtype} (n, {', '.join(map(str, shape))})"
        )
    return _spaced(np.asarray(loaded, dtype), path)


def chunks(x: NDArray[Any], size: int = CHUNK) -> Chunks:
    """Cut into equal pieces of about `size` samples."""
    return [np.ascontiguousarray(part) for part in np.array_split(x, max(1, len(x) // size))]


def trials(pieces: Chunks) -> int:
    """How many of the pieces the sweep runs on: `TRIALS` samples, all if there are fewer."""
    seen = np.cumsum([len(part) for part in pieces])
    return min(len(pieces), int(np.searchsorted(seen, TRIALS)) + 1)


def _spaced(samples: NDArray[Any], path: Path) -> NDArray[Any]:
    if len(samples) < LEAST:
        raise InputError(f"--calibration {path}: {len(samples)} samples; at least {LEAST} needed")
    rows = np.linspace(0, len(samples) - 1, min(SAMPLES, len(samples))).astype(int)
    return np.asarray(samples[rows])
