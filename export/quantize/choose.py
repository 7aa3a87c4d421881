"""How many bits each layer gets: 8 where that is cheap, 16 where it is not.

`int8`: 8 bits everywhere but in front of the payload's quantizer. `auto`: every activation, and
every layer's weights, is tried at 8 bits alone against the float network; activations that cost
more than 0.05 dB get 16 bits, weights that cost more than 0.02 dB a second term, and then the
dearest of the others too, until what is left adds up to no more than the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.quantize.correct import corrections
from csideploy.export.quantize.emit import emit
from csideploy.export.quantize.equalize import equalize
from csideploy.export.quantize.observe import Statistics, observe
from csideploy.export.quantize.points import Point, find_points
from csideploy.export.quantize.prepare import is_quantized, prepare
from csideploy.export.quantize.sensitivity import Judge, costs_db, errors, of_point, of_weight
from csideploy.export.quantize.weights import mean_shift, split, weighted_layers
from csideploy.onnx_oracle import Given

ACTIVATION_LIMIT_DB = 0.05
WEIGHT_LIMIT_DB = 0.02
"""Lower, because a second term costs a small layer next to nothing."""
BUDGET_DB = 0.08
"""For what stays at 8 bits, together."""
PRECISIONS = ("int8", "auto")

Chunks = Sequence[Given]
Step = Callable[[], None]


@dataclass(frozen=True)
class Row:
    """One line of the table of dB against bits.

    Attributes:
        side: "ue", "bs" ..., or "" for a part alone.
        layer: the node that makes the tensor, or has the weights.
        kind: "activation" or "weight".
        bits: 8 or 16.
        cost_db: what 8 bits would cost, alone; None where it was not tried.
    """

    side: str
    layer: str
    kind: str
    bits: int
    cost_db: float | None


class Study:
    """One part on its way to integers.

    Args:
        model: the fp32 network.
        chunks: calibration inputs, for ranges and means.
        trials: how many of the chunks the sweep runs on.
        seed: of the sample of values behind the ranges.
        side: for the table.

    Raises:
        InputError: the network has scales of its own already, or nothing that integers compute.
    """

    def __init__(
        self, model: ModelProto, chunks: Chunks, *, trials: int, seed: int, side: str = ""
    ) -> None:
        if is_quantized(model):
            raise InputError(
                "the network is quantized already (QuantizeLinear or QONNX); leave --precision "
                "out: its scales are kept"
            )
        self.network = equalize(prepare(model), chunks)
        self.chunks, self.trials = chunks, chunks[:trials]
        self.seed, self.side = seed, side
        self.weight_costs: dict[str, float] = {}
        self.point_costs: dict[str, float] = {}
        self.two_terms: set[str] = set()
        self._observe()
        if not self.points:
            raise UnsupportedError(
                "no layer of the network can be computed in integers: Conv, Gemm or MatMul with "
                "stored weights, or csideploy BinaryLinear"
            )
        self.bits = {point.name: point.fixed or 8 for point in self.points}

    def _observe(self) -> None:
        self.points: list[Point] = find_points(self.network)
        self.statistics: dict[str, Statistics]
        self.statistics, self.outputs = observe(
            self.network, self.points, self.chunks, seed=self.seed
        )

    def trials_ahead(self) -> int:
        """About how often `sweep` will call its `advance`."""
        return (len(weighted_layers(self.network)) + len(self.points)) * len(self.trials)

    def sweep(self, wanted: Sequence[str], judge: Judge, *, advance: Step) -> None:
        """Try everything at 8 bits, and choose by what each costs alone."""
        layers = weighted_layers(self.network)
        shift = mean_shift(self.network, layers, self.trials)
        tried = [of_weight(self.network, node.name, shift[node.name]) for node in layers]
        found = errors(self.network, tried, self.trials, wanted, judge, advance=advance)
        self.weight_costs = costs_db(found)
        can = {node.name for node in layers if node.op_type != "MatMul"}
        dear = {name for name, cost in self.weight_costs.items() if cost > WEIGHT_LIMIT_DB}
        self.two_terms = dear & can
        if self.two_terms:
            self.network = split(self.network, self.two_terms)
            self._observe()
        tried = [
            of_point(self.network, point, self.statistics[point.name].scale(point, 8))
            for point in self.points
        ]
        found = errors(self.network, tried, self.trials, wanted, judge, advance=advance)
        self.point_costs = costs_db(found)
        self.bits = {
            point.name: point.fixed
            or (16 if self.point_costs[point.name] > ACTIVATION_LIMIT_DB else 8)
            for point in self.points
        }

    def at_eight(self) -> dict[str, float]:
        """What is still at 8 bits and might get 16: name -> cost in dB."""
        free = {point.name for point in self.points if point.fixed is None}
        return {
            name: cost
            for name, cost in self.point_costs.items()
            if name in free and self.bits[name] == 8 and cost > 0.0
        }

    def model(self, *, advance: Step) -> ModelProto:
        """The QDQ network, biases corrected on the trial chunks."""
        scales = {
            point.name: self.statistics[point.name].scale(point, self.bits[point.name])
            for point in self.points
        }
        shifts = corrections(self.network, self.points, scales, self.trials, advance=advance)
        return emit(self.network, self.points, scales, shifts)

    def rows(self) -> list[Row]:
        """The table: activations and weights in the order of the graph."""
        by_layer = {point.layer: point for point in self.points}
        rows = []
        made = [point.layer for point in self.points if point.layer not in self._node_names()]
        for layer in (*made, *self._node_names()):
            if layer in self.weight_costs or layer in self._weighted():
                bits = 16 if layer in self.two_terms else 8
                cost = self.weight_costs.get(layer)
                rows.append(Row(self.side, layer, "weight", bits, cost))
            if layer in by_layer:
                point = by_layer[layer]
                cost = self.point_costs.get(point.name)
                rows.append(Row(self.side, layer, "activation", self.bits[point.name], cost))
        return rows

    def _node_names(self) -> list[str]:
        return [node.name for node in self.network.model.graph.node]

    def _weighted(self) -> set[str]:
        rest = {f"{name}.rest" for name in self.two_terms}
        return {node.name for node in weighted_layers(self.network)} - rest


def promote(studies: Sequence[Study], *, spent_db: float, budget_db: float = BUDGET_DB) -> bool:
    """Give 16 bits to the dearest activations until the rest is within the budget.

    Args:
        studies: the parts that share the budget.
        spent_db: what is spent whatever is promoted: weights at 8 bits, and what a measurement
            showed above the sum of the single costs.
        budget_db: for all together.

    Returns:
        Whether anything was promoted.
    """
    left = sorted(
        ((cost, name, study) for study in studies for name, cost in study.at_eight().items()),
        key=lambda entry: -entry[0],
    )
    total = spent_db + sum(cost for cost, *_ in left)
    changed = False
    for cost, name, study in left:
        if total <= budget_db:
            break
        study.bits[name] = 16
        total -= cost
        changed = True
    return changed


def settle(
    studies: Sequence[Study],
    measure: Callable[[Sequence[ModelProto]], float],
    *,
    advance: Step,
    budget_db: float = BUDGET_DB,
) -> tuple[list[ModelProto], float]:
    """Promote, write the networks, measure them, and promote more while they miss the budget.

    Args:
        studies: swept parts.
        measure: QDQ networks -> their loss against float, in dB.
        advance: called now and then.
        budget_db: for all together.

    Returns:
        The networks in the order of the studies, and their loss.
    """
    weights = sum(
        max(cost, 0.0)
        for study in studies
        for name, cost in study.weight_costs.items()
        if name not in study.two_terms
    )
    promote(studies, spent_db=weights, budget_db=budget_db)
    while True:
        models = [study.model(advance=advance) for study in studies]
        loss = measure(models)
        known = sum(cost for study in studies for cost in study.at_eight().values())
        # Errors meet, so that the whole is not the sum; what is above it is there to stay.
        more = loss > budget_db and promote(
            studies, spent_db=max(weights, loss - known / 2), budget_db=budget_db
        )
        if not more:
            return models, loss


def with_side(rows: Sequence[Row], side: str) -> list[Row]:
    """The rows under another side's name."""
    return [replace(row, side=side) for row in rows]


def noise_judge(expected: Sequence[Mapping[str, NDArray[Any]]], level_db: float) -> Judge:
    """The judge of a part alone.

    A network makes an error of its own; quantization's adds to it. With N the mean square
    deviation of the outputs from the float network's, over their variance about their mean, and
    r = 10^(level / 10) the error of the network itself on the same scale (its NMSE), the judge
    says r + N, so that the cost is 10 log10(1 + N / r) dB.

    Args:
        expected: the float network's wanted tensors, chunk by chunk.
        level_db: the error that the network makes anyway, in dB.
    """

    def judge(index: int, made: Mapping[str, NDArray[Any]]) -> float:
        noise = power = 0.0
        for name, values in expected[index].items():
            exact = values.astype(np.float64)
            noise += float(np.sum((made[name] - exact) ** 2))
            power += float(np.sum((exact - exact.mean()) ** 2))
        own = float(10.0 ** (level_db / 10.0))
        return own + noise / max(power, float(np.finfo(np.float64).tiny))

    return judge
