"""Functions of one number for tables and thresholds: evaluated in float64, rounded to float32.

The compiler alone evaluates them; what runs is a table. NumPy's float64 functions are good to
about one unit in the last place, so a rounded result is the correctly rounded float32 but for
about one argument in 2^28.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from csideploy.export.integer.rounding import Array
from csideploy.export.operations import Activation, Unary

Function = Callable[[Array], Array]
"""float64 to float64, element by element."""


def _erf(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


def _softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x) in float64."""
    return np.asarray(1 / (1 + np.exp(-x)))


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2)


def function_of(kind: Activation | Unary, alpha: float = 0.0, beta: float = 0.0) -> Function:
    """The float64 function of an activation or a unary operation.

    Args:
        kind: which; of the activations not NONE and not PRELU, which needs a channel.
        alpha: its first parameter, as `Unary` says; also the slope of LEAKY.
        beta: its second parameter.

    Raises:
        KeyError: NONE or PRELU.
    """
    table: dict[Activation | Unary, Function] = {
        Activation.RELU: lambda x: np.maximum(x, 0),
        Activation.LEAKY: lambda x: np.where(x < 0, x * alpha, x),
        Activation.SIGMOID: sigmoid,
        Activation.TANH: np.tanh,
    }
    if isinstance(kind, Activation):
        return table[kind]
    unary: dict[Unary, Function] = {
        Unary.NEG: np.negative,
        Unary.ABS: np.abs,
        Unary.EXP: np.exp,
        Unary.LOG: np.log,
        Unary.SQRT: np.sqrt,
        Unary.RECIPROCAL: np.reciprocal,
        Unary.ERF: _erf,
        Unary.FLOOR: np.floor,
        Unary.CEIL: np.ceil,
        Unary.ROUND: np.rint,
        Unary.SIGN: np.sign,
        Unary.SOFTPLUS: _softplus,
        Unary.MISH: lambda x: x * np.tanh(_softplus(x)),
        Unary.GELU: lambda x: x * (1 + _erf(x / np.sqrt(2))) / 2,
        Unary.GELU_TANH: _gelu_tanh,
        Unary.HARD_SIGMOID: lambda x: np.clip(alpha * x + beta, 0, 1),
        Unary.CLIP: lambda x: np.clip(x, alpha, beta),
        Unary.ELU: lambda x: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
        Unary.SWISH: lambda x: x * sigmoid(alpha * x),
    }
    return unary[kind]


def evaluate(functions: Sequence[Function], x: Array) -> Array:
    """The functions one after the other, each result rounded to float32; x and result float32."""
    value = x.astype(np.float32)
    with np.errstate(all="ignore"):
        for function in functions:
            value = np.asarray(function(value.astype(np.float64)), np.float64).astype(np.float32)
    return value
