"""Operators that only move elements: views, transposes, cuts, joins, pads, repeats, look-ups."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import BATCH, Shape
from csideploy.export.operations import PadMode
from csideploy.export.plan import Op
from csideploy.export.refusal import text
from csideploy.export.steps.site import I32, Site, by_axis, stored_shape


def view(site: Site) -> None:
    """Reshape and its like: a sample's elements keep their order."""
    site.result(site.x(0))


def dropout(site: Site) -> None:
    """In evaluation mode it returns its input."""
    if site.has(2) and site.data(2, "training_mode").any():
        site.refuse("training mode; export the network in evaluation mode")
    if len(site.node.outputs) > 1:
        site.refuse("the mask of Dropout is not supported")
    site.result(site.x(0))


def transpose(site: Site) -> None:
    """Axes in another order; the batch stays in front."""
    x = site.value(0)
    rank = len(x.shape)
    order = [int(axis) for axis in site.attribute("perm", range(rank)[::-1])]
    if sorted(order) != list(range(rank)):
        site.refuse(f"order {order} on {x.shape} is no permutation")
    batch = x.batch
    if batch is None:
        site.result(site.transpose(site.x(0), order))
    elif batch.before * batch.after == 1:
        kept = [site.axis(x, axis) for axis in order if axis != batch.axis]
        site.result(site.transpose(site.x(0), [0, *kept]))
    else:
        site.result(site.transpose(site.x(0), [0, *(axis + 1 for axis in order)]))


def cut(site: Site, source: str, starts: list[int], steps: list[int], shape: Shape) -> str:
    """SLICE, or nothing where all is kept."""
    if shape == site.shape(source) and not any(starts) and all(step == 1 for step in steps):
        return source
    return site.step(
        Op.SLICE, [source], shape, site.dtype(source),
        {**by_axis("start", starts, 0), **by_axis("step", steps, 1)},
    )  # fmt: skip


def slice_(site: Site) -> None:
    """From start to end by step along the axes named."""
    x, out = site.value(0), site.out
    starts = _integers(site, 1, "starts")
    axes = _integers(site, 3, "axes") if site.has(3) else list(range(len(starts)))
    steps = _integers(site, 4, "steps") if site.has(4) else [1] * len(starts)
    source = site.x(0)
    rank = len(site.shape(source))
    first, stride = [0] * rank, [1] * rank
    for start, axis, step in zip(starts, axes, steps, strict=True):
        size = int(x.shape[axis])
        begin = start + size if start < 0 else start
        begin = min(max(begin, 0), size if step > 0 else size - 1)
        if x.shape[axis] == out.shape[axis] and begin == 0 and step == 1:
            continue  # all of it, the batch for one
        where = site.axis(x, axis)
        first[where], stride[where] = begin, step if int(out.shape[axis]) > 1 else 1
    site.result(cut(site, source, first, stride, stored_shape(out)))


def _integers(site: Site, index: int, what: str) -> list[int]:
    return [int(number) for number in site.data(index, what).reshape(-1)]


def split(site: Site) -> None:
    """One SLICE a part."""
    x = site.value(0)
    axis = int(site.attribute("axis", 0))
    source = site.x(0)
    where = site.axis(x, axis)
    rank, start = len(site.shape(source)), 0
    for index, part in enumerate(site.outputs):
        if part is None:
            site.refuse("a part that has no name")
        starts = [0] * rank
        starts[where] = start
        start += int(part.shape[axis])
        site.result(cut(site, source, starts, [1] * rank, stored_shape(part)), index)


def concat(site: Site) -> None:
    """Joined along one axis, two at a time; a constant is repeated for each sample first."""
    axis = int(site.attribute("axis", 0))
    where = site.axis(site.out, axis)
    left, right = "", ""
    for index in range(len(site.inputs)):
        value = site.value(index)
        if value.data is not None and value.data.size == 0:
            continue
        right = site.x(index)
        if site.out.batch is not None and (value.batch is None or value.data is not None):
            lacking = site.out.batch.before * site.out.batch.after == 1
            rest = list(value.shape)
            if lacking:
                rest.pop(site.out.batch.axis)
            flat = site.view(right, (1, *rest))
            right = site.step(Op.EXPAND, [flat], (BATCH, *rest), site.dtype(flat))
        if left:
            a, b = site.shape(left), site.shape(right)
            joined = (*a[:where], int(a[where]) + int(b[where]), *a[where + 1 :])
            right = site.step(Op.CONCAT, [left, right], joined, site.dtype(left), axis=where)
        left = right
    site.result(left)


_MODES = {
    "constant": PadMode.CONSTANT,
    "edge": PadMode.EDGE,
    "reflect": PadMode.REFLECT,
    "wrap": PadMode.WRAP,
}


