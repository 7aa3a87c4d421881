"""One step of a plan on arrays, for the integer operations: the specification by operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csideploy.export.integer import convolution, elementwise, linear, lookup
from csideploy.export.integer.rounding import Array
from csideploy.export.operations import Op

_PRODUCTS = (Op.QCONV2D, Op.QLINEAR, Op.QBINARY_LINEAR)
_REQUANTIZE = ("x_zero", "y_zero", "low", "high")


def run_step(
    op: Op, inputs: Sequence[Array | None], params: Mapping[str, int | float], dtype: Any
) -> Array:
    """The result of one step.

    Args:
        op: QUANTIZE to QTHRESHOLD, QCODEBOOK or BITS_NETWORK.
        inputs: in the order of OPS[op]; None for an absent one; those at the end may be left out.
        params: as a plan's step holds them, all of them.
        dtype: element type of the result.

    Raises:
        ValueError: another operation, a required input that is absent, or an activation that no
            integer operation fuses.
    """
    p: dict[str, Any] = dict(params)
    if op is Op.BITS_NETWORK:
        operands: list[Any] = list(inputs)
        return linear.bits_network(*operands, **p)
    x, second, third, fourth = (*inputs, None, None, None, None)[:4]
    if x is None:
        raise ValueError(f"{op.name}: its first input is absent")
    if op is Op.QUANTIZE:
        return elementwise.quantize(x, p["scale"], p["zero"], dtype)
    if op is Op.DEQUANTIZE:
        return elementwise.dequantize(x, p["scale"], p["zero"])
    if op is Op.QACTIVATION:
        return elementwise.qactivation(x, second, **p, dtype=dtype)
    if second is None:
        raise ValueError(f"{op.name}: its second input is absent")
    if op is Op.QADD:
        return elementwise.qadd(x, second, third, **p, dtype=dtype)
    if op is Op.QTABLE:
        return lookup.qtable(x, second)
    if op is Op.QTHRESHOLD:
        return lookup.qthreshold(x, second)
    if op is Op.QCODEBOOK:
        if third is None:
            raise ValueError("QCODEBOOK: its widths are absent")
        return lookup.qcodebook(x, second, third)
    if op not in _PRODUCTS:
        raise ValueError(f"{op.name} is no integer operation")
    if fourth is None:
        raise ValueError(f"{op.name}: its multiplier is absent")
    bounds = {name: p[name] for name in _REQUANTIZE}
    if op is Op.QLINEAR:
        return linear.qlinear(x, second, third, fourth, **bounds, dtype=dtype)
    if op is Op.QBINARY_LINEAR:
        return linear.qbinary_linear(x, second, third, fourth, **bounds, dtype=dtype)
    return convolution.qconv2d(x, second, third, fourth, p, **bounds, dtype=dtype)
