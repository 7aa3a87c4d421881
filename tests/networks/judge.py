"""One ONNX file through compiler and runtime, against ONNX Runtime on the same file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import Plan
from csideploy.runtime import Part

Array = NDArray[Any]
BATCHES = (1, 3)
"""Three samples: the smallest batch in which one more and one less differ from another."""


def oracle(model: ModelProto, *arrays: Array) -> list[Array]:
    """ONNX Runtime, one thread, its graph optimisations off."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options)
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))


def bound(expected: Array) -> float:
    """Within 1e-4 means max |a - b| <= 1e-4 max(1, max |b|)."""
    return 1e-4 * max(1.0, float(np.abs(expected).max()))


@dataclass(frozen=True)
class Verdict:
    """What one network came to: the largest error in units of the bound, and the plan."""

    error: float
    plan: Plan


def judge(model: ModelProto, *arrays: Array, batches: tuple[int, ...] = BATCHES) -> Verdict:
    """Compile, write the bundle, run batches of the given sizes, compare.

    Args:
        model: its inputs in the order of `arrays`.
        arrays: as many samples each as the largest batch.
        batches: numbers of samples taken from the front of the arrays.
    """
    plan = compile_model(model, part="network", side="ue", n_max=max(batches))
    part = Part(write_bundle(plan))
    worst = 0.0
    for count in batches:
        taken = [array[:count] for array in arrays]
        expected = oracle(model, *taken)
        made = part.run(*taken)
        assert len(made) == len(expected)
        for ours, theirs in zip(made, expected, strict=True):
            assert ours.shape == theirs.shape
            assert np.isfinite(theirs).all()
            assert theirs.any(), "a test on zeros shows nothing"
            assert count == 1 or (theirs[0] != theirs[1]).any(), "the input has no effect"
            worst = max(worst, float(np.abs(ours - theirs).max()) / bound(theirs))
    return Verdict(worst, plan)
