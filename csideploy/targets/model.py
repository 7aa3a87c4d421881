"""How long a layer takes on a target, from the operations and bytes that the plan counts.

A layer's units of arithmetic and its memory work at the same time, so that the slower one counts:

    t = max(t_arithmetic, t_memory) + t_overhead

    t_arithmetic = MACs / (P u f) + E / (p v f)
    t_memory     = W / B_w + A / B_a
    t_overhead   = c / f

with, for one core, f the clock (Hz), P the peak MACs a cycle of the layer's precision, u the part
of it that layers of its kind reach, E the element-wise operations (elements moved, bits packed), p
their peak a cycle and v what part of that the kind reaches, W the bytes of the layer's constants, A
the bytes of activations that it reads and writes, c the cycles that calling a layer takes. A MAC
with a 1-bit weight has a peak of its own.

B_a is the bandwidth of the first memory that holds the arena. B_w is that of the first memory that
holds *all* weights of the side, beside the arena if that is in the same one: each weight is read
once a run, so that a smaller and nearer memory has lost it until it is needed again. What fits
nowhere is taken from the last memory, and `place` says that it does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from csideploy.errors import InputError
from csideploy.targets.files import ESTIMATED, Memory, Target
from csideploy.targets.kinds import ELEMENTS, MULTIPLYING, kind_by_name

PRECISIONS = ("fp32", "int8")


@dataclass(frozen=True)
class LayerTime:
    """Seconds of one layer for one sample.

    bound: what takes most of `latency_s`: arithmetic, memory or overhead.
    """

    name: str
    arithmetic_s: float
    memory_s: float
    overhead_s: float
    latency_s: float
    bound: str


def predict(
    layers: Sequence[Mapping[str, Any]],
    target: Target,
    *,
    precision: str = "fp32",
    arena_bytes: int = 0,
) -> list[LayerTime]:
    """The time of every layer of one side.

    Args:
        layers: of `report`'s `sides[...]["layers"]`: those that run one after another.
        target: the device.
        precision: "fp32" takes every layer as it was compiled, so that integer layers are integer
            ones; "int8" says what the float layers would take as integers.
        arena_bytes: of the side; 0 takes the largest activations of a layer.

    Returns:
        One row a layer, in order.

    Raises:
        InputError: another precision, or float layers on a device without float units.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision}: one of {', '.join(PRECISIONS)}")
    placed = place(layers, target, precision=precision, arena_bytes=arena_bytes)
    return [
        _time(layer, target, precision, placed.weights.bandwidth, placed.activations.bandwidth)
        for layer in layers
    ]


@dataclass(frozen=True)
class Excess:
    """What a memory would have to hold, and what it holds.

    what: arena, weights, or weights and arena.
    """

    what: str
    memory: str
    nbytes: int
    most: int


@dataclass(frozen=True)
class Placed:
    """Which memories hold what; excess: what does not fit."""

    weights: Memory
    activations: Memory
    excess: tuple[Excess, ...]

    @property
    def fits(self) -> bool:
        """Whether there is room for all."""
        return not self.excess


def place(
    layers: Sequence[Mapping[str, Any]],
    target: Target,
    *,
    precision: str = "fp32",
    arena_bytes: int = 0,
) -> Placed:
    """Where a side's constants and activations are.

    The arguments are those of `predict`. The arena is `arena_bytes`, or the largest activations of
    a layer, if that is more.
    """
    constants = sum(_constants(layer, precision) for layer in layers)
    largest = max((sum(_activations(layer, precision)) for layer in layers), default=0)
    largest = max(largest, arena_bytes)
    excess = []
    activations, room = _holding(target, "activations", lambda _: largest)
    if not room:
        excess.append(Excess("arena", activations.name, largest, activations.bytes))

    def together(memory: Memory) -> int:
        return constants + (largest if memory is activations else 0)

    weights, room = _holding(target, "weights", together)
    if not room:
        what = "weights and arena" if weights is activations else "weights"
        excess.append(Excess(what, weights.name, together(weights), weights.bytes))
    return Placed(weights, activations, tuple(excess))


def _holding(target: Target, what: str, size: Callable[[Memory], int]) -> tuple[Memory, bool]:
    """The first memory with room for what it would have to hold, else the last one and False."""
    memories = [memory for memory in target.memories if memory.holds in (what, "both")]
    for memory in memories:
        if size(memory) <= memory.bytes:
            return memory, True
    return memories[-1], False


