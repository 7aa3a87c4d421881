"""Convolutions and pools: 2-D steps; a signal (n, C, L) is seen as an image (n, C, 1, L)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Node, Quantized, Shape
from csideploy.export.onnx_shapes import Made, check_attributes
from csideploy.export.operations import Reduction
from csideploy.export.plan import Activation, Op
from csideploy.export.refusal import Inputs, given, refuse, text
from csideploy.export.steps.elementwise import Steps
from csideploy.export.steps.linear import linear
from csideploy.export.steps.site import F32, Site, stored_shape


@dataclass(frozen=True)
class Window:
    """Kernel, strides, dilations, and pads in front and behind, of two axes (h, w)."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    front: list[int]
    behind: list[int]

    def parameters(self) -> Mapping[str, int | float]:
        """As a step carries them."""
        return {
            "stride_h": self.strides[0],
            "stride_w": self.strides[1],
            "dilation_h": self.dilations[0],
            "dilation_w": self.dilations[1],
            "pad_top": self.front[0],
            "pad_left": self.front[1],
            "pad_bottom": self.behind[0],
            "pad_right": self.behind[1],
        }


def window(site: Site, kernel: list[int], *, transposed: bool = False) -> Window:
    """ONNX's attributes with their defaults resolved; of a signal, h is 1."""
    x = site.value(0)
    axes = len(kernel)
    if axes not in (1, 2):
        site.refuse(f"input {x.shape}: 1-D and 2-D are supported")
    strides = _list(site, "strides", [1] * axes)
    dilations = _list(site, "dilations", [1] * axes)
    pads = _list(site, "pads", [0] * 2 * axes)
    if len(strides) != axes or len(dilations) != axes or len(pads) != 2 * axes:
        site.refuse(f"strides, dilations and pads must be those of {axes} axes")
    if min(strides) < 1 or min(dilations) < 1 or min(kernel) < 1:
        site.refuse("kernel, strides and dilations must be positive")
    front, behind = pads[:axes], pads[axes:]
    auto = text(site.attribute("auto_pad", b"NOTSET"))
    if auto in ("SAME_UPPER", "SAME_LOWER") and not transposed:
        for i in range(axes):
            size = int(x.shape[2 + i])
            reach = (kernel[i] - 1) * dilations[i] + 1
            total = max((-(-size // strides[i]) - 1) * strides[i] + reach - size, 0)
            small, large = total // 2, total - total // 2
            front[i] = small if auto == "SAME_UPPER" else large
            behind[i] = total - front[i]
    elif auto == "VALID":
        front, behind = [0] * axes, [0] * axes
    elif auto not in ("NOTSET", "SAME_UPPER", "SAME_LOWER"):
        site.refuse(f"auto_pad {auto} is unknown")
    if min(*front, *behind) < 0:
        site.refuse("negative pads are not supported")
    lead = 2 - axes
    return Window(
        [1] * lead + kernel,
        [1] * lead + strides,
        [1] * lead + dilations,
        [0] * lead + front,
        [0] * lead + behind,
    )


def _list(site: Site, name: str, default: list[int]) -> list[int]:
    return [int(number) for number in site.attribute(name, None) or default]


def image(site: Site) -> str:
    """Input 0 as (n, C, H, W)."""
    shape = site.shape(site.x(0))
    if len(shape) not in (3, 4):
        site.refuse(f"input {site.value(0).shape}: (n, C, L) and (n, C, H, W) are supported")
    return site.view(site.x(0), _planar(shape))


def _planar(shape: Shape) -> Shape:
    return shape if len(shape) == 4 else (*shape[:2], 1, *shape[2:])


def weights(site: Site) -> NDArray[np.float32]:
    """The constant weight, (O, C, kh, kw)."""
    data = site.floats(1, "weight")
    if data.ndim != len(site.value(0).shape) or data.size == 0:
        site.refuse(f"weight has shape {data.shape}; {len(site.value(0).shape)} axes are right")
    return data if data.ndim != 3 else data[:, :, None, :]


def _stored(site: Site, planar: NDArray[np.float32]) -> str:
    return site.constant(planar, site.value(1), _codes(site, lambda q: q.reshape(planar.shape)))


def _codes(site: Site, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Quantized | None:
    quantized = site.value(1).quantized
    return quantized.moved(move) if quantized else None


def _rows(site: Site, x: str, move: Callable[[NDArray[Any]], NDArray[Any]], term: str) -> None:
    """A LINEAR layer on the whole of each sample, with a weight made of the convolution's."""
    shape = site.shape(x)
    flat = site.view(x, (shape[0], math.prod(int(size) for size in shape[1:])))
    made = linear(site, flat, move(site.floats(1, "weight")), term, None, _codes(site, move))
    site.result(site.view(made, stored_shape(site.out)))


def bias(site: Site, outputs: int) -> str:
    """The constant bias (O,), or none."""
    if not site.has(2):
        return ""
    data = site.floats(2, "bias")
    if data.shape != (outputs,):
        site.refuse(f"bias has shape {data.shape}; ({outputs},) is right")
    return site.x(2)


def convolution(site: Site) -> None:
    """Both compute the same cross-correlation.

    A kernel as large as the image sees all of it once: it is a linear layer.
    """
    site.need(F32, 0)
    x, data = image(site), weights(site)
    groups = int(site.attribute("group", 1))
    outputs, per_group, *kernel = (int(size) for size in data.shape)
    if groups < 1 or per_group * groups != site.shape(x)[1] or outputs % groups:
        site.refuse(
            f"{groups} groups of {per_group} inputs and {outputs} outputs against "
            f"{site.value(0).shape}"
        )
    shape, result = window(site, _own(site, kernel)), _planar(stored_shape(site.out))
    whole = list(site.shape(x)[2:]) == kernel and result[2:] == (1, 1)
    if whole and groups == 1 and not any((*shape.front, *shape.behind)):
        _rows(site, x, lambda w: w.reshape(outputs, -1), bias(site, outputs))
        return
    made = site.step(
        Op.CONV2D, [x, _stored(site, data), bias(site, outputs), "", ""], result,
        groups=groups, numbers=shape.parameters(), activation=Activation.NONE, alpha=0.0,
    )  # fmt: skip
    site.result(site.view(made, stored_shape(site.out)))


def _own(site: Site, kernel: list[int]) -> list[int]:
    """The kernel along the axes that ONNX's input has."""
    return kernel[-(len(site.value(0).shape) - 2) :]


def convolution_transpose(site: Site) -> None:
    """The transpose of a convolution; output_shape and "same" decide the pads.

    Of one pixel that becomes a whole kernel it is a linear layer, one bias a kernel.
    """
    site.need(F32, 0)
    x, data = image(site), weights(site)
    groups = int(site.attribute("group", 1))
    channels, per_group, *kernel = (int(size) for size in data.shape)
    if groups < 1 or channels != site.shape(x)[1] or channels % groups:
        site.refuse(f"{groups} groups and weight {data.shape} against {site.value(0).shape}")
    shape = window(site, _own(site, kernel), transposed=True)
    if len(site.out.shape) != len(site.value(0).shape):
        site.refuse(f"output_shape {site.attribute('output_shape')} is smaller than the input")
    result = _planar(stored_shape(site.out))
    extra = [0, 0, *_list(site, "output_padding", [0])][-2:]
    auto = text(site.attribute("auto_pad", b"NOTSET"))
    front, behind = list(shape.front), list(shape.behind)
    for axis in (0, 1):
        full = (int(site.shape(x)[2 + axis]) - 1) * shape.strides[axis]
        full += (shape.kernel[axis] - 1) * shape.dilations[axis] + 1 + extra[axis]
        if _has(site, "output_shape") or auto.startswith("SAME"):
            # ONNX: the total that gives this size, the odd one in front but for SAME_UPPER.
            total = max(full - int(result[2 + axis]), 0)
            upper = auto == "SAME_UPPER"
            front[axis] = total // 2 if upper else total - total // 2
            behind[axis] = total - front[axis]
        behind[axis] = max(behind[axis] - extra[axis], 0)
    shape = Window(shape.kernel, shape.strides, shape.dilations, front, behind)
    whole = site.shape(x)[2:] == (1, 1) and list(result[2:]) == kernel
    if whole and groups == 1 and not any((*front, *behind)) and max(extra) == 0:
        pixels = math.prod(kernel)
        term = bias(site, per_group)
        if term and pixels > 1:
            term = site.constant(site.floats(2, "bias").repeat(pixels))
        _rows(site, x, lambda w: w.reshape(channels, -1).T, term)
        return
    made = site.step(
        Op.CONV_TRANSPOSE2D, [x, _stored(site, data), bias(site, per_group * groups)], result,
        groups=groups, numbers=shape.parameters(),
    )  # fmt: skip
    site.result(site.view(made, stored_shape(site.out)))


def _has(site: Site, name: str) -> bool:
    return bool(site.attribute(name, None))


def pool_shape(node: Node, inputs: Inputs) -> Made:
    """(n, C, ...) -> (n, C, ...): with ceil_mode no window begins behind the image and front pad.

    ONNX's inference counts such a window, its text and ONNX Runtime do not.
    """
    check_attributes(node)
    x = given(node, inputs, 0)
    axes = len(x.shape) - 2
    kernel = [int(size) for size in node.attributes.get("kernel_shape", ())]
    numbers = {
        name: [int(n) for n in node.attributes.get(name) or default]
        for name, default in (
            ("strides", [1] * axes),
            ("dilations", [1] * axes),
            ("pads", [0] * 2 * axes),
        )
    }
    if len(kernel) != axes or [len(v) for v in numbers.values()] != [axes, axes, 2 * axes]:
        refuse(node, f"kernel, strides, dilations and pads must be those of {axes} axes")
    auto = text(node.attributes.get("auto_pad", b"NOTSET"))
    sizes = []
    for i, size in enumerate(int(size) for size in x.shape[2:]):
        stride = numbers["strides"][i]
        reach = (kernel[i] - 1) * numbers["dilations"][i] + 1
        front, behind = numbers["pads"][i], numbers["pads"][i + axes]
        if auto.startswith("SAME"):
            sizes.append(-(-size // stride))
            continue
        if auto == "VALID":
            front = behind = 0
        room = size + front + behind - reach
        count = room // stride + 1
        if node.attributes.get("ceil_mode", 0) == 1:
            count = -(-room // stride) + 1
            count -= (count - 1) * stride >= size + front
        sizes.append(count)
    made: Made = [(x.dtype, (*x.shape[:2], *sizes))]
    if len([name for name in node.outputs if name]) > 1:
        made.append((np.dtype(np.int64), made[0][1]))
    return made


def pool(function: Reduction) -> Steps:
    """AveragePool and MaxPool; windows that begin beyond the pads never count."""

    def steps(site: Site) -> None:
        site.need(F32, 0)
        if len([name for name in site.node.outputs if name]) > 1:
            site.refuse("the indices of MaxPool are not supported")
        x = image(site)
        shape = window(site, _list(site, "kernel_shape", []))
        made = site.step(
            Op.POOL2D, [x], _planar(stored_shape(site.out)),
            function=function, kernel_h=shape.kernel[0], kernel_w=shape.kernel[1],
            numbers=shape.parameters(), count_pad=int(site.attribute("count_include_pad", 0)),
        )  # fmt: skip
        site.result(site.view(made, stored_shape(site.out)))

    return steps


def global_pool(function: Reduction) -> Steps:
    """Over all axes behind the channels."""

    def steps(site: Site) -> None:
        site.need(F32, 0)
        x = site.x(0)
        made = site.reduce(x, function, range(2, len(site.shape(x))))
        site.result(site.view(made, stored_shape(site.out)))

    return steps
