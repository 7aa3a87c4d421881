"""The end of the fronthaul at a radio unit (RU): packed bits in, I/Q samples out.

An RU receives B bits a channel use and transmits x = f(b), N complex numbers, one an antenna. f is
a table of 2^B vectors (vector quantization and its sequential forms) or a network of up to two
hidden layers with ReLU that takes the bits as numbers 0 and 1 ("Scalable multivariate fronthaul
quantization for cell-free massive MIMO", Sections III and IV). A sample of the batch is a block of
R channel uses under one channel, a bit stream of its own: `payload` uint8 (n, ceil(R B / 8)), the
messages in order, MSB first, and a zero pad at the end of the block that is ignored. What leaves is
`signal` float32 (n, R, N, 2), last axis (re, im), in the units of the table or network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import csideploy
from csideploy.errors import InputError
from csideploy.export.functions import attach_functions
from csideploy.export.interface import BATCH, IR_VERSION, OPSET, function_call, payload_bytes

MOST_TABLE_BITS = 12
MOST_NETWORK_BITS = 512
MOST_HIDDEN = 2
MOST_BLOCK_BITS = 1 << 24
"""Of one block, so that no size of the part comes near 32 bits."""

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def table_decoder_model(
    table: NDArray[np.complex64], *, block: int, bits: int, part: str = "ru"
) -> ModelProto:
    """A decoder by table as a part: payload -> signal, batch symbolic, values bit-equal.

    Args:
        table: (2^B, N), row b for the message b.
        block: R, channel uses of a sample, 1 or more.
        bits: B a channel use, 1 to 12.
        part: name of the graph.

    Raises:
        InputError: the sizes do not go together, or a value is not finite.
    """
    _check_sizes(block, bits, MOST_TABLE_BITS)
    table = np.asarray(table)
    if table.ndim != 2 or len(table) != 1 << bits or table.shape[1] < 1 or table.dtype.kind != "c":
        raise InputError(
            f"table {table.dtype} {table.shape}; complex64 ({1 << bits}, antennas) is right"
        )
    with np.errstate(over="ignore"):  # told below
        pairs = np.stack([table.real, table.imag], axis=-1).astype(np.float32)
    if not np.isfinite(pairs).all():
        raise InputError("a number of the table is not finite in float32")
    graph = _Graph()
    # A code of the local function has at most 8 bits: a longer index comes in equal digits.
    digit = max(size for size in range(1, 9) if bits % size == 0)
    digits = bits // digit
    codes = graph.unpack(block * digits, digit)
    if digits > 1:
        # Whole numbers below 2^12: exact in float32, in any order of summing.
        powers = (2.0 ** (digit * np.arange(digits - 1, -1, -1))).astype(np.float32)
        number = graph.node("Cast", [codes], "digits", to=TensorProto.FLOAT)
        number = graph.reshape(number, [-1, block, digits], "digits.rows")
        weights = graph.store("powers", powers.reshape(digits, 1))
        number = graph.node("MatMul", [number, weights], "number")
        codes = graph.reshape(number, [-1, block], "number.row")
    index = graph.node("Cast", [codes], "index", to=TensorProto.INT64)
    graph.node("Gather", [graph.store("table", pairs), index], "signal", axis=0)
    return graph.model(part, payload_bytes(block, bits), (block, *pairs.shape[1:]))


def network_decoder_model(
    layers: Sequence[Layer], *, block: int, bits: int, part: str = "ru"
) -> ModelProto:
    """A decoder by network as a part: payload -> signal, batch symbolic.

    Args:
        layers: (weight (outputs, inputs), bias (outputs,)) each, float32, ReLU between them: up to
            two hidden layers and the last one. The first takes B inputs, b[0] being the MSB; the
            last gives 2N numbers, first the N real parts, then the N imaginary ones.
        block: R, channel uses of a sample, 1 or more.
        bits: B a channel use, 1 to 512.
        part: name of the graph.

    Raises:
        InputError: the sizes do not go together, or a value is not finite.
    """
    _check_sizes(block, bits, MOST_NETWORK_BITS)
    checked = _checked(layers, bits)
    weight, bias = checked[-1]
    antennas = len(weight) // 2
    # Rows (re, im) by antenna instead of all re, then all im: no transpose is left for the RU.
    order = np.arange(2 * antennas).reshape(2, antennas).T.reshape(-1)
    checked[-1] = weight[order], bias[order]
    graph = _Graph()
    # Codes of scale 1: a layer in integers reads the unpacked bits as they are, with no Cast left.
    made = graph.node("Cast", [graph.unpack(block * bits, 1)], "bits", to=TensorProto.FLOAT)
    made = graph.reshape(made, [-1, bits], "bits.rows")
    for number, (weight, bias) in enumerate(checked, 1):
        names = [graph.store(f"weight{number}", weight), graph.store(f"bias{number}", bias)]
        made = graph.node("Gemm", [made, *names], f"layer{number}", transB=1)
        if number < len(checked):
            made = graph.node("Relu", [made], f"hidden{number}")
    graph.reshape(made, [-1, block, antennas, 2], "signal")
    return graph.model(part, payload_bytes(block, bits), (block, antennas, 2))


def _check_sizes(block: int, bits: int, most: int) -> None:
    if not 1 <= bits <= most:
        raise InputError(f"{bits} bits a channel use; 1 to {most} are right")
    if block < 1 or block * bits > MOST_BLOCK_BITS:
        raise InputError(
            f"a block of {block} channel uses of {bits} bits; 1 or more, {MOST_BLOCK_BITS} bits at "
            "most"
        )


def _checked(layers: Sequence[Layer], bits: int) -> list[Layer]:
    if not 1 <= len(layers) <= MOST_HIDDEN + 1:
        raise InputError(f"{len(layers)} layers; 1 to {MOST_HIDDEN + 1} are right")
    found: list[Layer] = []
    width = bits
    for number, (given, shift) in enumerate(layers, 1):
        with np.errstate(over="ignore"):  # told below
            weight, bias = np.asarray(given, np.float32), np.asarray(shift, np.float32)
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise InputError(
                f"layer {number}: weight {weight.shape}, bias {bias.shape}; (outputs, {width}) and "
                "(outputs,) are right"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise InputError(f"layer {number}: a number is not finite in float32")
        width = len(weight)
        found.append((weight, bias))
    if width < 2 or width % 2:
        raise InputError(f"{width} outputs; 2N, a real and an imaginary part an antenna, are right")
    return found


class _Graph:
    """Nodes and constants of one part, in order."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.stored: list[TensorProto] = []

    def store(self, name: str, data: NDArray[np.generic]) -> str:
        self.stored.append(numpy_helper.from_array(np.ascontiguousarray(data), name))
        return name

    def node(self, op: str, inputs: list[str], made: str, **attributes: int) -> str:
        node = helper.make_node(op, inputs, [made], name=f"{made}.node")
        node.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
        self.nodes.append(node)
        return made

    def reshape(self, source: str, shape: list[int], made: str) -> str:
        target = self.store(f"{made}.shape", np.array(shape, np.int64))
        return self.node("Reshape", [source, target], made)

    def unpack(self, count: int, bits: int) -> str:
        call = function_call("UnpackBits", ["payload"], ["codes"], count=count, bits=bits)
        self.nodes.append(call)
        return "codes"

    def model(self, part: str, size: int, made: tuple[int, ...]) -> ModelProto:
        graph = helper.make_graph(
            self.nodes,
            part,
            [helper.make_tensor_value_info("payload", TensorProto.UINT8, [BATCH, size])],
            [helper.make_tensor_value_info("signal", TensorProto.FLOAT, [BATCH, *made])],
            self.stored,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="csideploy",
            producer_version=csideploy.__version__,
        )
        attach_functions(model)
        return model
