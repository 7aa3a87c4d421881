"""Checks of a package of integers.

* Every integer step equals the NumPy specification to the bit, on its own inputs: two samples.
* The golden vectors, which that specification made from end to end, come out again: codes and
  payload to the bit, the float output within 1e-4 max(1, max|b|), since it may end in a sigmoid.
* ONNX Runtime on the QDQ files, which knows nothing of us. Where all activations have 8 bits it
  computes in integers too: codes are equal, and outputs keep the float bound. 16-bit activations
  it computes in float32, one step off now and then, and a step may move a code or an 8-bit value
  behind it: at most one code in 1,000, by one level (measured: one in 10,000), and outputs that
  differ by at most -50 dB of their energy (measured: -74 dB).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import metrics
from csideploy.channels.conventions import from_input
from csideploy.compare import FloatError
from csideploy.export.integer.run import check_steps
from csideploy.export.plan import DType
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.package import SIDES, LinkPackage
from csideploy.payload import pack_codes
from csideploy.validate_bundle import check
from csideploy.validate_link import Link

TRACED = 2
"""Samples whose every step is held against the specification."""
MOVED_CODES = 1e-3
OUTPUT_DB = -50.0

Checks = list[dict[str, Any]]


class IntegerLink(Link):
    """Both ends in our runtime, in ONNX Runtime on the QDQ files, and on the fp32 files."""

    def __init__(self, package: LinkPackage) -> None:
        super().__init__(package)
        self.oracles = {}
        for side in SIDES:
            for name in (f"{side}.int8.onnx", f"{side}.onnx"):
                self.oracles[name] = Oracle(package.read(name), name=name)
        self.wide = {
            side: any(tensor.dtype is DType.I16 for tensor in plan.tensors)
            for side, plan in self.plans.items()
        }
        self.codes = self.differ = self.most = self.packed_wrong = 0
        self.features = FloatError()
        self.decoder = FloatError()
        self.distance = 0.0
        self.nmse = np.zeros(3)

    def run(self, start: int, x: NDArray[np.float32]) -> None:
        """All three chains on one chunk."""
        ours, theirs = self.encode(x), self.oracles["ue.int8.onnx"].run(x)
        self._count(start, ours, theirs)
        (h,) = self.bs.run(ours[self.sent])
        h_theirs = self.oracles["bs.int8.onnx"].run(ours[self.sent])["h"]
        self.decoder.add(start, h, h_theirs)
        exact = from_input(x)
        self.distance += len(x) * metrics.nmse(from_input(h_theirs), from_input(h))
        chain = self.oracles["bs.int8.onnx"].run(theirs[self.sent])["h"]
        floats = self.oracles["ue.onnx"].run(x)[self.sent]
        made = (h, chain, self.oracles["bs.onnx"].run(floats)["h"])
        self.nmse += len(x) * np.array([metrics.nmse(exact, from_input(y)) for y in made])

    def _count(self, start: int, ours: Arrays, theirs: Arrays) -> None:
        if self.bits is None:
            self.features.add(start, ours["feature"], theirs["feature"])
            return
        a, b = ours["codes"].astype(np.int64), theirs["codes"].astype(np.int64)
        self.codes += a.size
        self.differ += int((a != b).sum())
        self.most = max(self.most, int(np.abs(a - b).max()))
        packed = pack_codes(ours["codes"], self.bits)
        self.packed_wrong += int((packed != ours["payload"]).any(axis=1).sum())

    def checks(self, x: NDArray[np.float32]) -> Checks:
        """Against the specification, step by step, and against ONNX Runtime."""
        payload = self.encode(x[:TRACED])[self.sent]
        found = [self._steps("ue", x[:TRACED]), self._steps("bs", payload)]
        if self.bits is None:
            name = "UE feature within 1e-4 max(1, max|b|) of ONNX Runtime's on ue.int8.onnx"
            holds = self.features.holds or self.wide["ue"]
            found.append(check(name, holds, self.features.detail))
        else:
            found += self._code_checks()
        name = "BS output as ONNX Runtime's on bs.int8.onnx"
        apart = metrics.to_db(self.distance / len(x))
        detail = f"{self.decoder.detail}, {apart:.1f} dB apart"
        holds = apart <= OUTPUT_DB if self.wide["bs"] else self.decoder.holds
        return [*found, check(name, holds, detail)]

    def _code_checks(self) -> Checks:
        name = "UE payload codes as ONNX Runtime's on ue.int8.onnx"
        some = self.differ <= MOVED_CODES * self.codes and self.most <= 1
        detail = f"{self.differ} of {self.codes:,} codes differ, by {self.most} at most"
        return [
            check(name, some if self.wide["ue"] else self.differ == 0, detail),
            check(
                "UE payload is its codes packed (NumPy packer)",
                self.packed_wrong == 0,
                f"{self.packed_wrong} samples differ",
            ),
        ]

    def _steps(self, side: str, samples: NDArray[Any]) -> dict[str, Any]:
        part = self.ue if side == "ue" else self.bs
        compared, first = 0, ""
        for index in range(len(samples)):
            sample = samples[index : index + 1]
            traced = [outputs[0] for _, outputs in part.trace(sample)]
            count, wrong = check_steps(self.plans[side], [sample], traced)
            compared += count
            first = first or wrong
        name = f"{side.upper()} integer steps equal their NumPy specification to the bit"
        detail = f"{compared} steps on {len(samples)} samples"
        return check(name, not first, detail, first or None)

    def golden_checks(self, golden: Arrays) -> Checks:
        """What the specification made at export comes out again."""
        made = self.encode(golden["x"])
        many = f", {len(golden['x'])} samples"
        output = FloatError()
        output.add(0, self.bs.run(golden[self.sent])[0], golden["h"])
        if self.bits is None:
            sent = FloatError()
            sent.add(0, made["feature"], golden["feature"])
            holds, detail = sent.holds, sent.detail
        else:
            names = ("codes", "payload")
            wrong = sum(int((made[name] != golden[name]).any(axis=1).sum()) for name in names)
            holds, detail = wrong == 0, f"{wrong} differ"
        return [
            check(f"golden vectors: UE {self.sent}", holds, detail + many),
            check("golden vectors: BS output", output.holds, output.detail + many),
        ]

    def measured(self, n: int) -> dict[str, Any]:
        """The figures behind the checks."""
        ours, theirs, floats = (float(metrics.to_db(float(value))) for value in self.nmse / n)
        about: dict[str, Any] = {}
        if self.bits is not None:
            about = {"ue_codes": self.codes, "ue_codes_differ": self.differ}
        return {
            **about,
            **self.decoder.figures("bs"),
            "nmse_db": ours,
            "nmse_db_onnxruntime": theirs,
            "nmse_db_fp32": floats,
        }
