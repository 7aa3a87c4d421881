"""What the verifier demands of a step beyond its shapes: parameters, element types, overlaps.

One table for each; `bundle_codegen` turns them into the C verifier's tables and the format's page.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from csideploy.export.operations import (
    AXES,
    OPS,
    Activation,
    Binary,
    Comparison,
    Integer,
    Op,
    PadMode,
    Reduction,
    Search,
    Unary,
)
from csideploy.export.plan import DType

_DIM_MAX = 0x7FFFFFFF


class ParamKind(IntEnum):
    """How the verifier checks a step's parameter."""

    U32_RANGE = 1
    F32_FINITE = 2
    F32_POSITIVE = 3
    I32_RANGE = 4

    @property
    def type(self) -> str:
        """How the plan names the parameter's type."""
        return {1: "u32", 2: "f32", 3: "f32", 4: "i32"}[int(self)]


@dataclass(frozen=True)
class ParamRule:
    """Legal values of a parameter. No default: a plan must give it."""

    kind: ParamKind
    default: int | float | None
    lo: int = 0
    hi: int = 0


_SPAN = 0xFFFF
_I32 = 0x7FFFFFFF


def _choice(codes: type[IntEnum], default: int | None = None) -> ParamRule:
    return ParamRule(ParamKind.U32_RANGE, default, min(codes), max(codes))


_SCALE = ParamRule(ParamKind.F32_POSITIVE, None)
_FREE = ParamRule(ParamKind.F32_FINITE, 0.0)
_ZERO = ParamRule(ParamKind.I32_RANGE, 0, -_SPAN, _SPAN)
_LIMIT = ParamRule(ParamKind.I32_RANGE, None, -_SPAN, _SPAN)
_PAD = ParamRule(ParamKind.U32_RANGE, 0, 0, _SPAN)
_STEP = ParamRule(ParamKind.U32_RANGE, 1, 1, _SPAN)
_AXIS = ParamRule(ParamKind.U32_RANGE, 1, 0, AXES - 1)
_FLAG = ParamRule(ParamKind.U32_RANGE, 0, 0, 1)
PARAM_RULES: dict[str, ParamRule] = {
    "groups": ParamRule(ParamKind.U32_RANGE, 1, 1, _DIM_MAX),
    "kernel_h": ParamRule(ParamKind.U32_RANGE, None, 1, _SPAN),
    "kernel_w": ParamRule(ParamKind.U32_RANGE, None, 1, _SPAN),
    "stride_h": _STEP,
    "stride_w": _STEP,
    "dilation_h": _STEP,
    "dilation_w": _STEP,
    "pad_top": _PAD,
    "pad_left": _PAD,
    "pad_bottom": _PAD,
    "pad_right": _PAD,
    "count_pad": _FLAG,
    "activation": _choice(Activation, Activation.NONE),
    "alpha": _FREE,
    "beta": _FREE,
    "bits": ParamRule(ParamKind.U32_RANGE, None, 1, 8),
    "axis": _AXIS,
    "axes": ParamRule(ParamKind.U32_RANGE, None, 1, (1 << AXES) - 1),
    "epsilon": _SCALE,
    "last": _FLAG,
    "exclusive": _FLAG,
    "reverse": _FLAG,
    "mode": _choice(PadMode, PadMode.CONSTANT),
    "value": _FREE,
    "truth": _FLAG,
    **{f"perm_{i}": ParamRule(ParamKind.U32_RANGE, 0, 0, AXES - 1) for i in range(AXES)},
    **{f"start_{i}": ParamRule(ParamKind.U32_RANGE, 0, 0, _DIM_MAX) for i in range(AXES)},
    **{f"step_{i}": ParamRule(ParamKind.I32_RANGE, 1, -_I32, _I32) for i in range(AXES)},
    **{f"before_{i}": ParamRule(ParamKind.U32_RANGE, 0, 0, _DIM_MAX) for i in range(AXES)},
    **dict.fromkeys(("scale", "a_scale", "b_scale", "x_scale", "y_scale"), _SCALE),
    **dict.fromkeys(("zero", "a_zero", "b_zero", "x_zero", "y_zero"), _ZERO),
    "low": _LIMIT,
    "high": _LIMIT,
    "sorted": ParamRule(ParamKind.U32_RANGE, None, 0, 1),
    "per_user": _FLAG,
    "loading": _SCALE,
    **{f"pad_{side}_{i}": _PAD for i in (1, 2, 3) for side in ("top", "left")},
    "code_scale": ParamRule(ParamKind.F32_POSITIVE, 1.0),
    "code_zero": ParamRule(ParamKind.I32_RANGE, 0, 0, 255),
    "code_bits": ParamRule(ParamKind.U32_RANGE, 8, 8, 16),
    "m_scale": ParamRule(ParamKind.F32_POSITIVE, 1.0),
    **{
        f"hidden_{name}": ParamRule(ParamKind.I32_RANGE, None, 0, 255)
        for name in ("zero", "low", "high")
    },
    "excluded": ParamRule(ParamKind.U32_RANGE, None, 0, 496),
    "layers": ParamRule(ParamKind.U32_RANGE, None, 0, 2),
    "iterations": ParamRule(ParamKind.U32_RANGE, None, 1, 4096),
    "average": ParamRule(ParamKind.U32_RANGE, None, 0, 1),
    "start": ParamRule(ParamKind.U32_RANGE, None, 0, _SPAN),
}
"""Legal values of a parameter by name, whatever operation carries it, but for `function`."""

