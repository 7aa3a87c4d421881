"""DFT: a product with the matrix of the transform, computed in float64.

y_k = sum_l x_l e^(-2 pi i k l / N) is linear in the real and imaginary parts of x. With the
transformed axis just before the last, which holds (re, im), both are one row of 2 L numbers, and
the transform is LINEAR with the weight

    [re] row k: cos(a), -+ sin(a);   [im] row k: +- sin(a), cos(a),   a = 2 pi k l / N

(upper signs: a forward transform has e^-ia, so its re row is cos, + sin, and its im row - sin,
cos). A length N other than L drops samples or takes absent ones as 0.
"""

from __future__ import annotations

import numpy as np

from csideploy.export.steps.linear import linear
from csideploy.export.steps.site import F32, Site, stored_shape


def dft(site: Site) -> None:
    """Input (..., L, ..., 1 or 2), optional length; axis as attribute or as input."""
    site.need(F32, 0)
    x = site.value(0)
    rank = len(x.shape)
    axis = int(site.attribute("axis", 1))
    if "axis" not in site.node.attributes and site.has(2):
        axis = int(site.data(2, "axis").reshape(-1)[0])
    elif "axis" not in site.node.attributes and site.graph.opset >= 20:
        axis = -2
    inverse, onesided = bool(site.attribute("inverse", 0)), bool(site.attribute("onesided", 0))
    if axis % rank == rank - 1:
        site.refuse("the last axis holds the real and imaginary parts")
    if inverse and onesided:
        site.refuse("a one-sided inverse transform is not supported")
    parts, length = int(x.shape[-1]), int(x.shape[axis])
    points = int(site.data(1, "dft_length").reshape(-1)[0]) if site.has(1) else length
    where, source = site.axis(x, axis), site.x(0)
    last = len(site.shape(source)) - 1
    order = [*(i for i in range(last) if i != where), where, last]
    moved = site.transpose(source, order)
    shape = site.shape(moved)
    made = linear(
        site, site.view(moved, (*shape[:-2], length * parts)),
        _matrix(length, parts, points, inverse=inverse, onesided=onesided),
    )  # fmt: skip
    kept = points // 2 + 1 if onesided else points
    unfolded = site.view(made, (*shape[:-2], kept, 2))
    back = [order.index(i) for i in range(len(order))]
    site.result(site.view(site.transpose(unfolded, back), stored_shape(site.out)))


def _matrix(
    length: int, parts: int, points: int, *, inverse: bool, onesided: bool
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(2 kept, length parts): rows (k, re or im), columns (l, re or im)."""
    kept = points // 2 + 1 if onesided else points
    k, sample = np.arange(kept)[:, None], np.arange(length)[None, :]
    # k l modulo N keeps the angle small, so that its cosine is exact to the last bits.
    angle = 2 * np.pi * ((k * sample) % points) / points
    cosine, sine = np.cos(angle), np.sin(angle) * (-1 if inverse else 1)
    rows = np.zeros((kept, 2, length, 2))
    rows[:, 0, :, 0], rows[:, 0, :, 1] = cosine, sine
    rows[:, 1, :, 0], rows[:, 1, :, 1] = -sine, cosine
    rows[:, :, points:] = 0
    if inverse:
        rows /= points
    return rows[..., :parts].reshape(2 * kept, length * parts).astype(np.float32)
