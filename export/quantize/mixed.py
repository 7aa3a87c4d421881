"""`mixed`: integers where the work is, float32 elsewhere.

Most of a link's products, and most of its bytes, are in a few layers: grouped convolutions and
fully connected ones. Those that hold at least `SHARE` of a part's products, or fully connected ones
of its stored bytes, get int8 weights; all else stays float32, so that few roundings are added:

* in front of a grouped convolution 8 bits, a step for every channel (`channel_steps`), or 16 where
  8 cost too much; its sums leave as floats. Where it is the middle of a bottleneck that runs as one
  step, the convolutions around it become integers of 16 bits with it (`edges`);
* in front of a fully connected layer the payload's codes, which are exact, or 14 bits: codes within
  +-8191, which leaves an int16 room for the sum of four; 16 bits behind it.

What each layer costs alone is measured against the float network. One that costs more than the
budget goes on, from 8 bits to 16, and to float32 in the end; while all together cost more, the
dearest does. Edges go where their grouped convolution goes, and stay float where they alone cost
more than `EDGES_DB`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.functions import DOMAIN
from csideploy.export.quantize.channel_steps import has_learned, own_steps
from csideploy.export.quantize.choose import BUDGET_DB, Chunks, Row, Step
from csideploy.export.quantize.correct import corrections
from csideploy.export.quantize.edges import Edge, kept, own_edges
from csideploy.export.quantize.emit import emit
from csideploy.export.quantize.observe import Statistics, observe
from csideploy.export.quantize.points import Point, find_points, is_layer, result_of
from csideploy.export.quantize.prepare import Network, is_quantized, prepare
from csideploy.export.quantize.ranges import Scale, fourteen, power_of_two, sixteen
from csideploy.export.quantize.sensitivity import (
    Experiment,
    Judge,
    cost_db,
    costs_db,
    errors,
    of_point,
    of_weight,
)
from csideploy.export.quantize.weights import mean_shift
from csideploy.onnx_oracle import Oracle, samples

SHARE = 0.05
"""Of the part's products or stored bytes."""
FLOAT = 32
EDGES_DB = 0.01
"""What 16 bits in both convolutions around a grouped one may cost. Measured: 0.001."""


@dataclass(frozen=True)
class Heavy:
    """A layer that is worth integers.

    Attributes:
        name: of the node.
        products: of one sample.
        stored: bytes of its weight.
        grouped: whether it is a grouped convolution; else it is fully connected.
    """

    name: str
    products: int
    stored: int
    grouped: bool


