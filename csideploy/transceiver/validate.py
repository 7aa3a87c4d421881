"""Checks of a transceiver's package: every part against ONNX Runtime, for every number of users.

* fp32 features and precoders: within 1e-4 max(1, max|b|) of ONNX Runtime's.
* A user's bits, of every budget and region, on the same features: equal outside the band of 1e-5
  around equal distances (`csideploy.band`); the payload is its bits packed; what the BS reads of it
  is equal.
* Integers: every integer step equals its NumPy specification to the bit, and the outputs are within
  OUTPUT_DB of ONNX Runtime's on the QDQ file: float steps between the codes may move a code.
* Precoders have a total power of 1, and permuted users get permuted precoders.
* Golden vectors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import metrics
from csideploy.band import Band, band_of
from csideploy.compare import CodeCount, FloatError
from csideploy.errors import FormatError
from csideploy.export.bundle_read import read_bundle
from csideploy.integer_rules import OUTPUT_DB, has_integers
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.package import LinkPackage
from csideploy.payload import Layout
from csideploy.progress import Advance, quiet
from csideploy.transceiver.described import Budget
from csideploy.transceiver.export import largest, mark_of, noise_of, some_users
from csideploy.transceiver.heard import draw
from csideploy.transceiver.integers import SNRS_DB
from csideploy.transceiver.rate import Complex, sum_rate
from csideploy.transceiver.running import complexes
from csideploy.transceiver.vectors import golden_vectors
from csideploy.transceiver.wire import open_transceiver
from csideploy.validate_bundle import STEPS, check, steps_check

SAMPLES = 32
"""Groups, of each number of users."""
POWER = 1e-5
"""Of a total of 1: a float32 sum over K M squares."""

Checks = list[dict[str, Any]]


def validate_transceiver(
    package: LinkPackage,
    *,
    reference: Path | None,
    samples: int | None,
    seed: int,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Run all checks.

    Args:
        package: of kind transceiver.
        reference: users to run; None: i.i.d. Rayleigh channels.
        samples: groups of each number of users; SAMPLES if None.
        seed: of channels, noise and draws.
        progress: called with numbers of users done and in all.

    Returns:
        As `csideploy.validate.validate`; `measured` has the sum rates of each K.

    Raises:
        InputError: the reference cannot be read. FormatError: a file is damaged. PairingError: a
        bundle of another package.
    """
    judge = _Judge(package)
    golden = golden_vectors(package)
    checks = judge.golden_checks(golden)
    total = SAMPLES if samples is None else samples
    most = judge.described.max_users
    for users in range(1, most + 1):
        rng = np.random.default_rng([seed, 6, users])
        if reference is None:
            h: Complex = noise_of(rng, (total, users, judge.described.setup.antennas))
        else:
            h = draw(reference, judge.described, users=users, groups=total, seed=seed).h
        judge.run(h, rng)
        progress(users, most)
    checks = judge.checks() + checks
    source = "i.i.d. Rayleigh channels" if reference is None else str(reference)
    return {
        "target": str(package.path),
        "name": package.name,
        "pairing_id": package.pairing_id.hex(),
        "inputs": f"{source}, 1 to {most} users, {SNRS_DB[0]:g} to {SNRS_DB[1]:g} dB, seed {seed}",
        "samples": total * most,
        "passed": all(entry["holds"] for entry in checks),
        "checks": checks,
        "measured": judge.figures(),
    }


class _Part:
    """One part in our runtime and in ONNX Runtime."""

    def __init__(self, package: LinkPackage, stem: str) -> None:
        self.stem = stem
        self.part = package.open_part(stem)
        self.plan = read_bundle(package.read(package.name_of(stem, "csib")))
        self.integer = has_integers(self.plan)
        self.band: Band | None = band_of(self.plan)
        name = package.name_of(stem, "onnx")
        if name not in package.manifest["files"]:
            raise FormatError(f"the package has no {name} to judge by: export it with onnx")
        expose = () if self.band is None else (self.band.tensor,)
        self.oracle = Oracle(package.read(name), name=name, expose=expose)
        self.name = name

    def ours(self, **arrays: NDArray[Any]) -> Arrays:
        """Outputs by name."""
        made = self.part.run(*(arrays[info.name] for info in self.part.inputs))
        return dict(zip((info.name for info in self.part.outputs), made, strict=True))

    def theirs(self, **arrays: NDArray[Any]) -> Arrays:
        """The same by ONNX Runtime."""
        return self.oracle.run(arrays)


