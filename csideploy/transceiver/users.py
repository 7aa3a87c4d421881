"""Files of many users' channels: ours, the public predecessor's, plain arrays, COST2100 samples.

| array | taken for |
|---|---|
| complex (N, M) | one user a row; `environment`, `region`, `ue_xy` beside it in our own .npz |
| complex (N, K, M), `H_mu_train`, `H_mu_val`, `H_mu_test` or another name | N groups of K users |
| complex (N, 32, 32), real (N, 2, 32, 32) or (N, 2048) | angular-delay CSI: its centre subcarrier |
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.containers import load_array
from csideploy.channels.files import csi_from_array
from csideploy.channels.parts import subcarriers_of, write_npz
from csideploy.channels.synthesis import ANTENNAS, SUBCARRIERS, TAPS
from csideploy.channels.transform import to_frequency
from csideploy.errors import InputError, OutputError
from csideploy.transceiver.user_set import Users

__all__ = ["Users", "holds_users", "load_users", "save_users", "users_from_array"]

_BESIDE = {"environment": "iu", "region": "iu", "ue_xy": "f"}
"""Arrays of our own files beside H, and the kinds of their numbers."""
_ROWS_AT_ONCE = 500


def load_users(path: str | Path, *, antennas: int | None = None) -> Users:
    """Reads users' channels: .npz, .npy, .mat (v5 or v7.3), .h5.

    Users who hear nothing are left out and counted, with the groups that they were in.

    Args:
        path: the file.
        antennas: M that the file has to have; any if left out.

    Raises:
        InputError: no such file, wrong key, shape or type, values that are not finite, no user that
            hears anything, or another M.
    """
    path = Path(path)
    array, key = load_array(path, "users")
    name = f"{path}[{key}]" if key else str(path)
    try:
        beside = _beside(path)
        users = users_from_array(array, beside, key=key)
        if antennas is not None and users.antennas != antennas:
            raise InputError(f"{users.antennas} antennas; {antennas} are needed")
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return users


def holds_users(path: str | Path) -> bool:
    """Whether a file can only be one of users: by its names, or since it has one row a user.

    False for a file that cannot be read: whoever reads it says why.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                if {"H", "environment"} <= set(archive.files):
                    return True
        array, key = load_array(path, "users")
    except (InputError, OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False
    return key.startswith("H_mu_") or (np.iscomplexobj(array) and array.ndim == 2)


def users_from_array(
    array: NDArray[Any], beside: dict[str, Any] | None = None, *, key: str = ""
) -> Users:
    """Reads an array by the table above.

    Args:
        array: of numbers.
        beside: `environment`, `region`, `ue_xy`, `parameters` (dict) and `outage` (number) as far
            as they are there.
        key: the array's name, for `about`.

    Raises:
        InputError: as `load_users`.
    """
    beside = dict(beside or {})
    parameters = beside.pop("parameters", {})
    outage = beside.pop("outage", 0)
    groups = None
    angular = array.ndim == 3 and array.shape[1:] == (ANTENNAS, TAPS)
    grouped = key.startswith("H_mu_")
    if np.iscomplexobj(array) and array.ndim == 2 and array.size:
        h, taken = array, f"{len(array)} users"
    elif np.iscomplexobj(array) and array.ndim == 3 and array.size and (grouped or not angular):
        count, k, m = array.shape
        h, taken = array.reshape(-1, m), f"{count} groups of {k} users"
        groups = np.arange(count * k, dtype=np.int32).reshape(count, k)
    elif (angular and np.iscomplexobj(array)) or (array.dtype.kind == "f" and array.ndim in (2, 4)):
        h, taken = _centre(array, parameters)
        each = parameters.get("samples_per_environment")
        if type(each) is int and each > 0:
            beside.setdefault("environment", np.arange(len(h)) // each)
    else:
        raise InputError(
            f"array of shape {array.shape} and {array.dtype}; complex (N, M) or (N, K, M), or "
            "angular-delay CSI, is needed"
        )
    return _users(h, taken, groups, beside, parameters, outage)


def _users(
    h: NDArray[np.complexfloating],
    taken: str,
    groups: NDArray[np.int32] | None,
    beside: dict[str, Any],
    parameters: dict[str, Any],
    outage: int,
) -> Users:
    count, antennas = h.shape
    for name, values in beside.items():
        wanted = (count, 2) if name == "ue_xy" else (count,)
        if values.shape != wanted or values.dtype.kind not in _BESIDE[name]:
            raise InputError(
                f"{name} of shape {values.shape} and {values.dtype} beside {count} users"
            )
    environment = np.asarray(beside.get("environment", np.zeros(count)), np.int64)
    region = np.asarray(beside.get("region", np.zeros(count)), np.int64)
    if (
        environment.min() < 0
        or environment.max() >= 2**31
        or not 0 <= region.min() <= region.max() < 256
    ):
        raise InputError("environments are numbers from 0, regions from 0 to 255")
    with np.errstate(over="ignore"):
        h = np.ascontiguousarray(h).astype(np.complex64)
    heard = np.asarray(h.any(axis=1))
    if not heard.any():
        raise InputError(f"all {count} users hear nothing")
    dropped = int(count - heard.sum())
    xy = beside.get("ue_xy")
    taken = f"{taken}, {antennas} antennas"
    if dropped:
        taken += f"; {dropped} users in outage left out"
    whole = Users(
        h=np.where(heard[:, None], h, np.complex64(1)),
        environment=environment.astype(np.int32),
        region=region.astype(np.uint8),
        xy=None if xy is None else xy.astype(np.float32),
        groups=groups,
        about={"taken_for": taken, "outage": dropped + outage, "parameters": parameters},
    )
    return whole.take(np.flatnonzero(heard)) if dropped else whole


def _centre(array: NDArray[Any], parameters: dict[str, Any]) -> tuple[NDArray[np.complex64], str]:
    """(N, M) at the centre subcarrier of angular-delay CSI."""
    # A sample of zeros is a user in outage here, no bad file.
    flat = array.reshape(len(array), -1) if array.size else array
    heard = np.asarray(flat.any(axis=1))
    csi = csi_from_array(array[heard])
    points = subcarriers_of(json.dumps(parameters)) or SUBCARRIERS
    h = np.zeros((len(array), csi.h.shape[1]), np.complex64)
    rows = np.flatnonzero(heard)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        at = slice(start, start + _ROWS_AT_ONCE)
        h[rows[at]] = to_frequency(csi.h[at], points)[:, (points - 1) // 2]
    return h, f"{csi.description}, at the centre one of {points} subcarriers"


def _beside(path: Path) -> dict[str, Any]:
    """The other arrays of a generated .npz, and its parameters."""
    if path.suffix.lower() != ".npz":
        return {}
    found: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as archive:
        try:
            found = {name: archive[name] for name in _BESIDE if name in archive.files}
            parameters = json.loads(str(archive["parameters"])) if "parameters" in archive else {}
            outage = int(archive["outage"]) if "outage" in archive else 0
        except (ValueError, TypeError) as error:
            raise InputError(f"an array beside it cannot be read: {error}") from None
    if not isinstance(parameters, dict):
        raise InputError("parameters: a JSON object is needed")
    return {**found, "parameters": parameters, "outage": outage}


def save_users(path: str | Path, users: Users) -> None:
    """Writes an .npz: `H`, `environment`, `region`, `ue_xy`, `outage`, `parameters`; aside.

    Groups are not kept: N groups of K are written as rows. `parameters` is that of `about`, as
    JSON.

    Raises:
        OutputError: the name does not end in .npz, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise OutputError(f"cannot write {path}: users are written as .npz; end the name so")
    arrays: dict[str, NDArray[Any]] = {
        "H": users.h,
        "environment": users.environment,
        "region": users.region,
    }
    if users.xy is not None:
        arrays["ue_xy"] = users.xy
    parameters = users.about.get("parameters", {})
    arrays["outage"] = np.array(int(users.about.get("outage", 0)))
    arrays["parameters"] = np.array(json.dumps(parameters, sort_keys=True))
    write_npz(path, arrays)
