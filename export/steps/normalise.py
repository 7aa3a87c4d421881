"""Normalisations: over channels by constants, over axes by their own mean and variance."""

from __future__ import annotations

from csideploy.export.graph import Shape
from csideploy.export.operations import Binary, Reduction, Unary
from csideploy.export.plan import Op
from csideploy.export.steps.site import F32, Site


def batch_norm(site: Site) -> None:
    """Stays what it is until the pass `fold_batch_norm`, which looks for a layer to fold it in."""
    site.need(F32, 0)
    x = site.value(0)
    if site.attribute("training_mode", 0) or len(site.node.outputs) != 1:
        site.refuse("training mode; export the network in evaluation mode")
    if len(x.shape) < 2:
        site.refuse(f"input {x.shape}; (n, C, ...) is right")
    names = [site.x(0)]
    for index, what in enumerate(("scale", "bias", "mean", "variance"), 1):
        if site.floats(index, what).shape != x.shape[1:2]:
            site.refuse(f"{what} must have the {x.shape[1]} channels of the input")
        names.append(site.x(index))
    # The fold is no step, so its parameters are ONNX's.
    made = site.step("BatchNormalization", names, site.shape(names[0]))
    site.nodes[-1].attributes["epsilon"] = float(site.attribute("epsilon", 1e-5))
    site.result(made)


def layer_norm(site: Site) -> None:
    """Over the last axes from `axis` on, with constant scale and bias of their shape."""
    site.need(F32, 0)
    x = site.value(0)
    axis = int(site.attribute("axis", -1))
    if x.batch is not None and x.batch.axis >= axis % len(x.shape):
        site.refuse("mixes the samples of the batch")
    where = site.axis(x, axis)
    source = site.x(0)
    whole = site.shape(source)[where:]
    names = ["", ""]
    later: list[tuple[int, Binary]] = []
    for index, operation in ((1, Binary.MUL), (2, Binary.ADD)):
        if not site.has(index):
            continue
        data = site.value(index).data
        if data is not None and data.dtype == F32 and data.shape == whole and not later:
            names[index - 1] = site.x(index)
        else:
            later.append((index, operation))
    epsilon = float(site.attribute("epsilon", 1e-5))
    made = normalised(site, source, where, epsilon, names[0], names[1])
    for index, operation in later:
        made = site.binary(made, site.operand(index), operation)
    site.result(made)
    if any(site.node.outputs[1:]):
        _statistics(site, source, where, epsilon)


def _statistics(site: Site, source: str, where: int, epsilon: float) -> None:
    """The other outputs of LayerNormalization: the mean, and one over the deviation."""
    axes = range(where, len(site.shape(source)))
    mean = site.reduce(source, Reduction.MEAN, axes)
    if len(site.outputs) > 2:
        apart = site.binary(source, mean, Binary.SUB)
        variance = site.reduce(site.binary(apart, apart, Binary.MUL), Reduction.MEAN, axes)
        raised = site.binary(variance, site.number(epsilon), Binary.ADD)
        site.result(site.unary(site.unary(raised, Unary.SQRT), Unary.RECIPROCAL), 2)
    site.result(mean, 1)


def normalised(
    site: Site, x: str, axis: int, epsilon: float, scale: str = "", bias: str = ""
) -> str:
    """LAYER_NORM over the stored axes from `axis` on."""
    if epsilon <= 0:
        site.refuse(f"epsilon {epsilon}; a positive one is supported")
    return site.step(Op.LAYER_NORM, [x, scale, bias], site.shape(x), axis=axis, epsilon=epsilon)


def instance_norm(site: Site) -> None:
    """Each channel over its pixels, then one scale and bias a channel."""
    site.need(F32, 0)
    made = _by_groups(site, int(site.value(0).shape[1]))
    site.result(_by_channel(site, made))


def group_norm(site: Site) -> None:
    """Each group of channels over all that it holds, then scale and bias by channel or group."""
    site.need(F32, 0)
    groups = int(site.attribute("num_groups", 1))
    site.result(_by_channel(site, _by_groups(site, groups)))


def _by_groups(site: Site, groups: int) -> str:
    x = site.x(0)
    shape = site.shape(x)
    if site.value(0).batch is not None and site.axis(site.value(0), 1) != 1:
        site.refuse("mixes the samples of the batch")
    count = 1
    for size in shape[1:]:
        count *= int(size)
    if groups < 1 or count % groups:
        site.refuse(f"{groups} groups of {shape[1]} channels")
    rows: Shape = (shape[0], groups, count // groups)
    made = normalised(site, site.view(x, rows), 2, float(site.attribute("epsilon", 1e-5)))
    return site.view(made, shape)


def _by_channel(site: Site, x: str) -> str:
    shape = site.shape(x)
    channels = int(shape[1])
    for index, operation in ((1, Binary.MUL), (2, Binary.ADD)):
        data = site.floats(index, "scale" if index == 1 else "bias").reshape(-1)
        if channels % data.size:
            site.refuse(f"scale and bias of {data.size} numbers for {channels} channels")
        by_channel = data.repeat(channels // data.size).reshape(-1, *(1,) * (len(shape) - 2))
        x = site.binary(x, site.constant(by_channel), operation)
    return x


def softmax(site: Site) -> None:
    """exp(x - max) / sum along one axis."""
    site.need(F32, 0)
    axis = site.axis(site.value(0), int(site.attribute("axis", -1)))
    x = site.x(0)
    site.result(site.step(Op.SOFTMAX, [x], site.shape(x), axis=axis))


def log_softmax(site: Site) -> None:
    """D - log(sum exp d) with d = x - max, which loses nothing for small probabilities."""
    site.need(F32, 0)
    axis = site.axis(site.value(0), int(site.attribute("axis", -1)))
    x = site.x(0)
    centred = site.binary(x, site.reduce(x, Reduction.MAX, [axis]), Binary.SUB)
    total = site.reduce(site.unary(centred, Unary.EXP), Reduction.SUM, [axis])
    site.result(site.binary(centred, site.unary(total, Unary.LOG), Binary.SUB))
