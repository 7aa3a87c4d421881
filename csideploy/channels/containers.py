"""The one array of a file that holds CSI: .npy, .npz, .h5, .mat (v5 and v7.3)."""

import fnmatch
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

KEYS = {
    "angular": ("H", "HT", "HF_all"),
    "frequency": ("HF_all", "H", "HT"),
    "users": ("H_mu_train", "H_mu_val", "H_mu_test", "H_mu_*", "H"),
}
"""Names under which the field keeps CSI, by domain in the order of preference; * is any ending."""

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".mat")

# What the readers raise on files that are damaged or not what their name says.
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    NotImplementedError,
    zipfile.BadZipFile,
)


def load_array(path: Path, domain: str) -> tuple[NDArray[Any], str]:
    """Reads the array, and the key under which it stood ("" for .npy).

    Arrays of MATLAB v7.3 files come back with their axes in MATLAB's order and compound (real,
    imag) values as complex numbers.

    Raises:
        InputError: no such file, unknown suffix, damaged file, or none of the keys in it.
    """
    if not path.exists():
        raise InputError(f"no such file: {path}")
    if path.is_dir():
        raise InputError(f"{path} is a folder; a CSI file ({', '.join(SUFFIXES)}) is needed")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: unknown suffix {suffix!r}; CSI files are {', '.join(SUFFIXES)}")
    try:
        if suffix == ".npy":
            return np.load(path, allow_pickle=False), ""
        if suffix == ".npz":
            return _load_npz(path, domain)
        if suffix == ".mat" and not _is_hdf5(path):
            return _load_matlab5(path, domain)
        return _load_hdf5(path, domain)
    except InputError:
        raise
    except _DAMAGE as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as {suffix}: {first}") from error
    except Exception as error:
        # scipy's reader of damaged .mat files raises classes of its own and zlib's.
        if type(error).__module__.split(".")[0] not in ("scipy", "zlib"):
            raise
        raise InputError(f"{path} cannot be read as {suffix}: {error}") from error


def _load_npz(path: Path, domain: str) -> tuple[NDArray[Any], str]:
    with np.load(path, allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(f"{path} holds a single array: rename it to .npy")
        key = _choose(path, list(archive.files), domain)
        return archive[key], key


def _load_matlab5(path: Path, domain: str) -> tuple[NDArray[Any], str]:
    import scipy.io

    names = [name for name, _, _ in scipy.io.whosmat(path)]
    key = _choose(path, names, domain)
    value = scipy.io.loadmat(path, variable_names=[key])[key]
    if not isinstance(value, np.ndarray):
        raise InputError(f"{path}: {key!r} is a sparse matrix or an object; a full array is needed")
    return value, key


def _is_hdf5(path: Path) -> bool:
    import h5py

    return bool(h5py.is_hdf5(path))


def _load_hdf5(path: Path, domain: str) -> tuple[NDArray[Any], str]:
    import h5py

    with h5py.File(path, "r") as file:
        names = [name for name in file if isinstance(file.get(name), h5py.Dataset)]
        key = _choose(path, names, domain)
        dataset = file[key]
        attributes: Mapping[str, Any] = dataset.attrs
        if "MATLAB_empty" in attributes:
            raise InputError(f"{path}: {key!r} is empty")
        value = np.asarray(dataset[()])
        by_matlab = path.suffix.lower() == ".mat" or "MATLAB_class" in attributes
    if value.dtype.names is not None and set(value.dtype.names) == {"real", "imag"}:
        value = value["real"] + 1j * value["imag"]
    # MATLAB writes its arrays column by column, so that HDF5 shows the axes backwards.
    return (value.T if by_matlab else value), key


def _choose(path: Path, names: list[str], domain: str) -> str:
    for key in KEYS[domain]:
        found = fnmatch.filter(sorted(names), key)
        if found:
            return found[0]
    there = ", ".join(sorted(names)) if names else "no array"
    raise InputError(f"{path} has no array named {' or '.join(KEYS[domain])}; it has: {there}")
