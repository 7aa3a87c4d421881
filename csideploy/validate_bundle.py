"""Checks of one bundle: against the golden vectors inside it, and against its ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.bundles import open_bundle, random_input, read_onnx
from csideploy.compare import FloatError, near_threshold
from csideploy.divergence import first_diverging
from csideploy.errors import InputError
from csideploy.export.bundle_read import read_whole
from csideploy.export.plan import Op, Plan
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.runtime import Part

SAMPLES = 16
"""Random inputs for a comparison with an ONNX file."""


def check(name: str, holds: bool, detail: str, diverges: str | None = None) -> dict[str, Any]:
    """One line of the outcome."""
    entry: dict[str, Any] = {"name": name, "holds": holds, "detail": detail}
    return entry if diverges is None else {**entry, "first_diverging_layer": diverges}


def validate_bundle(
    path: Path, *, onnx_file: Path | None, samples: int | None, seed: int
) -> dict[str, Any]:
    """Run all checks that a bundle alone allows.

    Args:
        path: the bundle.
        onnx_file: what it was compiled from, or None.
        samples: random inputs for ONNX Runtime; SAMPLES if None.
        seed: of these inputs.

    Raises:
        InputError: there is nothing to compare with.
        FormatError: the bundle or the ONNX file is damaged.
    """
    data, part = open_bundle(path)
    whole = read_whole(data)
    if not whole.vectors and onnx_file is None:
        raise InputError(
            f"{path} carries no golden vectors: validate its link package, or add --onnx M.onnx"
        )
    checks = []
    sources = []
    if whole.vectors:
        inputs = [whole.vectors[info.name] for info in part.inputs]
        expected = {info.name: whole.vectors[info.name] for info in part.outputs}
        checks += _compare("golden vectors", part, whole.plan, inputs, expected, None)
        sources.append(f"{len(inputs[0])} golden vectors inside the bundle")
    if onnx_file is not None:
        model = read_onnx(onnx_file).SerializeToString()
        oracle = Oracle(model, name=str(onnx_file))
        random = np.random.default_rng(seed)
        x = random_input(part.inputs[0], samples or SAMPLES, random)
        checks += _compare("ONNX Runtime", part, whole.plan, [x], oracle.run(x), model)
        sources.append(f"{len(x)} random inputs (seed {seed})")
    return {
        "target": str(path),
        "name": f"{part.part} at {part.side}",
        "pairing_id": part.pairing_id.hex(),
        "inputs": ", ".join(sources),
        "passed": all(entry["holds"] for entry in checks),
        "checks": checks,
        "measured": {},
    }


def _compare(
    against: str,
    part: Part,
    plan: Plan,
    inputs: list[NDArray[Any]],
    expected: Arrays,
    model: bytes | None,
) -> list[dict[str, Any]]:
    """One check an output: floats within their bound, bytes equal outside the band."""
    results = dict(zip([info.name for info in part.outputs], part.run(*inputs), strict=True))
    checks = []
    for name, ours in results.items():
        theirs = expected[name]
        if ours.dtype == np.uint8:
            wrong = np.flatnonzero((ours != theirs).reshape(len(ours), -1).any(axis=1))
            excused = [i for i in wrong if _near(part, plan, [x[i : i + 1] for x in inputs])]
            bad = [int(i) for i in wrong if i not in excused]
            detail = f"{len(wrong)} of {len(ours)} samples differ, {len(excused)} by the band"
        else:
            error = FloatError()
            error.add(0, ours, theirs)
            bad = [] if error.culprit is None else [error.culprit]
            detail = f"{error.detail}, {len(ours)} samples"
        diverges = None
        if bad and model is not None:
            sample = inputs[0][bad[0] : bad[0] + 1]
            diverges = first_diverging(part, plan, model, sample)
        checks.append(check(f"{against}: output {name}", not bad, detail, diverges))
    return checks


def _near(part: Part, plan: Plan, sample: list[NDArray[Any]]) -> bool:
    """Whether any value of a sample lies, before the quantizer, in the band around a threshold."""
    outputs = {step.outputs[0]: i for i, step in enumerate(plan.steps)}
    trace = part.trace(*sample)
    for step in plan.steps:
        if step.op is Op.QUANTIZE_UNIFORM and step.inputs[0] in outputs:
            before = trace[outputs[step.inputs[0]]][1][0]
            return bool(near_threshold(before, int(step.params["bits"])).any())
    return False
