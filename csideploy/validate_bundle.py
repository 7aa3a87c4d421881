"""Checks of one bundle: against the golden vectors inside it, and against its ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import metrics
from csideploy.band import band_of
from csideploy.bundles import open_bundle, random_input, read_onnx
from csideploy.compare import FloatError
from csideploy.divergence import first_diverging
from csideploy.errors import InputError
from csideploy.export.bundle_read import read_whole
from csideploy.export.integer.run import check_steps
from csideploy.export.plan import Plan
from csideploy.integer_rules import (
    OUTPUT_DB,
    codes_hold,
    codes_rule,
    has_integers,
    is_mixed,
    is_wide,
)
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.payload import unpack_codes
from csideploy.runtime import Part

SAMPLES = 16
"""Random inputs for a comparison with an ONNX file."""
TRACED = 2
"""Samples whose every integer step is held against the specification."""
STEPS = "integer steps equal their NumPy specification to the bit"


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
        if has_integers(whole.plan):
            checks.append(steps_check(STEPS, part, whole.plan, inputs))
        expected = {info.name: whole.vectors[info.name] for info in part.outputs}
        checks += _compare("golden vectors", part, whole.plan, inputs, expected, None)
        sources.append(f"{len(inputs[0])} golden vectors inside the bundle")
    if onnx_file is not None:
        model = read_onnx(onnx_file).SerializeToString()
        oracle = Oracle(model, name=str(onnx_file))
        random = np.random.default_rng(seed)
        count = samples or SAMPLES
        x = [random_input(info, count, random, part.k_max) for info in part.inputs]
        if has_integers(whole.plan) and not whole.vectors:
            checks.append(steps_check(STEPS, part, whole.plan, x))
        named = dict(zip([info.name for info in part.inputs], x, strict=True))
        checks += _compare("ONNX Runtime", part, whole.plan, x, oracle.run(named), model)
        sources.append(f"{count} random inputs (seed {seed})")
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
    """One check an output: floats within their bound, integers equal outside the band.

    ONNX Runtime on 16-bit activations is judged by the rules of `integer_rules`.
    """
    # Golden vectors of integers alone are the specification's, to the bit.
    wide = is_wide(plan) if model is not None else is_mixed(plan)
    results = dict(zip([info.name for info in part.outputs], part.run(*inputs), strict=True))
    checks = []
    for name, ours in results.items():
        theirs = expected[name]
        if wide:
            checks.append(_apart(f"{against}: output {name}", plan, name, ours, theirs))
            continue
        if ours.dtype.kind in "iu":
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
            sample = [x[bad[0] : bad[0] + 1] for x in inputs]
            diverges = first_diverging(part, plan, model, *sample)
        checks.append(check(f"{against}: output {name}", not bad, detail, diverges))
    return checks


def _apart(
    name: str, plan: Plan, output: str, ours: NDArray[Any], theirs: NDArray[Any]
) -> dict[str, Any]:
    """An output behind 16-bit activations beside ONNX Runtime's."""
    if ours.dtype.kind == "f":
        exact = theirs.astype(np.float64)
        apart = metrics.to_db(float(np.sum((ours - exact) ** 2) / np.sum(exact**2)))
        return check(f"{name} within {OUTPUT_DB:g} dB", apart <= OUTPUT_DB, f"{apart:.1f} dB apart")
    codes = [ours.astype(np.int64), theirs.astype(np.int64)]
    if plan.payload is not None and output == "payload":
        codes = [
            unpack_codes(side, plan.payload.count, plan.payload.widths or plan.payload.bits).astype(
                np.int64
            )
            for side in (ours, theirs)
        ]
    differ = int((codes[0] != codes[1]).sum())
    most = int(np.abs(codes[0] - codes[1]).max())
    detail = f"{differ} of {codes[0].size:,} codes differ, by {most} at most"
    holds = codes_hold(differ, codes[0].size, most, wide=True)
    return check(f"{name}: codes {codes_rule(wide=True)}", holds, detail)


def steps_check(name: str, part: Part, plan: Plan, inputs: list[NDArray[Any]]) -> dict[str, Any]:
    """Every integer step of a run against its NumPy specification, on its own inputs."""
    compared, first = 0, ""
    count = min(TRACED, len(inputs[0]))
    for index in range(count):
        sample = [x[index : index + 1] for x in inputs]
        traced = [outputs[0] for _, outputs in part.trace(*sample)]
        steps, wrong = check_steps(plan, sample, traced)
        compared += steps
        first = first or wrong
    return check(name, not first, f"{compared} steps on {count} samples", first or None)


def _near(part: Part, plan: Plan, sample: list[NDArray[Any]]) -> bool:
    """Whether any value of a sample lies, before the quantizer, in the band around a threshold."""
    band = band_of(plan)
    if band is None:
        return False
    made = {step.outputs[0]: index for index, step in enumerate(plan.steps)}
    source = plan.steps[band.step].inputs[0]
    assert source is not None
    if source in plan.inputs:
        before = sample[plan.inputs.index(source)]
    elif source in made:
        before = part.trace(*sample)[made[source]][1][0]
    else:
        return False
    return bool(band.near(before).any())
