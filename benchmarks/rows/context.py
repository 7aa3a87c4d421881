"""What several rows share: packages of the zoo, real CSI, a folder, the machine's limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows.roofline import Machine
from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import CsideployError
from csideploy.link_export import Wanted, export_link
from csideploy.link_source import Bits
from csideploy.package import LinkPackage, open_package

SAMPLES = 2000
SEED = 20260
"""Of the CSI; no training run and no calibration has used it."""


@dataclass(frozen=True)
class Context:
    """Made once a run.

    Attributes:
        folder: where packages and compiled C go.
        machine: its limits.
    """

    folder: Path
    machine: Machine

    @cached_property
    def x(self) -> NDArray[np.float32]:
        """COST2100 indoor channels as an encoder takes them, (n, 2, angle, delay)."""
        raw = generate("indoor", SAMPLES, seed=SEED).H.astype(np.float32)
        return to_input(raw[:, 0] + 1j * raw[:, 1])[0]

    def package(self, precision: str) -> LinkPackage:
        """BACRNet-10x of the zoo, 1/4, its default entry."""
        return _package(self.folder / f"bacrnet10x-{precision}", precision)

    def quantized(self) -> tuple[LinkPackage, str]:
        """The package in integers where they pay, and its precision."""
        return self.package("mixed"), "mixed"


@cache
def _package(folder: Path, precision: str) -> LinkPackage:
    if not (folder / "manifest.json").is_file():
        wanted = Wanted(
            model="bacrnet10x",
            cr=None,
            bits=Bits(),
            binarize=None,
            emit=frozenset({"onnx", "bundle"}),
            inline=False,
            seed=0,
            **({} if precision == "fp32" else {"precision": precision}),
        )
        made = export_link(wanted, out=folder)
        if made["precision"] != precision:
            raise CsideployError(f"{folder}: {made['precision']} instead of {precision}")
    return open_package(folder)


def file_name(package: LinkPackage, side: str, ending: str) -> str:
    """Of a side's csib or onnx: its integers where it has them."""
    return next(
        name
        for name in (f"{side}{kind}.{ending}" for kind in (".int8", ""))
        if (package.path / name).is_file()
    )
