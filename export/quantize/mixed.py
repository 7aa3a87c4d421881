"""`mixed`: integers where the work is, float32 elsewhere.

Most of a link's products, and most of its bytes, are in a few layers: grouped convolutions and
fully connected ones. Those that hold at least `SHARE` of a part's products, or fully connected ones
of its stored bytes, get int8 weights; all else stays float32, so that few roundings are added:

* in front of a grouped convolution 8 bits, a step for every channel (`channel_steps`); its sums
  leave as floats, and what sums them up makes up for the rounding (`refit`);
* in front of a fully connected layer the payload's codes, which are exact, or 14 bits: codes within
  +-8191, which leaves an int16 room for the sum of four; 16 bits behind it.

A layer stays an integer one only while all together cost no more than the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.functions import DOMAIN
from csideploy.export.quantize.channel_steps import ZEROS, own_steps
from csideploy.export.quantize.choose import Chunks, Row, Step
from csideploy.export.quantize.correct import corrections
from csideploy.export.quantize.emit import emit
from csideploy.export.quantize.observe import Statistics, observe
from csideploy.export.quantize.points import Point, find_points, is_layer, result_of
from csideploy.export.quantize.prepare import Network, is_quantized, prepare
from csideploy.export.quantize.ranges import Scale, fourteen, sixteen
from csideploy.export.quantize.refit import refit

SHARE = 0.05
"""Of the part's products or stored bytes."""
MIXED_BUDGET_DB = 0.1
"""For all integer layers of a link together."""


@dataclass(frozen=True)
class Heavy:
    """A layer that is worth integers: its name, its products a sample, its stored bytes."""

    name: str
    products: int
    stored: int


def heavy_layers(network: Network) -> list[Heavy]:
    """The layers that hold most of a prepared network's work, in the order of the graph."""
    counted = [
        (node, Heavy(node.name, _products(network, node), network.constants[node.input[1]].nbytes))
        for node in network.model.graph.node
        if is_layer(network, node)
    ]
    products = sum(layer.products for _, layer in counted)
    stored = sum(values.nbytes for values in network.constants.values())
    return [
        layer
        for node, layer in counted
        if (layer.products >= SHARE * products and (node.op_type != "Conv" or _groups(node) > 1))
        or (layer.stored >= SHARE * stored and node.op_type != "Conv")
    ]


def _groups(node: NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "group"), 1)


def _products(network: Network, node: NodeProto) -> int:
    """Of one sample; a size that is no number counts once."""
    weight = network.constants[node.input[1]]
    sizes = [size for size in network.shapes.get(node.output[0], ())[1:] if isinstance(size, int)]
    if node.op_type == "Conv":
        return int(weight[0].size * np.prod(sizes))
    # A 1-bit weight is stored as eight to a byte.
    each = weight.size * (8 if node.domain == DOMAIN else 1)
    return int(each * np.prod(sizes[:-1]))


