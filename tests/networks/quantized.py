"""A network that brevitas has quantized, and how far its values stay from a tie.

Two implementations in float32 that add in another order may put a value on the other side of a
rounding tie, and then differ by a whole step. So a comparison at 1e-4 means something only where no
value lies near a tie, and the tests measure that.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper
from torch import nn

from networks.catalogue import randomise, samples
from networks.judge import oracle

SHAPE = (2, 16, 16)
FEATURES = 64
ELEMENTS = 512

TIE = 1e-4
"""Steps. Codes of 8 bits reach 127, and sums of 512 terms are off by less than 5e-7 of that."""


def network(bits: int, *, binary: bool = False) -> nn.Module:
    """An encoder with quantized input, weights and activations; its FC in 1 bit if `binary`.

    3x3 convolution with one scale a channel, batch norm, ReLU, FC 512 -> 64. Activations have 8
    bits at the ends and `bits` between.
    """
    import brevitas.nn as qnn
    from brevitas.quant import SignedBinaryWeightPerTensorConst

    torch.manual_seed(12)
    weights: dict[str, Any] = (
        {"weight_quant": SignedBinaryWeightPerTensorConst} if binary else {"weight_bit_width": bits}
    )
    made = nn.Sequential(
        qnn.QuantIdentity(bit_width=8),
        qnn.QuantConv2d(
            2, 2, 3, padding=1, weight_bit_width=bits, weight_scaling_per_output_channel=True
        ),
        nn.BatchNorm2d(2),
        qnn.QuantReLU(bit_width=bits),
        nn.Flatten(),
        qnn.QuantLinear(ELEMENTS, FEATURES, bias=True, **weights),
        qnn.QuantIdentity(bit_width=8),
    )
    randomise(made)
    made.train()
    for seed in range(3):  # activation scales are set by what passes in training
        made(torch.from_numpy(samples(SHAPE, 8, seed)))
    return made.eval()


def integer_network() -> nn.Module:
    """The same without batch norm and with int32 biases: only its two ends are floats."""
    import brevitas.nn as qnn
    from brevitas.quant import Int32Bias

    torch.manual_seed(13)
    made = nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantConv2d(
            2, 2, 3, padding=1, weight_bit_width=8, weight_scaling_per_output_channel=True,
            bias_quant=Int32Bias,
        ),
        qnn.QuantReLU(bit_width=8, return_quant_tensor=True),
        nn.Flatten(),
        qnn.QuantLinear(ELEMENTS, FEATURES, bias=True, weight_bit_width=4, bias_quant=Int32Bias),
        qnn.QuantIdentity(bit_width=8),
    )  # fmt: skip
    made.train()
    for seed in range(3):
        made(torch.from_numpy(samples(SHAPE, 8, seed)))
    return made.eval()


def export(module: nn.Module, standard: str, *, dynamo: bool) -> ModelProto:
    """One input "x", batch symbolic; `standard` is "qcdq" or "qonnx"."""
    from brevitas.export import export_onnx_qcdq, export_qonnx

    example = torch.from_numpy(samples(SHAPE, 3, 9))
    ends: dict[str, Any] = {"input_names": ["x"], "output_names": ["y"]}
    if dynamo:
        batch = torch.export.Dim("batch")
        ends |= {"dynamo": True, "opset_version": 18, "dynamic_shapes": ({0: batch},)}
        ends |= {"external_data": False}
    else:
        ends |= {"dynamo": False, "opset_version": 17}
        ends |= {"dynamic_axes": {"x": {0: "batch"}, "y": {0: "batch"}}}
    write = {"qcdq": export_onnx_qcdq, "qonnx": export_qonnx}[standard]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        write(module, args=example, export_path=str(path), **ends)
        return onnx.load(path)


def distance_to_a_tie(model: ModelProto, x: NDArray[np.float32]) -> float:
    """The smallest one, in steps, over the inputs of all QuantizeLinear but the network's own.

    The network's input over its scale is one division, the same in every implementation.
    """
    constants = {e.name: numpy_helper.to_array(e) for e in model.graph.initializer}
    sites = [
        node
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
        and node.input[0] not in constants
        and node.input[0] != model.graph.input[0].name
    ]
    assert sites
    exposed = ModelProto()
    exposed.CopyFrom(model)
    del exposed.graph.output[:]
    for node in sites:
        exposed.graph.output.append(
            helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, None)
        )
    nearest = np.inf
    for node, values in zip(sites, oracle(exposed, x), strict=True):
        nearest = min(nearest, steps_to_a_tie(values, constants[node.input[1]]))
    return nearest


def steps_to_a_tie(values: NDArray[Any], scale: NDArray[Any]) -> float:
    """The smallest distance of values / scale to an odd multiple of 1/2."""
    codes = values.astype(np.float64) / scale
    return float(np.abs(codes - np.floor(codes) - 0.5).min())


@contextlib.contextmanager
def _quiet():
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
