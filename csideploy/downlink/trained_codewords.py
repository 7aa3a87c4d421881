"""The weights file of a trained `rank1-rzf`: codewords and a loading. Read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.feedback import DISTANCES, Distance
from csideploy.downlink.setup import Setup
from csideploy.errors import FormatError, InputError, MissingDependencyError
from csideploy.outputs import file_aside
from csideploy.weights_header import KEY, WEIGHTS, metadata

SYSTEM = "rank1-rzf"
MOST_BITS = 8
"""B of a codebook that a receiver searches."""

_ROUNDING = 1e-4
"""By which the norm of a float32 codeword may differ from 1."""


@dataclass(frozen=True)
class TrainedCodewords:
    """What training gives.

    Attributes:
        known: complex64 (2^B, M), unit norm.
        loading: of `csideploy.baselines.rank1_rzf.rzf`.
        setup: sizes.
        snr_db: P in dB that it was trained for.
        distance: by which users choose.
        about: the file's metadata.
    """

    known: NDArray[np.complex64]
    loading: float
    setup: Setup
    snr_db: float
    distance: Distance
    about: dict[str, Any]


def is_codewords(path: Path) -> bool:
    """Whether a weights file holds what `save_codewords` writes."""
    about = metadata(path)
    return about is not None and about.get("system") == SYSTEM


def save_codewords(
    path: Path, known: NDArray[np.complex64], loading: float, about: dict[str, Any]
) -> None:
    """Write codewords float32 (2^B, M, 2) and loading (1,), with their metadata.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
        MissingDependencyError: safetensors is not installed.
    """
    pairs = np.ascontiguousarray(known, np.complex64)[..., None].view(np.float32)
    tensors = {"codewords": pairs, "loading": np.array([loading], np.float32)}
    data = _safetensors().save(tensors, metadata={KEY: json.dumps({"system": SYSTEM, **about})})
    with file_aside(path) as file:
        file.write(data)


def load_codewords(path: Path) -> TrainedCodewords:
    """Read what `csideploy train rank1-rzf` wrote.

    Args:
        path: a `.safetensors` file, or the folder of a finished run.

    Raises:
        InputError: no such file. FormatError: not a rank1-rzf's weights, or of other sizes than
            they say. MissingDependencyError: safetensors is not installed.
    """
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"no weights at {file}")
    about = metadata(file)
    if about is None or about.get("system") != SYSTEM:
        raise FormatError(
            f"{file}: not the weights of a {SYSTEM}; `csideploy train {SYSTEM}` writes them"
        )
    reader = _safetensors()
    try:
        tensors = reader.load_file(file)
        pairs, loadings = tensors["codewords"], tensors["loading"]
        setup, snr_db, distance = Setup(**about["setup"]), float(about["snr_db"]), about["distance"]
        fits = pairs.shape == (1 << setup.bits, setup.antennas, 2) and loadings.shape == (1,)
        types = pairs.dtype == loadings.dtype == np.float32
        if not (fits and types and setup.bits <= MOST_BITS and distance in DISTANCES):
            raise InputError("sizes")
        known = np.ascontiguousarray(pairs).view(np.complex64)[..., 0]
        loading = float(loadings[0])
        if not np.all(np.abs(np.linalg.norm(known, axis=1) - 1) < _ROUNDING):
            raise InputError("norms")
        if not 0 < loading < np.inf or not np.isfinite(snr_db):
            raise InputError("loading")
    except (reader.SafetensorError, OSError, ValueError, KeyError, TypeError, InputError) as error:
        raise FormatError(f"{file}: weights that do not fit the set-up they name") from error
    return TrainedCodewords(known, loading, setup, snr_db, distance, about)


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            "weights files need safetensors: pip install safetensors"
        ) from missing

    class Reader:
        SafetensorError = safetensors.SafetensorError
        save = staticmethod(safetensors.numpy.save)
        load_file = staticmethod(safetensors.numpy.load_file)

    return Reader
