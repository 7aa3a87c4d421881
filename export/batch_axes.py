"""The axes of input 0 along which an operator works; see `batch_rules.along`."""

from __future__ import annotations

from csideploy.export.batch_rules import Sizes


def softmax_axis(sizes: Sizes) -> set[int]:
    """Softmax and LogSoftmax."""
    return {int(sizes.node.attributes.get("axis", -1))}


def extreme_axis(sizes: Sizes) -> set[int]:
    """ArgMin and ArgMax."""
    return {int(sizes.node.attributes.get("axis", 0))}


def join_axis(sizes: Sizes) -> set[int]:
    """Concat."""
    return {int(sizes.node.attributes["axis"])}


def running_axis(sizes: Sizes) -> set[int]:
    """CumSum: an input."""
    axis = sizes.inputs[1]
    return set() if axis is None or axis.data is None else {int(axis.data.reshape(-1)[0])}


def norm_axes(sizes: Sizes) -> set[int]:
    """LayerNormalization: the last ones."""
    rank = sizes.rank()
    return set(range(int(sizes.node.attributes.get("axis", -1)) % rank, rank))


def reduced_axes(sizes: Sizes) -> set[int]:
    """Reductions: an attribute, or an input; none means all, or nothing."""
    attributes = sizes.node.attributes
    axes = [int(axis) for axis in attributes.get("axes", ())]
    if len(sizes.inputs) > 1 and sizes.inputs[1] is not None:
        data = sizes.inputs[1].data
        axes = [] if data is None else [int(axis) for axis in data.reshape(-1)]
    if axes:
        return set(axes)
    return set() if attributes.get("noop_with_empty_axes", 0) == 1 else set(range(sizes.rank()))


def dft_axes(sizes: Sizes) -> set[int]:
    """The transformed axis, and the last, which holds real and imaginary parts."""
    attributes = sizes.node.attributes
    axis = int(attributes.get("axis", -2))
    if "axis" not in attributes and len(sizes.inputs) > 2 and sizes.inputs[2] is not None:
        data = sizes.inputs[2].data
        axis = int(data.reshape(-1)[0]) if data is not None else axis
    return {axis, -1}
