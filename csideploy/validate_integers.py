"""Checks of a package of integers.

* Every integer step equals the NumPy specification to the bit, on its own inputs: two samples.
* The golden vectors, which that specification made from end to end, come out again: codes and
  payload to the bit, the float output within 1e-4 max(1, max|b|), since it may end in a sigmoid.
* ONNX Runtime on the QDQ files, which knows nothing of us, by the rules of `integer_rules`.

Golden vectors of a package that is integers in part come from ONNX Runtime, and so keep its rules.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import metrics
from csideploy.channels.conventions import from_input
from csideploy.compare import FloatError
from csideploy.integer_rules import OUTPUT_DB, codes_hold, codes_rule, is_mixed, is_wide
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.package import SIDES, LinkPackage
from csideploy.validate_bundle import STEPS, TRACED, check, steps_check
from csideploy.validate_link import Link, Way

Checks = list[dict[str, Any]]


class _Judge:
    """What is counted on one way."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.codes = self.differ = self.most = self.packed_wrong = 0
        self.decoder = FloatError()
        self.distance = 0.0
        self.nmse = np.zeros(3)

    def count(self, ours: Arrays, theirs: Arrays) -> None:
        """Count the codes of one chunk."""
        if self.way.layout is None:
            return
        a, b = ours["codes"].astype(np.int64), theirs["codes"].astype(np.int64)
        self.codes += a.size
        self.differ += int((a != b).sum())
        self.most = max(self.most, int(np.abs(a - b).max()))
        packed = self.way.layout.pack(ours["codes"])
        self.packed_wrong += int((packed != ours["payload"]).any(axis=1).sum())


def _energy(made: NDArray[Any], wanted: NDArray[Any]) -> float:
    """The energy of the difference over that of what was wanted, in dB."""
    exact = wanted.astype(np.float64)
    return float(metrics.to_db(float(np.sum((made - exact) ** 2) / np.sum(exact**2))))


