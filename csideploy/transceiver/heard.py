"""What `encode` reads: pilots as users received them, or users who are put into groups here."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.outputs import reason
from csideploy.transceiver.described import Described
from csideploy.transceiver.running import Transceiver
from csideploy.transceiver.users import load_users

GROUPS = 1000
"""That are drawn from a file of users where no number is asked for."""
_LARGEST = 1e9


@dataclass(frozen=True)
class Heard:
    """Groups of users and what they heard.

    Attributes:
        y: float32 (n, K, L, 2), pilots over sqrt(P).
        region: (n, K), of the users.
        taken_for: one line on the file.
    """

    y: NDArray[np.float32]
    region: NDArray[np.uint8]
    taken_for: str


@dataclass(frozen=True)
class Drawn:
    """Groups of users.

    Attributes:
        h: complex (n, K, M).
        region: (n, K).
        taken_for: one line on the file.
    """

    h: NDArray[np.complexfloating]
    region: NDArray[np.uint8]
    taken_for: str


def read_heard(
    path: Path,
    running: Transceiver,
    *,
    snr_db: float | None,
    users: int | None,
    groups: int | None,
    seed: int,
) -> Heard:
    """Received pilots, or users with pilot noise added.

    Args:
        path: real (n, K, L, 2) in .npy, or in an .npz as `y` with `region` (n, K) beside it; any
            other file is one of users (`csideploy.transceiver.users`).
        running: pilots and sizes.
        snr_db: of the pilots, for a file of users.
        users: K; None: as in the file, else the most of the package.
        groups: how many; None: all that the file has, or GROUPS.
        seed: of draws and noise.

    Raises:
        InputError: no such file, or sizes that do not fit.
    """
    described = running.described
    stored = _received(path, described.setup.pilots)
    if stored is not None:
        if snr_db is not None:
            raise InputError(f"--snr {snr_db:g}: {path} holds received pilots, noise included")
        heard = _checked(path, *stored, described)
        if users not in (None, heard.y.shape[1]):
            raise InputError(f"--users {users}: {path} has groups of {heard.y.shape[1]}")
        kept = slice(None, groups)
        return Heard(heard.y[kept], heard.region[kept], heard.taken_for)
    if snr_db is None:
        raise InputError(f"{path} holds users: add --snr dB, of the pilots that they hear")
    drawn = draw(path, described, users=users, groups=groups, seed=seed)
    rng = np.random.default_rng([seed, 1])
    parts = rng.standard_normal((*drawn.h.shape[:2], described.setup.pilots, 2)) * 0.5**0.5
    y = running.hear(drawn.h, parts.view(np.complex128)[..., 0], 10 ** (snr_db / 10))
    return Heard(y, drawn.region, drawn.taken_for)


def draw(
    path: Path,
    described: Described,
    *,
    users: int | None,
    groups: int | None,
    seed: int,
) -> Drawn:
    """Groups of users of a file: its own, or drawn of users of one environment.

    A .npy of groups (n, K, M) is taken as it is; all else is scaled to unit mean power an entry,
    as for training.

    Args:
        path: a file of users.
        described: sizes.
        users: K; None: as in the file, else the most of the package.
        groups: n; None: all that the file has, or GROUPS.
        seed: of the draws; the same seed draws the same groups.

    Raises:
        InputError: no such file, other antennas, regions that the package has not, or too few users
            or groups.
    """
    setup = described.setup
    found = load_users(path, antennas=setup.antennas)
    own = None if found.groups is None else found.groups
    as_it_is = path.suffix.lower() == ".npy" and own is not None
    scaled = found if as_it_is else found.normalized()
    count = users if users is not None else own.shape[1] if own is not None else None
    count = described.max_users if count is None else count
    check_users(count, described)
    if setup.regions > 1 and int(found.region.max()) >= setup.regions:
        raise InputError(
            f"{path}: regions up to {int(found.region.max())}; the package has 0 to "
            f"{setup.regions - 1}"
        )
    if own is not None and own.shape[1] == count:
        if groups is not None and len(own) < groups:
            raise InputError(f"{path}: {len(own)} groups of {count} users; asked for {groups}")
        rows = own[:groups].astype(np.int64)
        how = "its own groups"
    else:
        rng = np.random.default_rng([seed, 0])
        rows = found.draw_rows(rng, GROUPS if groups is None else groups, count)
        how = f"groups drawn with seed {seed}"
    scale = "as they are" if as_it_is else "scaled to unit mean power"
    region = found.region[rows] if setup.regions > 1 else np.zeros(rows.shape, np.uint8)
    taken = f"{found.about.get('taken_for', f'{len(found)} users')}, {scale}; {how}"
    return Drawn(scaled.h[rows], region, taken)


def check_users(count: int, described: Described) -> None:
    """Whether a package serves so many users.

    Raises:
        InputError: it does not.
    """
    if not 1 <= count <= described.max_users:
        raise InputError(
            f"groups of {count} users; this package takes 1 to {described.max_users}: export with "
            f"--max-users {max(count, 1)}"
        )


def _received(path: Path, pilots: int) -> tuple[NDArray[Any], NDArray[Any] | None] | None:
    """`y` and the regions beside it; None if the file is none of received pilots."""
    if path.suffix.lower() not in (".npy", ".npz"):
        return None
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            with loaded as archive:
                if "y" not in archive:
                    return None
                return archive["y"], archive.get("region")
    except OSError as error:
        why = reason(error) if error.errno else "no file of numbers"
        raise InputError(f"cannot read {path}: {why}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no .npy or .npz file of numbers: {error}") from error
    is_pilots = loaded.ndim == 4 and loaded.dtype.kind == "f" and loaded.shape[3] == 2
    return (loaded, None) if is_pilots else None


def _checked(
    path: Path, y: NDArray[Any], region: NDArray[Any] | None, described: Described
) -> Heard:
    setup = described.setup
    if y.ndim != 4 or y.dtype.kind != "f" or y.shape[2:] != (setup.pilots, 2) or not y.size:
        raise InputError(
            f"{path}: {y.dtype} {y.shape}; received pilots are real (n, K, {setup.pilots}, 2)"
        )
    check_users(y.shape[1], described)
    # A NaN is not below it either.
    if not (np.abs(y) < _LARGEST).all():
        raise InputError(f"{path}: holds numbers that are not finite, or above {_LARGEST:g}")
    if setup.regions == 1:
        where = np.zeros(y.shape[:2], np.uint8)
    elif region is None:
        raise InputError(
            f"{path}: the package has codebooks of {setup.regions} regions: give an .npz of y and "
            "region, (n, K)"
        )
    elif region.shape != y.shape[:2] or region.dtype.kind not in "iu":
        raise InputError(f"{path}: region {region.dtype} {region.shape}; {y.shape[:2]} is right")
    elif region.min() < 0 or region.max() >= setup.regions:
        raise InputError(f"{path}: regions are numbers from 0 to {setup.regions - 1}")
    else:
        where = region.astype(np.uint8)
    return Heard(
        np.ascontiguousarray(y, np.float32), where, f"{len(y)} groups of {y.shape[1]} users"
    )
