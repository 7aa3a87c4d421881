"""Checks of a package of integers.

* Every integer step equals the NumPy specification to the bit, on its own inputs: two samples.
* The golden vectors, which that specification made from end to end, come out again: codes and
  payload to the bit, the float output within 1e-4 max(1, max|b|), since it may end in a sigmoid.
* ONNX Runtime on the QDQ files, which knows nothing of us, by the rules of `integer_rules`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import metrics
from csideploy.channels.conventions import from_input
from csideploy.compare import FloatError
from csideploy.integer_rules import OUTPUT_DB, codes_hold, codes_rule, has_sixteen_bits
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.package import SIDES, LinkPackage
from csideploy.payload import pack_codes
from csideploy.validate_bundle import STEPS, TRACED, check, steps_check
from csideploy.validate_link import Link

Checks = list[dict[str, Any]]


class IntegerLink(Link):
    """Both ends in our runtime, in ONNX Runtime on the QDQ files, and on the fp32 files."""

    def __init__(self, package: LinkPackage) -> None:
        super().__init__(package)
        self.oracles = {}
        for side in SIDES:
            for name in (f"{side}.int8.onnx", f"{side}.onnx"):
                self.oracles[name] = Oracle(package.read(name), name=name)
        self.wide = {side: has_sixteen_bits(plan) for side, plan in self.plans.items()}
        self.codes = self.differ = self.most = self.packed_wrong = 0
        self.features = FloatError()
        self.apart = np.zeros(2)
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
            exact = theirs["feature"].astype(np.float64)
            self.apart += [np.sum((ours["feature"] - exact) ** 2), np.sum(exact**2)]
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
            found.append(self._feature_check())
        else:
            found += self._code_checks()
        if not self.wide["bs"]:
            name = "BS output within 1e-4 max(1, max|b|) of ONNX Runtime's on bs.int8.onnx"
            return [*found, check(name, self.decoder.holds, self.decoder.detail)]
        name = f"BS output within {OUTPUT_DB:g} dB of ONNX Runtime's on bs.int8.onnx (16 bits)"
        apart = metrics.to_db(self.distance / len(x))
        return [*found, check(name, apart <= OUTPUT_DB, f"{apart:.1f} dB apart")]

    def _feature_check(self) -> dict[str, Any]:
        if not self.wide["ue"]:
            name = "UE feature within 1e-4 max(1, max|b|) of ONNX Runtime's on ue.int8.onnx"
            return check(name, self.features.holds, self.features.detail)
        name = f"UE feature within {OUTPUT_DB:g} dB of ONNX Runtime's on ue.int8.onnx (16 bits)"
        apart = metrics.to_db(self.apart[0] / self.apart[1])
        return check(name, apart <= OUTPUT_DB, f"{apart:.1f} dB apart")

    def _code_checks(self) -> Checks:
        wide = self.wide["ue"]
        name = f"UE payload codes and ONNX Runtime's on ue.int8.onnx {codes_rule(wide=wide)}"
        holds = codes_hold(self.differ, self.codes, self.most, wide=wide)
        detail = f"{self.differ} of {self.codes:,} codes differ, by {self.most} at most"
        return [
            check(name, holds, detail),
            check(
                "UE payload is its codes packed (NumPy packer)",
                self.packed_wrong == 0,
                f"{self.packed_wrong} samples differ",
            ),
        ]

    def _steps(self, side: str, samples: NDArray[Any]) -> dict[str, Any]:
        part = self.ue if side == "ue" else self.bs
        return steps_check(f"{side.upper()} {STEPS}", part, self.plans[side], [samples])

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