class IntegerLink(Link):
    """Both ends in our runtime, in ONNX Runtime on the QDQ files, and on the fp32 files.

    Quantizers that are parts of their own stay in fp32: they act on the float that the encoder's
    integers stand for, and both runtimes get the same one, so that their codes are equal.
    """

    def __init__(self, package: LinkPackage) -> None:
        super().__init__(package)
        self.oracles, self.floats = {}, {}
        for stem in self.parts:
            name = package.name_of(stem, "onnx")
            self.oracles[stem] = Oracle(package.read(name), name=name)
            self.floats[stem] = Oracle(package.read(f"{stem}.onnx"), name=f"{stem}.onnx")
        self.wide = {side: is_wide(self.plans[side]) for side in SIDES}
        self.judges = [_Judge(way) for way in self.ways]
        self.features = FloatError()
        self.apart = np.zeros(2)
        self.gives_feature = any(info.name == "feature" for info in self.parts["ue"].outputs)

    def theirs(self, stem: str, array: NDArray[Any]) -> Arrays:
        """A part's outputs by ONNX Runtime on the file that the part was compiled from."""
        return self.oracles[stem].run(array)

    def in_floats(self, stem: str, array: NDArray[Any]) -> Arrays:
        """A part's outputs by ONNX Runtime on the fp32 file."""
        return self.floats[stem].run(array)

    def run(self, start: int, x: NDArray[np.float32]) -> None:
        """All three chains on one chunk."""
        exact = from_input(x)
        chains = (self.encode(x), self.encode(x, self.theirs), self.encode(x, self.in_floats))
        if self.gives_feature:
            self._compare_features(start, chains[0][0]["feature"], chains[1][0]["feature"])
        for judge, ours, theirs, floats in zip(self.judges, *chains, strict=True):
            way = judge.way
            if self.gives_feature and way.layout is not None:
                # The quantizer alone is judged: on our feature in both runtimes.
                judge.count(ours, self.theirs(way.ue[-1], ours["feature"]))
            else:
                judge.count(ours, theirs)
            h = self.decode(way, ours[way.sent])
            h_theirs = self.decode(way, ours[way.sent], self.theirs)
            judge.decoder.add(start, h, h_theirs)
            judge.distance += len(x) * metrics.nmse(from_input(h_theirs), from_input(h))
            made = (
                h,
                self.decode(way, theirs[way.sent], self.theirs),
                self.decode(way, floats[way.sent], self.in_floats),
            )
            judge.nmse += len(x) * np.array([metrics.nmse(exact, from_input(y)) for y in made])

    def _compare_features(self, start: int, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
        self.features.add(start, ours, theirs)
        exact = theirs.astype(np.float64)
        self.apart += [np.sum((ours - exact) ** 2), np.sum(exact**2)]

    def checks(self, x: NDArray[np.float32]) -> Checks:
        """Against the specification, step by step, and against ONNX Runtime."""
        sent = self.encode(x[:TRACED])[-1]
        arrays = {"ue": x[:TRACED], "bs": sent[self.ways[-1].sent]}
        for stem in self.ways[-1].bs[:-1]:
            arrays["bs"] = self.ours(stem, arrays["bs"])["feature"]
        found = [
            steps_check(f"{side.upper()} {STEPS}", self.parts[side], self.plans[side], [array])
            for side, array in arrays.items()
        ]
        if self.gives_feature:
            found.append(self._feature_check())
        for judge in self.judges:
            found += [*self._code_checks(judge), self._output_check(judge, len(x))]
        return found

    def _output_check(self, judge: _Judge, n: int) -> dict[str, Any]:
        mark = self.mark(judge.way)
        if not self.wide["bs"]:
            name = f"BS output within 1e-4 max(1, max|b|) of ONNX Runtime's on bs.int8.onnx{mark}"
            return check(name, judge.decoder.holds, judge.decoder.detail)
        name = (
            f"BS output within {OUTPUT_DB:g} dB of ONNX Runtime's on bs.int8.onnx (16 bits){mark}"
        )
        apart = metrics.to_db(judge.distance / n)
        return check(name, apart <= OUTPUT_DB, f"{apart:.1f} dB apart")

    def _feature_check(self) -> dict[str, Any]:
        if not self.wide["ue"]:
            name = "UE feature within 1e-4 max(1, max|b|) of ONNX Runtime's on ue.int8.onnx"
            return check(name, self.features.holds, self.features.detail)
        name = f"UE feature within {OUTPUT_DB:g} dB of ONNX Runtime's on ue.int8.onnx (16 bits)"
        apart = metrics.to_db(self.apart[0] / self.apart[1])
        return check(name, apart <= OUTPUT_DB, f"{apart:.1f} dB apart")

    def _code_checks(self, judge: _Judge) -> Checks:
        if judge.way.layout is None:
            return []
        wide = self.wide["ue"] and not self.gives_feature
        stem, mark = judge.way.ue[-1], self.mark(judge.way)
        name = (
            f"UE payload codes and ONNX Runtime's on {self.package.name_of(stem, 'onnx')} "
            f"{codes_rule(wide=wide)}{mark}"
        )
        holds = codes_hold(judge.differ, judge.codes, judge.most, wide=wide)
        detail = f"{judge.differ} of {judge.codes:,} codes differ, by {judge.most} at most"
        return [
            check(name, holds, detail),
            check(
                f"UE payload is its codes packed (NumPy packer){mark}",
                judge.packed_wrong == 0,
                f"{judge.packed_wrong} samples differ",
            ),
        ]

    def golden_checks(self, golden: list[Arrays]) -> Checks:
        """What the specification made at export comes out again."""
        found: Checks = []
        x = golden[0]["x"]
        many = f", {len(x)} samples"
        for way, stored, made in zip(self.ways, golden, self.encode(x), strict=True):
            output = FloatError()
            output.add(0, self.decode(way, stored[way.sent]), stored["h"])
            apart = _energy(self.decode(way, stored[way.sent]), stored["h"])
            loose = is_mixed(self.plans["ue"])
            if way.layout is None:
                sent = FloatError()
                sent.add(0, made["feature"], stored["feature"])
                far = _energy(made["feature"], stored["feature"])
                holds, detail = sent.holds or (loose and far <= OUTPUT_DB), sent.detail
            elif loose:
                differ = np.abs(made["codes"].astype(np.int64) - stored["codes"].astype(np.int64))
                wrong = int((differ != 0).sum())
                holds = codes_hold(wrong, differ.size, int(differ.max()), wide=True)
                detail = f"{wrong} codes differ"
            else:
                names = ("codes", "payload")
                wrong = sum(int((made[name] != stored[name]).any(axis=1).sum()) for name in names)
                holds, detail = wrong == 0, f"{wrong} differ"
            mark = self.mark(way)
            same, about = output.holds, output.detail
            if is_mixed(self.plans["bs"]):
                same, about = apart <= OUTPUT_DB, f"{apart:.1f} dB apart"
            found += [
                check(f"golden vectors: UE {way.sent}{mark}", holds, detail + many),
                check(f"golden vectors: BS output{mark}", same, about + many),
            ]
        return found

    def measured(self, n: int) -> dict[str, Any]:
        """The figures behind the checks."""
        figures = []
        for judge in self.judges:
            ours, theirs, floats = (float(metrics.to_db(float(v))) for v in judge.nmse / n)
            about: dict[str, Any] = {}
            if judge.way.layout is not None:
                about = {"ue_codes": judge.codes, "ue_codes_differ": judge.differ}
            figures.append(
                {
                    **about,
                    **judge.decoder.figures("bs"),
                    "nmse_db": ours,
                    "nmse_db_onnxruntime": theirs,
                    "nmse_db_fp32": floats,
                }
            )
        return self.by_budget(figures)