OWN_RULES: dict[tuple[Op, str], ParamRule] = {
    (Op.TABLE_PRECODER, "bits"): ParamRule(ParamKind.U32_RANGE, None, 1, 16),
    (Op.RZF_PRECODER, "bits"): ParamRule(ParamKind.U32_RANGE, None, 1, 12),
    (Op.CONV_BLOCK, "x_scale"): ParamRule(ParamKind.F32_POSITIVE, 1.0),
    (Op.CONV_BLOCK, "y_scale"): ParamRule(ParamKind.F32_FINITE, 1.0),
}
"""Those of an operation where they are others."""

FUNCTIONS: dict[Op, tuple[type[IntEnum], tuple[IntEnum, ...]]] = {
    Op.UNARY: (Unary, tuple(Unary)),
    Op.BINARY: (Binary, tuple(Binary)),
    Op.INTEGER: (Integer, tuple(Integer)),
    Op.COMPARE: (Comparison, tuple(Comparison)),
    Op.REDUCE: (Reduction, tuple(Reduction)),
    Op.ARG_EXTREME: (Reduction, (Reduction.MAX, Reduction.MIN)),
    Op.POOL2D: (Reduction, (Reduction.MEAN, Reduction.MAX)),
    Op.TABLE_SEARCH: (Search, tuple(Search)),
}
"""Codes of the parameter `function`: consecutive, so that a range is enough."""

CONSTANT_ROLES = (
    "weight",
    "bias",
    "slope",
    "scale",
    "multiplier",
    "table",
    "thresholds",
    "book",
    "widths",
    "codebook",
    "tables",
    "rus",
    "weights",
    "sizes",
    "expand",
    "channels",
    "middle",
    "project",
    "hidden_weight",
    "hidden_bias",
    "hidden_multiplier",
)
"""Roles whose tensor must lie in the weights section."""

