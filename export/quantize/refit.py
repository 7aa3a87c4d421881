"""Float weights that make up for what was rounded in front of them.

Behind an integer convolution stands, in a bottleneck, a float one that sums its many channels up.
Their rounding errors are small against them, and dependent: the channels are made of few inputs.
So a slightly different weight W + D leaves less error. With u what the convolution reads in the
quantized network, cut into windows, and e the error of the sum that it goes into,

    D = argmin |e + D u|^2 + r |D|^2 = -E u^T (U + r I)^-1,    U = sum u u^T,  E = sum e u^T,

over calibration data, with the bias as one more weight whose input is 1. The ridge r is a small
part of the mean of U's diagonal: inputs that are always 0 get no weight. This is what bias
correction (`correct`) does, for every weight instead of the bias alone. Where nothing but functions
of one number stands between the sum and the network's output, errors count by the slope of these:
a sigmoid hides most of what happens at a peak.
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
from csideploy.export.quantize.suffix import Suffix
from csideploy.onnx_oracle import Arrays, Given, Oracle

RIDGE = 1e-5
MOST = 4096
"""Weights of one output; a larger system is left alone."""
_FUNCTIONS = (*ACTIVATIONS, "Clip", "Sigmoid", "Tanh")
_NEAR = 1e-2
"""Distance over which a slope is taken."""

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
    importance: Sequence[Float] | None = None,
    advance: Callable[[], None],
) -> Network:
    """Fit the projections behind some layers, one after the other.

    Args:
        network: prepared; it stays as it is.
        exact: what its sums should be, the same network in float.
        layers: names of the layers that become integers.
        write: a network -> its quantized form.
        chunks: calibration inputs.
        importance: what the square of an error counts in each sample, (n,) chunk by chunk.
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
        behind = _behind(exact, target)
        fits = [_Fit(weight[0].size + 1) for _ in range(1 if behind is None else len(weight))]
        for index, (x, floats) in enumerate(zip(chunks, wanted, strict=True)):
            made = session.run(x)
            rows = _windows(node, made[node.input[0]], weight)
            error = _flat(made[target] - floats[target])
            each = np.ones(len(made[target]), np.float32)
            if importance is not None:
                each = np.sqrt(importance[index] / np.mean(importance[index]))
            counts = np.repeat(each, error.shape[1] // len(each))
            if behind is None:
                fits[0].add(rows * counts, error * counts)
                continue
            slopes = _flat(_slopes(behind, floats, target)) * counts
            for fit, slope, one in zip(fits, slopes, error, strict=True):
                fit.add(rows * slope, one[None] * slope)
        change = np.concatenate([fit.change() for fit in fits])
        values = {
            node.input[1]: weight + change[:, :-1].reshape(weight.shape),
            node.input[2]: bias + change[:, -1],
        }
        network = with_constants(network, values)
        advance()
    return network


class _Fit:
    """U and E of some outputs."""

    def __init__(self, size: int) -> None:
        self.squares = np.zeros((size, size))
        self.errors: NDArray[np.float64] | None = None

    def add(self, rows: Float, error: Float) -> None:
        """Take in u, (size, places), and e, (outputs, places)."""
        self.squares += rows @ rows.T
        products = (error @ rows.T).astype(np.float64)
        self.errors = products if self.errors is None else self.errors + products

    def change(self) -> NDArray[np.float64]:
        """D, (outputs, size)."""
        assert self.errors is not None
        ridge = RIDGE * np.trace(self.squares) / len(self.squares)
        whole = self.squares + ridge * np.eye(len(self.squares))
        return np.asarray(-np.linalg.solve(whole, self.errors.T).T)


def _flat(x: NDArray[Any]) -> Float:
    """(n, M, ...) -> (M, places)."""
    return np.asarray(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1), np.float32)


def _behind(network: Network, target: str) -> Suffix | None:
    """What is behind a tensor, if it is functions of one number up to the only output."""
    name = target
    while name not in network.outputs:
        reader = network.only_reader(name)
        if reader is None or reader.op_type not in _FUNCTIONS or reader.domain:
            return None
        name = reader.output[0]
    return Suffix(network, (target,), (name,)) if name != target else None


def _slopes(behind: Suffix, values: Arrays, target: str) -> Float:
    """How much the output moves where the target moves, element by element."""
    ends = [
        behind.run(values, {target: values[target] + np.float32(side)})[behind.wanted[0]]
        for side in (_NEAR, -_NEAR)
    ]
    return np.asarray(np.abs(ends[0] - ends[1]) / np.float32(2 * _NEAR), np.float32)


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
