"""DFT: a product with the matrix of the transform, computed in float64.

y_k = sum_l x_l e^(-2 pi i k l / N) is linear in the real and imaginary parts of x. With the
transformed axis just before the last, which holds (re, im), both are one row of 2 L numbers, and
the transform is LINEAR with the weight

    [re] row k: cos(a), sin(a);   [im] row k: -sin(a), cos(a),   a = 2 pi k l / N

and for the inverse the sines' signs turned and all divided by N. A length N other than L drops
samples or takes absent ones as 0. The one-sided inverse gives N real numbers from the first half
of a spectrum whose other half is its mirror image: there every k counts twice but 0 and N / 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Node
from csideploy.export.onnx_shapes import Made
from csideploy.export.refusal import Inputs, given, known, optional, refuse
from csideploy.export.steps.linear import linear
from csideploy.export.steps.site import F32, Site, stored_shape

_MOST_WEIGHTS = 1 << 24


def _axis(node: Node, inputs: Inputs) -> int:
    """From the attribute (to opset 19), input 2, or the default, the last axis of the signal."""
    x = given(node, inputs, 0)
    axis = node.attributes.get("axis")
    if axis is None and optional(inputs, 2) is not None:
        axis = known(node, inputs, 2, "axis").reshape(-1)[0]
    axis = -2 if axis is None else int(axis)
    if not -len(x.shape) <= axis < len(x.shape) or axis % len(x.shape) == len(x.shape) - 1:
        refuse(node, f"axis {axis} of {x.shape}; the last holds real and imaginary parts")
    return axis % len(x.shape)


def _sizes(node: Node, inputs: Inputs) -> tuple[int, int, int]:
    """N of the transform, and how many numbers it makes of how many parts."""
    x = given(node, inputs, 0)
    length = int(x.shape[_axis(node, inputs)])
    inverse, onesided = bool(node.attributes.get("inverse")), bool(node.attributes.get("onesided"))
    points = 2 * (length - 1) if inverse and onesided else length
    if optional(inputs, 1) is not None:
        points = int(known(node, inputs, 1, "dft_length").reshape(-1)[0])
    if points < 1 or int(x.shape[-1]) not in (1, 2):
        refuse(node, f"{points} points of an input of shape {x.shape}")
    if inverse and onesided:
        return points, points, 1
    return points, points // 2 + 1 if onesided else points, 2


def dft_shape(node: Node, inputs: Inputs) -> Made:
    """(..., L, ..., 1 or 2) -> (..., N or N / 2 + 1, ..., 2), or N real numbers."""
    x = given(node, inputs, 0)
    _, kept, parts = _sizes(node, inputs)
    shape = list(x.shape)
    shape[_axis(node, inputs)], shape[-1] = kept, parts
    return [(x.dtype, tuple(shape))]


def dft(site: Site) -> None:
    """Input (..., L, ..., 1 or 2), optional length; axis as attribute or as input."""
    site.need(F32, 0)
    x = site.value(0)
    axis = _axis(site.node, site.inputs)
    points, kept, parts = _sizes(site.node, site.inputs)
    where, source = site.axis(x, axis), site.x(0)
    last = len(site.shape(source)) - 1
    order = [*(i for i in range(last) if i != where), where, last]
    moved = site.transpose(source, order)
    shape = site.shape(moved)
    length, own = int(x.shape[axis]), int(x.shape[-1])
    inverse = bool(site.attribute("inverse", 0))
    if kept * parts * length * own > _MOST_WEIGHTS:
        site.refuse(f"{points} points of {length}: the matrix is larger than any device")
    if parts == 1:
        rows = _mirrored(min(length, kept // 2 + 1), points)
    else:
        rows = _matrix(min(length, points), points, kept, inverse=inverse)
    weight = np.zeros((kept * parts, length, own))
    weight[:, : rows.shape[2]] = rows.reshape(kept * parts, -1, 2)[:, :, :own]
    flat = site.view(moved, (*shape[:-2], length * own))
    made = linear(site, flat, weight.reshape(kept * parts, length * own).astype(np.float32))
    back = [order.index(i) for i in range(len(order))]
    unfolded = site.view(made, (*shape[:-2], kept, parts))
    site.result(site.view(site.transpose(unfolded, back), stored_shape(site.out)))


def _angles(rows: int, columns: int, points: int) -> NDArray[Any]:
    """2 pi k l / N; k l modulo N keeps it small, so that its cosine is exact to the last bits."""
    return 2 * np.pi * (np.outer(np.arange(rows), np.arange(columns)) % points) / points


def _matrix(length: int, points: int, kept: int, *, inverse: bool) -> NDArray[Any]:
    """Rows (k, re or im), columns (l, re or im)."""
    angle = _angles(kept, length, points)
    cosine, sine = np.cos(angle), np.sin(angle) * (-1 if inverse else 1)
    rows = np.empty((kept, 2, length, 2))
    rows[:, 0, :, 0], rows[:, 0, :, 1] = cosine, sine
    rows[:, 1, :, 0], rows[:, 1, :, 1] = -sine, cosine
    return rows / points if inverse else rows


def _mirrored(length: int, points: int) -> NDArray[Any]:
    """Rows l, columns (k, re or im)."""
    angle = _angles(points, length, points)
    times = np.array([1 if k == 0 or 2 * k == points else 2 for k in range(length)])
    rows = np.stack([np.cos(angle) * times, -np.sin(angle) * times], -1)
    return rows[:, None] / points
