"""Prints the coefficients of kernels/elementary.h and vectors.h: `kernels/fit_elementary.py`.

Each polynomial is fitted in the sense of the smallest largest weighted error, by Lawson's method:
least squares on 2000 Chebyshev nodes, whose weights are multiplied by the error until it is level
over the interval. Coefficients are rounded to float32 one after the other from the lowest power,
and those above are fitted again after each rounding. The functions come from mpmath (50 digits).
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
from numpy.typing import NDArray

mpmath.mp.dps = 50
Array = NDArray[np.float64]
NODES = 2000


def lawson(basis: Array, target: Array, weight: Array) -> Array:
    """Coefficients c with max |weight (basis c - target)| as small as can be."""
    level = np.ones(len(target))
    best, best_error = np.zeros(basis.shape[1]), np.inf
    for _ in range(200):
        scale = np.sqrt(level) * weight
        c = np.linalg.lstsq(basis * scale[:, None], target * scale, rcond=None)[0]
        error = np.abs(weight * (basis @ c - target))
        if error.max() < best_error:
            best, best_error = c, error.max()
        level *= error
        level /= level.mean()
    return best


def fit(
    name: str,
    target: Callable[[mpmath.mpf], mpmath.mpf],
    weight: Callable[[mpmath.mpf], mpmath.mpf],
    span: tuple[float, float],
    degree: int,
    single: bool = True,
) -> None:
    """Prints p with p(x) ~ target(x) on span; weight(x) |p - target| is what counts."""
    low, high = span
    nodes = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    want = np.array([float(target(mpmath.mpf(x))) for x in nodes])
    scale = np.array([float(weight(mpmath.mpf(x))) for x in nodes])
    powers = (nodes / max(abs(low), abs(high)))[:, None] ** np.arange(degree + 1)
    units = np.array([max(abs(low), abs(high)) ** -i for i in range(degree + 1)])
    fixed: list[float] = []
    for i in range(degree + 1):
        rest = want - powers[:, :i] @ (np.array(fixed) / units[:i])
        c = lawson(powers[:, i:], rest, scale) * units[i:]
        fixed.append(float(np.float32(c[0])) if single else float(c[0]))
        if not single:
            fixed = list(c)
            break
    error = np.abs(scale * (powers @ (np.array(fixed) / units) - want)).max()
    print(f"{name}: weighted error {error:.2e} = 2^{np.log2(error):.1f}")
    for i, value in enumerate(fixed):
        print(f"  x^{i}: {value:.9g}f" if single else f"  x^{i}: {value:.17g}")


def around_zero(
    f: Callable[[mpmath.mpf], mpmath.mpf], limit: float
) -> Callable[[mpmath.mpf], mpmath.mpf]:
    """f, with its limit at 0."""
    return lambda x: mpmath.mpf(limit) if x == 0 else f(x)


if __name__ == "__main__":
    m = mpmath
    fit(
        "exp: (e^r - 1 - r) / r^2, error against e^r - 1",
        around_zero(lambda r: (m.expm1(r) - r) / r**2, 0.5),
        around_zero(lambda r: r**2 / m.expm1(r), 0),
        (-0.3475, 0.3475),
        5,
    )
    fit(
        "logistic of vectors.h: (2^f - 1) / f, error against 2^f",
        around_zero(lambda f: (m.power(2, f) - 1) / f, float(m.log(2))),
        lambda f: abs(f) * m.power(2, -f),
        (-0.5, 0.5),
        4,
    )
    fit(
        "log: (ln(1 + f) - f + f^2 / 2) / f^3, error against ln(1 + f)",
        around_zero(lambda f: (m.log1p(f) - f + f**2 / 2) / f**3, 1 / 3),
        around_zero(lambda f: f**3 / m.log1p(f), 0),
        (2**-0.5 - 1, 2**0.5 - 1),
        7,
    )
    fit(
        "erf, |x| < 1: (erf(x) - x) / x in x^2, error against erf(x)",
        around_zero(lambda t: m.erf(m.sqrt(t)) / m.sqrt(t) - 1, float(2 / m.sqrt(m.pi) - 1)),
        around_zero(lambda t: m.sqrt(t) / m.erf(m.sqrt(t)), float(m.sqrt(m.pi) / 2)),
        (0.0, 1.0),
        6,
    )
    fit(
        "erf, |x| > 1: -ln(1 - erf(x)), error against erf(x)",
        lambda x: -m.log(m.erfc(x)),
        lambda x: m.erfc(x) / m.erf(x),
        (1.0, 4.0),
        6,
    )
    fit(
        "pow: 2^f",
        lambda f: m.power(2, f),
        lambda f: m.power(2, -f),
        (-0.5, 0.5),
        7,
        single=False,
    )
    fit(
        "pow: log2((1 + s) / (1 - s)) / s in s^2",
        around_zero(lambda t: 2 * m.atanh(m.sqrt(t)) / m.sqrt(t) / m.log(2), float(2 / m.log(2))),
        lambda t: mpmath.mpf(1),
        (0.0, float((2**0.5 - 1) / (2**0.5 + 1)) ** 2),
        5,
        single=False,
    )
