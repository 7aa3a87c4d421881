"""What the cross-target suite runs: the bundles of a zoo link, each with its inputs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.c_folder import folder_name
from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import CsideployError
from csideploy.runtime import Part

BARE = {"ue": 32, "bs": 2}
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
    """Export the link in each precision and encode generated channels; two jobs a precision.

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
    return jobs


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
