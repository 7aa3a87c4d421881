"""Which layer is the first to differ: each step's output beside ONNX Runtime's tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.compare import float_error
from csideploy.export.plan import Plan
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part

NONE_ALONE = "none alone: each step is within its bound, the errors add up"


def first_diverging(part: Part, plan: Plan, model: bytes, *inputs: NDArray[Any]) -> str:
    """Names the first step whose output leaves the bound, for one sample.

    Args:
        part: the bundle, opened.
        plan: the same bundle, read.
        model: its ONNX file.
        inputs: the part's (1, ...).
    """
    names = tuple(plan.tensors[step.outputs[0]].name for step in plan.steps)
    feeds = {plan.tensors[i].name: x for i, x in zip(plan.inputs, inputs, strict=True)}
    theirs = Oracle(model, name="the ONNX file", expose=names).run(feeds)
    for step, name, (_, (ours, *_)) in zip(plan.steps, names, part.trace(*inputs), strict=True):
        if name not in theirs:
            continue
        expected = theirs[name].reshape(ours.shape)
        if ours.dtype == np.uint8:
            wrong = int((ours != expected).sum())
            if wrong:
                return f"{step.name} ({step.op.name}): {wrong} of {ours.size} values differ"
        else:
            error, bound = float_error(ours, expected)
            if not error <= bound:
                return f"{step.name} ({step.op.name}): max error {error:.3g}, bound {bound:.3g}"
    return NONE_ALONE