class MixedStudy:
    """One part on its way to integers in some of its layers.

    Args:
        model: the fp32 network.
        chunks: calibration inputs, for ranges, means and fits.
        trials: how many of the chunks biases are corrected on.
        seed: of the sample of values behind the steps.
        side: for the table.
        importance: what the square of an error counts in each sample, (n,) chunk by chunk.

    Raises:
        InputError: the network has scales of its own already.
    """

    def __init__(
        self,
        model: ModelProto,
        chunks: Chunks,
        *,
        trials: int,
        seed: int,
        side: str = "",
        importance: Sequence[NDArray[np.float32]] | None = None,
    ) -> None:
        if is_quantized(model):
            raise InputError(
                "the network is quantized already (QuantizeLinear or QONNX); leave --precision "
                "out: its scales are kept"
            )
        self.exact = prepare(model)
        self.chunks, self.trials = chunks, chunks[:trials]
        self.seed, self.side, self.importance = seed, side, importance
        self.layers = [layer.name for layer in heavy_layers(self.exact)]
        self.tried = tuple(self.layers)
        self.costs: dict[str, float] = {}
        nodes = {node.name: node for node in self.exact.model.graph.node}
        self.zeros = {name: ZEROS[0] for name in self.layers if nodes[name].op_type == "Conv"}

    def model(self, *, advance: Step, only: Sequence[str] | None = None) -> ModelProto:
        """The network with the chosen layers in integers.

        Args:
            advance: called now and then.
            only: some of the chosen layers; None: all.
        """
        layers = [name for name in self.layers if only is None or name in only]
        if not layers:
            return self.exact.model
        nodes = {node.name: node for node in self.exact.model.graph.node}
        grouped = [name for name in layers if nodes[name].op_type == "Conv"]
        zeros = {name: self.zeros[name] for name in grouped}
        network, steps = own_steps(
            self.exact, zeros, self.chunks, importance=self.importance, seed=self.seed
        )
        points, scales = self._scales(network, layers, steps)
        shifts = corrections(network, points, scales, self.trials, advance=advance, chosen=layers)

        def write(changed: Network) -> ModelProto:
            return emit(changed, points, scales, shifts, layers)

        fitted = refit(
            network,
            self.exact,
            grouped,
            write,
            self.chunks,
            importance=self.importance,
            advance=advance,
        )
        return write(fitted)

    def _scales(
        self, network: Network, layers: Sequence[str], steps: dict[str, Scale]
    ) -> tuple[list[Point], dict[str, Scale]]:
        """The points that the layers need, and their scales by the point's name."""
        nodes = {node.name: node for node in network.model.graph.node}
        rows = [nodes[name] for name in layers if nodes[name].op_type != "Conv"]
        fed = {node.input[0] for node in rows}
        made = {result_of(network, node) for node in rows}
        read = {nodes[name].input[0] for name in layers}
        points = [p for p in find_points(network) if not (read | made).isdisjoint(p.tensors)]
        statistics, _ = observe(network, points, self.chunks, seed=self.seed)
        return points, {
            point.name: _scale(point, statistics[point.name], steps, fed, made) for point in points
        }

    def rows(self) -> list[Row]:
        """The table: the layers that were tried, in the order of the graph."""
        return [
            Row(self.side, name, "layer", 8 if name in self.layers else 32, self.costs.get(name))
            for name in self.tried
        ]


def _scale(
    point: Point, seen: Statistics, steps: dict[str, Scale], fed: set[str], made: set[str]
) -> Scale:
    """The scale of a point.

    Args:
        point: of it.
        seen: its values.
        steps: scales that are settled, by tensor.
        fed: tensors that fully connected layers read.
        made: tensors that fully connected layers make.
    """
    settled = [steps[name] for name in point.tensors if name in steps]
    if settled:
        return settled[0]
    if point.fixed == 8 or (fed.isdisjoint(point.tensors) and made.isdisjoint(point.tensors)):
        return seen.scale(point, 8)
    if made.isdisjoint(point.tensors):
        return fourteen(seen.low, seen.high)
    return sixteen(seen.low, seen.high)


def settle_mixed(
    studies: Sequence[MixedStudy],
    measure: Callable[[Sequence[ModelProto]], float],
    *,
    advance: Step,
    budget_db: float = MIXED_BUDGET_DB,
) -> tuple[list[ModelProto], float]:
    """Write the networks; while they miss the budget, the dearest layer goes back to float.

    Args:
        studies: the parts that share the budget.
        measure: networks in the order of the studies -> their loss against float, in dB.
        advance: called now and then.
        budget_db: for all together.

    Returns:
        The networks in the order of the studies, and their loss.

    Raises:
        UnsupportedError: no layer is worth integers, or none can be had within the budget.
    """
    if not any(study.layers for study in studies):
        raise UnsupportedError(
            "no layer of the network is worth integers alone: --precision mixed takes grouped "
            f"convolutions and fully connected layers with {SHARE:.0%} of the products or bytes; "
            "--precision int8 or auto takes all"
        )
    for study in studies:
        for name in study.tried:
            found = {}
            for zero in ZEROS if name in study.zeros else (0,):
                study.zeros |= {name: zero} if name in study.zeros else {}
                alone = [
                    s.model(advance=advance, only=[name] if s is study else []) for s in studies
                ]
                found[zero] = measure(alone)
            best = min(found, key=lambda zero: found[zero])
            study.zeros |= {name: best} if name in study.zeros else {}
            study.costs[name] = found[best]
    while True:
        models = [study.model(advance=advance) for study in studies]
        loss = measure(models)
        left = [(study.costs[name], name, study) for study in studies for name in study.layers]
        if loss <= budget_db or not left:
            break
        _, name, study = max(left, key=lambda entry: entry[0])
        study.layers.remove(name)
    if not left:
        raise UnsupportedError(
            f"no integer layer is within {budget_db:g} dB of the float network: "
            "leave --precision out, or take auto"
        )
    return models, loss
