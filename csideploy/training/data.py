"""Training data: resident in memory as float16, batches gathered by index.

A file of 100,000 samples is 410 MB that way, so no worker processes are needed to keep two cores
or a GPU busy; the order of an epoch is drawn from (seed, stage, epoch) alone, so that a resumed
run sees the samples that the stopped one would have seen.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.errors import InputError

ENVIRONMENT_ROWS = 20
"""Samples that may share an environment stay on one side of the split (20 rows indoors, 4 out)."""

_CHUNK = 5000


@dataclass(frozen=True)
class TrainingData:
    """CSI as float16 x - 0.5, (n, 2, angle, delay), and where it comes from.

    float16 keeps 11 bits of every value: an error of -66 dB at most. The last rows are for
    validation and are never trained on.
    """

    centred: Tensor
    validation_rows: int
    description: dict[str, Any]

    @property
    def training_rows(self) -> int:
        """Samples to train on: all but the last `validation_rows`."""
        return len(self.centred) - self.validation_rows

    def batch(self, rows: Tensor) -> Tensor:
        """X float32 in [0, 1] of these rows, channels last in memory."""
        x = self.centred[rows].float() + 0.5
        return x.contiguous(memory_format=torch.channels_last)

    def first(self, count: int) -> Tensor:
        """X of the first training samples, at most `count`."""
        return self.batch(torch.arange(min(count, self.training_rows)))

    def validation(self) -> Tensor:
        """X of the validation samples."""
        return self.batch(torch.arange(self.training_rows, len(self.centred)))


def order(rows: int, *, seed: int, stage: int, epoch: int) -> Tensor:
    """The order of an epoch, from its own seed."""
    mixed = np.random.SeedSequence(entropy=seed, spawn_key=(stage, epoch)).generate_state(1)[0]
    return torch.randperm(rows, generator=torch.Generator().manual_seed(int(mixed)))


def read(path: Path, device: torch.device) -> TrainingData:
    """Read a CSI file onto a device; a twentieth, at most 5000 samples, becomes validation.

    Raises:
        InputError: no such file, not CSI of 32 x 32, or too few samples.
    """
    if not path.is_file():
        raise InputError(
            f"no training data at {path}: `csideploy data generate --scenario indoor "
            f"--samples 100000 --seed 1 --out {path}` makes it"
        )
    csi = read_csi(path)
    if csi.h.shape[1:] != (32, 32):
        raise InputError(f"{path}: matrices of {csi.h.shape[1:]}; training needs (32, 32)")
    samples = len(csi.h)
    if samples < 2 * ENVIRONMENT_ROWS:
        raise InputError(f"{path}: {samples} samples; training needs {2 * ENVIRONMENT_ROWS}")
    centred = _centred(csi.h)
    environments = min(5000, samples // 20) // ENVIRONMENT_ROWS
    return TrainingData(
        centred=centred.to(device),
        validation_rows=max(1, environments) * ENVIRONMENT_ROWS,
        description=_describe(path, centred),
    )


def describe(path: Path) -> dict[str, Any]:
    """Samples, scenario, seed and hash of a file of CSI.

    The hash is the sha256 of the samples as trained on, float16 x - 0.5 in row-major order, so
    that it does not change with the container they are kept in.

    Raises:
        InputError: the file cannot be read as CSI.
    """
    return _describe(path, _centred(read_csi(path).h))


def _centred(h: NDArray[np.complex64]) -> Tensor:
    centred = torch.empty((len(h), 2, *h.shape[1:]), dtype=torch.float16)
    for begin in range(0, len(h), _CHUNK):
        x, _ = to_input(h[begin : begin + _CHUNK])
        centred[begin : begin + _CHUNK] = torch.from_numpy(x - np.float32(0.5)).half()
    return centred


def _describe(path: Path, centred: Tensor) -> dict[str, Any]:
    """Scenario and seed are those that a generated file says."""
    found: dict[str, Any] = {"samples": len(centred), "scenario": "unknown", "seed": None}
    if path.suffix == ".npz":
        with np.load(path) as archive:
            if "parameters" in archive:
                settings = json.loads(str(archive["parameters"]))
                found["scenario"] = settings.get("scenario", "unknown")
            elif "scenario" in archive:
                found["scenario"] = str(archive["scenario"])
            if "seed" in archive:
                found["seed"] = int(archive["seed"])
    return {**found, "sha256": hashlib.sha256(centred.numpy().data).hexdigest()}
