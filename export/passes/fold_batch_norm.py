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
beta - g mean; of anything else g z + (beta - g mean) is two steps. All of it is computed in
float64 and rounded once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.channels import IMAGES, LAYERS
from csideploy.export.graph import Graph, Node, Value
from csideploy.export.operations import Binary
from csideploy.export.plan import Activation, Op
from csideploy.export.refusal import refuse

Vector = NDArray[np.float64]


def run(graph: Graph) -> None:
    """Change in place."""
    producers, users = graph.producers(), graph.users()
    gone: list[Node] = []
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op != "BatchNormalization":
            nodes.append(node)
            continue
        gain, shift = _affine(graph, node)
        source = node.inputs[0]
        layer = producers.get(source)
        alone = layer is not None and graph.only_user(source, users) is node
        if alone and layer is not None and _takes(graph, layer):
            fold_affine(graph, layer, gain, shift)
            layer.outputs = node.outputs
            producers[node.outputs[0]] = layer
            gone.append(node)
        else:
            nodes.extend(_stand_alone(graph, node, gain, shift))
    graph.nodes = nodes
    graph.remove(gone)


def _takes(graph: Graph, layer: Node) -> bool:
    """Whether the channels of batch norm, axis 1, are the layer's output channels."""
    rank = len(graph.values[layer.outputs[0]].shape)
    if layer.op not in LAYERS:
        return False
    if layer.attributes.get("activation", Activation.NONE) != Activation.NONE:
        return False
    return layer.op in IMAGES or rank == 2


def _affine(graph: Graph, node: Node) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """G and beta - g mean."""
    data = [graph.constant(name) for name in node.inputs[1:5]]
    gamma, beta, mean, variance = (np.asarray(x, np.float64) for x in data)
    spread = variance + float(node.attributes["epsilon"])
    if not (spread > 0).all():
        refuse(node, "variance + epsilon must be positive")
    gain = gamma / np.sqrt(spread)
    return gain, beta - gain * mean


def fold_affine(graph: Graph, layer: Node, gain: Vector | None, shift: Vector) -> None:
    """Put y -> gain y + shift, by output channel, into a layer; gain None: 1."""
    factor_at, bias_at = (2, 3) if layer.op is Op.BINARY_LINEAR else (1, 2)
    bias = graph.constant(layer.inputs[bias_at])
    new_bias = shift
    if bias is not None:
        new_bias = shift + (bias if gain is None else gain * bias)
    changed = [(bias_at, "bias", new_bias)]
    if gain is not None:
        factor = graph.constant(layer.inputs[factor_at])
        assert factor is not None
        scaled = _scaled(layer, factor, gain)
        changed.append((factor_at, "weight" if factor_at == 1 else "scale", scaled))
    for index, name, data in changed:
        if index == bias_at and bias is None and not data.any():
            continue
        layer.inputs[index] = graph.add_constant(
            f"{layer.name}.{name}.folded", data.astype(np.float32)
        )


def _scaled(layer: Node, factor: NDArray[Any], gain: Vector) -> Vector:
    """The weight times the gain of its output channel."""
    if layer.op is not Op.CONV_TRANSPOSE2D:
        return np.asarray(gain.reshape(-1, *(1,) * (factor.ndim - 1)) * factor)
    # Its weight is (C, O / groups, kh, kw), the inputs of one group after the other.
    groups, per_group = int(layer.attributes["groups"]), factor.shape[1]
    by_group = factor.reshape(groups, -1, *factor.shape[1:])
    scaled = by_group * gain.reshape(groups, 1, per_group, 1, 1)
    return np.asarray(scaled.reshape(factor.shape))


def _stand_alone(graph: Graph, node: Node, gain: Vector, shift: Vector) -> list[Node]:
    value = graph.values[node.inputs[0]]
    if len(value.shape) != 4:
        return _two_steps(graph, node, gain, shift)
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
    return [node]


def _two_steps(graph: Graph, node: Node, gain: Vector, shift: Vector) -> list[Node]:
    value = graph.values[node.inputs[0]]
    along = (-1, *(1,) * (len(value.shape) - 2))
    scaled = graph.free_name(f"{node.name}.scaled")
    graph.values[scaled] = Value(scaled, value.dtype, value.shape)
    factor = graph.add_constant(f"{node.name}.weight", gain.astype(np.float32).reshape(along))
    term = graph.add_constant(f"{node.name}.bias", shift.astype(np.float32).reshape(along))
    return [
        Node(Op.BINARY, scaled, [node.inputs[0], factor], [scaled], {"function": Binary.MUL}),
        Node(Op.BINARY, node.name, [scaled, term], node.outputs, {"function": Binary.ADD}),
    ]
