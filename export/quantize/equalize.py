"""Channels of one tensor brought to one range, so that one scale for all of them fits each.

Between two layers with nothing but a Relu, LeakyRelu or PRelu, channel i may be made smaller by
any s_i > 0 and its readers' weights larger by as much: act(x / s) = act(x) / s for these. With
s_i in proportion to the channel's largest value no channel is left with a few codes only
(cross-layer equalization: Nagel et al., "Data-Free Quantization Through Weight Equalization and
Bias Correction", 2019; here by the ranges of the activations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from csideploy.export.quantize.points import ACTIVATIONS, is_layer
from csideploy.export.quantize.prepare import Network
from csideploy.onnx_oracle import Given, Oracle

_MOST = 1024.0
"""The largest factor between two channels: one that is nearly always 0 says nothing."""


def equalize(network: Network, chunks: Sequence[Given]) -> Network:
    """A copy of a prepared network with equal ranges wherever they can be made equal.

    Args:
        network: prepared; it stays as it is.
        chunks: calibration inputs.
    """
    pairs = scalable_pairs(network)
    if not pairs:
        return network
    names = tuple(dict.fromkeys(name for *_, tensors in pairs for name in tensors))
    oracle = Oracle(network.model.SerializeToString(), name="the network", expose=names)
    largest: dict[str, NDArray[np.float32]] = {}
    for x in chunks:
        made = oracle.run(x)
        for name in names:
            peak = np.abs(made[name]).max(axis=(0, *range(2, made[name].ndim)))
            largest[name] = np.maximum(largest.get(name, peak), peak)
    weights: dict[str, NDArray[Any]] = {}
    for first, second, tensors in pairs:
        # A tensor of an earlier pair was measured before its own channels were scaled; what
        # reaches this pair is the same, so the pairs do not depend on each other.
        peak = np.max([largest[name] for name in tensors], axis=0)
        usual = float(np.exp(np.mean(np.log(np.maximum(peak, peak.max() / _MOST)))))
        if not usual > 0.0:
            continue
        factor = np.maximum(peak, peak.max() / _MOST) / np.float32(usual)
        scale_channels(weights, network, first, second, factor)
    return with_constants(network, weights)


def scale_channels(
    weights: dict[str, NDArray[Any]],
    network: Network,
    first: NodeProto,
    second: NodeProto,
    factor: NDArray[Any],
) -> None:
    """Divide the channels between two layers by factors, in a table of changed constants.

    Args:
        weights: by the initializer's name; what is not in it is as in the network.
        network: prepared.
        first: the layer that makes the channels.
        second: the layer that reads them.
        factor: (C,), above 0.
    """
    for index in (1, 2):
        if network.constant(first, index) is not None:
            stored = weights.get(first.input[index], network.constants[first.input[index]])
            shape = (-1, *[1] * (stored.ndim - 1))
            weights[first.input[index]] = stored / factor.reshape(shape)
    stored = weights.get(second.input[1], network.constants[second.input[1]])
    weights[second.input[1]] = stored * _by_input(second, stored.shape, factor)


def with_constants(network: Network, values: Mapping[str, NDArray[Any]]) -> Network:
    """A copy of a network with other values in some initializers, by name."""
    model = ModelProto()
    model.CopyFrom(network.model)
    for tensor in model.graph.initializer:
        if tensor.name in values:
            made = np.asarray(values[tensor.name], np.float32)
            tensor.CopyFrom(numpy_helper.from_array(made, tensor.name))
    changed = Network(model)
    changed.infer()
    return changed


def scalable_pairs(network: Network) -> list[tuple[NodeProto, NodeProto, tuple[str, ...]]]:
    """(layer, the layer that alone reads it, the tensors between them)."""
    found = []
    for first in network.model.graph.node:
        if not _scalable(network, first):
            continue
        between = [first.output[0]]
        reader = network.only_reader(between[-1])
        if reader is not None and reader.op_type in ACTIVATIONS and not reader.domain:
            between.append(reader.output[0])
            reader = network.only_reader(between[-1])
        if reader is not None and _scalable(network, reader) and reader.input[0] == between[-1]:
            found.append((first, reader, tuple(between)))
    return found


def _scalable(network: Network, node: NodeProto) -> bool:
    """A Conv or Gemm whose weight and bias nobody else reads."""
    if node.op_type not in ("Conv", "Gemm") or not is_layer(network, node):
        return False
    return all(len(network.readers[name]) == 1 for name in node.input[1:] if name)


def _by_input(node: NodeProto, shape: tuple[int, ...], factor: NDArray[Any]) -> NDArray[Any]:
    """Factors of a layer's inputs, shaped like its weight (O, C / groups, ...)."""
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    rows = factor.reshape(groups, shape[1]).repeat(shape[0] // groups, axis=0)
    return np.asarray(rows.reshape(*rows.shape, *[1] * (len(shape) - 2)))