def heavy_layers(network: Network) -> list[Heavy]:
    """The layers that hold most of a prepared network's work, in the order of the graph."""
    counted = [
        (
            node,
            Heavy(
                node.name,
                _products(network, node),
                network.constants[node.input[1]].nbytes,
                node.op_type == "Conv" and _groups(node) > 1,
            ),
        )
        for node in network.model.graph.node
        if is_layer(network, node)
    ]
    products = sum(layer.products for _, layer in counted)
    stored = sum(values.nbytes for values in network.constants.values())
    return [
        layer
        for node, layer in counted
        if (node.op_type != "Conv" or layer.grouped)
        and (
            layer.products >= SHARE * products
            or (not layer.grouped and layer.stored >= SHARE * stored)
        )
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
        chunks: calibration inputs, for ranges.
        trials: how many of the chunks the sweep runs on, and biases are corrected on.
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
        self.network = prepare(model)
        self.learned = has_learned(model)
        self.trials, self.side = chunks[:trials], side
        self.layers = heavy_layers(self.network)
        self.bits = dict.fromkeys((layer.name for layer in self.layers), 8)
        self.costs: dict[tuple[str, int], float] = {}
        self.edges: dict[str, dict[str, Edge]] = {}
        self.beside: dict[str, list[str]] = {}
        if not self.layers:
            return
        grouped = [layer.name for layer in self.layers if layer.grouped]
        self.network, steps = own_steps(
            self.network, grouped, chunks, importance=importance, seed=seed, learned=self.learned
        )
        self.network, self.edges = own_edges(self.network, grouped, chunks)
        self.beside = {name: list(edges) for name, edges in self.edges.items()}
        self.nodes = {node.name: node for node in self.network.model.graph.node}
        self._observe(chunks, steps, seed)

    def _observe(self, chunks: Chunks, steps: dict[str, dict[int, Scale]], seed: int) -> None:
        """The points beside the layers, and the scales that each may get, by its bits."""
        rows = [self.nodes[layer.name] for layer in self.layers if not layer.grouped]
        fed = {node.input[0] for node in rows}
        made = {result_of(self.network, node) for node in rows}
        read = {self.nodes[layer.name].input[0] for layer in self.layers}
        self.points = [
            p for p in find_points(self.network) if not (read | made).isdisjoint(p.tensors)
        ]
        unknown = [p for p in self.points if steps.keys().isdisjoint(p.tensors)]
        seen: dict[str, Statistics] = {}
        if unknown:
            seen, _ = observe(self.network, unknown, chunks, seed=seed)
        self.scales = {p.name: _scales(p, seen.get(p.name), steps, fed, made) for p in self.points}

    def sweep(self, wanted: Sequence[str], judge: Judge, *, advance: Step) -> None:
        """Measure what each layer costs alone, with the bits that it may have."""
        if not self.layers:
            return
        weighted = [self.nodes[n.name] for n in self.layers if not self.nodes[n.name].domain]
        correcting = weighted and not self.learned
        shifts = mean_shift(self.network, weighted, self.trials) if correcting else {}
        tried = {
            (layer.name, bits): self._experiment(layer, bits, shifts.get(layer.name))
            for layer in self.layers
            for bits in ((8, 16) if layer.grouped else (8,))
        }
        found = errors(
            self.network, list(tried.values()), self.trials, wanted, judge, advance=advance
        )
        costs = costs_db(found)
        self.costs = {key: costs[experiment.name] for key, experiment in tried.items()}
        for name in list(self.edges):
            if cost_db(self._with_edges(name, wanted, judge), found[""]) > EDGES_DB:
                del self.edges[name]
            advance()

    def _with_edges(self, layer: str, wanted: Sequence[str], judge: Judge) -> float:
        """The error with nothing but the edges of one layer in integers."""
        model = emit(self.network, [], {}, layers=(), edges=self.edges[layer])
        written = Oracle(model.SerializeToString(), name="the network", expose=tuple(wanted))
        total = sum(samples(x) for x in self.trials)
        return sum(
            judge(index, written.run(x)) * samples(x) / total for index, x in enumerate(self.trials)
        )

    def _experiment(self, layer: Heavy, bits: int, shift: NDArray[np.float32] | None) -> Experiment:
        node = self.nodes[layer.name]
        point = next(p for p in self.points if node.input[0] in p.tensors)
        found = of_point(self.network, point, _at(self.scales[point.name], bits))
        found.name = f"{layer.name} {bits}"
        if shift is not None:
            weight = of_weight(self.network, layer.name, shift)
            found.layer, found.constants = layer.name, weight.constants
        return found

    def cost(self, name: str) -> float:
        """What a layer costs with the bits that it has now; 0 in float."""
        return max(self.costs.get((name, self.bits[name]), 0.0), 0.0)

    def integers(self) -> list[str]:
        """The layers that are not float."""
        return [name for name, bits in self.bits.items() if bits != FLOAT]

    def retreat(self, name: str) -> None:
        """From 8 bits to 16, where a layer may have them, or to float."""
        sixteen_next = self.bits[name] == 8 and (name, 16) in self.costs
        self.bits[name] = 16 if sixteen_next else FLOAT

    def model(self, *, advance: Step) -> ModelProto:
        """The network with the chosen layers in integers, their biases corrected.

        Those of a network that was trained with integers are right as they are: to correct them
        towards what floats make would undo what it has learned.
        """
        layers = self.integers()
        if not layers:
            return self.network.model
        scales: dict[str, Scale] = {}
        for point in self.points:
            bits = [self.bits[n] for n in layers if self.nodes[n].input[0] in point.tensors]
            ends = {result_of(self.network, self.nodes[n]) for n in layers}
            if bits or not ends.isdisjoint(point.tensors):
                scales[point.name] = _at(self.scales[point.name], max(bits, default=16))
        edges = kept(self.edges, layers)
        shifts = {}
        if not self.learned:
            shifts = corrections(
                self.network,
                self.points,
                scales,
                self.trials,
                advance=advance,
                chosen=layers,
                edges=edges,
            )
        return emit(self.network, self.points, scales, shifts, layers, edges=edges)

    def rows(self) -> list[Row]:
        """The table, in the order of the graph."""
        rows = []
        for name, bits in self.bits.items():
            coded = name in self.edges and bits != FLOAT
            around = [
                Row(self.side, edge, "edge", 16 if coded else FLOAT, None)
                for edge in self.beside.get(name, [])
            ]
            own = Row(self.side, name, "layer", bits, self.costs.get((name, 8)))
            rows += [*around[:1], own, *around[1:]]
        return rows


def _at(scales: dict[int, Scale], bits: int) -> Scale:
    """A point's scale of so many bits, or the only one it has."""
    return scales.get(bits) or next(iter(scales.values()))


def _scales(
    point: Point,
    seen: Statistics | None,
    steps: dict[str, dict[int, Scale]],
    fed: set[str],
    made: set[str],
) -> dict[int, Scale]:
    """The scales that a point may get, by their bits.

    Args:
        point: of it.
        seen: its values; None where its scales are settled.
        steps: scales that are settled, by tensor.
        fed: tensors that fully connected layers read.
        made: tensors that fully connected layers make.
    """
    if seen is None:
        return next(steps[name] for name in point.tensors if name in steps)
    if not made.isdisjoint(point.tensors):
        return {16: sixteen(seen.low, seen.high)}
    if point.fixed == 8:
        return {8: seen.scale(point, 8)}
    if not fed.isdisjoint(point.tensors):
        return {16: fourteen(seen.low, seen.high)}
    return {8: seen.scale(point, 8), 16: power_of_two(sixteen(seen.low, seen.high))}


def settle_mixed(
    studies: Sequence[MixedStudy],
    measure: Callable[[Sequence[ModelProto]], float],
    *,
    advance: Step,
    budget_db: float = BUDGET_DB,
) -> tuple[list[ModelProto], float]:
    """Choose, write the networks, measure them, and choose again while they miss the budget.

    Args:
        studies: swept parts that share the budget.
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
        for name in study.bits:
            while study.cost(name) > budget_db:
                study.retreat(name)
    while any(study.integers() for study in studies):
        models = [study.model(advance=advance) for study in studies]
        loss = measure(models)
        if loss <= budget_db:
            return models, loss
        left = [(study.cost(name), name, study) for study in studies for name in study.integers()]
        _, name, study = max(left, key=lambda entry: entry[0])
        study.retreat(name)
    raise UnsupportedError(
        f"no integer layer is within {budget_db:g} dB of the float network: "
        "leave --precision out, or take auto"
    )
