"""Float weights that make up for what was rounded in front of them.

Behind an integer convolution stands, in a bottleneck, a float one that sums its many channels up.
Their rounding errors are small against them, and dependent: the channels are made of few inputs.
So a slightly different weight W + D leaves less error. With u what the convolution reads in the
quantized network, cut into windows, and e the error of the sum that it goes into,

    D = argmin |e + D u|^2 + r |D|^2 = -E u^T (U + r I)^-1,    U = sum u u^T,  E = sum e u^T,

over calibration data, with the bias as one more weight whose input is 1. The ridge r is a small
part of the mean of U's diagonal: inputs that are always 0 get no weight. This is what bias
correction (`correct`) does, for every weight instead of the bias alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from csideploy.export.quantize.correct import target_of, until
from csideploy.export.quantize.equalize import with_constants
from csideploy.export.quantize.points import ACTIVATIONS, is_layer
from csideploy.export.quantize.prepare import Network
from csideploy.onnx_oracle import Given, Oracle

RIDGE = 1e-5
MOST = 4096
"""Weights of one output; a larger system is left alone."""

Float = NDArray[np.float32]


def projections(network: Network, layers: Sequence[str]) -> list[NodeProto]:
    """The plain float convolutions that alone read some layers, behind their activation."""
    found = []
    for node in network.model.graph.node:
        if node.name not in layers:
            continue
        reader = network.only_reader(node.output[0])
        if reader is not None and reader.op_type in ACTIVATIONS and not reader.domain:
            reader = network.only_reader(reader.output[0])
        if reader is None or reader.op_type != "Conv" or not is_layer(network, reader):
            continue
        weight = network.constant(reader, 1)
        assert weight is not None
        alone = all(len(network.readers[name]) == 1 for name in reader.input[1:])
        plain = _window(reader, weight) is not None and weight[0].size <= MOST
        if alone and plain and len(reader.input) == 3 and reader.name not in layers:
            found.append(reader)
    return found


def refit(
    network: Network,
    exact: Network,
    layers: Sequence[str],
    write: Callable[[Network], ModelProto],
    chunks: Sequence[Given],
    *,
    advance: Callable[[], None],
) -> Network:
    """Fit the projections behind some layers, one after the other.

    Args:
        network: prepared; it stays as it is.
        exact: what its sums should be, the same network in float.
        layers: names of the layers that become integers.
        write: a network -> its quantized form.
        chunks: calibration inputs.
        advance: called after every projection.

    Returns:
        A copy with other weights.
    """
    nodes = projections(network, layers)
    targets = tuple(target_of(network, node) for node in nodes)
    oracle = Oracle(exact.model.SerializeToString(), name="the network", expose=targets)
    wanted = [oracle.run(x) for x in chunks]
    for node, target in zip(nodes, targets, strict=True):
        short = until(write(network), target).SerializeToString()
        session = Oracle(short, name="the quantized network", expose=(node.input[0],))
        weight = network.constants[node.input[1]]
        bias = network.constants[node.input[2]]
        size = weight[0].size + 1
        moments = np.zeros((size, size)), np.zeros((len(weight), size))
        for x, floats in zip(chunks, wanted, strict=True):
            made = session.run(x)
            rows = _windows(node, made[node.input[0]], weight)
            error = made[target] - floats[target]
            flat = np.moveaxis(error, 1, 0).reshape(len(weight), -1)
            moments[0][:] += rows @ rows.T
            moments[1][:] += flat @ rows.T
        ridge = RIDGE * np.trace(moments[0]) / size
        change = -np.linalg.solve(moments[0] + ridge * np.eye(size), moments[1].T).T
        values = {
            node.input[1]: weight + change[:, :-1].reshape(weight.shape),
            node.input[2]: bias + change[:, -1],
        }
        network = with_constants(network, values)
        advance()
    return network


def _window(node: NodeProto, weight: NDArray[Any]) -> tuple[int, ...] | None:
    """Pads (top, left, bottom, right) of a convolution of stride 1; None for another one."""
    about = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    ones = [*about.get("strides", [1]), *about.get("dilations", [1]), about.get("group", 1)]
    if weight.ndim != 4 or any(value != 1 for value in ones):
        return None
    if about.get("auto_pad", b"NOTSET") not in (b"NOTSET", b""):
        return None
    return tuple(about.get("pads", (0, 0, 0, 0)))


def _windows(node: NodeProto, x: Float, weight: NDArray[Any]) -> Float:
    """What each weight of an output is multiplied by, (C kh kw + 1, n H W); the last row is 1."""
    pads = _window(node, weight)
    assert pads is not None
    top, left, bottom, right = pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    views = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (2, 3))
    columns = views.transpose(1, 4, 5, 0, 2, 3).reshape(weight[0].size, -1)
    return np.concatenate([columns, np.ones((1, columns.shape[1]), np.float32)])
