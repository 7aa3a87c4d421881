"""The receiver of a conventional precoder as a part: pilots -> index of the best codeword.

In standard operators: the channel estimate is a matrix product; an orthonormal basis of its column
space comes of Gram-Schmidt; the score of a codeword A_j is its projection ||A_j^H Q||_F^2, and the
index of the largest one is the feedback.

With a loading rho the basis is that of the columns stacked on sqrt(rho) I, cut off again: of
[H; sqrt(rho) I] = [Q_1; Q_2] R, Q_1 Q_1^H = H (H^H H + rho I)^-1 H^H, so that ||Q_1^H a||^2 is the
expected-SINR score of `csideploy.baselines.feedback.expected_gain` with rho = s / e, but for the
factor e.

A complex column q is the real row [re, im]; J q = [-im, re] is j q. Then Re(q^H v) = q . v and
Im(q^H v) = Jq . v, and v - q (q^H v) = v - (q . v) q - (Jq . v) Jq.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

import csideploy
from csideploy.errors import InputError
from csideploy.export.functions import attach_functions
from csideploy.export.interface import (
    BATCH,
    IR_VERSION,
    OPSET,
    function_call,
    payload_bytes,
    store,
    tensor_info,
)

_TINY = 1e-30
"""Keeps a channel of zeros from dividing by zero."""


def direction_receiver(
    codebook: NDArray[np.complexfloating],
    estimator: NDArray[np.complexfloating],
    *,
    streams: int,
    loading: float | None,
) -> ModelProto:
    """Y -> codes, payload, batch symbolic.

    Args:
        codebook: complex (2^B, M, r), B from 1 to 8.
        estimator: complex (M, L): its product with what an antenna hears is the conjugate of the
            channel's estimate.
        streams: N, receive antennas.
        loading: rho; 0 is the chordal distance, None (rho without end) the received energy.

    Returns:
        Input `y` float32 (n, L, N, 2); outputs `codes` uint8 (n, 1) and `payload` uint8 (n, 1), the
        code in its B high bits.

    Raises:
        InputError: sizes that do not fit.
    """
    words, antennas, rank = codebook.shape
    if words not in [1 << bits for bits in range(1, 9)]:
        raise InputError(f"{words} codewords; 2^B with B from 1 to 8 are right")
    bits = words.bit_length() - 1
    if streams < 1:
        raise InputError(f"{streams} receive antennas; at least one is right")
    if not np.isfinite(codebook).all():
        raise InputError("a number of the codebook is not finite")
    if estimator.shape[0] != antennas:
        raise InputError(f"an estimator {estimator.shape} for codewords of {antennas} antennas")
    if loading is not None and not 0 <= loading < np.inf:
        raise InputError(f"loading {loading}; a number from 0, or None")
    pilots = estimator.shape[1]
    extra = streams if loading else 0
    depth = antennas + extra
    graph = helper.make_graph(
        [],
        "encoder",
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [BATCH, pilots, streams, 2])],
        [
            tensor_info("codes", TensorProto.UINT8, 1),
            tensor_info("payload", TensorProto.UINT8, payload_bytes(1, bits)),
        ],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="csideploy",
        producer_version=csideploy.__version__,
    )
    nodes = _Nodes(model)
    heard = nodes.add("Transpose", ["y"], "antennas", perm=[0, 2, 1, 3])
    flat = nodes.add(
        "Reshape", [heard, nodes.constant("rows", [0, streams, 2 * pilots], np.int64)], "heard"
    )
    columns = nodes.add("MatMul", [flat, nodes.array("estimator", _real(estimator, extra))], "h")
    if loading:
        unit = np.zeros((streams, 2 * depth), np.float32)
        unit[np.arange(streams), antennas + np.arange(streams)] = np.sqrt(loading)
        columns = nodes.add("Add", [columns, nodes.array("loading", unit)], "loaded")
    basis = _basis(nodes, columns, streams, depth, normalise=loading is not None)
    total = ""
    stored = nodes.array("codebook", _words(codebook, extra))
    for b, q in enumerate(basis):
        product = nodes.add("MatMul", [q, stored], f"projection.{b}")
        square = nodes.add("Mul", [product, product], f"square.{b}")
        total = nodes.add("Add", [total, square], f"sum.{b}") if total else square
    shaped = nodes.add(
        "Reshape", [total, nodes.constant("words", [0, words, 2 * rank], np.int64)], "squares"
    )
    scores = nodes.add(
        "ReduceSum", [shaped, nodes.constant("axis", [2], np.int64)], "scores", keepdims=0
    )
    best = nodes.add("ArgMax", [scores], "best", axis=1, keepdims=1)
    model.graph.node.append(
        helper.make_node("Cast", [best], ["codes"], "codes", to=TensorProto.UINT8)
    )
    model.graph.node.append(function_call("PackBits", ["codes"], ["payload"], bits=bits))
    attach_functions(model)
    return model


def _basis(nodes: _Nodes, columns: str, streams: int, depth: int, *, normalise: bool) -> list[str]:
    """Gram-Schmidt on N rows (n, N, 2 depth): a list of (n, 1, 2 depth)."""
    if streams == 1:
        rows = [columns]
    else:
        rows = [f"row.{b}" for b in range(streams)]
        nodes.split(columns, rows)
    if not normalise:
        return rows
    last = nodes.constant("last", [-1], np.int64)
    tiny = nodes.array("tiny", np.array(_TINY, np.float32))
    turn = nodes.array("turn", _turn(depth)) if streams > 1 else ""
    basis = []
    for b in range(streams):
        v = rows[b]
        square = nodes.add("Mul", [v, v], f"energy.{b}")
        energy = nodes.add("ReduceSum", [square, last], f"norm.{b}", keepdims=1)
        above = nodes.add("Max", [energy, tiny], f"above.{b}")
        length = nodes.add("Sqrt", [above], f"length.{b}")
        q = nodes.add("Div", [v, length], f"q.{b}")
        basis.append(q)
        if b + 1 == streams:
            break
        turned = nodes.add("MatMul", [q, turn], f"jq.{b}")
        for c in range(b + 1, streams):
            for direction, mark in ((q, "re"), (turned, "im")):
                name = f"{mark}.{b}.{c}"
                product = nodes.add("Mul", [direction, rows[c]], f"product.{name}")
                inner = nodes.add("ReduceSum", [product, last], f"inner.{name}", keepdims=1)
                along = nodes.add("Mul", [inner, direction], f"along.{name}")
                rows[c] = nodes.add("Sub", [rows[c], along], f"rest.{name}")
    return basis


def _real(estimator: NDArray[np.complexfloating], extra: int) -> NDArray[np.float32]:
    """The estimator for rows: (re, im) of each pilot in, [re, im] of h = (W y)* out."""
    antennas, pilots = estimator.shape
    depth = antennas + extra
    matrix = np.zeros((pilots, 2, 2, depth), np.float32)
    matrix[:, 0, 0, :antennas] = estimator.real.T
    matrix[:, 1, 0, :antennas] = -estimator.imag.T
    matrix[:, 0, 1, :antennas] = -estimator.imag.T
    matrix[:, 1, 1, :antennas] = -estimator.real.T
    return matrix.reshape(2 * pilots, 2 * depth)


def _words(codebook: NDArray[np.complexfloating], extra: int) -> NDArray[np.float32]:
    """Columns a and J a of every codeword: (2 depth, 2^B r 2)."""
    words, antennas, rank = codebook.shape
    a = codebook.transpose(1, 0, 2)
    matrix = np.zeros((2, antennas + extra, words, rank, 2), np.float32)
    matrix[0, :antennas, :, :, 0] = a.real
    matrix[1, :antennas, :, :, 0] = a.imag
    matrix[0, :antennas, :, :, 1] = -a.imag
    matrix[1, :antennas, :, :, 1] = a.real
    return matrix.reshape(2 * (antennas + extra), -1)


def _turn(depth: int) -> NDArray[np.float32]:
    """The matrix of J for rows: [re, im] -> [-im, re]."""
    matrix = np.zeros((2 * depth, 2 * depth), np.float32)
    places = np.arange(depth)
    matrix[depth + places, places] = -1
    matrix[places, depth + places] = 1
    return matrix


class _Nodes:
    """Appends nodes and constants; the name of a node is that of its output."""

    def __init__(self, model: ModelProto) -> None:
        self._model = model

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        node: NodeProto = helper.make_node(op, inputs, [output], output, **attributes)
        self._model.graph.node.append(node)
        return output

    def split(self, source: str, outputs: list[str]) -> None:
        self._model.graph.node.append(
            helper.make_node("Split", [source], outputs, "rows", axis=1, num_outputs=len(outputs))
        )

    def array(self, name: str, data: NDArray[np.generic]) -> str:
        return store(self._model, f"constant.{name}", data)

    def constant(self, name: str, values: list[int], dtype: type[np.generic]) -> str:
        return self.array(name, np.array(values, dtype))
