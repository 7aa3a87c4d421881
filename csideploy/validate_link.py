"""What the checks of every link package share: its parts, its inputs, its golden vectors."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.errors import FormatError
from csideploy.export.bundle_read import read_bundle
from csideploy.feedback import check_shape
from csideploy.onnx_oracle import Arrays
from csideploy.package import SIDES, LinkPackage


class Link:
    """Both ends of a package as bundles in our runtime.

    Attributes:
        bits: of a feature; None: float features, and `sent` is "feature" instead of "payload".
        ue, bs: the parts, opened.
        plans: the same bundles, read, by side.
    """

    def __init__(self, package: LinkPackage) -> None:
        self.package = package
        self.bits: int | None = package.manifest["bits"]
        self.sent = "feature" if self.bits is None else "payload"
        self.ue, self.bs = package.open_part("ue"), package.open_part("bs")
        self.plans = {
            side: read_bundle(package.read(package.name_of(side, "csib"))) for side in SIDES
        }

    def inputs(
        self, reference: Path | None, samples: int | None, domain: str, convention: str
    ) -> tuple[NDArray[np.float32], str]:
        """The input x in [0, 1], and where it comes from."""
        if reference is None:
            x, source = self.golden()["x"], "golden vectors of the package"
        else:
            csi = read_csi(reference, convention=convention, domain=domain)
            check_shape(csi, self.ue.inputs[0].shape)
            x, _ = to_input(csi.h)
            source = f"{reference}: {csi.description}"
        return x[:samples], source

    def golden(self) -> Arrays:
        """The package's vectors.

        Raises:
            FormatError: an array is missing, or does not fit the link.
        """
        data = self.package.read("vectors.npz")
        path = self.package.path / "vectors.npz"
        wanted = (*self.ue.inputs, *self.ue.outputs, *self.bs.outputs)
        try:
            with np.load(io.BytesIO(data)) as archive:
                vectors = {info.name: archive[info.name] for info in wanted}
        except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise FormatError(f"{path} cannot be read: {error}") from error
        for info in wanted:
            array, shape = vectors[info.name], (len(vectors["x"]), *info.shape[1:])
            if array.dtype != info.dtype or array.shape != shape:
                raise FormatError(
                    f"{path}: {info.name} is {array.dtype} {array.shape}, "
                    f"the link has {info.dtype} {shape}"
                )
        return vectors

    def encode(self, x: NDArray[np.float32]) -> Arrays:
        """The UE's outputs by our runtime."""
        names = [output.name for output in self.ue.outputs]
        return dict(zip(names, self.ue.run(x), strict=True))
