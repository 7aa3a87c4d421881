"""What the checks of every link package share: its parts, its inputs, its golden vectors."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.errors import FormatError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.plan import PayloadLayout
from csideploy.feedback import check_shape
from csideploy.onnx_oracle import Arrays
from csideploy.package import LinkPackage
from csideploy.payload import Layout
from csideploy.validate_bundle import check


@dataclass(frozen=True)
class Way:
    """One way over a link: that of a bit budget, or of float features.

    sent: "payload" or "feature": what crosses the air. layout: of the payload; None for floats.
    ue, bs: the names of the parts that it takes, in the order in which they run.
    """

    sent: str
    layout: Layout | None
    ue: tuple[str, ...]
    bs: tuple[str, ...]


Runner = Callable[[str, NDArray[Any]], Arrays]
"""Runs the part of a name on its one input; gives its outputs by name."""


NO_PAYLOAD = PayloadLayout(0, 0, 0)


class Link:
    """Both ends of a package as bundles in our runtime.

    Attributes:
        ways: one a bit budget, the smallest first.
        parts: by name, opened.
        plans: the same bundles, read.
    """

    def __init__(self, package: LinkPackage) -> None:
        self.package = package
        layouts: tuple[Layout | None, ...] = package.layouts or (None,)
        self.ways = tuple(
            Way(
                "feature" if layout is None else "payload",
                layout,
                package.stems("ue", layout),
                package.stems("bs", layout),
            )
            for layout in layouts
        )
        self.parts = {stem: package.open_part(stem) for stem in package.all_stems()}
        self.plans = {
            stem: read_bundle(package.read(package.name_of(stem, "csib"))) for stem in self.parts
        }

    def mark(self, way: Way) -> str:
        """What tells the checks of several budgets apart: ` (2 bits)`."""
        several = len(self.ways) > 1 and way.layout is not None
        return f" ({way.layout.bits} bits)" if several and way.layout else ""

    def inputs(
        self, reference: Path | None, samples: int | None, domain: str, convention: str
    ) -> tuple[NDArray[np.float32], str]:
        """The input x in [0, 1], and where it comes from."""
        if reference is None:
            x, source = self.golden()[0]["x"], "golden vectors of the package"
        else:
            csi = read_csi(reference, convention=convention, domain=domain)
            check_shape(csi.h.shape, self.parts["ue"].inputs[0].shape)
            x, _ = to_input(csi.h)
            source = f"{reference}: {csi.description}"
        return x[:samples], source

    def golden(self) -> list[Arrays]:
        """The package's vectors, for each way under the names that its parts have for them.

        Raises:
            FormatError: an array is missing, or does not fit the link.
        """
        data = self.package.read("vectors.npz")
        path = self.package.path / "vectors.npz"
        try:
            with np.load(io.BytesIO(data)) as archive:
                arrays = dict(archive)
            return [self._vectors(way, arrays, path) for way in self.ways]
        except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise FormatError(f"{path} cannot be read: {error}") from error

    def _vectors(self, way: Way, arrays: Arrays, path: Path) -> Arrays:
        end = f"_{way.layout.bits}" if len(self.ways) > 1 and way.layout else ""
        ue, bs = self.parts[way.ue[-1]], self.parts[way.bs[-1]]
        wanted = {"x": self.parts["ue"].inputs[0]}
        wanted |= {f"{info.name}{end}": info for info in (*ue.outputs, *bs.outputs)}
        vectors = {}
        for name, info in wanted.items():
            array, shape = arrays[name], (len(arrays["x"]), *info.shape[1:])
            if array.dtype != info.dtype or array.shape != shape:
                raise FormatError(
                    f"{path}: {name} is {array.dtype} {array.shape}, "
                    f"the link has {info.dtype} {shape}"
                )
            vectors[info.name] = array
        return vectors

    def ours(self, stem: str, array: NDArray[Any]) -> Arrays:
        """A part's outputs by our runtime."""
        part = self.parts[stem]
        names = [output.name for output in part.outputs]
        return dict(zip(names, part.run(array), strict=True))

    def encode(self, x: NDArray[np.float32], run: Runner | None = None) -> list[Arrays]:
        """What the UE makes of x, for each way; `feature` too where a part gives it out.

        Args:
            x: (n, 2, angle, delay).
            run: what with; our runtime if None.
        """
        run = run or self.ours
        head = run("ue", x)
        return [
            head if len(way.ue) == 1 else {**head, **run(way.ue[1], head["feature"])}
            for way in self.ways
        ]

    def decode(self, way: Way, sent: NDArray[Any], run: Runner | None = None) -> NDArray[Any]:
        """What the BS makes of the payload (or feature): h."""
        run = run or self.ours
        for stem in way.bs[:-1]:
            sent = run(stem, sent)["feature"]
        return run(way.bs[-1], sent)["h"]

    def by_budget(self, figures: list[dict[str, Any]]) -> dict[str, Any]:
        """Figures of each way, as one object: those of the largest budget, and all by budget."""
        if len(self.ways) == 1:
            return figures[0]
        named = {
            str(way.layout.bits): own
            for way, own in zip(self.ways, figures, strict=True)
            if way.layout is not None
        }
        return {**figures[-1], "budgets": named}

    def layout_checks(self) -> list[dict[str, Any]]:
        """The bundles' widths beside the manifest's; opening them compares bytes alone."""
        found = []
        for way in self.ways:
            if way.layout is None or not way.layout.widths:
                continue
            wrong = [
                stem
                for stem in dict.fromkeys((way.ue[-1], way.bs[0]))
                if (self.plans[stem].payload or NO_PAYLOAD).widths != way.layout.widths
            ]
            detail = f"{', '.join(wrong)} differ" if wrong else way.layout.describe()
            name = f"widths of the codes are the manifest's{self.mark(way)}"
            found.append(check(name, not wrong, detail))
        return found
