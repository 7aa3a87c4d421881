"""Weights at 8 bits, and what to do where they are not enough.

A layer's 8-bit weights w' = w + d change its mean output by E[conv(x, d)], one number an output:
the bias takes it back. Where the rest still costs too much, the weight is written as two terms,
w = w1 + w2 + d2, both of 8 bits: w1 is the rounded weight and w2 the rounded rest, whose scale is
254 times smaller or more. The layer becomes two, and a sum behind them, so that standard operators
compute it and so do the integer ones: about 16 bits for twice the products of that layer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from csideploy.export.integer.scales import quantize_weight
from csideploy.export.quantize.points import is_layer
from csideploy.export.quantize.prepare import Network
from csideploy.onnx_oracle import Given, Oracle, samples

Float = NDArray[np.float32]


def weighted_layers(network: Network) -> list[NodeProto]:
    """Convolutions and fully connected layers whose weights become int8."""
    return [n for n in network.model.graph.node if is_layer(network, n) and not n.domain]


def rounded(network: Network, node: NodeProto) -> Float:
    """A layer's weight after a round trip through 8 bits."""
    axis = 1 if node.op_type == "MatMul" else 0
    weight = network.constants[node.input[1]]
    codes, scale = quantize_weight(weight, axis=axis)
    shape = [1] * weight.ndim
    shape[axis] = -1
    return np.asarray(codes * scale.reshape(shape), np.float32)


def split(network: Network, names: Collection[str]) -> Network:
    """A copy of a network with the weights of some layers in two terms.

    Layer L becomes L with the first term and the bias, `L.rest` with the second, and `L.sum`.
    MatMul stays as it is.
    """
    model = ModelProto()
    model.CopyFrom(network.model)
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if node.name not in names or node.op_type == "MatMul":
            continue
        weight = network.constants[node.input[1]]
        first = rounded(network, node)
        result = node.output[0]
        rest = NodeProto()
        rest.CopyFrom(node)
        rest.name = f"{node.name}.rest"
        bias = list(node.input[2:])
        for target, part, values in ((node, "main", first), (rest, "rest", weight - first)):
            stored = f"{node.name}.{part}_weight"
            model.graph.initializer.append(numpy_helper.from_array(values, stored))
            inputs = [node.input[0], stored, *(bias if target is node else [])]
            del target.input[:]
            target.input.extend(inputs)
            target.output[0] = f"{result}.{part}"
        ends = [node.output[0], rest.output[0]]
        nodes += [rest, helper.make_node("Add", ends, [result], name=f"{node.name}.sum")]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    changed = Network(model)
    changed.infer()
    return changed


def mean_shift(
    network: Network, layers: Sequence[NodeProto], chunks: Sequence[Given]
) -> dict[str, Float]:
    """E[conv(x, w') - conv(x, w)] of layers, one number an output, over calibration data.

    Returns:
        By the layer's name, (M,).
    """
    model = ModelProto()
    model.CopyFrom(network.model)
    for node in layers:
        extra = NodeProto()
        extra.CopyFrom(node)
        extra.name = f"{node.name}.shift"
        change = rounded(network, node) - network.constants[node.input[1]]
        model.graph.initializer.append(numpy_helper.from_array(change, f"{node.name}.change"))
        inputs = [node.input[0], f"{node.name}.change"]
        del extra.input[:]
        extra.input.extend(inputs)
        extra.output[0] = extra.name
        model.graph.node.append(extra)
    names = tuple(f"{node.name}.shift" for node in layers)
    oracle = Oracle(model.SerializeToString(), name="the network", expose=names)
    totals: dict[str, NDArray[np.float64]] = {}
    for x in chunks:
        made = oracle.run(x)
        for node in layers:
            values = made[f"{node.name}.shift"].astype(np.float64)
            outputs = values.ndim - 1 if node.op_type == "MatMul" else 1
            others = tuple(axis for axis in range(values.ndim) if axis != outputs)
            mean = values.mean(others) * (samples(x) / sum(map(samples, chunks)))
            totals[node.name] = totals.get(node.name, np.zeros(())) + mean
    return {name: total.astype(np.float32) for name, total in totals.items()}
