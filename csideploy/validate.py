"""Does what we run compute what ONNX says? Our runtime against ONNX Runtime, on the same inputs.

The checks, and why each has the bound it has:

* Payload codes are equal, except where the value before the quantizer lies in the band around a
  threshold (`csideploy.band`): a float path may sum in another order, and only there can that move
  a code.
* The payload is its codes packed, judged by the NumPy packer.
* BS outputs, both fed the same payload: max|a - b| <= 1e-4 max(1, max|b|).

All of them for each bit budget of the package. Packages of integers have checks of their own:
`validate_integers`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import metrics
from csideploy.band import Band, Near, band_of
from csideploy.channels.conventions import from_input
from csideploy.compare import CodeCount, FloatError
from csideploy.divergence import NONE_ALONE, first_diverging
from csideploy.downlink.validate import validate_precoder
from csideploy.errors import InputError
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.package import LinkPackage, open_package
from csideploy.progress import Advance, quiet
from csideploy.validate_bundle import check, validate_bundle
from csideploy.validate_integers import IntegerLink
from csideploy.validate_link import Link, Way

CHUNK = 250


def validate(
    target: Path,
    *,
    reference: Path | None = None,
    samples: int | None = None,
    domain: str = "angular",
    convention: str = "auto",
    onnx_file: Path | None = None,
    seed: int = 0,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Run all checks on a package or on a bundle.

    Args:
        target: a link package, or a bundle that carries golden vectors.
        reference: CSI to run; None takes the golden vectors.
        samples: only the first so many.
        domain: of `reference`, angular or frequency.
        convention: of `reference`, auto, centred or raw.
        onnx_file: what a bundle was compiled from; runs it in ONNX Runtime.
        seed: of the random inputs for that.
        progress: called with samples done and samples in all.

    Returns:
        `passed`; `checks`: a list of {name, holds, detail}; `measured`: the figures behind them.

    Raises:
        InputError, FormatError, PairingError: what is to be checked cannot be read.
    """
    if target.suffix == ".csib":
        if reference is not None:
            raise InputError("--reference needs a link package: a bundle alone is one side only")
        return validate_bundle(target, onnx_file=onnx_file, samples=samples, seed=seed)
    if onnx_file is not None:
        raise InputError("--onnx goes with a bundle (.csib): a package has its own ONNX files")
    package = open_package(target)
    if package.is_fronthaul:
        from csideploy.fronthaul.validate import validate_fronthaul

        if reference is not None:
            raise InputError(
                f"--reference: {target} is a fronthaul; it is run on channels of --seed"
            )
        return validate_fronthaul(package, samples=samples, seed=seed, progress=progress)
    if package.is_transceiver:
        from csideploy.transceiver.validate import validate_transceiver

        return validate_transceiver(
            package, reference=reference, samples=samples, seed=seed, progress=progress
        )
    if package.is_precoder:
        if reference is not None:
            raise InputError(
                f"--reference: {target} is a precoder; it is run on channels of --seed"
            )
        return validate_precoder(package, samples=samples, seed=seed, progress=progress)
    link: IntegerLink | _FloatLink
    link = IntegerLink(package) if package.is_integer else _FloatLink(package)
    x, source = link.inputs(reference, samples, domain, convention)
    golden = link.golden()
    checks = link.layout_checks()
    # Codes of other widths than the manifest's cannot be judged.
    sound = all(check["holds"] for check in checks)
    if sound:
        progress(0, len(x))
        for start in range(0, len(x), CHUNK):
            link.run(start, x[start : start + CHUNK])
            progress(min(start + CHUNK, len(x)), len(x))
        checks += [*link.checks(x), *link.golden_checks(golden)]
    return {
        "target": str(target),
        "name": link.package.name,
        "pairing_id": link.package.pairing_id.hex(),
        "inputs": source,
        "samples": len(x),
        "passed": all(check["holds"] for check in checks),
        "checks": checks,
        "measured": link.measured(len(x)) if sound else {},
    }


class _Judge:
    """What is counted on one way."""

    def __init__(self, way: Way, near: Near | None) -> None:
        self.encoder = new_count(way, near)
        self.decoder = FloatError()
        self.nmse = np.zeros(2)


def new_count(way: Way, near: Near | None) -> CodeCount | FloatError:
    """What judges the UE's output on a way."""
    return FloatError() if way.layout is None else CodeCount(way.layout, near)


