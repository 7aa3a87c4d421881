"""Pass: fold batch norm into the layer in front of it.

In evaluation mode batch norm is, channel by channel,

    bn(z) = gamma (z - mean) / sqrt(var + eps) + beta = g z + (beta - g mean),
    g = gamma / sqrt(var + eps).

A convolution or linear layer z_c = w_c . x + b_c with output channel c gives

    bn(z_c) = (g_c w_c) . x + (g_c (b_c - mean_c) + beta_c),

a layer of the same kind with weight g w and bias g (b - mean) + beta; a missing bias is b = 0.
For a 1-bit layer, w_c = scale_c s_c with signs s_c, so g goes into the scale: g_c scale_c.
This holds only where the layer's result has no other reader. Elsewhere batch norm of an image
stays a layer of its own: a 1x1 convolution with one group a channel, weight g, bias
beta - g mean. All of it is computed in float64 and rounded once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Graph, Node
from csideploy.export.plan import Activation, Op
from csideploy.export.shape_rules import refuse

_DEFAULT_EPSILON = 1e-5

_LAYERS = (Op.CONV2D, Op.LINEAR, Op.BINARY_LINEAR)


def run(graph: Graph) -> None:
    """Change in place."""
    producers, users = graph.producers(), graph.users()
    gone = []
    for node in graph.nodes:
        if node.op != "BatchNormalization":
            continue
        gain, shift = _affine(graph, node)
        source = node.inputs[0]
        layer = producers.get(source)
        if layer and layer.op in _LAYERS and graph.only_user(source, users) is node:
            _fold(graph, layer, gain, shift)
            layer.outputs = node.outputs
            producers[node.outputs[0]] = layer
            gone.append(node)
        else:
            _stand_alone(graph, node, gain, shift)
    graph.remove(gone)


def _affine(graph: Graph, node: Node) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """G and beta - g mean."""
    data = [graph.constant(name) for name in node.inputs[1:5]]
    gamma, beta, mean, variance = (np.asarray(x, np.float64) for x in data)
    spread = variance + float(node.attributes.get("epsilon", _DEFAULT_EPSILON))
    if not (spread > 0).all():
        refuse(node, "variance + epsilon must be positive")
    gain = gamma / np.sqrt(spread)
    return gain, beta - gain * mean


def _fold(graph: Graph, layer: Node, gain: NDArray[np.float64], shift: NDArray[np.float64]) -> None:
    factor_at, bias_at = (2, 3) if layer.op is Op.BINARY_LINEAR else (1, 2)
    factor = graph.constant(layer.inputs[factor_at])
    bias = graph.constant(layer.inputs[bias_at])
    assert factor is not None
    rows = gain.reshape(-1, *(1,) * (factor.ndim - 1))
    new_bias = shift if bias is None else gain * bias + shift
    for index, name, data in (
        (factor_at, "weight" if factor_at == 1 else "scale", rows * factor),
        (bias_at, "bias", new_bias),
    ):
        layer.inputs[index] = graph.add_constant(
            f"{layer.name}.{name}.folded", data.astype(np.float32)
        )


def _stand_alone(
    graph: Graph, node: Node, gain: NDArray[np.float64], shift: NDArray[np.float64]
) -> None:
    shape = graph.values[node.inputs[0]].shape
    if len(shape) != 4:
        refuse(node, f"batch norm of {shape} that follows no layer; images (n, C, H, W) are taken")
    weight = gain.astype(np.float32).reshape(-1, 1, 1, 1)
    node.inputs = [
        node.inputs[0],
        graph.add_constant(f"{node.name}.weight", weight),
        graph.add_constant(f"{node.name}.bias", shift.astype(np.float32)),
        "",
        "",
    ]
    node.op = Op.CONV2D
    ones = ("stride_h", "stride_w", "dilation_h", "dilation_w")
    zeros = ("pad_top", "pad_left", "pad_bottom", "pad_right")
    node.attributes = {
        "groups": len(gain),
        **dict.fromkeys(ones, 1),
        **dict.fromkeys(zeros, 0),
        "activation": Activation.NONE,
        "alpha": 0.0,
    }
