"""How far ONNX Runtime, on a QDQ file, may be from integers computed as specified.

Where all activations have 8 bits it computes in integers as well: everything is equal, and floats
behind the last code keep the bound of floats. 16-bit activations it computes in float32: now and
then it is one step off, and such a step may move a code, or an 8-bit value, behind it.
"""

from __future__ import annotations

from csideploy.export.integer.run import is_integer
from csideploy.export.plan import DType, Plan

MOVED = 1e-3
"""Codes that may differ, by one level each. Measured: one in 10,000."""
OUTPUT_DB = -50.0
"""Energy of a float output's difference over that of the output. Measured: -74 dB."""


def has_integers(plan: Plan) -> bool:
    """Whether any step is defined to the bit by the integer specification."""
    return any(is_integer(step.op) for step in plan.steps)


def has_sixteen_bits(plan: Plan) -> bool:
    """Whether any activation has 16 bits."""
    return any(tensor.dtype is DType.I16 for tensor in plan.tensors)


def is_wide(plan: Plan) -> bool:
    """Whether a code may move between two runtimes: 16-bit activations, or floats before codes."""
    return has_sixteen_bits(plan) or is_mixed(plan)


def is_mixed(plan: Plan) -> bool:
    """Whether some layers were made integers and the rest left float on purpose."""
    return plan.metadata.get("precision") == "mixed"


def codes_rule(*, wide: bool) -> str:
    """The rule for codes, for people."""
    return f"differ in at most 1 of {1 / MOVED:,.0f}, by one level" if wide else "are equal"


def codes_hold(differ: int, count: int, most: int, *, wide: bool) -> bool:
    """Whether `differ` of `count` codes, by `most` levels at most, keep the rule."""
    # Of few codes one may always have moved.
    return differ == 0 or (wide and most <= 1 and differ <= max(1.0, MOVED * count))
