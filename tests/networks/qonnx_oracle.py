"""QONNX's operators in float64 NumPy, from their documentation, inside ONNX's own evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from networks.quantized import steps_to_a_tie

DOMAIN = "qonnx.custom_op.general"

Array = NDArray[Any]

_ROUNDINGS = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.copysign(np.ceil(np.abs(x)), x),
    "DOWN": np.fix,
    "ROUND_TO_ZERO": np.trunc,
    "HALF_UP": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
    "HALF_DOWN": lambda x: np.copysign(np.ceil(np.abs(x) - 0.5), x),
}


class Quant(OpRun):
    """(round(clip(x / scale + zero)) - zero) scale."""

    op_domain = DOMAIN
    nearest = np.inf
    """Steps to a tie, over all activations of the last run."""
    weights: frozenset[str] = frozenset()

    def _run(
        self,
        x: Array,
        scale: Array,
        zero: Array,
        bits: Array,
        narrow: int = 0,
        rounding_mode: str = "ROUND",
        signed: int = 1,
    ) -> tuple[Array]:
        width = int(bits)
        high = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
        low = -(2 ** (width - 1)) + narrow if signed else 0
        codes = np.clip(x / scale + zero, low, high)
        inside = (codes > low) & (codes < high)
        if self.onnx_node.input[0] not in Quant.weights and inside.any():
            Quant.nearest = min(Quant.nearest, steps_to_a_tie(codes[inside], np.float64(1)))
        return ((_ROUNDINGS[rounding_mode](codes) - zero) * scale,)


class IntQuant(Quant):
    """The newer name."""


class BipolarQuant(OpRun):
    """+scale or -scale; a zero counts as positive."""

    op_domain = DOMAIN

    def _run(self, x: Array, scale: Array) -> tuple[Array]:
        return (np.where(x >= 0, scale, -scale),)


class Trunc(OpRun):
    """(round(rint(x / scale + zero) / 2^(in - out)) - zero) scale, or with an output scale."""

    op_domain = DOMAIN

    def _run(
        self,
        x: Array,
        scale: Array,
        zero: Array,
        wide: Array,
        *rest: Array,
        narrow: int = 0,
        rounding_mode: str = "FLOOR",
        signed: int = 1,
    ) -> tuple[Array]:
        codes = np.round(x / scale + zero)
        if len(rest) == 1:
            (bits,) = rest
            codes = _ROUNDINGS[rounding_mode](codes / 2.0 ** (wide - bits))
            return ((codes - zero) * scale,)
        out, bits = rest
        step = 2.0 ** np.round(np.log2(out / scale))
        high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
        low = -(2 ** (bits - 1)) + narrow if signed else 0
        codes = _ROUNDINGS[rounding_mode](np.clip(codes / step, low, high))
        return ((codes - zero / step) * out,)


def run(model: ModelProto, x: Array) -> Array:
    """The one output, everything in float64."""
    wide = ModelProto()
    wide.CopyFrom(model)
    for entry in wide.graph.initializer:
        _widen(entry)
    for node in wide.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
    for entry in [*wide.graph.input, *wide.graph.output]:
        entry.type.tensor_type.elem_type = TensorProto.DOUBLE
    del wide.graph.value_info[:]
    Quant.nearest = np.inf
    Quant.weights = frozenset(entry.name for entry in wide.graph.initializer)
    evaluator = ReferenceEvaluator(wide, new_ops=[Quant, IntQuant, BipolarQuant, Trunc])
    (made,) = evaluator.run(None, {wide.graph.input[0].name: x.astype(np.float64)})
    return np.asarray(made)


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        data = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(data, tensor.name))
