"""What the cross-target suite runs: a zoo link, a codebook and radio units, with inputs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

from ru_bundles import ru_plans

from csideploy.c_folder import folder_name, write_files
from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import CsideployError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.emit_c import emit_c
from csideploy.export.interface import dequantizer_model, quantizer_model
from csideploy.export.plan import Plan
from csideploy.quantizers.scalar import Codebook
from csideploy.runtime import Part

BARE = {"ue": 32, "bs": 2, "ru": 2}
"""Samples on a bare machine: the first so many of those that hosted ones run."""

FLOAT_DECODER = 10
"""Most samples of the fp32 decoder: it is no integer path, and the slowest job under qemu."""

SEED = 31


@dataclass(frozen=True)
class Job:
    """One bundle with its inputs, a sample a row."""

    name: str
    bundle: Path
    inputs: NDArray[Any]

    @property
    def emitted(self) -> Path:
        """The folder of its C."""
        return self.bundle.with_name(folder_name(self.bundle.name))

    @property
    def few(self) -> int:
        """Samples on a bare machine."""
        return min(BARE[self.bundle.name[:2]], len(self.inputs))

    def outputs(self, isa: str) -> bytes:
        """Of the installed runtime: all outputs of a sample, then those of the next."""
        made = Part(self.bundle, isa=isa).run(self.inputs)
        return b"".join(a[i].tobytes() for i in range(len(self.inputs)) for a in made)

    def first(self, outputs: bytes) -> bytes:
        """The outputs of the few samples, out of those of all."""
        return outputs[: len(outputs) // len(self.inputs) * self.few]


def prepare(folder: Path, model: str, precisions: list[str], samples: dict[str, int]) -> list[Job]:
    """Export the link in each precision and encode generated channels; two jobs a precision, and
    two of a codebook and two of radio units.

    Args:
        folder: where the packages go.
        model: a system of the zoo.
        precisions: of fp32, int8, auto.
        samples: how many, by "ue" and "bs".

    Raises:
        CsideployError: what `csideploy export` said.
    """
    channels = generate("indoor", samples["ue"], seed=SEED).H.astype(np.float32)
    x, _ = to_input(channels[:, 0] + 1j * channels[:, 1])
    jobs = []
    for precision in precisions:
        package = export(folder / precision, model, precision)
        ue = bundle_of(package, "ue")
        part = Part(ue)
        made = dict(zip([o.name for o in part.outputs], part.run(x), strict=True))
        jobs.append(Job(f"{precision} encoder", ue, x))
        decoded = min(samples["bs"], FLOAT_DECODER) if precision == "fp32" else samples["bs"]
        payload = made["payload"][:decoded]
        jobs.append(Job(f"{precision} decoder", bundle_of(package, "bs"), payload))
    jobs += codebook_jobs(folder / "codebook", samples)
    return jobs + radio_unit_jobs(folder / "ru", samples["bs"])


CODES = 128
"""Outputs of the codebook jobs: their thresholds fit the flash of the smallest board."""


def codebook_jobs(folder: Path, samples: dict[str, int]) -> list[Job]:
    """Quantizer and dequantizer of a codebook with 0 to 8 bits an output, and halves as values.

    Args:
        folder: where the bundles and their C go.
        samples: how many, by "ue" and "bs".
    """
    rng = np.random.default_rng(SEED)
    widths = rng.permutation(np.arange(CODES) % 9).astype(np.uint8)
    values = np.concatenate([np.sort(rng.normal(size=1 << int(bits))) for bits in widths])
    book = Codebook(widths, values.astype(np.float32)).rounded()
    given = rng.normal(size=(samples["ue"], CODES)).astype(np.float32)
    jobs = []
    folder.mkdir()
    for side, model in (("ue", quantizer_model(book)), ("bs", dequantizer_model(book))):
        plan = compile_model(model, part="codebook", side=side)
        made = Part(write_bundle(plan)).run(given)
        job = Job(f"codebook {side}", folder / f"{side}.csib", given)
        _write(job, plan, made)
        jobs.append(job)
        given = made[-1][: samples["bs"]]
    return jobs


def radio_unit_jobs(folder: Path, samples: int) -> list[Job]:
    """Two RUs on random bits: a table of 2^10 vectors in fp32, a network of 64 bits in int8.

    The table takes 16 KiB, the network 7 KiB.

    Args:
        folder: where the bundles and their C go.
        samples: blocks of 14 channel uses.
    """
    rng = np.random.default_rng(SEED)
    folder.mkdir()
    jobs = []
    for name, plan in ru_plans(14, 10, 64, 64, 2).items():
        size = plan.tensors[plan.inputs[0]].shape[1]
        given = rng.integers(0, 256, (samples, int(size))).astype(np.uint8)
        job = Job(f"ru {name}", folder / f"ru-{name}.csib", given)
        _write(job, plan, Part(write_bundle(plan)).run(given))
        jobs.append(job)
    return jobs


def _write(job: Job, plan: Plan, made: Sequence[NDArray[Any]]) -> None:
    """The job's bundle with two golden samples, and its C."""
    names = [plan.tensors[index].name for index in (*plan.inputs, *plan.outputs)]
    vectors = dict(zip(names, (job.inputs[:2], *(array[:2] for array in made)), strict=True))
    job.bundle.write_bytes(write_bundle(plan, vectors=vectors))
    write_files(job.emitted, emit_c(job.bundle.read_bytes(), title=job.bundle.name))


def export(package: Path, model: str, precision: str) -> Path:
    """`csideploy export` with the C of both sides.

    Raises:
        CsideployError: what it said.
    """
    command = [sys.executable, "-m", "csideploy", "export", "--model", model]
    command += ["--precision", precision, "--emit", "bundle,c", "--out", str(package)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise CsideployError(done.stderr.strip())
    return package


def bundle_of(package: Path, side: str) -> Path:
    """The bundle of a side; the integer one, where a package has two."""
    return max(package.glob(f"{side}*.csib"), key=lambda path: len(path.name))


def digest(pieces: list[bytes]) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(b"".join(pieces)).hexdigest()
