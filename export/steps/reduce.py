"""Reductions over axes, and the place of an extreme along one."""

from __future__ import annotations

from csideploy.export.operations import Binary, Reduction, Unary
from csideploy.export.plan import Op
from csideploy.export.steps.elementwise import Steps
from csideploy.export.steps.site import F32, I32, Site, stored_shape


def onnx_axes(site: Site) -> list[int] | None:
    """Axes as attribute or as input, whichever the opset has; None: all, [] with noop: none."""
    if "axes" in site.node.attributes:
        return [int(axis) for axis in site.attribute("axes")]
    if site.has(1):
        axes = [int(axis) for axis in site.data(1, "axes").reshape(-1)]
        if axes:
            return axes
    return [] if site.attribute("noop_with_empty_axes", 0) == 1 else None


def _stored_axes(site: Site) -> list[int]:
    x = site.value(0)
    axes = onnx_axes(site)
    every = range(len(x.shape)) if axes is None else axes
    return [site.axis(x, axis) for axis in every]


def reduction(function: Reduction, before: Unary | None = None, square: bool = False) -> Steps:
    """REDUCE of x, |x| or x^2."""

    def steps(site: Site) -> None:
        site.need(F32, 0)
        x = site.x(0)
        if before is not None:
            x = site.unary(x, before)
        if square:
            x = site.binary(x, x, Binary.MUL)
        made = site.reduce(x, function, _stored_axes(site))
        site.result(site.view(made, stored_shape(site.out)))

    return steps


def running_sum(site: Site) -> None:
    """CUMSUM."""
    site.need(F32, 0)
    axis = site.axis(site.value(0), int(site.data(1, "axis").reshape(-1)[0]))
    flags = {name: int(site.attribute(name, 0)) for name in ("exclusive", "reverse")}
    x = site.x(0)
    site.result(site.step(Op.CUMSUM, [x], site.shape(x), F32, flags, axis=axis))


def norm(site: Site) -> None:
    """The root of the sum of squares."""
    site.need(F32, 0)
    x = site.x(0)
    total = site.reduce(site.binary(x, x, Binary.MUL), Reduction.SUM, _stored_axes(site))
    site.result(site.view(site.unary(total, Unary.SQRT), stored_shape(site.out)))


def log_sum(site: Site) -> None:
    """log(sum x)."""
    site.need(F32, 0)
    total = site.reduce(site.x(0), Reduction.SUM, _stored_axes(site))
    site.result(site.view(site.unary(total, Unary.LOG), stored_shape(site.out)))


def log_sum_exp(site: Site) -> None:
    """M + log(sum exp(x - m)) with the largest x as m."""
    site.need(F32, 0)
    x, axes = site.x(0), _stored_axes(site)
    most = site.reduce(x, Reduction.MAX, axes)
    powers = site.unary(site.binary(x, most, Binary.SUB), Unary.EXP)
    total = site.unary(site.reduce(powers, Reduction.SUM, axes), Unary.LOG)
    site.result(site.view(site.binary(total, most, Binary.ADD), stored_shape(site.out)))


def arg_extreme(function: Reduction) -> Steps:
    """The index along one axis, the first or the last of equals; int64 is stored as int32."""

    def steps(site: Site) -> None:
        site.need(F32, 0)
        x = site.x(0)
        axis = site.axis(site.value(0), int(site.attribute("axis", 0)))
        shape = tuple(1 if i == axis else d for i, d in enumerate(site.shape(x)))
        made = site.step(
            Op.ARG_EXTREME, [x], shape, I32,
            function=function, axis=axis, last=int(bool(site.attribute("select_last_index", 0))),
        )  # fmt: skip
        site.result(site.view(made, stored_shape(site.out)))

    return steps
