"""Pass: Relu, LeakyRelu, PRelu, Sigmoid and Tanh become ACTIVATION.

PRelu(x) = x for x >= 0, slope x below; its slope is stored as one number a channel. LeakyRelu is
the same with one slope, alpha, for all.
"""

import numpy as np

from csideploy.export.graph import Graph
from csideploy.export.plan import Activation, Op
from csideploy.export.shape_rules import channel_vector

_KINDS = {
    "Relu": Activation.RELU,
    "LeakyRelu": Activation.LEAKY,
    "PRelu": Activation.PRELU,
    "Sigmoid": Activation.SIGMOID,
    "Tanh": Activation.TANH,
}


def run(graph: Graph) -> None:
    """Change in place."""
    for node in graph.nodes:
        kind = _KINDS.get(str(node.op)) if isinstance(node.op, str) else None
        if kind is None:
            continue
        slope_name = ""
        if kind is Activation.PRELU:
            slope = graph.constant(node.inputs[1])
            assert slope is not None
            vector = channel_vector(slope, graph.values[node.inputs[0]].shape)
            assert vector is not None
            slope_name = graph.add_constant(f"{node.name}.slope", vector)
        # 0.01 is ONNX's default of LeakyRelu.
        alpha = node.attributes.get("alpha", 0.01) if kind is Activation.LEAKY else 0.0
        node.op = Op.ACTIVATION
        node.inputs = [node.inputs[0], slope_name]
        node.attributes = {"activation": kind, "alpha": float(np.float32(alpha))}
    graph.sweep()