def pad(site: Site) -> None:
    """Elements around x; negative numbers cut."""
    x, out = site.value(0), site.out
    mode = text(site.attribute("mode", b"constant"))
    if mode not in _MODES:
        site.refuse(f"mode {mode} is unknown")
    pads = _integers(site, 1, "pads")
    axes = _integers(site, 3, "axes") if site.has(3) else list(range(len(x.shape)))
    value = float(site.data(2, "constant_value").reshape(-1)[0]) if site.has(2) else 0.0
    if not math.isfinite(value):
        site.refuse("a pad that is not finite")
    source = site.x(0)
    shape = list(site.shape(source))
    before, starts = [0] * len(shape), [0] * len(shape)
    kept, padded = list(shape), list(shape)
    for axis, low, high in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        if low == 0 and high == 0:
            continue
        where = site.axis(x, axis)
        size = int(x.shape[axis])
        starts[where], before[where] = max(-low, 0), max(low, 0)
        kept[where] = size + min(low, 0) + min(high, 0)
        padded[where] = size + low + high
        room = {"reflect": size - 1, "wrap": size}.get(mode, max(low, high, 0))
        if min(low, high) < 0 and mode != "constant":
            site.refuse(f"negative pads in mode {mode}")
        if max(low, high) > room:
            site.refuse(f"pads {(low, high)} in mode {mode} are larger than the {size} elements")
    source = cut(site, source, starts, [1] * len(shape), tuple(kept))
    if padded != kept:
        source = site.step(
            Op.PAD, [source], tuple(padded), site.dtype(source),
            by_axis("before", before, 0), mode=_MODES[mode], value=value,
        )  # fmt: skip
    assert tuple(padded) == stored_shape(out)
    site.result(source)


def expand(site: Site) -> None:
    """Broadcast to a known shape."""
    source, shape = site.operand(0), stored_shape(site.out)
    if site.shape(source) != shape:
        source = site.step(Op.EXPAND, [source], shape, site.dtype(source))
    site.result(source)


def tile(site: Site) -> None:
    """Repeats along each axis: (a, b) seen as (1, a, 1, b) expands to (r, a, s, b)."""
    x = site.value(0)
    repeats = _integers(site, 1, "repeats")
    source = site.x(0)
    lead: tuple[int | str, ...] = (BATCH,) if x.batch is not None else ()
    thin, wide = list(lead), list(lead)
    for axis, count in enumerate(repeats):
        if x.batch is not None and x.batch.before * x.batch.after == 1 and axis == x.batch.axis:
            continue
        size = int(x.shape[axis])
        if count != 1:
            thin.append(1)
            wide.append(count)
        thin.append(size)
        wide.append(size)
    if len(wide) > len(thin) or thin != wide:
        source = site.view(source, tuple(thin))
        source = site.step(Op.EXPAND, [source], tuple(wide), site.dtype(source))
    site.result(site.view(source, stored_shape(site.out)))


def gather(site: Site) -> None:
    """Elements by their indices along one axis; equal steps between known indices are a SLICE."""
    x, indices = site.value(0), site.value(1)
    axis = int(site.attribute("axis", 0)) % len(x.shape)
    source, size = site.x(0), int(x.shape[axis])
    where = site.axis(x, axis)
    shape = site.shape(source)
    if indices.data is not None:
        chosen = indices.data.astype(np.int64).reshape(-1)
        if chosen.size and (chosen.min() < -size or chosen.max() >= size):
            site.refuse(f"an index is outside the {size} elements of axis {axis}")
        chosen = np.where(chosen < 0, chosen + size, chosen)
        step = _even(chosen)
        if step is not None and x.data is None:
            starts, steps = [0] * len(shape), [1] * len(shape)
            starts[where], steps[where] = int(chosen[0]), step
            cut_shape = (*shape[:where], len(chosen), *shape[where + 1 :])
            site.result(
                site.view(cut(site, source, starts, steps, cut_shape), stored_shape(site.out))
            )
            return
        name = site.constant(chosen.reshape(indices.data.shape or (1,)).astype(np.int32))
    else:
        name = site.cast(site.x(1), I32)
    taken = (*shape[:where], *site.shape(name), *shape[where + 1 :])
    made = site.step(Op.GATHER, [source, name], taken, site.dtype(source), axis=where)
    site.result(site.view(made, stored_shape(site.out)))


def _even(indices: NDArray[np.int64]) -> int | None:
    if len(indices) == 1:
        return 1
    gaps = np.unique(np.diff(indices))
    return int(gaps[0]) if len(gaps) == 1 and gaps[0] != 0 else None


def depth_to_space(site: Site) -> None:
    """(n, b b C, H, W) -> (n, C, b H, b W), in either order of the channels."""
    x, size = site.value(0), int(site.attribute("blocksize", 1))
    channels, height, width = (int(d) for d in x.shape[1:])
    rest = channels // (size * size)
    lead = site.shape(site.x(0))[:1]
    if text(site.attribute("mode", b"DCR")) == "DCR":
        parts, order = (*lead, size, size, rest, height, width), (0, 3, 4, 1, 5, 2)
    else:
        parts, order = (*lead, rest, size, size, height, width), (0, 1, 4, 2, 5, 3)
    moved = site.transpose(site.view(site.x(0), parts), order)
    site.result(site.view(moved, stored_shape(site.out)))


def space_to_depth(site: Site) -> None:
    """(n, C, b H, b W) -> (n, b b C, H, W)."""
    x, size = site.value(0), int(site.attribute("blocksize", 1))
    channels, height, width = (int(d) for d in x.shape[1:])
    lead = site.shape(site.x(0))[:1]
    parts = (*lead, channels, height // size, size, width // size, size)
    moved = site.transpose(site.view(site.x(0), parts), (0, 3, 5, 1, 2, 4))
    site.result(site.view(moved, stored_shape(site.out)))
