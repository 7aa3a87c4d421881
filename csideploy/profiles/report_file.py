"""Reports in a payload file: v samples are the layers of one report of rank v.

The header is that of every payload file (`csideploy.payload`); its layout id is 0x1000 + 16 v + Q,
its count the number of reports, and a "sample" is a report. The samples of a report stand in the
CSI file one after another, the strongest layer first: scale is not sent, so a receiver could not
find their order. Part 1 says the rank; its CQI and CRI are 0, since csideploy measures neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError, PairingError
from csideploy.package import LinkPackage
from csideploy.payload import REPORT_LAYOUT, Header, check_pairing
from csideploy.profiles.described import report_layout
from csideploy.profiles.r20_case0 import NAME
from csideploy.profiles.report_bits import ReportLayout


@dataclass(frozen=True)
class ReportFile:
    """Reports of one rank: how samples' payloads become records of a file, and back."""

    layout: ReportLayout

    @property
    def layout_id(self) -> int:
        """For the header."""
        return REPORT_LAYOUT + 16 * self.layout.rank + self.layout.pairs[0].bits

    def pack(self, payload: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Payloads (n, bytes) of samples -> reports (n / rank, nbytes)."""
        rank = self.layout.rank
        return self.layout.pack([payload[layer::rank] for layer in range(rank)])

    def unpack(self, reports: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Undo `pack`.

        Raises:
            FormatError: a report says another rank.
        """
        layers = self.layout.unpack(reports).payloads
        return np.stack(layers, axis=1).reshape(-1, layers[0].shape[1])

    def figures(self, samples: int) -> dict[str, Any]:
        """What so many samples become, for people and scripts."""
        reports = samples // self.layout.rank
        return {"reports": reports, "bytes": self.layout.nbytes, **self.layout.figures()}


def reports_of(package: LinkPackage, rank: int) -> ReportFile:
    """The reports of a package.

    Args:
        package: exported with the profile.
        rank: layers of a report.

    Raises:
        InputError: the package has no profile, or not so many layers.
    """
    profile = package.manifest.get("profile")
    if profile is None:
        raise InputError(
            f"--rank: {package.path} has no profile; export it with --profile {NAME}, or leave "
            "the option out"
        )
    return ReportFile(report_layout(profile, rank))


def check_count(samples: int, rank: int) -> None:
    """Samples must be whole reports.

    Raises:
        InputError: they are not.
    """
    if samples % rank:
        raise InputError(
            f"--rank {rank}: {samples} samples are no whole number of reports of {rank} layers"
        )


def disorder(h: NDArray[np.complexfloating], rank: int) -> int:
    """How many reports have a layer with more energy than the layer before it.

    Args:
        h: CSI (n, angle, delay), n a multiple of `rank`.
        rank: layers of a report.
    """
    energy = (np.abs(h) ** 2).sum(axis=(1, 2)).reshape(-1, rank)
    return int((np.diff(energy, axis=1) > 0).any(axis=1).sum())


def is_reports(header: Header) -> bool:
    """Whether a payload file holds reports."""
    return header.layout_id & 0xF000 == REPORT_LAYOUT


def reports_in(header: Header, package: LinkPackage, *, name: str) -> ReportFile:
    """The reports that a file says it holds.

    Args:
        header: of the file.
        package: the receiver's.
        name: the file's name, for messages.

    Raises:
        PairingError: another link made them, or with another layout.
        FormatError: the bytes a report do not fit.
    """
    check_pairing(header, package.pairing_id, name=name)
    rank = header.layout_id >> 4 & 0xFF
    try:
        own = reports_of(package, rank)
    except InputError as error:
        raise PairingError(
            f"{name} has reports of rank {rank}, which this package does not take: {error}"
        ) from error
    if own.layout_id != header.layout_id:
        raise PairingError(
            f"{name} has payload layout 0x{header.layout_id:04x}, this package's reports of rank "
            f"{rank} have 0x{own.layout_id:04x}"
        )
    if header.sample_bytes != own.layout.nbytes:
        raise FormatError(
            f"{name} says {header.sample_bytes} bytes a report; of rank {rank} it has "
            f"{own.layout.nbytes}"
        )
    return own
