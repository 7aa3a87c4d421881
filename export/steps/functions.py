"""Functions of one number: UNARY and ACTIVATION, and what is made of several of them."""

from __future__ import annotations

import numpy as np

from csideploy.export.operations import Binary, Comparison, Integer, Unary
from csideploy.export.plan import Activation, Op
from csideploy.export.steps.elementwise import Steps
from csideploy.export.steps.site import F32, Site


def unary(function: Unary, **defaults: float) -> Steps:
    """A float function with the attributes alpha and beta, where it has them."""

    def steps(site: Site) -> None:
        site.need(F32, 0)
        numbers = {name: site.attribute(name, value) for name, value in defaults.items()}
        site.result(site.unary(site.x(0), function, **numbers))

    return steps


def activation(kind: Activation) -> Steps:
    """Relu, Sigmoid, Tanh."""

    def steps(site: Site) -> None:
        x = site.x(0)
        if site.dtype(x) != F32 and kind is Activation.RELU:
            site.result(site.integer(x, site.number(0, site.dtype(x)), Integer.MAX))
            return
        site.need(F32, 0)
        site.result(site.activation(x, kind))

    return steps


def leaky_relu(site: Site) -> None:
    """0.01 is ONNX's default slope."""
    site.need(F32, 0)
    site.result(site.activation(site.x(0), Activation.LEAKY, site.attribute("alpha", 0.01)))


def prelu(site: Site) -> None:
    """X for x >= 0, slope x below; one slope, one a channel, or any that broadcasts."""
    site.need(F32, 0, 1)
    x, slope = site.x(0), site.operand(1)
    shape, data = site.shape(x), site.stored[slope].data
    if data is not None and data.size == 1 and len(shape) < 2:
        site.result(site.activation(x, Activation.LEAKY, float(data.reshape(-1)[0])))
        return
    if data is not None and len(shape) > 1:
        wanted = (1,) * (len(shape) - data.ndim) + data.shape
        if data.size == 1 or wanted == (1, shape[1], *(1,) * (len(shape) - 2)):
            vector = np.broadcast_to(data.reshape(-1), int(shape[1]))
            name = site.constant(vector)
            site.result(site.activation(x, Activation.PRELU, slope=name))
            return
    below = site.compare(x, site.number(0), Comparison.LESS)
    scaled = site.binary(x, slope, Binary.MUL)
    site.result(site.step(Op.WHERE, [below, scaled, x], shape))


def gelu(site: Site) -> None:
    """Exact, or with tanh."""
    site.need(F32, 0)
    tanh = site.attribute("approximate", b"none") in (b"tanh", "tanh")
    site.result(site.unary(site.x(0), Unary.GELU_TANH if tanh else Unary.GELU))


def hard_swish(site: Site) -> None:
    """X max(0, min(1, x / 6 + 1 / 2))."""
    site.need(F32, 0)
    gate = site.unary(site.x(0), Unary.HARD_SIGMOID, 1 / 6, 0.5)
    site.result(site.binary(site.x(0), gate, Binary.MUL))


def clip(site: Site) -> None:
    """min(max(x, low), high), each limit optional and known or not."""
    x = site.x(0)
    limits = [site.value(i).data if site.has(i) else None for i in (1, 2)]
    low, high = limits
    if site.dtype(x) == F32 and low is not None and high is not None:
        a, b = float(low.reshape(-1)[0]), float(high.reshape(-1)[0])
        if np.isfinite(a) and np.isfinite(b) and a <= b:
            site.result(site.unary(x, Unary.CLIP, a, b))
            return
    if site.dtype(x) == F32 and low is not None and not site.has(2) and low.reshape(-1)[0] == 0:
        site.result(site.activation(x, Activation.RELU))
        return
    for index, floats, integers in ((1, Binary.MAX, Integer.MAX), (2, Binary.MIN, Integer.MIN)):
        if not site.has(index):
            continue
        limit = site.operand(index)
        if site.dtype(x) == F32:
            x = site.binary(x, limit, floats)
        else:
            x = site.integer(x, limit, integers)
    site.result(x)


def negate(site: Site) -> None:
    """-x."""
    x = site.x(0)
    if site.dtype(x) == F32:
        site.result(site.unary(x, Unary.NEG))
    else:
        site.result(site.integer(site.number(0, site.dtype(x)), x, Integer.SUB))


def absolute(site: Site) -> None:
    """|x|; of integers max(x, -x)."""
    x = site.x(0)
    if site.dtype(x) == F32:
        site.result(site.unary(x, Unary.ABS))
    elif site.dtype(x).kind == "u":
        site.result(x)
    else:
        minus = site.integer(site.number(0, site.dtype(x)), x, Integer.SUB)
        site.result(site.integer(x, minus, Integer.MAX))


def sign(site: Site) -> None:
    """-1, 0 or 1; of integers x limited to that."""
    x = site.x(0)
    if site.dtype(x) == F32:
        site.result(site.unary(x, Unary.SIGN))
        return
    if site.dtype(x).kind == "i":
        x = site.integer(x, site.number(-1, site.dtype(x)), Integer.MAX)
    site.result(site.integer(x, site.number(1, site.dtype(x)), Integer.MIN))


def selu(site: Site) -> None:
    """Gamma elu(x, alpha)."""
    site.need(F32, 0)
    alpha = site.attribute("alpha", 1.67326319217681884765625)
    gamma = site.attribute("gamma", 1.05070102214813232421875)
    bent = site.unary(site.x(0), Unary.ELU, alpha)
    site.result(site.binary(bent, site.number(gamma), Binary.MUL))
