"""Small ONNX models, written node by node."""

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from csideploy.export.functions import DOMAIN, attach_functions

ELEMENT = {
    "float32": TensorProto.FLOAT,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "float64": TensorProto.DOUBLE,
}

node = helper.make_node


def call(name: str, inputs: list[str], outputs: list[str], **attributes: Any) -> NodeProto:
    """A call of a local function."""
    return helper.make_node(name, inputs, outputs, domain=DOMAIN, **attributes)


def model(
    nodes: list[NodeProto],
    inputs: dict[str, tuple[Any, ...]],
    outputs: list[str],
    constants: dict[str, Any] | None = None,
    *,
    opset: int = 21,
    dtype: str = "float32",
    results: dict[str, int] | None = None,
) -> ModelProto:
    """Inputs as name -> shape with the batch in it; shapes of outputs are inferred.

    results: ONNX type of an output that is not float32.
    """
    for index, entry in enumerate(nodes):
        entry.name = entry.name or f"node{index}"
    codes = {"UniformQuantize", "PackBits", "UnpackBits"}
    element = {n: TensorProto.UINT8 for e in nodes if e.op_type in codes for n in e.output}
    element |= results or {}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(n, ELEMENT[dtype], s) for n, s in inputs.items()],
        [
            helper.make_tensor_value_info(n, element.get(n, TensorProto.FLOAT), None)
            for n in outputs
        ],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    for domain in {e.domain for e in nodes} - {"", DOMAIN}:
        made.opset_import.add(domain=domain, version=1)
    attach_functions(made)
    return shape_inference.infer_shapes(made)


def floats(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> Any:
    """Seeded numbers, none of them zero."""
    values = np.random.default_rng([seed, *shape]).uniform(low, high, shape)
    return values.astype(np.float32)