_F32 = (DType.F32,)
_ANY = tuple(DType)
_QUANTIZED = (DType.U8, DType.I8, DType.I16)
_INTEGERS = (DType.U8, DType.I8, DType.I16, DType.I32)
_Q_ROLES: dict[str, tuple[DType, ...]] = {
    "x": _QUANTIZED,
    "weight": (DType.I8,),
    "bias": (DType.I32,),
    "y": _QUANTIZED,
}
ROLE_DTYPES: dict[Op, dict[str, tuple[DType, ...]]] = {
    Op.BINARY_LINEAR: {"weight": (DType.U8,)},
    Op.QUANTIZE_UNIFORM: {"codes": (DType.U8,)},
    Op.PACK_BITS: {"codes": (DType.U8,), "payload": (DType.U8,)},
    Op.UNPACK_BITS: {"codes": (DType.U8,), "payload": (DType.U8,)},
    Op.DEQUANTIZE_UNIFORM: {"codes": (DType.U8,)},
    Op.CONCAT: {"a": _ANY, "b": _ANY, "y": _ANY},
    Op.COPY: {"x": _ANY, "y": _ANY},
    Op.INTEGER: {"a": _INTEGERS, "b": _INTEGERS, "y": _INTEGERS},
    Op.COMPARE: {"a": _ANY, "b": _ANY, "y": (DType.U8,)},
    Op.WHERE: {"condition": (DType.U8,), "a": _ANY, "b": _ANY, "y": _ANY},
    Op.ARG_EXTREME: {"y": (DType.I32,)},
    Op.TRANSPOSE: {"x": _ANY, "y": _ANY},
    Op.SLICE: {"x": _ANY, "y": _ANY},
    Op.PAD: {"x": _ANY, "y": _ANY},
    Op.EXPAND: {"x": _ANY, "y": _ANY},
    Op.GATHER: {"x": _ANY, "indices": (DType.I32,), "y": _ANY},
    Op.CAST: {"x": _ANY, "y": _ANY},
    Op.QUANTIZE: {"y": _QUANTIZED},
    Op.DEQUANTIZE: {"x": _INTEGERS},
    Op.QCONV2D: _Q_ROLES,
    Op.QLINEAR: _Q_ROLES,
    Op.QBINARY_LINEAR: {**_Q_ROLES, "weight": (DType.U8,)},
    Op.QADD: {"a": _QUANTIZED, "b": _QUANTIZED, "y": _QUANTIZED},
    Op.QACTIVATION: {"x": _QUANTIZED, "y": _QUANTIZED},
    Op.QTABLE: {"x": (DType.U8, DType.I8), "table": _QUANTIZED, "y": _QUANTIZED},
    Op.QTHRESHOLD: {"x": _QUANTIZED, "thresholds": (DType.I32,), "codes": (DType.U8,)},
    Op.QUANTIZE_CODEBOOK: {"widths": (DType.U8,), "codes": (DType.U8,)},
    Op.PACK_WIDTHS: {"codes": (DType.U8,), "widths": (DType.U8,), "payload": (DType.U8,)},
    Op.UNPACK_WIDTHS: {"payload": (DType.U8,), "widths": (DType.U8,), "codes": (DType.U8,)},
    Op.DEQUANTIZE_CODEBOOK: {
        "codes": (DType.U8,),
        "book": (DType.F32, DType.I16),
        "widths": (DType.U8,),
    },
    Op.QCODEBOOK: {
        "x": _QUANTIZED,
        "thresholds": (DType.I32,),
        "widths": (DType.U8,),
        "codes": (DType.U8,),
    },
    Op.TABLE_PRECODER: {"payload": (DType.U8,), "table": (DType.F32, DType.U8, DType.I8)},
    Op.RZF_PRECODER: {"payload": (DType.U8,)},
    Op.INTERFERENCE_SCHEDULE: {"classes": (DType.I32,)},
    Op.TABLE_SEARCH: {"classes": (DType.I32,), "rus": (DType.I32,), "payload": (DType.U8,)},
    Op.TABLE_NEAREST: {"rus": (DType.I32,), "payload": (DType.U8,)},
    Op.GRADIENT_SEARCH: {"sizes": (DType.I32,), "payload": (DType.U8,)},
    Op.RESIDUAL_QUANTIZE: {"codes": (DType.U8,)},
    Op.RESIDUAL_DEQUANTIZE: {"codes": (DType.U8,)},
    Op.QUANTIZE_LOGIT: {"codes": (DType.U8,)},
    Op.CONV_BLOCK: {
        "middle": (DType.F32, DType.I8),
        **dict.fromkeys(("expand", "project"), (DType.F32, DType.I16)),
    },
    Op.BITS_NETWORK: {
        "payload": (DType.U8,),
        **dict.fromkeys(("hidden_weight", "weight"), (DType.I8,)),
        **dict.fromkeys(("hidden_bias", "bias"), (DType.I32,)),
    },
}
"""Element types that a role may have where it is not f32 alone."""

SAME_DTYPE: dict[Op, tuple[str, ...]] = {
    Op.CONCAT: ("a", "b", "y"),
    Op.COPY: ("x", "y"),
    Op.INTEGER: ("a", "b", "y"),
    Op.COMPARE: ("a", "b"),
    Op.WHERE: ("a", "b", "y"),
    Op.TRANSPOSE: ("x", "y"),
    Op.SLICE: ("x", "y"),
    Op.PAD: ("x", "y"),
    Op.EXPAND: ("x", "y"),
    Op.GATHER: ("x", "y"),
    Op.QTABLE: ("table", "y"),
}
"""Roles of an operation that share one element type."""

IN_PLACE: dict[Op, tuple[str, ...]] = {
    Op.CONV2D: ("residual?",),
    Op.ADD: ("a", "b"),
    Op.ACTIVATION: ("x",),
    Op.COPY: ("x",),
    Op.UNARY: ("x",),
    Op.BINARY: ("a", "b"),
    Op.INTEGER: ("a", "b"),
    Op.WHERE: ("a", "b"),
    Op.SOFTMAX: ("x",),
    Op.LAYER_NORM: ("x",),
    Op.QADD: ("a", "b"),
    Op.QACTIVATION: ("x",),
    Op.QTABLE: ("x",),
    Op.CUMSUM: ("x",),
}
"""Inputs whose bytes may be exactly the output's bytes (the same place, type, size and shape);
any other overlap is refused.

The operation reads element i before it writes element i and never reads it again, or reads whole
rows before it writes them. A convolution reads x around i, so never x.
"""


def role_dtypes(op: Op, role: str) -> tuple[DType, ...]:
    """Element types that a role of an operation may have."""
    return ROLE_DTYPES.get(op, {}).get(role, _F32)


def param_rules(op: Op) -> list[tuple[str, ParamRule]]:
    """Parameters of an operation in stored order, each with its rule."""
    rules = []
    for name, type_ in OPS[op].params.items():
        if name == "function":
            codes = [int(code) for code in FUNCTIONS[op][1]]
            rule = ParamRule(ParamKind.U32_RANGE, None, min(codes), max(codes))
        else:
            rule = OWN_RULES.get((op, name), PARAM_RULES[name])
        if rule.kind.type != type_:
            raise TypeError(f"parameter {name} of {op.name}: the plan and the rules differ in type")
        rules.append((name, rule))
    return rules
