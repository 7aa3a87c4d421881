"""The operators that the compiler takes: one row each.

A new operator is a row here, its shape rule in `shape_rules`, and a pass that recognises it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from csideploy.errors import UnsupportedError
from csideploy.export import fold_rules, function_rules, shape_rules
from csideploy.export.fold_rules import Fold
from csideploy.export.functions import DOMAIN
from csideploy.export.graph import Node
from csideploy.export.shape_rules import Inputs, Made

OPSETS = range(13, 22)
"""Opsets of the standard domain that these rules describe."""

MAX_IR_VERSION = 13


@dataclass(frozen=True)
class Rule:
    """What one operator accepts.

    shape: for activations, None where the operator is taken between constants only.
    fold: computes it from constants, None where constants alone make no sense.
    """

    op: str
    accepts: str
    shape: Callable[[Node, Inputs], Made] | None = None
    fold: Fold | None = None
    domain: str = ""


_CONSTANTS = "constants and sizes only"
_TABLE = (
    Rule("Add", "two equal shapes, or one number a channel", shape_rules.add,
         fold_rules.arithmetic(operator.add)),
    Rule("BatchNormalization", "evaluation mode, constants", shape_rules.batch_norm),
    Rule("Cast", "constants; on activations only to their own type", shape_rules.cast,
         fold_rules.cast),
    Rule("Concat", "along the channels", shape_rules.concat, fold_rules.concat),
    Rule("Constant", "numbers", None, fold_rules.constant),
    Rule("Conv", "2-D: any kernel, stride, pad, dilation, group", shape_rules.conv),
    Rule("Div", _CONSTANTS, None, fold_rules.arithmetic(operator.truediv)),
    Rule("Dropout", "evaluation mode", shape_rules.dropout),
    Rule("Flatten", "axis 1", shape_rules.flatten),
    Rule("Gather", _CONSTANTS, None, fold_rules.gather),
    Rule("Gemm", "constant weight and bias, transA = 0", shape_rules.gemm),
    Rule("Identity", "all", shape_rules.same, fold_rules.identity),
    Rule("LeakyRelu", "all", shape_rules.elementwise),
    Rule("MatMul", "(n, K) by a constant (K, M)", shape_rules.gemm),
    Rule("Mul", _CONSTANTS, None, fold_rules.arithmetic(operator.mul)),
    Rule("PRelu", "one slope, or one a channel", shape_rules.prelu),
    Rule("Relu", "all", shape_rules.elementwise),
    Rule("Reshape", "the batch stays in front", shape_rules.reshape, fold_rules.reshape),
    Rule("Shape", "sizes", shape_rules.shape_of),
    Rule("Sigmoid", "all", shape_rules.elementwise),
    Rule("Slice", _CONSTANTS, None, fold_rules.slice_),
    Rule("Squeeze", "the batch stays in front", shape_rules.squeeze, fold_rules.squeeze),
    Rule("Sub", _CONSTANTS, None, fold_rules.arithmetic(operator.sub)),
    Rule("Tanh", "all", shape_rules.elementwise),
    Rule("Transpose", "where it moves no data", shape_rules.transpose, fold_rules.transpose),
    Rule("Unsqueeze", "the batch stays in front", shape_rules.unsqueeze, fold_rules.unsqueeze),
    Rule("BinaryLinear", "constant weight, scale, bias", function_rules.binary_linear,
         domain=DOMAIN),
    Rule("PackBits", "1 to 8 bits", function_rules.pack_bits, domain=DOMAIN),
    Rule("UniformDequantize", "1 to 8 bits", function_rules.uniform_dequantize, domain=DOMAIN),
    Rule("UniformQuantize", "1 to 8 bits", function_rules.uniform_quantize, domain=DOMAIN),
    Rule("UnpackBits", "1 to 8 bits", function_rules.unpack_bits, domain=DOMAIN),
)  # fmt: skip

RULES = {(rule.domain, rule.op): rule for rule in _TABLE}
"""(domain, operator) -> rule; the standard domain is ""."""


def rule_for(node: Node) -> Rule:
    """The rule of a node's operator.

    Raises:
        UnsupportedError: there is none; names the node, its operator and what there is.
    """
    rule = RULES.get((node.domain, str(node.op)))
    if rule is None:
        listed = ", ".join(f"{r.domain}::{r.op}" if r.domain else r.op for r in _TABLE)
        raise UnsupportedError(
            f"node '{node.name}': operator {node.label} is not supported; supported: {listed}"
        )
    return rule


def supported_ops() -> list[dict[str, str]]:
    """One row an operator, for people: domain, operator, what it accepts."""
    return [
        {"domain": rule.domain or "ai.onnx", "operator": rule.op, "accepts": rule.accepts}
        for rule in _TABLE
    ]
