"""Files of channels of a panel by sub-band: made, told from other CSI files, read, summed up.

An .npz with `H` complex64 (n, sub-bands, receive, ports), `n1`, `n2`, and of generated ones
`sight`, `ue_xy`, `seed` and `parameters` (JSON). A port is numbered pol N1 N2 + n1 N2 + n2.
"""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from csideploy.channels.parts import PartFolder, write_npz
from csideploy.channels.umi_panel import (
    FARTHEST_M,
    RECEIVE,
    SECTOR_DEG,
    SUBBAND_HZ,
    SUBBANDS,
    Panel,
    Sector,
    draw_sector,
)
from csideploy.channels.umi_parameters import CARRIER_GHZ
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet

SCENARIO = "umi-panel"
PANEL_VERSION = 1
"""Goes up when the same seed gives other channels."""
PART = 500
"""Samples of a part, drawn with a generator of its own."""
_MOST_DESCRIBED = 2000


@dataclass(frozen=True)
class PanelChannels:
    """As read: `h` complex64 (n, sub-bands, receive, ports), the panel, and where it is from."""

    h: NDArray[np.complex64]
    panel: Panel
    description: str


class _PanelParts(PartFolder):
    """Parts of panel channels instead of CSI samples."""

    names = ("H", "sight", "ue_xy")

    def write(self, path: Path, samples: int) -> None:
        parts = list(self.parts())
        arrays = {
            name: np.concatenate([part[name] for part in parts])[:samples] for name in self.names
        }
        about = json.loads(self.settings)
        arrays |= {name: np.array(about[name]) for name in ("n1", "n2", "seed")}
        write_npz(path, {**arrays, "parameters": np.array(self.settings)})


