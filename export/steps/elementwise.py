"""Operators that look at one element of each input at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from csideploy.export.operations import Binary, Comparison, Integer, Unary
from csideploy.export.plan import Op
from csideploy.export.steps.site import BOOL, F32, STORED, U8, Site, broadcast, stored_shape

Steps = Callable[[Site], None]

INTEGER_OF = {
    Binary.ADD: Integer.ADD,
    Binary.SUB: Integer.SUB,
    Binary.MUL: Integer.MUL,
    Binary.DIV: Integer.DIV,
    Binary.MIN: Integer.MIN,
    Binary.MAX: Integer.MAX,
}


def binary(function: Binary) -> Steps:
    """Two inputs, or any number of them one after the other (Min, Max, Sum)."""

    def steps(site: Site) -> None:
        names = [site.operand(index) for index in range(len(site.inputs))]
        total = names[0]
        for name in names[1:]:
            total = _pair(site, total, name, function)
        site.result(site.view(total, stored_shape(site.out)))

    return steps


_NEUTRAL = {Binary.ADD: 0.0, Binary.SUB: 0.0, Binary.MUL: 1.0, Binary.DIV: 1.0}
"""What changes nothing on the right, and for sums and products on the left too."""


def _pair(site: Site, a: str, b: str, function: Binary) -> str:
    for x, other in ((a, b), (b, a)):
        data = site.stored[other].data
        commutes = other == b or function in (Binary.ADD, Binary.MUL)
        if data is None or not commutes or site.stored[x].data is not None:
            continue
        unchanged = broadcast(site.shape(a), site.shape(b)) == site.shape(x)
        if unchanged and function in _NEUTRAL and (data == _NEUTRAL[function]).all():
            return x
    if site.dtype(a) == F32:
        return site.binary(a, b, function)
    return site.integer(a, b, INTEGER_OF[function])


def mean(site: Site) -> None:
    """The sum of all inputs, divided by their number."""
    names = [site.operand(index) for index in range(len(site.inputs))]
    total = names[0]
    for name in names[1:]:
        total = site.binary(total, name, Binary.ADD)
    site.result(site.binary(total, site.number(len(names)), Binary.DIV))


def power(site: Site) -> None:
    """x^y with a float base and any exponent, or an integer base and a known whole exponent."""
    base = site.operand(0)
    exponent = site.value(1).data
    if exponent is not None and exponent.size == 1:
        number = float(exponent.reshape(-1)[0])
        if number == 2.0:
            site.result(_pair(site, base, base, Binary.MUL))
            return
        if number == 1.0:
            site.result(base)
            return
        if number == 0.5 and site.dtype(base) == F32:
            # Of negative numbers both are NaN; of -0 and -inf, which no network sees, not.
            site.result(site.unary(base, Unary.SQRT))
            return
    if site.dtype(base) != F32:
        site.result(_integer_power(site, base))
        return
    site.result(site.binary(base, site.cast(site.operand(1), F32), Binary.POW))


def _integer_power(site: Site, base: str) -> str:
    """x^e = product over the bits b of e of x^(2^b), which wraps as any product of integers."""
    exponent = site.data(1, "the exponent of an integer")
    whole = exponent.astype(np.int64)
    if (whole != exponent).any() or whole.min() < 0 or whole.max() >= 1 << 16:
        site.refuse("an integer to a power that is not a whole number from 0 on")
    shape = site.shape(site.operand(1))
    dtype = site.dtype(base)
    one = site.number(1, dtype)
    total, square = "", base
    for bit in range(max(int(whole.max()).bit_length(), 1)):
        square = site.integer(square, square, Integer.MUL) if bit else base
        has = (whole >> bit & 1).astype(np.uint8).reshape([int(size) for size in shape])
        wide = broadcast(site.shape(square), shape)
        factor = site.step(Op.WHERE, [site.constant(has), square, one], wide, dtype)
        total = site.integer(total, factor, Integer.MUL) if total else factor
    return total


def modulo(site: Site) -> None:
    """Python's remainder of integers; C's with fmod: a - trunc(a / b) b, or fmod of floats."""
    a, b = site.operand(0), site.operand(1)
    truncated = bool(site.attribute("fmod", 0))
    if site.dtype(a) == F32:
        if not truncated:
            site.refuse("Mod of floats needs fmod = 1")
        site.result(site.binary(a, b, Binary.FMOD))
    elif truncated:
        whole = site.integer(site.integer(a, b, Integer.DIV), b, Integer.MUL)
        site.result(site.integer(a, whole, Integer.SUB))
    else:
        site.result(site.integer(a, b, Integer.MOD))


def integer(function: Integer) -> Steps:
    """Two integer inputs; a bool is 0 or 1."""

    def steps(site: Site) -> None:
        site.result(site.integer(site.operand(0), site.operand(1), function))

    return steps


def shift(site: Site) -> None:
    """Logical shifts of unsigned numbers."""
    left = site.attribute("direction", b"") in (b"LEFT", "LEFT")
    function = Integer.SHIFT_LEFT if left else Integer.SHIFT_RIGHT
    site.result(site.integer(site.operand(0), site.operand(1), function))


def complement(site: Site) -> None:
    """Not of a bool; every bit of an integer."""
    x = site.x(0)
    ones = 1 if site.value(0).dtype == BOOL else (-1 if site.dtype(x).kind == "i" else 255)
    site.result(site.integer(x, site.number(ones, site.dtype(x)), Integer.XOR))


def compare(function: Comparison) -> Steps:
    """Two inputs of one type -> bool."""

    def steps(site: Site) -> None:
        site.result(site.compare(site.operand(0), site.operand(1), function))

    return steps


def is_nan(site: Site) -> None:
    """Only NaN differs from itself."""
    x = site.x(0)
    equal = site.compare(x, x, Comparison.EQUAL)
    site.result(site.integer(equal, site.number(1, U8), Integer.XOR))


def where(site: Site) -> None:
    """Condition ? a : b."""
    condition, a, b = (site.operand(index) for index in range(3))
    shape = broadcast(broadcast(site.shape(condition), site.shape(a)), site.shape(b))
    site.result(site.step(Op.WHERE, [condition, a, b], shape, site.dtype(a)))


def cast(site: Site) -> None:
    """To another type. Same storage: a view (int64 and int32, bool and its uint8)."""
    source, target = site.value(0).dtype, site.out.dtype
    if target not in STORED:
        site.refuse(f"to {target}, which is not supported for activations")
    x = site.x(0)
    truth = target == BOOL and source != BOOL
    site.result(site.cast(x, STORED[np.dtype(target)], truth=truth))
