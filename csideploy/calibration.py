"""Calibration data: what the network will see, which its scales are chosen by.

By default generated channels of the scenario that a link was trained on; never a row of the
reference samples. A user's own file says more.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.channels.generate import generate
from csideploy.errors import InputError
from csideploy.onnx_oracle import Arrays, Given, samples

SAMPLES = 192
CHUNK = 32
TRIALS = 64
"""Samples that the sensitivity sweep runs on."""
LEAST = 16
_SPACING = 10
"""Generated samples come 20 to an environment; every tenth is taken."""

Chunks = list[NDArray[Any]]
Pieces = Sequence[Given]
Sizes = tuple[int | str, ...]


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


def from_arrays(path: Path, wanted: Mapping[str, tuple[Sizes, np.dtype[Any]]]) -> Arrays:
    """Inputs of any part by name, as they are: `.npy`, or an `.npz`, of which one takes the first.

    Args:
        path: the file.
        wanted: by the input's name the shape of one sample, in which a symbol is any size, and the
            type.

    Raises:
        InputError: no such file, another shape or type, a missing input, or fewer than 16 samples.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            found = {next(iter(wanted)): loaded}
        else:
            with loaded as archive:
                first = archive.files[0]
                names = {name: name for name in wanted} if len(wanted) > 1 else {first: first}
                found = {name: archive[name] for name in names if name in archive}
                if len(wanted) == 1:
                    found = {next(iter(wanted)): found[first]}
    except (OSError, ValueError, EOFError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"--calibration {path} is no .npy or .npz file of numbers: {error}"
        ) from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(
            f"--calibration {path} lacks {', '.join(missing)}: an .npz with one array an input"
        )
    sizes: dict[str, int] = {}
    for name, (shape, dtype) in wanted.items():
        if not _fits(found[name], shape, dtype, sizes):
            raise InputError(
                f"--calibration {path}: {found[name].dtype} {found[name].shape}, the network takes "
                f"{dtype} (n, {', '.join(map(str, shape))})"
            )
    return {name: _spaced(np.asarray(found[name], wanted[name][1]), path) for name in wanted}


def _fits(x: NDArray[Any], shape: Sizes, dtype: np.dtype[Any], sizes: dict[str, int]) -> bool:
    """Whether an array has a shape; a symbol takes the first size that it meets and keeps it."""
    full = ("n", *shape)
    if x.ndim != len(full) or x.dtype.kind != dtype.kind:
        return False
    return all(
        (sizes.setdefault(want, have) if isinstance(want, str) else want) == have
        for want, have in zip(full, x.shape, strict=True)
    )


def pieces(x: Arrays, size: int = CHUNK) -> list[Arrays]:
    """Inputs by name, cut like `chunks`."""
    parts = [chunks(array, size) for array in x.values()]
    return [dict(zip(x, arrays, strict=True)) for arrays in zip(*parts, strict=True)]


def chunks(x: NDArray[Any], size: int = CHUNK) -> Chunks:
    """Cut into equal pieces of about `size` samples."""
    return [np.ascontiguousarray(part) for part in np.array_split(x, max(1, len(x) // size))]


def trials(parts: Pieces) -> int:
    """How many of the pieces the sweep runs on: `TRIALS` samples, all if there are fewer."""
    seen = np.cumsum([samples(part) for part in parts])
    return min(len(parts), int(np.searchsorted(seen, TRIALS)) + 1)


def _spaced(samples: NDArray[Any], path: Path) -> NDArray[Any]:
    if len(samples) < LEAST:
        raise InputError(f"--calibration {path}: {len(samples)} samples; at least {LEAST} needed")
    rows = np.linspace(0, len(samples) - 1, min(SAMPLES, len(samples))).astype(int)
    return np.asarray(samples[rows])
