"""The operators that the compiler takes: one row each.

A new operator is a row here and the function in `steps/` that writes it in steps of the executor;
its types and shapes are ONNX's own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from csideploy.errors import UnsupportedError
from csideploy.export import batch_rules as batch
from csideploy.export import edge_rules, function_rules, precoder_rules, residual_rules
from csideploy.export import fold_rules as fold
from csideploy.export.batch_axes import (
    dft_axes,
    extreme_axis,
    join_axis,
    norm_axes,
    reduced_axes,
    running_axis,
    softmax_axis,
)
from csideploy.export.batch_rules import BatchRule
from csideploy.export.fold_rules import Fold
from csideploy.export.functions import DOMAIN
from csideploy.export.graph import Node
from csideploy.export.onnx_shapes import Made, same_shape, truth_shape
from csideploy.export.operations import Binary, Comparison, Integer, Reduction, Unary
from csideploy.export.plan import Activation, Op
from csideploy.export.refusal import Inputs
from csideploy.export.steps import (
    edges,
    elementwise,
    fourier,
    functions,
    linear,
    moves,
    normalise,
    payload,
    quantization,
    reduce,
    windows,
)
from csideploy.export.steps.site import Site

OPSETS = range(13, 26)
"""Opsets of the standard domain that these rules describe."""

MAX_IR_VERSION = 13


@dataclass(frozen=True)
class Rule:
    """What one operator accepts.

    steps: writes it in steps; None where the operator is taken between constants only.
    batch: which axes it mixes.
    fold: computes it from constants; None: ONNX's reference does.
    shape: types and shapes, where they are not ONNX's.
    sizes: inputs that may be computed from the batch size.
    """

    op: str
    accepts: str
    steps: Callable[[Site], None] | None = None
    batch: BatchRule = batch.elementwise
    fold: Fold | None = None
    shape: Callable[[Node, Inputs], Made] | None = None
    sizes: tuple[int, ...] = ()
    domain: str = ""


_APART = batch.along(lambda _: set())
_ANY = "any type and shape"
_FLOAT = "float32"
_BROADCAST = "float32 and integers, broadcast"
_LOGIC = "broadcast"
_CONSTANTS = "constants and sizes only"
_REDUCE = "float32; known axes, but the batch; a single number has the shape (1,)"


def _function(op: str, function: Unary, accepts: str = _FLOAT, **defaults: float) -> Rule:
    return Rule(op, accepts, functions.unary(function, **defaults), _APART)


def _pair(op: str, function: Binary, python: Callable[[object, object], object]) -> Rule:
    return Rule(op, _BROADCAST, elementwise.binary(function), fold=fold.arithmetic(python))


def _compare(op: str, function: Comparison) -> Rule:
    steps = elementwise.compare(function)
    return Rule(op, "two tensors of one type, broadcast", steps, shape=truth_shape)


def _bits(op: str, function: Integer, accepts: str = "uint8, int8 to int64, broadcast") -> Rule:
    return Rule(op, accepts, elementwise.integer(function))


def _reduce(op: str, function: Reduction, unary: Unary | None = None, *, square: bool = False
            ) -> Rule:  # fmt: skip
    steps = reduce.reduction(function, unary, square)
    return Rule(op, _REDUCE, steps, batch.along(reduced_axes))


_KEEPS = "the batch stays one factor of one axis"
_WINDOW = "1-D and 2-D: any kernel, stride, pad, dilation"
_WIDTHS = "0 to 8 bits an output, constants"
_TABLE = (
    Rule("Abs", "float32 and integers", functions.absolute, _APART),
    _pair("Add", Binary.ADD, operator.add),
    _bits("And", Integer.AND, _LOGIC),
    Rule("ArgMax", "float32; the index is int32", reduce.arg_extreme(Reduction.MAX),
         batch.along(extreme_axis)),
    Rule("ArgMin", "float32; the index is int32", reduce.arg_extreme(Reduction.MIN),
         batch.along(extreme_axis)),
    Rule("AveragePool", _WINDOW, windows.pool(Reduction.MEAN), batch.front,
         shape=windows.pool_shape),
    Rule("BatchNormalization", "evaluation mode, constants", normalise.batch_norm, batch.front),
    Rule("BitShift", "uint8", elementwise.shift),
    _bits("BitwiseAnd", Integer.AND),
    Rule("BitwiseNot", "uint8, int8 to int64", elementwise.complement, _APART),
    _bits("BitwiseOr", Integer.OR),
    _bits("BitwiseXor", Integer.XOR),
    Rule("Cast", "between float32, bool, uint8, int8, int16, int32 and int64, which is int32 "
         "here: floats beyond 32 bits saturate, sums and products wrap",
         elementwise.cast, _APART, fold.cast),
    Rule("CastLike", "as Cast", elementwise.cast, _APART),
    _function("Ceil", Unary.CEIL),
    Rule("Clip", "float32 and integers; limits known or not", functions.clip),
    Rule("Concat", "any axis but the batch", moves.concat, batch.along(join_axis), fold.concat),
    Rule("Constant", "numbers", fold=fold.constant),
    Rule("ConstantOfShape", _CONSTANTS, fold=fold.constant_of_shape),
    Rule("Conv", _WINDOW + ", group; constant weight", windows.convolution, batch.front),
    Rule("ConvTranspose", _WINDOW + ", group, output padding; constant weight",
         windows.convolution_transpose, batch.front),
    Rule("Cos", _CONSTANTS),
    Rule("CumSum", "float32; a known axis, but the batch", reduce.running_sum,
         batch.along(running_axis)),
    Rule("DFT", "float32; known length", fourier.dft, batch.along(dft_axes),
         shape=fourier.dft_shape),
    Rule("DepthToSpace", _ANY, moves.depth_to_space, batch.front),
    Rule("DequantizeLinear", "uint8, int8, int16, int32; constants: any; activations: one scale",
         quantization.dequantize, _APART, fold.dequantize),
    _pair("Div", Binary.DIV, operator.truediv),
    Rule("Dropout", "evaluation mode, no mask", moves.dropout, _APART),
    _function("Elu", Unary.ELU, alpha=1.0),
    _compare("Equal", Comparison.EQUAL),
    _function("Erf", Unary.ERF),
    _function("Exp", Unary.EXP),
    Rule("Expand", "to a known shape", moves.expand, fold=fold.expand, sizes=(1,)),
    Rule("EyeLike", _CONSTANTS),
    Rule("Flatten", _KEEPS, moves.view, batch.reshape, fold.flatten),
    _function("Floor", Unary.FLOOR),
    Rule("Gather", "any axis but the batch; indices known or not", moves.gather, batch.gather,
         fold.gather),
    Rule("GatherElements", _CONSTANTS),
    Rule("GatherND", _CONSTANTS),
    Rule("Gelu", "float32; exact and tanh", functions.gelu, _APART),
    Rule("Gemm", "float32, all attributes; samples are rows of A", linear.gemm, batch.gemm),
    Rule("GlobalAveragePool", _FLOAT, windows.global_pool(Reduction.MEAN), batch.front),
    Rule("GlobalMaxPool", _FLOAT, windows.global_pool(Reduction.MAX), batch.front),
    _compare("Greater", Comparison.GREATER),
    _compare("GreaterOrEqual", Comparison.GREATER_OR_EQUAL),
    Rule("GroupNormalization", "float32; constant scale and bias", normalise.group_norm,
         batch.front, shape=same_shape),
    _function("HardSigmoid", Unary.HARD_SIGMOID, alpha=0.2, beta=0.5),
    Rule("HardSwish", _FLOAT, functions.hard_swish, _APART),
    Rule("Identity", _ANY, moves.view, _APART, fold.identity),
    Rule("InstanceNormalization", "float32; constant scale and bias", normalise.instance_norm,
         batch.front),
    Rule("IsNaN", _FLOAT, elementwise.is_nan, _APART),
    Rule("LayerNormalization", "float32; one output", normalise.layer_norm,
         batch.along(norm_axes)),
    Rule("LeakyRelu", _FLOAT, functions.leaky_relu, _APART),
    _compare("Less", Comparison.LESS),
    _compare("LessOrEqual", Comparison.LESS_OR_EQUAL),
    _function("Log", Unary.LOG),
    Rule("LogSoftmax", "float32; any axis but the batch", normalise.log_softmax,
         batch.along(softmax_axis)),
    Rule("MatMul", "float32; constants and activations", linear.matmul, batch.matmul),
    Rule("Max", _BROADCAST, elementwise.binary(Binary.MAX)),
    Rule("MaxPool", _WINDOW + "; no indices", windows.pool(Reduction.MAX), batch.front,
         shape=windows.pool_shape),
    Rule("Mean", "float32, broadcast", elementwise.mean),
    Rule("Min", _BROADCAST, elementwise.binary(Binary.MIN)),
    _function("Mish", Unary.MISH),
    Rule("Mod", "float32 with fmod, integers with and without", elementwise.modulo),
    _pair("Mul", Binary.MUL, operator.mul),
    Rule("Neg", "float32 and integers", functions.negate, _APART),
    Rule("NonZero", _CONSTANTS),
    Rule("Not", "bool", elementwise.complement, _APART),
    Rule("OneHot", _CONSTANTS),
    _bits("Or", Integer.OR, _LOGIC),
    Rule("PRelu", "float32; any slope that broadcasts", functions.prelu),
    Rule("Pad", "known pads; constant, edge, reflect, wrap; not the batch", moves.pad,
         batch.changed),
    Rule("Pow", "float32; integers to known whole powers", elementwise.power),
    Rule("QuantizeLinear", "to uint8, int8, int16; constants: any; activations: one scale",
         quantization.quantize, _APART),
    Rule("Range", _CONSTANTS),
    _function("Reciprocal", Unary.RECIPROCAL),
    _reduce("ReduceL1", Reduction.SUM, Unary.ABS),
    Rule("ReduceL2", _REDUCE, reduce.norm, batch.along(reduced_axes)),
    Rule("ReduceLogSum", _REDUCE, reduce.log_sum, batch.along(reduced_axes)),
    Rule("ReduceLogSumExp", _REDUCE, reduce.log_sum_exp, batch.along(reduced_axes)),
    _reduce("ReduceMax", Reduction.MAX),
    _reduce("ReduceMean", Reduction.MEAN),
    _reduce("ReduceMin", Reduction.MIN),
    _reduce("ReduceProd", Reduction.PROD),
    _reduce("ReduceSum", Reduction.SUM),
    _reduce("ReduceSumSquare", Reduction.SUM, square=True),
    Rule("Relu", "float32 and integers", functions.activation(Activation.RELU), _APART),
    Rule("Reshape", _KEEPS, moves.view, batch.reshape, fold.reshape, sizes=(1,)),
    Rule("Round", "float32; half to even", functions.unary(Unary.ROUND), _APART),
    Rule("ScatterElements", _CONSTANTS),
    Rule("ScatterND", _CONSTANTS),
    Rule("Selu", _FLOAT, functions.selu, _APART),
    Rule("Shape", "sizes"),
    Rule("Sigmoid", _FLOAT, functions.activation(Activation.SIGMOID), _APART),
    Rule("Sign", "float32 and integers", functions.sign, _APART),
    Rule("Sin", _CONSTANTS),
    Rule("Size", "sizes"),
    Rule("Slice", "known places; any axis but the batch", moves.slice_, batch.changed,
         fold.slice_, sizes=(2,)),
    Rule("Softmax", "float32; any axis but the batch", normalise.softmax,
         batch.along(softmax_axis)),
    _function("Softplus", Unary.SOFTPLUS),
    Rule("SpaceToDepth", _ANY, moves.space_to_depth, batch.front),
    Rule("Split", "known sizes; any axis but the batch", moves.split, batch.changed),
    _function("Sqrt", Unary.SQRT),
    Rule("Squeeze", _KEEPS, moves.view, batch.reshape, fold.squeeze),
    _pair("Sub", Binary.SUB, operator.sub),
    Rule("Sum", "float32, broadcast", elementwise.binary(Binary.ADD)),
    _function("Swish", Unary.SWISH, alpha=1.0),
    Rule("Tanh", _FLOAT, functions.activation(Activation.TANH), _APART),
    Rule("Tile", "known repeats; any axis but the batch", moves.tile, batch.changed),
    Rule("TopK", _CONSTANTS),
    Rule("Transpose", "up to 6 axes", moves.transpose, batch.transpose, fold.transpose),
    Rule("Trilu", _CONSTANTS),
    Rule("Unsqueeze", _KEEPS, moves.view, batch.reshape, fold.unsqueeze),
    Rule("Where", "a and b of one type, broadcast", elementwise.where),
    _bits("Xor", Integer.XOR, _LOGIC),
    Rule("BinaryLinear", "constant weight, scale, bias", payload.binary_linear, batch.front,
         shape=function_rules.binary_linear, domain=DOMAIN),
    Rule("CodebookDequantize", _WIDTHS + "; float32 and float16 book",
         payload.widths_codes(Op.DEQUANTIZE_CODEBOOK), batch.front,
         shape=function_rules.codebook_dequantize, domain=DOMAIN),
    Rule("CodebookQuantize", _WIDTHS, payload.widths_codes(Op.QUANTIZE_CODEBOOK), batch.front,
         shape=function_rules.codebook_quantize, domain=DOMAIN),
    Rule("EdgeAttention", "float32 (n, users, antennas, channels)", edges.attention,
         batch.alike_in_front, shape=edge_rules.attention, domain=DOMAIN),
    Rule("PackBits", "1 to 8 bits", payload.codes(Op.PACK_BITS), batch.front,
         shape=function_rules.pack_bits, domain=DOMAIN),
    Rule("PackWidths", _WIDTHS, payload.widths_codes(Op.PACK_WIDTHS), batch.front,
         shape=function_rules.pack_widths, domain=DOMAIN),
    Rule("ResidualDequantize", "1 to 16 bits, constant codebook", payload.residual_dequantize,
         batch.front, shape=residual_rules.dequantize, domain=DOMAIN),
    Rule("ResidualQuantize", "1 to 16 bits, constant codebook", payload.residual_quantize,
         batch.front, shape=residual_rules.quantize, domain=DOMAIN),
    *(
        Rule(name, "1 to 16 bits a user, constant table", payload.table_precoder, batch.front,
             shape=precoder_rules.table_precoder, domain=DOMAIN)
        for name in precoder_rules.TABLE_DTYPES
    ),
    Rule("UniformDequantize", "1 to 8 bits", payload.codes(Op.DEQUANTIZE_UNIFORM), batch.front,
         shape=function_rules.uniform_dequantize, domain=DOMAIN),
    Rule("UniformQuantize", "1 to 8 bits", payload.codes(Op.QUANTIZE_UNIFORM), batch.front,
         shape=function_rules.uniform_quantize, domain=DOMAIN),
    Rule("UnpackBits", "1 to 8 bits", payload.codes(Op.UNPACK_BITS), batch.front,
         shape=function_rules.unpack_bits, domain=DOMAIN),
    Rule("UnpackWidths", _WIDTHS, payload.widths_codes(Op.UNPACK_WIDTHS), batch.front,
         shape=function_rules.unpack_widths, domain=DOMAIN),
)  # fmt: skip

_QONNX = "qonnx.custom_op.general"
_IMPORTED = (
    (_QONNX, "BipolarQuant", "activations; weights, which stay one bit each in a layer"),
    (_QONNX, "IntQuant", "the newer name of Quant"),
    (
        _QONNX,
        "Quant",
        "1 to 24 bits, known scale; activations: ROUND, CEIL, FLOOR",
    ),
    (_QONNX, "Trunc", "with and without output scale; ROUND, CEIL, FLOOR"),
)
"""Operators that are standard ones by the time a rule is asked (pass `import_qonnx`)."""

RULES = {(rule.domain, rule.op): rule for rule in _TABLE}
"""(domain, operator) -> rule; the standard domain is ""."""


def find_rule(node: Node) -> Rule | None:
    """The rule of a node's operator, if there is one."""
    return RULES.get((node.domain, str(node.op)))


def rule_for(node: Node) -> Rule:
    """The rule of a node's operator.

    Raises:
        UnsupportedError: there is none; names the node and its operator.
    """
    rule = find_rule(node)
    if rule is None:
        raise UnsupportedError(
            f"node '{node.name}': operator {node.label} is not supported; "
            "`csideploy supported-ops` lists what is"
        )
    return rule


def supported_ops() -> list[dict[str, str]]:
    """One row an operator, for people: domain, operator, what it accepts."""
    own = [(rule.domain or "ai.onnx", rule.op, rule.accepts) for rule in _TABLE]
    return [
        {"domain": domain, "operator": name, "accepts": accepts}
        for domain, name, accepts in (*own, *_IMPORTED)
    ]
