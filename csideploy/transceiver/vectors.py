"""The golden vectors of a transceiver's package, read back."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError
from csideploy.onnx_oracle import Arrays
from csideploy.package import LinkPackage
from csideploy.transceiver.export import mark_of, some_users

_Wanted = dict[str, tuple[type, tuple[int, ...]]]


def stored_pilots(package: LinkPackage) -> NDArray[np.complex64]:
    """X, complex64 (M, L).

    Raises:
        FormatError: they are missing, or of another size.
    """
    setup = package.transceiver().setup
    found = _read(package, ["pilots"])
    _check(package, found, {"pilots": (np.complex64, (setup.antennas, setup.pilots))})
    pilots: NDArray[np.complex64] = found["pilots"]
    return pilots


def golden_vectors(package: LinkPackage) -> Arrays:
    """All arrays that `export.golden_vectors` made.

    Raises:
        FormatError: an array is missing, or is not of this package.
    """
    described = package.transceiver()
    setup, users = described.setup, described.max_users
    names = ["pilots", "y", "snr_db", "feature"]
    names += [f"W-{k}" for k in some_users(users)]
    marks = {mark_of(stem): budget for stem, budget, _ in described.quantizers("ue")}
    names += [f"{kind}-{mark}" for mark in marks for kind in ("payload", "read")]
    found = _read(package, names)
    n = len(found["y"]) if found["y"].ndim else 0
    wide = (np.float32, (n, users, setup.feature))
    wanted: _Wanted = {
        "pilots": (np.complex64, (setup.antennas, setup.pilots)),
        "y": (np.float32, (n, users, setup.pilots, 2)),
        "snr_db": (np.float32, (n, 1)),
        "feature": wide,
        **{f"W-{k}": (np.float32, (n, k, setup.antennas, 2)) for k in some_users(users)},
        **{f"read-{mark}": wide for mark in marks},
        **{f"payload-{mark}": (np.uint8, (n, users, b.nbytes)) for mark, b in marks.items()},
    }
    _check(package, found, wanted)
    return found


def _read(package: LinkPackage, names: list[str]) -> Arrays:
    path = package.path / "vectors.npz"
    try:
        with np.load(io.BytesIO(package.read("vectors.npz"))) as archive:
            return {name: archive[name] for name in names}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error


def _check(package: LinkPackage, found: Arrays, wanted: _Wanted) -> None:
    for name, (dtype, shape) in wanted.items():
        array = found[name]
        if array.dtype != dtype or array.shape != shape or not array.size:
            raise FormatError(
                f"{package.path / 'vectors.npz'}: {name} is {array.dtype} {array.shape}; "
                f"{np.dtype(dtype)} {shape} is right"
            )
