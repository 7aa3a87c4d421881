"""Training data: resident in memory as float16, batches gathered by index.

A file of 100,000 samples is 410 MB that way, so no worker processes are needed to keep two cores
or a GPU busy; the order of an epoch is drawn from (seed, stage, epoch) alone, so that a resumed
run sees the samples that the stopped one would have seen.

Several files are trained on jointly (paper 001, Table III "Joint"): rows of every file take turns,
in proportion to its size, so that the first samples, which starts and codebooks are fitted to, are
as mixed as all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.channels.parts import subcarriers_of
from csideploy.channels.synthesis import SUBCARRIERS
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


def read(data: Path | Sequence[Path], device: torch.device) -> TrainingData:
    """Read CSI files onto a device; of each, a twentieth, at most 5000 samples, is validation.

    Raises:
        InputError: no such file, not CSI of 32 x 32, too few samples, or two files that share
            samples or environments across the split.
    """
    paths = [data] if isinstance(data, Path) else list(data)
    parts = [_read_file(path) for path in paths]
    whole = parts[0] if len(parts) == 1 else _joined(paths, parts)
    return TrainingData(whole.centred.to(device), whole.validation_rows, whole.description)


def _joined(paths: list[Path], parts: list[TrainingData]) -> TrainingData:
    """All training rows, then all validation rows; `parts` is emptied on the way."""
    described = [part.description for part in parts]
    _check_apart(paths, described)
    training = [part.training_rows for part in parts]
    validation = [part.validation_rows for part in parts]
    shape = (sum(training) + sum(validation), *parts[0].centred.shape[1:])
    centred = torch.empty(shape, dtype=torch.float16)
    begin = sum(training)
    for rows, held in zip(_places(training), validation, strict=True):
        # A file leaves the memory as soon as its rows are in their places.
        part = parts.pop(0)
        centred[rows] = part.centred[: len(rows)]
        centred[begin : begin + held] = part.centred[len(rows) :]
        begin += held
    hashes = "".join(one["sha256"] for one in described)
    scenarios = {one["scenario"] for one in described}
    seeds = {one["seed"] for one in described}
    description = {
        "samples": len(centred),
        "scenario": scenarios.pop() if len(scenarios) == 1 else "mixed",
        "seed": seeds.pop() if len(seeds) == 1 else None,
        "sha256": hashlib.sha256(hashes.encode()).hexdigest(),
        "files": described,
    }
    return TrainingData(centred, sum(validation), description)


def _places(counts: list[int]) -> list[Tensor]:
    """Where the training rows of each file go: blocks of environments taking turns.

    Block j of a file's n stands at (j + 1/2) / n of the whole, so that any first part of the joint
    rows has every file's share; rows of one environment stay side by side.
    """
    turns = []
    for number, count in enumerate(counts):
        block = np.arange(count) // ENVIRONMENT_ROWS
        at = (block + 0.5) / -(-count // ENVIRONMENT_ROWS)
        turns.append(np.stack([at, np.full(count, number)]))
    at, number = np.concatenate(turns, axis=1)
    # Stable: within a block, and between blocks of equal place, rows keep their order.
    place = np.empty(len(at), dtype=np.int64)
    place[np.lexsort((number, at))] = np.arange(len(at))
    return list(torch.split(torch.from_numpy(place), counts))


def _check_apart(paths: list[Path], described: list[dict[str, Any]]) -> None:
    """No row that validates may be, or share its environment with, a row that is trained on."""
    for (path, one), (other, two) in combinations(zip(paths, described, strict=True), 2):
        if one["sha256"] == two["sha256"]:
            raise InputError(f"{path} and {other} hold the same samples: give one of them")
        unknown = one["seed"] is None or one["scenario"] == "unknown"
        if unknown or (one["scenario"], one["seed"]) != (two["scenario"], two["seed"]):
            continue
        # The same environments on two grids are cut at the same place if there are equally many.
        if one["samples"] != two["samples"] or one.get("subcarriers") == two.get("subcarriers"):
            raise InputError(
                f"{path} and {other} share environments (both {one['scenario']}, seed "
                f"{one['seed']}): generate one of them with another --seed"
            )


def _read_file(path: Path) -> TrainingData:
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
        centred=centred,
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
    """Scenario, seed and any other grid than the field's are those that a generated file says."""
    found: dict[str, Any] = {"samples": len(centred), "scenario": "unknown", "seed": None}
    if path.suffix == ".npz":
        with np.load(path) as archive:
            if "parameters" in archive:
                text = str(archive["parameters"])
                found["scenario"] = json.loads(text).get("scenario", "unknown")
                subcarriers = subcarriers_of(text)
                if subcarriers not in (None, SUBCARRIERS):
                    found["subcarriers"] = subcarriers
            elif "scenario" in archive:
                found["scenario"] = str(archive["scenario"])
            if "seed" in archive:
                found["seed"] = int(archive["seed"])
    return {**found, "sha256": hashlib.sha256(centred.numpy().data).hexdigest()}
