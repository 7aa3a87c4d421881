"""Biases that take back the mean error of what was rounded before them.

Codes of a constant background are off by the same part of a step everywhere, and a layer adds
these parts up; so do the errors of its weights. Layer after layer, the quantized network runs on
calibration data, and the mean error of each output (or of the sum that it goes into) against the
float network is taken off the layer's bias (Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", 2019, the empirical form).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from csideploy.export.quantize.edges import Edge
from csideploy.export.quantize.emit import emit
from csideploy.export.quantize.points import Point, bias_add, is_layer
from csideploy.export.quantize.prepare import Network
from csideploy.export.quantize.ranges import Scale
from csideploy.onnx_oracle import Given, Oracle, Session

Float = NDArray[np.float32]


def biased_layers(network: Network, scales: Mapping[str, Scale]) -> list[NodeProto]:
    """Layers with integer input and a bias."""
    found = []
    for node in network.model.graph.node:
        if not is_layer(network, node):
            continue
        index = 3 if node.domain else 2
        has = bias_add(network, node) is not None or network.constant(node, index) is not None
        if has and node.input[0] in scales:
            found.append(node)
    return found


def corrections(
    network: Network,
    points: Sequence[Point],
    scales: Mapping[str, Scale],
    chunks: Sequence[Given],
    *,
    advance: Callable[[], None],
    chosen: Collection[str] | None = None,
    edges: Mapping[str, Edge] | None = None,
) -> dict[str, Float]:
    """What biases are to be lowered by, (M,) by the layer's name.

    Args:
        network: as `emit`.
        points: as `emit`.
        scales: as `emit`.
        chunks: calibration inputs.
        advance: called after every layer.
        chosen: the layers that become integers; None: all that take codes.
        edges: as `emit`.
    """
    by_tensor = {t: scales[p.name] for p in points if p.name in scales for t in p.tensors}
    layers = [
        node for node in biased_layers(network, by_tensor) if chosen is None or node.name in chosen
    ]
    targets = {node.name: target_of(network, node) for node in layers}
    names = tuple(dict.fromkeys(targets.values()))
    oracle = Oracle(network.model.SerializeToString(), name="the network", expose=names)
    runs = [oracle.run(x) for x in chunks]
    axes = {targets[node.name]: 1 if node.op_type == "Conv" else -1 for node in layers}
    expected = {name: _mean([made[name] for made in runs], axes[name]) for name in names}
    del runs
    shifts: dict[str, Float] = {}
    for node in layers:
        target = targets[node.name]
        model = emit(network, points, scales, shifts, chosen, edges)
        session = Session(until(model, target).SerializeToString(), name="the quantized network")
        outputs = [session.run(oracle.feeds(x))[target] for x in chunks]
        made = _mean(outputs, axes[target])
        shifts[node.name] = (made - expected[target]).astype(np.float32)
        advance()
    return shifts


def target_of(network: Network, node: NodeProto) -> str:
    """The layer's output, behind the bias; or the sum that alone reads it."""
    last = bias_add(network, node) or node
    reader = network.only_reader(last.output[0])
    if reader is not None and reader.op_type == "Add" and node.op_type == "Conv":
        return str(reader.output[0])
    return str(last.output[0])


def _mean(chunks: Sequence[NDArray[Any]], channels: int) -> NDArray[np.float64]:
    """Over all axes but the channels'."""
    total = sum(len(x) for x in chunks)
    rank = chunks[0].ndim
    others = tuple(axis for axis in range(rank) if axis != channels % rank)
    means = [x.mean(others, dtype=np.float64) * (len(x) / total) for x in chunks]
    return np.asarray(sum(means))


def until(model: ModelProto, target: str) -> ModelProto:
    """The nodes that a tensor needs, with it as the only output."""
    short = ModelProto()
    short.CopyFrom(model)
    needed = {target}
    kept: list[NodeProto] = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del short.graph.node[:]
    short.graph.node.extend(reversed(kept))
    stored = [t for t in model.graph.initializer if t.name in needed]
    del short.graph.initializer[:]
    short.graph.initializer.extend(stored)
    del short.graph.output[:]
    short.graph.output.add().name = target
    return short
