"""Does what we run compute what ONNX says? Our runtime against ONNX Runtime, on the same inputs.

The checks, and why each has the bound it has:

* Payload codes are equal, except where the value before the quantizer lies within 1e-5 of a
  threshold k / 2^B: a float path may sum in another order, and only there can that move a code.
* The payload is its codes packed, judged by the NumPy packer.
* BS outputs, both fed the same payload: max|a - b| <= 1e-4 max(1, max|b|).

Packages of integers have checks of their own: `validate_integers`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import metrics
from csideploy.channels.conventions import from_input
from csideploy.compare import CodeCount, FloatError
from csideploy.divergence import first_diverging, tensor_before
from csideploy.errors import InputError
from csideploy.export.plan import Op
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.package import LinkPackage, open_package
from csideploy.progress import Advance, quiet
from csideploy.validate_bundle import check, validate_bundle
from csideploy.validate_integers import IntegerLink
from csideploy.validate_link import Link

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
    link: IntegerLink | _FloatLink
    link = IntegerLink(package) if package.is_integer else _FloatLink(package)
    x, source = link.inputs(reference, samples, domain, convention)
    golden = link.golden()
    progress(0, len(x))
    for start in range(0, len(x), CHUNK):
        link.run(start, x[start : start + CHUNK])
        progress(min(start + CHUNK, len(x)), len(x))
    checks = [*link.checks(x), *link.golden_checks(golden)]
    return {
        "target": str(target),
        "name": link.package.name,
        "pairing_id": link.package.pairing_id.hex(),
        "inputs": source,
        "samples": len(x),
        "passed": all(check["holds"] for check in checks),
        "checks": checks,
        "measured": link.measured(len(x)),
    }


class _FloatLink(Link):
    """Both ends of an fp32 package, twice: in our runtime and in the oracle."""

    def __init__(self, package: LinkPackage) -> None:
        super().__init__(package)
        self.ue_oracle = Oracle(package.read("ue.onnx"), name="ue.onnx")
        self.bs_oracle = Oracle(package.read("bs.onnx"), name="bs.onnx")
        before = tensor_before(self.plans["ue"], Op.QUANTIZE_UNIFORM)
        self.inside = Oracle(package.read("ue.onnx"), name="ue.onnx", expose=(before,))
        self.before = before if before in self.inside.exposed else None
        self.encoder = self.comparison()
        self.decoder = FloatError()
        self.nmse = np.zeros(2)

    def comparison(self) -> CodeCount | FloatError:
        """What judges the UE's output."""
        return FloatError() if self.bits is None else CodeCount(self.bits)

    def judge(
        self,
        judge: CodeCount | FloatError,
        start: int,
        x: NDArray[np.float32],
        ours: Arrays,
        theirs: Arrays,
    ) -> None:
        """Compare the UE's outputs for x."""
        if isinstance(judge, FloatError):
            judge.add(start, ours[self.sent], theirs[self.sent])
        else:
            judge.add(start, ours, theirs, self.inside.run(x)[self.before] if self.before else None)

    def run(self, start: int, x: NDArray[np.float32]) -> None:
        """Both chains on one chunk."""
        ours, theirs = self.encode(x), self.ue_oracle.run(x)
        self.judge(self.encoder, start, x, ours, theirs)
        h_theirs = self.bs_oracle.run(theirs[self.sent])["h"]
        (h_same,) = self.bs.run(theirs[self.sent])
        self.decoder.add(start, h_same, h_theirs)
        # What was sent is mostly the same to the bit; only the rest is decoded again.
        other = (ours[self.sent] != theirs[self.sent]).any(axis=1)
        h_ours = h_same.copy()
        h_ours[other] = self.bs.run(ours[self.sent][other])[0]
        h = from_input(x)
        self.nmse += len(x) * np.array(
            [metrics.nmse(h, from_input(h_ours)), metrics.nmse(h, from_input(h_theirs))]
        )

    def checks(self, x: NDArray[np.float32]) -> list[dict[str, Any]]:
        """What must hold between our runtime and ONNX Runtime."""
        encoder, decoder = self.encoder, self.decoder
        ue = bs = None
        if encoder.culprit is not None:
            ue = self.diverges("ue", x[encoder.culprit : encoder.culprit + 1])
        if decoder.culprit is not None:
            sample = self.ue_oracle.run(x[decoder.culprit : decoder.culprit + 1])
            bs = self.diverges("bs", sample[self.sent])
        name = "BS output within 1e-4 max(1, max|b|) of ONNX Runtime's"
        last = check(name, decoder.holds, decoder.detail, bs)
        if isinstance(encoder, FloatError):
            name = "UE feature within 1e-4 max(1, max|b|) of ONNX Runtime's"
            return [check(name, encoder.holds, encoder.detail, ue), last]
        return [
            check(
                "UE payload codes equal ONNX Runtime's outside the band of 1e-5",
                encoder.holds,
                encoder.detail,
                ue,
            ),
            check(
                "UE payload is its codes packed (NumPy packer)",
                encoder.packed_wrong == 0,
                f"{encoder.packed_wrong} samples differ",
            ),
            last,
        ]

    def diverges(self, side: str, sample: NDArray[Any]) -> str:
        """The first diverging layer of a side, for one sample."""
        part = self.ue if side == "ue" else self.bs
        return first_diverging(part, self.plans[side], self.package.read(f"{side}.onnx"), sample)

    def golden_checks(self, golden: Arrays) -> list[dict[str, Any]]:
        """What must hold between our runtime and the vectors stored at export."""
        encoder, decoder = self.comparison(), FloatError()
        self.judge(encoder, 0, golden["x"], self.encode(golden["x"]), golden)
        decoder.add(0, self.bs.run(golden[self.sent])[0], golden["h"])
        many = f", {len(golden['x'])} samples"
        return [
            check(f"golden vectors: UE {self.sent}", encoder.holds, encoder.detail + many),
            check("golden vectors: BS output", decoder.holds, decoder.detail + many),
        ]

    def measured(self, n: int) -> dict[str, Any]:
        """The figures behind the checks."""
        ours, theirs = (float(metrics.to_db(float(value))) for value in self.nmse / n)
        return {
            **self.encoder.figures("ue"),
            **self.decoder.figures("bs"),
            "nmse_db": ours,
            "nmse_db_onnxruntime": theirs,
        }
