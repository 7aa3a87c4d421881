"""One test at other opsets: the same meaning, by ONNX's own word."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, defs, version_converter
from onnx.reference import ReferenceEvaluator

from onnx_suite.cases import Array, Case
from onnx_suite.listed import OPSETS

Schemas = tuple[int, ...]


def variants(case: Case, *, every: bool) -> dict[int, ModelProto]:
    """Opset -> the test's model at that opset.

    Two opsets at which every operator of the model has the same schema mean the same. Without
    `every`, one opset is taken for each set of schemas: the stored one, or else the lowest.

    A model is re-stamped where the schemas stay. Where they change, so it is if onnx's checker
    takes that and the stored outputs are still computed; else onnx's converter writes it.
    """
    stored = schemas(case.model, case.opset)
    found: dict[int, ModelProto] = {}
    known: dict[Schemas, ModelProto | None] = {}
    for opset in sorted(OPSETS, key=lambda opset: opset != case.opset):
        wanted = schemas(case.model, opset)
        if wanted is None or stored is None:
            continue
        if wanted not in known:
            model = stamp(case.model, opset) if wanted == stored else _moved(case, opset)
            known[wanted] = model
            if model is not None:
                found[opset] = model
        elif every and known[wanted] is not None:
            found[opset] = stamp(known[wanted], opset)
    return dict(sorted(found.items()))


def schemas(model: ModelProto, opset: int) -> Schemas | None:
    """The version of each node's schema, None if an operator does not exist at that opset."""
    versions = []
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            return None
        try:
            schema = defs.get_schema(node.op_type, opset)
        except defs.SchemaError:
            return None
        if schema.deprecated:
            return None
        versions.append(schema.since_version)
    return tuple(versions)


def stamp(model: ModelProto, opset: int) -> ModelProto:
    """The same nodes under another opset."""
    made = ModelProto()
    made.CopyFrom(model)
    for entry in made.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = opset
    made.ir_version = 10
    return made


def _moved(case: Case, opset: int) -> ModelProto | None:
    """The model at an opset where a schema differs, or None."""
    plain = stamp(case.model, opset)
    if _means_the_same(case, plain):
        return plain
    try:
        converted = version_converter.convert_version(case.model, opset)
    except Exception:  # the converter has no type of error of its own
        return None
    converted.ir_version = 10
    return converted if _means_the_same(case, converted) else None


def _means_the_same(case: Case, model: ModelProto) -> bool:
    """Valid, and ONNX Runtime or the reference evaluator computes the stored outputs."""
    try:
        onnx.checker.check_model(model, full_check=True)
        made = _evaluate(model, dict(case.inputs))
    except Exception:  # evaluators raise whatever they like
        return False
    return all(
        np.shape(ours) == theirs.shape
        and np.allclose(
            np.asarray(ours, np.float64), theirs.astype(np.float64), 1e-3, 1e-5, equal_nan=True
        )
        for ours, theirs in zip(made, case.outputs, strict=True)
    )


def _evaluate(model: ModelProto, inputs: dict[str, Array]) -> Sequence[Any]:
    # ONNX Runtime has few types and small transforms only, but is a hundred times faster.
    if not any(node.op_type == "DFT" for node in model.graph.node):
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        with contextlib.suppress(Exception):
            return ort.InferenceSession(model.SerializeToString(), options).run(None, inputs)
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(model).run(None, inputs)
