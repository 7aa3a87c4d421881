"""unary against float64 NumPy and SciPy, with the bounds that its source states."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from one_step import EPS, normal, run_fixed, run_in_place
from scipy.special import erf, expit

from csideploy.export.operations import Unary
from csideploy.export.plan import Op

Array = NDArray[Any]
ALPHA, BETA = 0.4, 0.55
SPECIAL = [0.0, -0.0, 1e-45, 0.5, 1.5, 2.5, 88.0, 104.0, 1e30, np.inf, np.nan]


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def gelu_tanh(x: Array) -> Array:
    return x * expit(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


# function -> float64, units of 2^-23 of |y|, eps of |x| + 1 besides
FUNCTIONS: dict[Unary, tuple[Callable[[Array], Array], float, float]] = {
    Unary.NEG: (np.negative, 0, 0),
    Unary.ABS: (np.abs, 0, 0),
    Unary.EXP: (np.exp, 1.0, 0),
    Unary.LOG: (np.log, 0.9, 0),
    Unary.SQRT: (np.sqrt, 0.5, 0),
    Unary.RECIPROCAL: (np.reciprocal, 0.5, 0),
    Unary.ERF: (erf, 1.4, 0),
    Unary.FLOOR: (np.floor, 0, 0),
    Unary.CEIL: (np.ceil, 0, 0),
    Unary.ROUND: (np.rint, 0, 0),
    Unary.SIGN: (np.sign, 0, 0),
    Unary.SOFTPLUS: (softplus, 2.4, 0),
    Unary.MISH: (lambda x: x * np.tanh(softplus(x)), 5, 0),
    Unary.GELU: (lambda x: x * (1 + erf(x / np.sqrt(2))) / 2, 0, 4),
    Unary.GELU_TANH: (gelu_tanh, 0, 4),
    # One product, one sum; alpha and beta are float32.
    Unary.HARD_SIGMOID: (lambda x: np.clip(F32(ALPHA) * x + F32(BETA), 0, 1), 0, 1),
    Unary.CLIP: (lambda x: np.clip(x, F32(ALPHA), F32(BETA)), 0, 0),
    Unary.ELU: (lambda x: np.where(x < 0, F32(ALPHA) * np.expm1(np.minimum(x, 0)), x), 5, 0),
    Unary.SWISH: (lambda x: x * expit(F32(ALPHA) * x), 5, 1),
}


def F32(value: float) -> float:  # noqa: N802
    return float(np.float32(value))


def run(function: Unary, x: Array) -> Array:
    return run_fixed(Op.UNARY, [x], x.shape, function=function, alpha=ALPHA, beta=BETA)


@pytest.mark.parametrize("function", Unary)
def test_function(function: Unary) -> None:
    reference, relative, absolute = FUNCTIONS[function]
    x = np.concatenate([normal(1, 2000), normal(2, 2000, scale=20)])
    if function in (Unary.LOG, Unary.SQRT):
        x = np.abs(x)
    y, expected = run(function, x), reference(x.astype(np.float64))
    bound = relative * 2**-23 * np.abs(expected) + absolute * EPS * (np.abs(x) + 1) + 1e-45
    assert (np.abs(y - expected) <= bound).all(), x[np.argmax(np.abs(y - expected) / bound)]


@pytest.mark.parametrize("function", Unary)
def test_special_values(function: Unary) -> None:
    x = np.array([SPECIAL, np.negative(SPECIAL)], np.float32)
    y = run(function, x)
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[function][0](x.astype(np.float64)).astype(np.float32)
    if function in (Unary.MISH, Unary.GELU, Unary.GELU_TANH, Unary.SWISH):
        expected[1, -2] = np.nan  # -infinity times a factor that has gone to 0
    # Five units; where the digits are lost (below 0), what 4 eps |x| are of the least value here.
    lossy = function in (Unary.GELU, Unary.GELU_TANH, Unary.SWISH)
    np.testing.assert_allclose(y, expected, rtol=4e-6 if lossy else 6e-7, atol=1e-43)
    exact = np.isin(x, [0.5, 1.5, 2.5]) & (function in (Unary.FLOOR, Unary.CEIL, Unary.ROUND))
    assert np.array_equal(y[exact], expected[exact])


def test_clip_with_crossed_limits_takes_the_second() -> None:
    x = np.array([-1, 0, 1], np.float32)
    y = run_fixed(Op.UNARY, [x], (3,), function=Unary.CLIP, alpha=2.0, beta=-2.0)
    assert (y == -2).all()


@pytest.mark.parametrize("function", Unary)
def test_in_place(function: Unary) -> None:
    x = np.abs(normal(8, 3, 77)) + np.float32(0.1)
    params = {"function": function, "alpha": ALPHA, "beta": BETA}
    assert np.array_equal(run_in_place(Op.UNARY, [x], 0, **params), run(function, x))
