"""What 8 bits cost: one activation, or one layer's weights, at 8 bits and all else in float.

The judge says what a result is worth: the squared error of the whole link against the CSI that
went in, or, for a part alone, that of its output against its own float output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from csideploy.export.quantize.points import Point, is_layer
from csideploy.export.quantize.prepare import Network
from csideploy.export.quantize.ranges import Scale
from csideploy.export.quantize.suffix import Suffix
from csideploy.export.quantize.weights import rounded
from csideploy.onnx_oracle import Arrays, Given, Oracle, samples

Judge = Callable[[int, Arrays], float]
"""(number of the chunk, the wanted tensors) -> mean error of its samples, linear."""


_ENOUGH = 16
"""Samples whose mean says something; a row of one sample is its own mean."""


@dataclass
class Experiment:
    """One change: codes for `starts`, or other constants for a layer that is run again.

    centred: whether a layer follows, whose bias takes the mean of the change back.
    rows: whether that layer is a MatMul, so that the channels are the last axis.
    """

    name: str
    starts: tuple[str, ...] = ()
    scale: Scale | None = None
    centred: bool = False
    rows: bool = False
    layer: str = ""
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)


def of_point(network: Network, point: Point, scale: Scale) -> Experiment:
    """A point's codes instead of its values; tensors that moves make follow by themselves."""
    moved = set(point.tensors)
    starts = []
    for name in point.tensors:
        maker = network.producers.get(name)
        if maker is None or not moved.intersection(maker.input):
            starts.append(name)
    layer = _next_layer(network, starts)
    rows = layer is not None and layer.op_type == "MatMul"
    return Experiment(point.name, tuple(starts), scale, layer is not None, rows)


def _next_layer(network: Network, starts: Sequence[str]) -> NodeProto | None:
    reached = set(starts)
    nodes: list[NodeProto] = list(network.model.graph.node)
    for node in nodes:
        if reached.intersection(node.input):
            if is_layer(network, node):
                return node
            reached.update(node.output)
    return None


def of_weight(network: Network, layer: str, shift: NDArray[np.float32]) -> Experiment:
    """A layer's 8-bit weights, with a bias that takes their mean effect back."""
    node = next(n for n in network.model.graph.node if n.name == layer)
    constants: dict[str, NDArray[Any]] = {node.input[1]: rounded(network, node)}
    bias = network.constant(node, 2) if node.op_type != "MatMul" else None
    if bias is not None:
        constants[node.input[2]] = np.asarray(bias - shift, np.float32)
    return Experiment(layer, layer=layer, constants=constants)


def errors(
    network: Network,
    experiments: Sequence[Experiment],
    chunks: Sequence[Given],
    wanted: Sequence[str],
    judge: Judge,
    *,
    advance: Callable[[], None],
) -> dict[str, float]:
    """The error of each experiment, mean over all samples; that of the float network under "".

    Args:
        network: prepared.
        experiments: what to try, one at a time.
        chunks: calibration inputs.
        wanted: the tensors that the judge looks at.
        judge: makes an error of them.
        advance: called after every experiment on every chunk.
    """
    suffixes = [
        Suffix(network, e.starts, wanted, constants=e.constants, layer=e.layer) for e in experiments
    ]
    feeds = dict.fromkeys(name for suffix in suffixes for name in suffix.feeds)
    names = tuple(dict.fromkeys([*feeds, *wanted, *(s for e in experiments for s in e.starts)]))
    oracle = Oracle(network.model.SerializeToString(), name="the network", expose=names)
    total = sum(samples(x) for x in chunks)
    found: dict[str, float] = dict.fromkeys(["", *(e.name for e in experiments)], 0.0)
    for index, x in enumerate(chunks):
        values = {**oracle.run(x), **oracle.feeds(x)}
        share = samples(x) / total
        found[""] += share * judge(index, {name: values[name] for name in wanted})
        for experiment, suffix in zip(experiments, suffixes, strict=True):
            changed = {name: _coded(experiment, values[name]) for name in experiment.starts}
            found[experiment.name] += share * judge(index, suffix.run(values, changed))
            advance()
    return found


def _coded(experiment: Experiment, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """A tensor through its codes; the mean error of a channel, in this chunk, is taken back."""
    assert experiment.scale is not None
    coded = experiment.scale.fake(x)
    if not experiment.centred or (x.ndim == 2 and len(x) < _ENOUGH):
        return coded
    # Sequences, (n, position, channel), have their channels last, and so has all that a MatMul
    # reads; images and rows have them second.
    last = experiment.rows or x.ndim == 3
    others = tuple(range(x.ndim - 1)) if last else (0, *range(2, x.ndim))
    return coded - np.mean(coded - x, axis=others, keepdims=True, dtype=np.float32)


def cost_db(error: float, base: float) -> float:
    """How much worse than float, in dB."""
    return float(10.0 * np.log10(error / base))


def costs_db(found: Mapping[str, float]) -> dict[str, float]:
    """`errors` as costs, by name."""
    return {name: cost_db(error, found[""]) for name, error in found.items() if name}
