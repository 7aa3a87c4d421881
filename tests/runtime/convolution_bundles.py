"""Bundles of one convolution each, of the field's shapes and of odd ones, for isa_driver.c."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from hand_plan import HandPlan

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op

# Channels and outputs of a group, groups, kernel, and the image; then what else is unusual.
SHAPES: list[tuple[int, int, int, tuple[int, int], tuple[int, int], dict[str, int]]] = [
    (2, 2, 1, (5, 5), (32, 32), {}),
    (2, 2, 1, (1, 9), (32, 32), {}),
    (2, 2, 1, (9, 1), (32, 32), {}),
    (2, 5, 1, (3, 3), (7, 45), {}),
    (1, 1, 3, (3, 2), (5, 13), {"dilation_h": 2, "dilation_w": 3}),
    (3, 4, 2, (2, 4), (9, 17), {"stride_h": 2}),
    (40, 2, 1, (9, 1), (32, 32), {}),
    (2, 2, 2, (3, 3), (8, 6), {"stride_w": 2}),
]
TYPES = (np.uint8, np.int8, np.int16)


def _padded(kernel: tuple[int, int], given: dict[str, int]) -> dict[str, int]:
    """With pads that keep an image's size where neither stride nor dilation is given."""
    pads = {"pad_top": (kernel[0] - 1) // 2, "pad_bottom": kernel[0] // 2}
    return pads | {"pad_left": (kernel[1] - 1) // 2, "pad_right": kernel[1] // 2} | given


def _side(length: int, kernel: int, pads: int, stride: int, dilation: int) -> int:
    return (length + pads - (kernel - 1) * dilation - 1) // stride + 1


def convolutions(rng: np.random.Generator) -> Iterator[bytes]:
    """CONV2D with and without residual, and QCONV2D of each type; n is at most two."""
    for channels, outputs, groups, kernel, size, given in SHAPES:
        p: dict[str, Any] = _padded(kernel, given) | {"groups": groups}
        pads = (p["pad_top"] + p["pad_bottom"], p["pad_left"] + p["pad_right"])
        height, width = (
            _side(size[i], kernel[i], pads[i], p.get(f"stride_{a}", 1), p.get(f"dilation_{a}", 1))
            for i, a in enumerate("hw")
        )
        x, y = ("n", groups * channels, *size), ("n", groups * outputs, height, width)
        weights, count = (groups * outputs, channels, *kernel), groups * outputs
        for with_residual in (False, True):
            hand = HandPlan(n_max=2)
            operands = [hand.input("x", x)]
            for name, shape in (("w", weights), ("b", (count,)), ("s", (count,))):
                operands.append(hand.constant(name, rng.normal(size=shape).astype(np.float32)))
            operands += [hand.input("r", y)] if with_residual else []
            act = Activation.PRELU if with_residual else Activation.RELU
            operands = operands if with_residual else operands[:3]
            hand.step(Op.CONV2D, operands, [hand.output("y", y)], activation=act, **p)
            yield write_bundle(hand.plan())
        for x_type, y_type in zip(TYPES, (np.int16, np.uint8, np.int8), strict=True):
            hand = HandPlan(n_max=2)
            operands = [hand.input("x", x, x_type)]
            for name, value in (
                ("w", rng.integers(-127, 128, weights).astype(np.int8)),
                ("b", rng.integers(-20000, 20000, count).astype(np.int32)),
                ("m", rng.uniform(1e-4, 1e-3, count).astype(np.float32)),
            ):
                operands.append(hand.constant(name, value))
            low, high = int(np.iinfo(y_type).min), int(np.iinfo(y_type).max)
            zeros = {"x_zero": 3, "y_zero": 1, "low": low, "high": high}
            hand.step(Op.QCONV2D, operands, [hand.output("y", y, y_type)], **p, **zeros)
            yield write_bundle(hand.plan())