def generate_panel(
    path: str | Path,
    panel: Panel,
    receive: int,
    samples: int,
    *,
    seed: int,
    progress: Advance = quiet,
) -> None:
    """Writes an .npz of panel channels; stopped in any way and called again, it goes on.

    Fewer samples of a seed are the first rows of more.

    Args:
        path: ends in `.npz`.
        panel: of the gNB.
        receive: antennas of a user.
        samples: how many.
        seed: not negative.
        progress: called with samples made.

    Raises:
        InputError: the name does not end in `.npz`, or no such number of antennas.
        OutputError: the folder cannot be written, the disk is full, or another file is there.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise InputError(f"cannot write {path}: channels are written as .npz; end the name so")
    _check(receive, samples)
    settings = {
        "panel_version": PANEL_VERSION,
        "scenario": SCENARIO,
        "n1": panel.n1,
        "n2": panel.n2,
        "receive": receive,
        "samples": samples,
        "seed": seed,
        "subbands": SUBBANDS,
        "subband_hz": SUBBAND_HZ,
        "carrier_ghz": CARRIER_GHZ,
        "sector_deg": SECTOR_DEG,
        "farthest_m": FARTHEST_M,
    }
    count = -(-samples // PART)
    folder = _PanelParts(path, json.dumps(settings, sort_keys=True), count=count)
    if folder.is_finished():
        progress(samples, samples)
        return
    folder.open()
    missing = folder.missing()
    progress(min((count - len(missing)) * PART, samples), samples)
    for done, part in enumerate(missing, count - len(missing) + 1):
        folder.store(part, _part(panel, receive, seed, part))
        progress(min(done * PART, samples), samples)
    folder.join(samples)


def draw_panel(panel: Panel, receive: int, samples: int, *, seed: int) -> PanelChannels:
    """The same channels in memory; errors as `generate_panel`."""
    _check(receive, samples)
    parts = [_part(panel, receive, seed, part).H for part in range(-(-samples // PART))]
    text = f"{samples} generated {SCENARIO} samples, panel {panel}, {receive} receive, seed {seed}"
    return PanelChannels(np.concatenate(parts)[:samples], panel, text)


def _check(receive: int, samples: int) -> None:
    if receive not in RECEIVE:
        raise InputError(f"--receive {receive}: {', '.join(map(str, RECEIVE))} are right")
    if samples < 1:
        raise InputError(f"samples is {samples}; it must be at least 1")


def _part(panel: Panel, receive: int, seed: int, part: int) -> Sector:
    return draw_sector(panel, receive, PART, np.random.default_rng([seed, part]))


def holds_panel(path: str | Path) -> bool:
    """Whether a file is one of these, by its names.

    False for a file that cannot be read: whoever reads it says why.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {"H", "n1", "n2"} <= set(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False


def load_panel(path: str | Path) -> PanelChannels:
    """Reads such a file.

    Raises:
        InputError: damaged, another shape, a panel that does not fit, values that are not finite in
            32-bit floats, or a sample that is zero.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            h, n1, n2 = (archive[name] for name in ("H", "n1", "n2"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as channels of a panel: {error}") from error
    columns, rows = (_whole(path, name, value) for name, value in (("n1", n1), ("n2", n2)))
    try:
        panel = Panel(columns, rows)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if h.ndim != 4 or not np.iscomplexobj(h) or h.shape[3] != panel.ports or not h.size:
        raise InputError(
            f"{path}: H {h.dtype} {h.shape} of a panel {panel}; complex (n, sub-bands, receive, "
            f"{panel.ports}) is needed"
        )
    if not np.isfinite(h).all():
        raise InputError(f"{path}: a value of H is not finite")
    with np.errstate(over="ignore", under="ignore"):
        h = h.astype(np.complex64)
    if not np.isfinite(h).all():
        raise InputError(f"{path}: a value of H is too large for 32-bit floats")
    zero = np.flatnonzero(~h.any(axis=(2, 3)).all(axis=1))
    if zero.size:
        raise InputError(f"{path}: sample {zero[0]} is zero in a sub-band")
    text = f"{len(h)} samples of {path}, panel {panel}"
    return PanelChannels(h, panel, text)


def _whole(path: Path, name: str, value: NDArray[Any]) -> int:
    """A number of elements. 8.0 is one, 8.7 and "8" are none."""
    if value.shape != () or value.dtype.kind not in "iuf" or not 1 <= value <= 1024 or value % 1:
        text = str(value) if value.shape == () else f"an array {value.shape}"
        raise InputError(f"{path}: {name} is {text}; one whole number of elements is needed")
    return int(value)


def _extras(path: Path) -> tuple[float | None, Any]:
    """Share of users in sight, and parameters, of a file that `load_panel` took; None without."""
    sight, parameters = None, None
    try:
        with np.load(path, allow_pickle=False) as archive:
            told = archive["sight"] if "sight" in archive.files else None
            text = str(archive["parameters"]) if "parameters" in archive.files else "null"
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: sight or parameters cannot be read: {error}") from error
    if told is not None:
        if told.dtype.kind not in "bui" or told.ndim != 1 or not told.size or told.max() > 1:
            raise InputError(f"{path}: sight {told.dtype} {told.shape}; bool (n,) is needed")
        sight = float(told.mean())
    with suppress(ValueError):
        parameters = json.loads(text)
    return sight, parameters


def describe_panel(path: str | Path) -> dict[str, Any]:
    """Sizes, and what bears on feedback: how the channel's power spreads over directions.

    Returns:
        `samples`, `subbands`, `receive`, `ports`, `panel`, `in_sight` (share; null if not told),
        `eigenvalue_shares` (mean share of each of the first four of H H^H), `subband_cosine` (mean
        SGCS between the strongest directions of neighbouring sub-bands), `samples_described`,
        `parameters` of a generated file.

    Raises:
        InputError: as `load_panel`; sight that is no truth value a sample.
    """
    from csideploy.directions import cosines, eigenvectors

    found = load_panel(path)
    sight, parameters = _extras(Path(path))
    step = -(-len(found.h) // _MOST_DESCRIBED)
    h = found.h[::step]
    values = np.linalg.svd(h, compute_uv=False).astype(np.float64) ** 2
    shares = (values / values.sum(axis=-1, keepdims=True)).mean(axis=(0, 1))[:4]
    v = eigenvectors(h)
    return {
        "file": str(path),
        "taken_for": "channels of a panel by sub-band, complex (n, sub-bands, receive, ports)",
        "samples": len(found.h),
        "subbands": h.shape[1],
        "receive": h.shape[2],
        "ports": h.shape[3],
        "panel": str(found.panel),
        "in_sight": sight,
        "eigenvalue_shares": [float(share) for share in shares],
        "subband_cosine": float(cosines(v[:, :, 1:], v[:, :, :-1]).mean())
        if h.shape[1] > 1
        else None,
        "samples_described": len(h),
        "parameters": parameters,
    }


def show(result: dict[str, Any], console: Console) -> None:
    """Print what `describe_panel` found."""
    console.print(f"{result['file']}: {result['taken_for']}")
    console.print(
        f"{result['samples']} samples, {result['subbands']} sub-bands, {result['receive']} receive "
        f"antennas, {result['ports']} ports (panel {result['panel']}, two polarisations)"
    )
    if result["in_sight"] is not None:
        console.print(f"in line of sight: {result['in_sight']:.1%}")
    shares = ", ".join(f"{share:.1%}" for share in result["eigenvalue_shares"])
    console.print(f"power of the strongest directions of a sub-band: {shares}")
    if result["subband_cosine"] is not None:
        console.print(f"SGCS of neighbouring sub-bands' directions: {result['subband_cosine']:.4f}")