class _Output:
    """A float output beside ONNX Runtime's."""

    def __init__(self, part: _Part, what: str) -> None:
        self.part, self.what = part, what
        self.floats = FloatError()
        self.apart = np.zeros(2)

    def add(self, start: int, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
        """Count one chunk."""
        self.floats.add(start, ours, theirs)
        exact = theirs.astype(np.float64)
        self.apart += [np.sum((ours - exact) ** 2), np.sum(exact**2)]

    def check(self, title: str = "") -> dict[str, Any]:
        """Whether the bound of its numbers holds."""
        if not self.part.integer:
            name = f"{self.what} within 1e-4 max(1, max|b|) of ONNX Runtime's"
            return check(title or name, self.floats.holds, self.floats.detail)
        apart = float(metrics.to_db(self.apart[0] / max(self.apart[1], 1e-30)))
        name = f"{self.what} within {OUTPUT_DB:g} dB of ONNX Runtime's on {self.part.name}"
        return check(title or name, apart <= OUTPUT_DB, f"{apart:.1f} dB apart")


class _Judge:
    """All parts, and what is counted."""

    def __init__(self, package: LinkPackage) -> None:
        self.running = open_transceiver(package)
        self.described = self.running.described
        self.parts = {stem: _Part(package, stem) for stem in self.described.stems()}
        self.feature = _Output(self.parts["ue"], "UE feature")
        self.w = _Output(self.parts["bs"], "BS precoders of every number of users")
        self.codes = {
            stem: CodeCount(Layout.uniform(budget.bits, 1), self._near(stem))
            for stem, budget, _ in self.described.quantizers("ue")
        }
        self.read_wrong = {stem: 0 for stem, _, _ in self.described.quantizers("bs")}
        self.power = 0.0
        self.moved = FloatError()
        self.steps: dict[str, dict[str, Any]] = {}
        self.rates: dict[int, list[float]] = {}
        self.users = 0

    def _near(self, stem: str) -> Any:
        band = self.parts[stem].band
        return None if band is None else band.near

    def run(self, h: Complex, rng: np.random.Generator) -> None:
        """Groups of one number of users."""
        setup, running = self.described.setup, self.running
        snr_db = rng.uniform(*SNRS_DB, (len(h), 1)).astype(np.float32)
        noise = noise_of(rng, (*h.shape[:2], setup.pilots))
        y = running.hear(h, noise, 10 ** (snr_db[:, 0] / 10))
        flat = np.ascontiguousarray(y.reshape(-1, setup.pilots, 2))
        ours, theirs = (one(y=flat) for one in (self.parts["ue"].ours, self.parts["ue"].theirs))
        self.feature.add(self.users, ours["feature"], theirs["feature"])
        self._steps("ue", [flat])
        read = self.bits(ours["feature"])
        # Groups of all budgets: each takes one of them.
        marks = list(read)
        mixed = np.stack([read[marks[i % len(marks)]][i] for i in range(len(flat))])
        groups = np.ascontiguousarray(mixed.reshape(*h.shape[:2], -1))
        self.precoders(h, groups, snr_db, rng)
        self.users += len(flat)

    def bits(self, feature: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Features (n, D) through every quantizer and back: what the BS reads, by mark."""
        read = {}
        ends = zip(self.described.quantizers("ue"), self.described.quantizers("bs"), strict=True)
        for (ue, _, _), (bs, _, _) in ends:
            ours = self.parts[ue].ours(feature=feature)
            theirs = self.parts[ue].theirs(feature=feature)
            self.codes[ue].add(self.users, ours, theirs, feature)
            payload = ours["payload"]
            made = self.parts[bs].ours(payload=payload)["feature"]
            other = self.parts[bs].theirs(payload=payload)["feature"]
            self.read_wrong[bs] += int((made != other).sum())
            read[mark_of(ue)] = made
        return read

    def precoders(
        self,
        h: Complex,
        feature: NDArray[np.float32],
        snr_db: NDArray[np.float32],
        rng: np.random.Generator,
    ) -> None:
        """Precoders of groups."""
        part, users = self.parts["bs"], h.shape[1]
        ours = part.ours(feature=feature, snr_db=snr_db)["W"]
        theirs = part.theirs(feature=feature, snr_db=snr_db)["W"]
        self.w.add(self.users, ours, theirs)
        power = np.sum(ours.astype(np.float64) ** 2, axis=(1, 2, 3))
        self.power = max(self.power, float(np.max(np.abs(power - 1))))
        order = rng.permutation(users)
        turned = part.ours(feature=np.ascontiguousarray(feature[:, order]), snr_db=snr_db)["W"]
        self.moved.add(self.users, turned, ours[:, order])
        if users == self.described.max_users:
            self._steps("bs", [feature, snr_db])
        # The SNR in the channels, as it differs from group to group.
        louder = h * np.sqrt(10 ** (snr_db.astype(np.float64) / 10))[:, :, None]
        self.rates[users] = [
            float(sum_rate(louder, complexes(w), 1.0).mean()) for w in (ours, theirs)
        ]

    def _steps(self, stem: str, inputs: list[NDArray[Any]]) -> None:
        part = self.parts[stem]
        if part.integer and stem not in self.steps:
            title = f"{stem.upper()} {STEPS}"
            self.steps[stem] = steps_check(title, part.part, part.plan, inputs)

    def checks(self) -> Checks:
        """What must hold."""
        found = [*self.steps.values(), self.feature.check()]
        for budget in self.described.budgets:
            found += self._bit_checks(budget)
        found.append(self.w.check())
        power = f"apart from 1 by {self.power:.1e} at most, bound {POWER:g}"
        found.append(check("BS precoders have a total power of 1", self.power <= POWER, power))
        if not self.parts["bs"].integer:
            name = "Permuted users get permuted precoders, within 1e-4"
            found.append(check(name, self.moved.holds, self.moved.detail))
        return found

    def _bit_checks(self, budget: Budget) -> Checks:
        """Of all regions of a budget together."""
        stems = [stem for stem, own, _ in self.described.quantizers("ue") if own == budget]
        counts = [self.codes[stem] for stem in stems]
        mark = f", {budget.bits} bits"
        wrong = sum(count.packed_wrong for count in counts)
        ends = [stem for stem, own, _ in self.described.quantizers("bs") if own == budget]
        read = sum(self.read_wrong[stem] for stem in ends)
        differ = sum(count.codes_differ for count in counts)
        inside = sum(count.codes_differ_in_band for count in counts)
        many = sum(count.codes for count in counts)
        return [
            check(
                f"UE payload bits equal ONNX Runtime's outside the band of 1e-5{mark}",
                all(count.holds for count in counts),
                f"{differ} of {many:,} bits differ, {inside} of them inside the band",
            ),
            check(
                f"UE payload is its bits packed (NumPy packer){mark}",
                wrong == 0,
                f"{wrong} samples differ",
            ),
            check(
                f"BS reads the feature that ONNX Runtime reads{mark}",
                read == 0,
                f"{read} numbers differ",
            ),
        ]

    def figures(self) -> dict[str, Any]:
        """The counts, for scripts."""
        differ = {mark_of(stem): count.bits_differ for stem, count in self.codes.items()}
        return {
            **self.feature.floats.figures("ue"),
            **self.w.floats.figures("bs"),
            "bits_differ": differ,
            "power_error": self.power,
            "sum_rates": {str(users): pair[0] for users, pair in self.rates.items()},
            "sum_rates_onnxruntime": {str(users): pair[1] for users, pair in self.rates.items()},
        }

    def golden_checks(self, golden: Arrays) -> Checks:
        """Our runtime against the vectors stored at export."""
        setup, n = self.described.setup, len(golden["y"])
        many = f", {n} groups"
        feature = _Output(self.parts["ue"], "UE feature")
        flat = golden["y"].reshape(-1, setup.pilots, 2)
        stored = golden["feature"].reshape(-1, setup.feature)
        feature.add(0, self.parts["ue"].ours(y=flat)["feature"], stored)
        wrong = read = 0
        for stem, _, _ in self.described.quantizers("ue"):
            count = CodeCount(self.codes[stem].layout, self.codes[stem].near)
            payload = golden[f"payload-{mark_of(stem)}"].reshape(len(flat), -1)
            codes = np.unpackbits(payload, axis=1, count=count.layout.count)
            ours = self.parts[stem].ours(feature=stored)
            count.add(0, ours, {"codes": codes, "payload": payload}, stored)
            wrong += count.codes_differ - count.codes_differ_in_band
        for stem, _, _ in self.described.quantizers("bs"):
            mark = mark_of(stem)
            payload = golden[f"payload-{mark}"].reshape(len(flat), -1)
            made = self.parts[stem].ours(payload=payload)["feature"]
            read += int((made != golden[f"read-{mark}"].reshape(made.shape)).sum())
        w = _Output(self.parts["bs"], "BS precoders")
        known = golden[f"read-{largest(self.described)}"]
        for k in some_users(self.described.max_users):
            own = np.ascontiguousarray(known[:, :k])
            made = self.parts["bs"].ours(feature=own, snr_db=golden["snr_db"])["W"]
            w.add(0, made, golden[f"W-{k}"])
        found = [
            feature.check("golden vectors: UE feature"),
            check("golden vectors: UE payloads", wrong == 0, f"{wrong} bits differ"),
            check("golden vectors: BS features", read == 0, f"{read} numbers differ"),
            w.check("golden vectors: BS precoders"),
        ]
        return [{**entry, "detail": entry["detail"] + many} for entry in found]
