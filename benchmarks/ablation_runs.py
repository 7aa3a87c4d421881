"""Runs of `ablations`: train what is missing, measure it, keep its row beside it.

A run is finished once its `row.json` is there; it is then read, neither trained nor measured again.
A run that was stopped goes on from its checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from ablation_jobs import Job, LinkJob, VariantJob
from ablation_networks import build_variant, train_variant
from ablation_start import CALIBRATION, start
from torch import Tensor

from csideploy import registry
from csideploy.channels.conventions import to_input
from csideploy.errors import InputError
from csideploy.evaluate import Channels, channels, evaluate
from csideploy.link_source import Bits
from csideploy.outputs import file_aside
from csideploy.registry import COMPRESSIONS
from csideploy.systems.link import Link, count_macs, count_parameters
from csideploy.training import load_checkpoint, train
from csideploy.training.checkpoint import CHECKPOINT, WEIGHTS
from csideploy.training.components import principal
from csideploy.training.data import TrainingData, describe, read
from csideploy.training.evaluate import measure, validation_nmse_db

ROW = "row.json"
CODE_ROWS = 20_000
"""Samples that principal components are computed from."""

INTERVAL_SEED = 20261
VARIANT_ROWS = 5000
"""Held-out samples that variants are measured on; links are measured on all."""


@dataclass(frozen=True)
class Budget:
    """Epochs of each kind of run, over the rows of --data that train.

    Attributes:
        link: of ACRNet-1x and BACRNet-1x from the closed-form start.
        wide: of wider ones, all stages together (recipe zoo-cpu: four fifths at width 1).
        variant: of variants. batch: of these, samples a step (recipe zoo-cpu has 50).
    """

    link: float = 0.5
    wide: float = 1.0
    variant: float = 0.5
    batch: int = 50

    def epochs(self, job: LinkJob) -> float:
        """Of a link."""
        return self.link if job.k == 1 else self.wide


@dataclass
class Bench:
    """Where runs lie, what they are trained and measured on."""

    data: Path
    test: Path
    out: Path
    budget: Budget
    samples: int = 20_000

    def prepare(self) -> None:
        """Make the folder, or take one whose runs have the same budget and data.

        Raises:
            InputError: a file is missing, or the folder's runs are others.
        """
        for path in (self.data, self.test):
            if not path.is_file():
                raise InputError(f"no file {path}: `csideploy data generate` makes CSI")
        about = {
            "data": self.data_description["sha256"],
            "test": self.test_description["sha256"],
            "samples": self.samples,
            **self.budget.__dict__,
        }
        path = self.out / "settings.json"
        if path.is_file() and json.loads(path.read_text()) != about:
            raise InputError(f"{self.out} has runs with other options or data: name another --out")
        self.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(about, indent=2) + "\n")

    @cached_property
    def data_description(self) -> dict[str, Any]:
        """Of the training file."""
        return describe(self.data)

    @cached_property
    def test_description(self) -> dict[str, Any]:
        """Of the test file."""
        return describe(self.test)

    @cached_property
    def training(self) -> TrainingData:
        """CSI of all variants."""
        return read(self.data, torch.device("cpu"))

    @cached_property
    def code(self) -> tuple[Tensor, Tensor]:
        """The linear code that all variants start from."""
        return principal(self.training.first(CODE_ROWS), registry.features(min(COMPRESSIONS)))

    @cached_property
    def held(self) -> Channels:
        """CSI that links are measured on."""
        return channels(str(self.test), self.samples, seed=INTERVAL_SEED)

    def row(self, job: Job) -> dict[str, Any]:
        """The figures of a job, of its finished run or of one made now."""
        folder = self.out / job.name
        path = folder / ROW
        if not path.is_file():
            made = self._link(job, folder) if isinstance(job, LinkJob) else self._variant(job)
            with file_aside(path) as file:
                file.write((json.dumps(made, indent=2) + "\n").encode())
        row: dict[str, Any] = json.loads(path.read_text())
        return row

    def _link(self, job: LinkJob, folder: Path) -> dict[str, Any]:
        if not (folder / WEIGHTS).is_file():
            train(
                job.system,
                data=self.data,
                out=folder,
                cr=job.cr,
                bits=job.bits,
                binarize=job.binarize,
                recipe="zoo-cpu",
                epochs=self.budget.epochs(job),
                seed=job.seed,
                device="cpu",
                threads=1,
                resume=folder.is_dir(),
                # The rows that validate are measured once a stage: a run's weights do not depend
                # on it, its minutes do.
                validations=1,
                quiet=True,
            )
        link, about = load_checkpoint(folder)
        spec = registry.get(job.system)
        row = {
            "name": job.name,
            "system": job.system,
            "k": job.k,
            "cr": job.cr,
            "binarize": job.binarize,
            "seed": job.seed,
            "macs": registry.macs(spec, job.cr),
            "epochs": self.budget.epochs(job),
            "minutes": about["training"]["minutes"],
            "rows": self.training_rows(about),
        }
        if job.bits is None:
            # A float feature has no payload, which is what the runtime would be measured by.
            return {**row, "bits": None, "measured_in": "torch", **measure(link, self.test)}
        made = evaluate([str(folder)], bits=Bits(), data=self.held, seed=INTERVAL_SEED)["rows"][0]
        del made["spread"], made["system"]
        return {**row, "measured_in": "runtime", **made}

    def _variant(self, job: VariantJob) -> dict[str, Any]:
        link, about = train_variant(
            job,
            self.training,
            self.code,
            self.out / job.name,
            epochs=self.budget.variant,
            batch=self.budget.batch,
        )
        (self.out / job.name / CHECKPOINT).unlink(missing_ok=True)
        sample = torch.full((1, 2, registry.ANGLES, registry.DELAYS), 0.5)
        return {
            "name": job.name,
            "activation": job.activation,
            "k": job.k,
            "blocks": job.blocks,
            "cr": job.cr,
            "seed": job.seed,
            "macs": {
                "encoder": count_macs(link.encoder, sample),
                "decoder": count_macs(link.decoder, torch.zeros(1, link.features)),
            },
            "parameters": count_parameters(link),
            "epochs": self.budget.variant,
            "minutes": about["training"]["minutes"],
            "rows": self.training_rows(about),
            "measured_in": "torch",
            "samples": len(self.held.h[:VARIANT_ROWS]),
            "start_nmse_db": round(self.nmse_db(self.started(job)), 3),
            "nmse_db": round(self.nmse_db(link), 3),
        }

    def started(self, job: VariantJob) -> Link:
        """A variant's network before its first step."""
        torch.manual_seed(job.seed)
        link = build_variant(job)
        start(link, self.training.first(CALIBRATION), self.code)
        return link.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def nmse_db(self, link: Link) -> float:
        """On the first held-out rows: a float feature has no payload to run the runtime on."""
        x, _ = to_input(self.held.h[:VARIANT_ROWS])
        return validation_nmse_db(link, torch.from_numpy(x))

    @staticmethod
    def training_rows(about: dict[str, Any]) -> int:
        """Rows of the file that train: all but the last ones, which validate."""
        samples = int(about["data"]["samples"])
        return samples - max(1, min(5000, samples // 20) // 20) * 20
