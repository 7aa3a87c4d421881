"""Pass: Gemm and MatMul by a constant become LINEAR.

Gemm is alpha x op(B) + beta c; LINEAR is x W^T + b. So W = alpha B^T (or alpha B where transB is
set) and b = beta c, one number an output. MatMul is Gemm with alpha = 1 and no c; an Add behind
it joins in the pass `fuse_bias`.
"""

import numpy as np

from csideploy.export.graph import Graph, Node
from csideploy.export.plan import Activation, Op
from csideploy.export.shape_rules import channel_vector


def run(graph: Graph) -> None:
    """Change in place."""
    for node in graph.nodes:
        if node.op in ("Gemm", "MatMul"):
            _recognise(graph, node)
    graph.sweep()


def _recognise(graph: Graph, node: Node) -> None:
    alpha = np.float32(node.attributes.get("alpha", 1.0))
    beta = np.float32(node.attributes.get("beta", 1.0))
    weight_name = node.inputs[1]
    weight = graph.constant(weight_name)
    assert weight is not None
    if not node.attributes.get("transB", 0):
        weight = weight.T
    if alpha != 1:
        weight = weight * alpha
    if weight is not graph.constant(weight_name):
        weight_name = graph.add_constant(f"{node.name}.weight", np.ascontiguousarray(weight))
    bias_name = node.inputs[2] if len(node.inputs) > 2 else ""
    bias = graph.constant(bias_name)
    if bias is not None and (beta != 1 or bias.ndim != 1 or bias.size == 1):
        outputs = graph.values[node.outputs[0]].shape
        vector = channel_vector(bias, outputs)
        assert vector is not None
        bias_name = graph.add_constant(f"{node.name}.bias", vector * beta)
    node.op = Op.LINEAR
    node.inputs = [node.inputs[0], weight_name, bias_name, ""]
    node.attributes = {"activation": Activation.NONE, "alpha": 0.0}
