"""The two convolutions around a grouped one, in integers of 16 bits.

expand, act, middle (grouped), act, project, with few channels in front and behind: a bottleneck
turned inside out, which our runtime computes group by group, in integers from end to end where x
and what `project` reads are int16 codes with a power of two as their scale. x has one scale;
nothing else that reads x sees its codes. The channels in front of `project` are divided by their
own largest values, as `channel_steps` does: weights with one scale for all of them are precise
for none otherwise. The factors are powers of two, so that the float network keeps its bits.

Weights are int16, for `expand` with a scale an output, for `project` with one, since all its
products are one sum. The weights of a sum add up to 65,535 at most, so that it fits 32 bits
whatever the codes are: 32,768 x 65,535 < 2^31. 720 weights have 91 each on average then, and cost
less than 0.001 dB in the networks of the zoo.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from csideploy.errors import InputError
from csideploy.export.integer.scales import WIDE_PRODUCTS
from csideploy.export.passes.fuse_block import is_bottleneck
from csideploy.export.quantize.equalize import (
    scalable_pairs,
    scale_channels,
    with_constants,
)
from csideploy.export.quantize.prepare import Network
from csideploy.export.quantize.ranges import Scale, power_of_two, sixteen
from csideploy.onnx_oracle import Given, Oracle

_MOST = 1024.0
"""The largest factor between two channels: one that is nearly always 0 says nothing."""

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Edge:
    """How one of the two becomes integers.

    scale: of its input's codes.
    axis: of the weight's scales; None: one for all.
    """

    scale: Scale
    axis: int | None


def own_edges(
    network: Network, layers: Collection[str], chunks: Sequence[Given]
) -> tuple[Network, dict[str, dict[str, Edge]]]:
    """Make the convolutions around grouped ones ready for integers, where they may have them.

    Args:
        network: prepared; it stays as it is.
        layers: names of the grouped convolutions.
        chunks: calibration inputs.

    Returns:
        A copy with the factors folded in, and by the name of the grouped convolution what its two
        edges become, by their names, `expand` first.

    Raises:
        InputError: a value is not finite.
    """
    found = _find(network, layers)
    if not found:
        return network, {}
    tensors = dict.fromkeys(node.input[0] for ends in found.values() for node in ends)
    peaks = _peaks(network, tensors, chunks)
    weights: dict[str, NDArray[Any]] = {}
    edges: dict[str, dict[str, Edge]] = {}
    for name, (expand, project) in found.items():
        middle = next(n for n in network.model.graph.node if n.name == name)
        peak = peaks[project.input[0]]
        # A channel that is always 0 has any factor.
        usual = np.maximum(peak, peak.max() / np.float32(_MOST))
        factor = np.exp2(np.ceil(np.log2(np.where(usual > 0, usual, 1)))).astype(np.float32)
        scale_channels(weights, network, middle, project, factor)
        edges[name] = {
            expand.name: Edge(_scale(peaks[expand.input[0]]), 0),
            project.name: Edge(_scale(peak / factor), None),
        }
    return with_constants(network, weights), edges


def _scale(peak: Values) -> Scale:
    return power_of_two(sixteen(0.0, float(peak.max())))


def _find(network: Network, layers: Collection[str]) -> dict[str, tuple[NodeProto, NodeProto]]:
    """(expand, project) by the grouped convolution between them."""
    pairs = [(first, second) for first, second, _ in scalable_pairs(network)]
    before = {second.name: first for first, second in pairs}
    behind = {first.name: second for first, second in pairs}
    found: dict[str, tuple[NodeProto, NodeProto]] = {}
    taken: set[str] = set()
    for node in network.model.graph.node:
        expand, project = before.get(node.name), behind.get(node.name)
        if node.name not in layers or expand is None or project is None:
            continue
        # What stands between two grouped convolutions is an edge of the first.
        if taken.isdisjoint((expand.name, project.name)) and _fits(network, expand, node, project):
            found[node.name] = (expand, project)
            taken.update((expand.name, project.name))
    return found


def _fits(network: Network, expand: NodeProto, middle: NodeProto, project: NodeProto) -> bool:
    """Whether the pass `fuse_block` takes the three, and sums of int16 codes fit 32 bits."""
    nodes = (expand, middle, project)
    sizes = {network.shapes.get(n, ())[2:] for node in nodes for n in (node.input[0], *node.output)}
    if len(sizes) != 1 or any(node.op_type != "Conv" for node in nodes):
        return False
    (size,) = sizes
    if len(size) != 2 or size == (1, 1) or any(isinstance(side, str) for side in size):
        return False
    if any(set(_numbers(node, name)) - {1} for node in nodes for name in ("strides", "dilations")):
        return False
    groups = [_numbers(node, "group") for node in nodes]
    if groups[0] != [1] or groups[1] == [1] or groups[2] != [1]:
        return False
    behind = network.only_reader(middle.output[0])
    cut = behind is not None and behind.op_type in ("Conv", "Relu")
    if cut and network.constant(middle, 2) is None:
        return False  # between codes it is QCONV2D, alone
    weights = [network.constants[node.input[1]] for node in nodes]
    products = max(weights[0][0].size, weights[2][0].size)
    wide, per_group = weights[1].shape[:2]
    narrow = is_bottleneck(weights[0].shape[1], wide, per_group, weights[2].shape[0])
    return narrow and products <= WIDE_PRODUCTS


def _numbers(node: NodeProto, name: str) -> list[int]:
    """An attribute as a list, [1] where it is left out."""
    found = next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), 1)
    return list(found) if isinstance(found, Sequence) else [found]


def _peaks(network: Network, names: Collection[str], chunks: Sequence[Given]) -> dict[str, Values]:
    """The largest value of each channel, (C,) by the tensor's name."""
    oracle = Oracle(network.model.SerializeToString(), name="the network", expose=tuple(names))
    found: dict[str, Values] = {}
    for x in chunks:
        made = {**oracle.run(x), **oracle.feeds(x)}
        for name in names:
            peak = np.abs(made[name]).max((0, *range(2, made[name].ndim)))
            if not np.isfinite(peak).all():
                raise InputError(f"calibration: tensor '{name}' holds NaN or infinity")
            found[name] = np.maximum(found.get(name, peak), peak)
    return found


def kept(edges: Mapping[str, Mapping[str, Edge]], layers: Collection[str]) -> dict[str, Edge]:
    """The edges of grouped convolutions that are integers themselves, by their own names."""
    return {
        name: edge for layer, two in edges.items() if layer in layers for name, edge in two.items()
    }
