"""Checks of a fronthaul's package: RUs against ONNX Runtime, the DU against NumPy or PyTorch."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.compare import FloatError
from csideploy.errors import FormatError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.integer.run import run_plan
from csideploy.fronthaul.du_oracle import (
    Inputs,
    network_signals,
    neural_payload,
    objective,
    table_indices,
    table_payload,
)
from csideploy.fronthaul.export import blocks, channel_of, signal_name
from csideploy.fronthaul.packaged import read_codebooks
from csideploy.fronthaul.parts import du_inputs, interface, payload_spans
from csideploy.fronthaul.quality import measure
from csideploy.fronthaul.schemes import linear, of_precoder
from csideploy.fronthaul.searches import send, settle
from csideploy.fronthaul.wire import open_fronthaul
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.package import LinkPackage
from csideploy.progress import Advance, quiet
from csideploy.validate_bundle import check

SAMPLES = 8
"""Blocks."""
CHUNK = 4
OBJECTIVE, ERRORS = 1e-3, 4
"""How far the mean objectives of two descents may be apart: parts of one, and standard errors."""


def validate_fronthaul(
    package: LinkPackage, *, samples: int | None, seed: int, progress: Advance = quiet
) -> dict[str, Any]:
    """Run all checks.

    Args:
        package: of kind fronthaul.
        samples: blocks; SAMPLES if None.
        seed: of channels, symbols and random bits.
        progress: called with blocks done and in all.

    Returns:
        As `csideploy.validate.validate`.

    Raises:
        FormatError: a file is damaged. PairingError: a bundle of another package.
    """
    judge = _Judge(package)
    golden = golden_vectors(package)
    checks = judge.golden_checks(golden)
    total = SAMPLES if samples is None else samples
    setup, block = package.fronthaul_setup(), package.manifest["block"]
    channel = channel_of(package.manifest.get("provenance", {}))
    rates: dict[str, list[NDArray[np.float64]]] = {"ours": [], "linear": []}
    for start in range(0, total, CHUNK):
        count = min(CHUNK, total - start)
        links, s = blocks(setup, channel, count, block, [seed, 8, start])
        gamma = settle(judge.ends, links, s, judge.codebooks.rounds)
        read = du_inputs(judge.codebooks, links, s, gamma)
        payload = judge.ends.payload(links, s, gamma)
        judge.du(read, payload)
        bits = np.random.default_rng([seed, 9, start]).integers(
            0, 256, payload.shape, dtype=np.uint8
        )
        judge.rus(start, payload)
        judge.rus(start, bits)
        rates["ours"].append(measure(links, send(judge.ends, links, s, gamma), s).efficiency)
        rates["linear"].append(of_precoder(links, linear(links)).efficiency)
        progress(start + count, total)
    checks = judge.checks() + checks
    return {
        "target": str(package.path),
        "name": package.name,
        "pairing_id": package.pairing_id.hex(),
        "inputs": f"{channel} channels, Gaussian symbols, random bits for RUs, seed {seed}"
        + ("" if judge.judged else "; without torch the DU is judged by golden vectors alone"),
        "samples": total,
        "passed": all(entry["holds"] for entry in checks),
        "checks": checks,
        "measured": {
            **judge.figures(),
            "efficiency": float(np.concatenate(rates["ours"]).mean()),
            "linear_efficiency": float(np.concatenate(rates["linear"]).mean()),
        },
    }


class _Judge:
    """Both sides in our runtime and in what they are judged by, and what is counted."""

    def __init__(self, package: LinkPackage) -> None:
        self.codebooks = read_codebooks(package)
        self.ends = open_fronthaul(package)
        self.system, self.setup = package.manifest["system"], package.fronthaul_setup()
        self.stems = package.all_stems()[1:]
        self.spans = payload_spans(self.setup, self.ends.block)
        self.integer = package.is_integer
        self.plans = {
            stem: read_bundle(package.read(package.name_of(stem, "csib"))) for stem in self.stems
        }
        self.oracles = {}
        if not self.integer:
            for stem in self.stems:
                name = f"{stem}.onnx"
                self.oracles[stem] = Oracle(package.read(name), name=name)
        self.floats = {stem: FloatError() for stem in self.stems}
        self.wrong = dict.fromkeys(self.stems, 0)
        self.numbers = 0
        self.du_differ = self.du_count = 0
        self.objectives: list[NDArray[np.float64]] = []
        self.judged = not self.codebooks.neural or _has_torch()

    def signals(self, payload: NDArray[np.uint8]) -> dict[str, tuple[Any, Any]]:
        """What each RU makes of its bits: ours, theirs."""
        found = {}
        for stem, part, span in zip(self.stems, self.ends.rus, self.spans, strict=True):
            own = np.ascontiguousarray(payload[:, span])
            (ours,) = part.run(own)
            if self.integer:
                theirs = run_plan(self.plans[stem], [own])["signal"]
            else:
                theirs = self.oracles[stem].run(own)["signal"]
            found[stem] = (ours, theirs)
        return found

    def rus(self, start: int, payload: NDArray[np.uint8]) -> None:
        """Count one chunk at the RUs."""
        for stem, (ours, theirs) in self.signals(payload).items():
            self.wrong[stem] += int((ours != theirs).sum())
            self.floats[stem].add(start, ours, theirs)
            self.numbers += ours.size

    def du(self, read: Inputs, payload: NDArray[np.uint8]) -> None:
        """Count one chunk at the DU."""
        codebooks = self.codebooks
        if not codebooks.neural:
            indices = table_indices(
                self.system,
                codebooks.tables,
                read,
                alpha=codebooks.alpha,
                iterations=codebooks.iterations,
            )
            theirs = table_payload(indices, self.setup.bits)
        elif self.judged:
            theirs = neural_payload(self.system, codebooks.networks, read, codebooks.iterations)
            found = [
                objective(read, network_signals(codebooks.networks, made, self.ends.block))
                for made in (payload, theirs)
            ]
            self.objectives.append(np.stack(found).reshape(2, -1))
        else:
            return
        self.du_differ += int(np.bitwise_count(payload ^ theirs).sum())
        self.du_count += len(payload) * self.ends.block * sum(self.setup.bits)

    def apart(self) -> tuple[float, float]:
        """Our mean objective over theirs, less 1; and the standard error of that.

        Single channel uses end in other minima, by chance better or worse.
        """
        ours, theirs = np.concatenate(self.objectives, axis=1)
        mean = max(float(theirs.mean()), np.finfo(np.float64).tiny)
        difference = ours - theirs
        return float(difference.mean()) / mean, float(difference.std()) / mean / len(ours) ** 0.5

    def figures(self) -> dict[str, Any]:
        """The counts, for scripts."""
        figures: dict[str, Any] = {"ru_numbers": self.numbers, "ru_differ": self.wrong}
        if self.judged:
            figures |= {"du_bits": self.du_count, "du_bits_differ": self.du_differ}
        if self.judged and self.codebooks.neural:
            figures["du_objective_apart"], figures["du_objective_apart_error"] = self.apart()
        return figures

    def checks(self) -> list[dict[str, Any]]:
        """What must hold over all chunks."""
        found = [self._rus_check()]
        differ = f"{self.du_differ:,} of {self.du_count:,} bits differ"
        if not self.codebooks.neural:
            found.insert(0, check("DU payload equals float64 NumPy's", self.du_differ == 0, differ))
        elif self.judged:
            share = self.du_differ / max(1, self.du_count)
            apart, error = self.apart()
            found.insert(
                0,
                check(
                    f"DU objective equals PyTorch's to {OBJECTIVE:g} and {ERRORS} standard errors",
                    abs(apart) <= OBJECTIVE + ERRORS * error,
                    f"{apart:+.2e} +- {error:.1e} of it on average; {differ} ({100 * share:.2f} %)",
                ),
            )
        return found

    def _rus_check(self) -> dict[str, Any]:
        wrong = sum(self.wrong.values())
        rus = ", ".join(stem for stem, count in self.wrong.items() if count)
        exact = f"{wrong} of {self.numbers:,} numbers differ" + (f" ({rus})" if rus else "")
        if self.integer:
            return check("RU signals equal their NumPy specification", wrong == 0, exact)
        if not self.codebooks.neural:
            return check("RU signals equal ONNX Runtime's", wrong == 0, exact)
        worst = max(self.floats.values(), key=lambda one: (not one.holds, one.error))
        return check(
            "RU signals within 1e-4 max(1, max|b|) of ONNX Runtime's",
            all(one.holds for one in self.floats.values()),
            worst.detail,
        )

    def golden_checks(self, golden: Arrays) -> list[dict[str, Any]]:
        """Our runtime against the vectors stored at export."""
        du = self.ends.du
        assert du is not None
        (payload,) = du.run(*(golden[one.name] for one in du.inputs))
        wrong = int((payload != golden["payload"]).sum())
        count = len(payload)
        found = [
            check(
                "golden vectors: DU payload",
                wrong == 0,
                f"{wrong} of {payload.size:,} bytes differ, {count} blocks",
            )
        ]
        worst = FloatError()
        differ = 0
        for stem, (ours, _) in self.signals(golden["payload"]).items():
            stored = golden[signal_name(stem)]
            worst.add(0, ours, stored)
            differ += int((ours != stored).sum())
        exact = self.integer or not self.codebooks.neural
        detail = f"{differ} numbers differ" if exact else worst.detail
        holds = differ == 0 if exact else worst.holds
        found.append(check("golden vectors: RU signals", holds, f"{detail}, {count} blocks"))
        return found


def golden_vectors(package: LinkPackage) -> Arrays:
    """The package's vectors: inputs of the DU's part, `payload`, `signal-M`.

    Raises:
        FormatError: an array is missing, or is not of this package.
    """
    path = package.path / "vectors.npz"
    system, block = package.manifest["system"], package.manifest["block"]
    setup = package.fronthaul_setup()
    wanted: dict[str, tuple[str, tuple[int | str, ...]]] = {}
    for stem in package.all_stems():
        inputs, outputs = interface(system, setup, block, stem)
        if stem == "du":
            wanted |= {**inputs, **outputs}
        else:
            wanted[signal_name(stem)] = outputs["signal"]
    try:
        with np.load(io.BytesIO(package.read("vectors.npz"))) as archive:
            stored = {name: archive[name] for name in wanted}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error
    count = len(stored["payload"]) if stored["payload"].ndim else 0
    for name, (dtype, shape) in wanted.items():
        array, right = stored[name], (count, *shape[1:])
        if array.dtype != np.dtype(dtype) or array.shape != right or not count:
            raise FormatError(
                f"{path}: {name} is {array.dtype} {array.shape}; {dtype} {right} is right"
            )
    return stored


def _has_torch() -> bool:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True