def _time(
    layer: Mapping[str, Any], target: Target, precision: str, weights: float, activations: float
) -> LayerTime:
    clock = target.clock_hz.value
    arithmetic = (_mac_cycles(layer, target, precision) + _other_cycles(layer, target)) / clock
    memory = _constants(layer, precision) / weights
    memory += sum(_activations(layer, precision)) / activations
    overhead = target.overhead_cycles.value / clock
    parts = {"arithmetic": arithmetic, "memory": memory, "overhead": overhead}
    slower = max(arithmetic, memory)
    return LayerTime(
        layer["name"],
        arithmetic,
        memory,
        overhead,
        slower + overhead,
        max(parts, key=lambda part: parts[part]),
    )


def is_integer(layer: Mapping[str, Any], precision: str) -> bool:
    """Whether a layer works on integers: its operation's name begins with Q, or it is asked for.

    A block does whose middle convolution, most of its work, has integer weights.
    """
    op: str = layer["op"]
    if op == "CONV_BLOCK" and layer["int8_bytes"]:
        return True
    return precision == "int8" or (op.startswith("Q") and not op.startswith("QUANTIZE"))


def kind(layer: Mapping[str, Any]) -> str:
    """The kind of a layer; of an older report, which does not say it, from its operation."""
    return layer.get("kind") or kind_by_name(layer["op"])


def _mac_cycles(layer: Mapping[str, Any], target: Target, precision: str) -> float:
    macs = layer["macs"]
    if not macs:
        return 0.0
    integer, peaks = is_integer(layer, precision), target.mac_per_cycle
    peak = peaks.binary if layer["binary_macs"] else peaks.int8 if integer else peaks.fp32
    if peak is None:
        raise InputError(
            f"{target.name} has no fp32 units, layer {layer['name']} needs them: export with "
            "--precision int8"
        )
    return float(macs / (peak.value * target.shares.of(share_key(layer, precision))))


def share_key(layer: Mapping[str, Any], precision: str = "fp32") -> str:
    """Which share of a peak a layer takes: `int8.conv`, `binary`, `elements.move`."""
    integer = is_integer(layer, precision)
    if layer["binary_macs"]:
        return "binary_int8" if integer else "binary"
    found = kind(layer)
    if layer["macs"]:
        # What multiplies, and is of no kind that is known to, is as slow as the searches.
        name = found if found in MULTIPLYING else "search"
        return f"{'int8' if integer else 'fp32'}.{name}"
    return _elements_key(layer)


def _elements_key(layer: Mapping[str, Any]) -> str:
    # Biases and activations of what multiplies are additions and comparisons.
    found = kind(layer)
    return f"elements.{found if found in ELEMENTS else 'elementwise'}"


def confidence(
    layers: Sequence[Mapping[str, Any]], target: Target, *, precision: str = "fp32"
) -> str:
    """Of the least sure figure behind the time of these layers.

    That of a calibrated host depends on the layers: kinds that no layer was measured for keep
    estimates.
    """
    keys = {share_key(layer, precision) for layer in layers}
    keys |= {_elements_key(layer) for layer in layers if operations(layer)}
    if keys & set(target.shares.estimated):
        return ESTIMATED
    return target.confidence


def operations(layer: Mapping[str, Any]) -> int:
    """Element-wise operations, elements moved or bits packed, as the layer's kind counts them."""
    counted: int = layer["elementwise"]
    if kind(layer) == "bits":
        counted += layer.get("bit_operations", 0)
    if kind(layer) == "move":
        counted += layer.get("output_bytes", 0) // 4
    return counted


def _other_cycles(layer: Mapping[str, Any], target: Target) -> float:
    share = target.shares.of(_elements_key(layer))
    return float(operations(layer) / (target.elementwise_per_cycle.value * share))


def _constants(layer: Mapping[str, Any], precision: str) -> int:
    floats: int = layer["fp32_bytes"]
    if precision == "int8":
        floats //= 4
    return floats + int(layer["int8_bytes"]) + int(layer["binary_bytes"])


def _activations(layer: Mapping[str, Any], precision: str) -> tuple[int, int]:
    moved: tuple[int, int] = layer.get("input_bytes", 0), layer.get("output_bytes", 0)
    if precision == "int8" and not is_integer(layer, "fp32"):
        return moved[0] // 4, moved[1] // 4
    return moved