class _FloatLink(Link):
    """Both ends of an fp32 package, twice: in our runtime and in the oracle."""

    def __init__(self, package: LinkPackage) -> None:
        super().__init__(package)
        self.oracles: dict[str, Oracle] = {}
        self.bands: dict[str, Band] = {}
        for stem, plan in self.plans.items():
            name = f"{stem}.onnx"
            band = band_of(plan) if stem.startswith("ue") else None
            expose = () if band is None else (band.tensor,)
            self.oracles[stem] = Oracle(package.read(name), name=name, expose=expose)
            if band is not None:
                self.bands[stem] = band
        self.judges = [_Judge(way, self._near(way)) for way in self.ways]

    def _near(self, way: Way) -> Near | None:
        band = self.bands.get(way.ue[-1])
        return None if band is None else band.near

    def theirs(self, stem: str, array: NDArray[Any]) -> Arrays:
        """A part's outputs by ONNX Runtime, and what goes into its quantizer."""
        return self.oracles[stem].run(array)

    def compare(
        self,
        way: Way,
        judge: CodeCount | FloatError,
        start: int,
        ours: Arrays,
        theirs: Arrays,
    ) -> None:
        """Compare the UE's outputs on a way."""
        if isinstance(judge, FloatError):
            judge.add(start, ours[way.sent], theirs[way.sent])
        else:
            band = self.bands.get(way.ue[-1])
            judge.add(start, ours, theirs, theirs.get(band.tensor) if band else None)

    def run(self, start: int, x: NDArray[np.float32]) -> None:
        """Both chains on one chunk."""
        h = from_input(x)
        both = zip(self.encode(x), self.encode(x, self.theirs), strict=True)
        for way, judge, (ours, theirs) in zip(self.ways, self.judges, both, strict=True):
            self.compare(way, judge.encoder, start, ours, theirs)
            sent = theirs[way.sent]
            h_theirs = self.decode(way, sent, self.theirs)
            h_same = self.decode(way, sent)
            judge.decoder.add(start, h_same, h_theirs)
            # What was sent is mostly the same to the bit; only the rest is decoded again.
            other = (ours[way.sent] != sent).any(axis=1)
            h_ours = h_same.copy()
            h_ours[other] = self.decode(way, ours[way.sent][other])
            judge.nmse += len(x) * np.array(
                [metrics.nmse(h, from_input(h_ours)), metrics.nmse(h, from_input(h_theirs))]
            )

    def checks(self, x: NDArray[np.float32]) -> list[dict[str, Any]]:
        """What must hold between our runtime and ONNX Runtime."""
        return [
            entry
            for way, judge in zip(self.ways, self.judges, strict=True)
            for entry in self._way_checks(way, judge, x)
        ]

    def _way_checks(self, way: Way, judge: _Judge, x: NDArray[np.float32]) -> list[dict[str, Any]]:
        encoder, decoder, mark = judge.encoder, judge.decoder, self.mark(way)
        ue = bs = None
        if encoder.culprit is not None:
            ue = self.diverges(way.ue, x[encoder.culprit : encoder.culprit + 1])
        if decoder.culprit is not None:
            sample = x[decoder.culprit : decoder.culprit + 1]
            sent = self.encode(sample, self.theirs)[self.ways.index(way)][way.sent]
            bs = self.diverges(way.bs, sent)
        name = f"BS output within 1e-4 max(1, max|b|) of ONNX Runtime's{mark}"
        last = check(name, decoder.holds, decoder.detail, bs)
        if isinstance(encoder, FloatError):
            name = "UE feature within 1e-4 max(1, max|b|) of ONNX Runtime's"
            return [check(name, encoder.holds, encoder.detail, ue), last]
        return [
            check(
                f"UE payload codes equal ONNX Runtime's outside the band of 1e-5{mark}",
                encoder.holds,
                encoder.detail,
                ue,
            ),
            check(
                f"UE payload is its codes packed (NumPy packer){mark}",
                encoder.packed_wrong == 0,
                f"{encoder.packed_wrong} samples differ",
            ),
            last,
        ]

    def diverges(self, stems: tuple[str, ...], sample: NDArray[Any]) -> str:
        """The first diverging layer of a side, for one sample."""
        for stem in stems:
            network = self.package.read(f"{stem}.onnx")
            found = first_diverging(self.parts[stem], self.plans[stem], network, sample)
            if found != NONE_ALONE:
                return found
            sample = self.parts[stem].run(sample)[-1]
        return NONE_ALONE

    def golden_checks(self, golden: list[Arrays]) -> list[dict[str, Any]]:
        """What must hold between our runtime and the vectors stored at export."""
        found = []
        x = golden[0]["x"]
        many = f", {len(x)} samples"
        encoded = zip(self.encode(x), self.encode(x, self.theirs), strict=True)
        for way, stored, (ours, theirs) in zip(self.ways, golden, encoded, strict=True):
            encoder, decoder = new_count(way, self._near(way)), FloatError()
            # ONNX Runtime made the vectors, so what went into the quantizer is known again.
            self.compare(way, encoder, 0, ours, {**theirs, **stored})
            decoder.add(0, self.decode(way, stored[way.sent]), stored["h"])
            mark = self.mark(way)
            found += [
                check(f"golden vectors: UE {way.sent}{mark}", encoder.holds, encoder.detail + many),
                check(f"golden vectors: BS output{mark}", decoder.holds, decoder.detail + many),
            ]
        return found

    def measured(self, n: int) -> dict[str, Any]:
        """The figures behind the checks."""
        figures: list[dict[str, Any]] = []
        for judge in self.judges:
            ours, theirs = (float(metrics.to_db(float(value))) for value in judge.nmse / n)
            figures.append(
                {
                    **judge.encoder.figures("ue"),
                    **judge.decoder.figures("bs"),
                    "nmse_db": ours,
                    "nmse_db_onnxruntime": theirs,
                }
            )
        return self.by_budget(figures)
