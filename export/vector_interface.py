"""The payload's end of a part whose outputs are quantized as vectors with one shared codebook.

The M outputs are cut into M / L neighbouring groups of L; a code is the index of the nearest of
2^(L B) vectors, by squared distance, ties to the lowest index. The payload is uniform: M / L codes
of L B bits. Baseline "Vector" of paper 001; a code is a byte, so that L B <= 8.

All in standard operators: |z - v|^2 = |z|^2 - 2 z.v + |v|^2, and |z|^2 is the same for all v.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from csideploy.errors import InputError
from csideploy.export.interface import (
    feature_width,
    function_call,
    payload_bytes,
    rename,
    store,
    tensor_info,
)

LENGTHS = (1, 2, 4)
"""Outputs a group."""


def append_vector_quantizer(model: ModelProto, book: NDArray[np.float32]) -> None:
    """Replace the one output, a feature (n, M), by `codes` and `payload`.

    codes: uint8 (n, M / L); payload: uint8 (n, ceil(M B / 8)). Functions are attached by the
    caller (`attach_functions`).

    Args:
        model: ends in a feature.
        book: the vectors, float32 (2^(L B), L).

    Raises:
        InputError: the book has another shape, or does not fit the feature.
    """
    (feature,) = model.graph.output
    groups, bits = _geometry(book, feature_width(feature))
    rename(model, feature.name, "feature")
    length = book.shape[1]
    exact = book.astype(np.float64)
    weights = store(model, "payload.book", (-2 * exact.T).astype(np.float32))
    norms = store(model, "payload.norms", (exact**2).sum(axis=1).astype(np.float32))
    shape = store(model, "payload.groups", np.array([0, groups, length], np.int64))
    model.graph.node.extend(
        [
            _node("Reshape", ["feature", shape], "payload.vectors"),
            _node("MatMul", ["payload.vectors", weights], "payload.products"),
            _node("Add", ["payload.products", norms], "payload.distances"),
            _node("ArgMin", ["payload.distances"], "payload.nearest", axis=-1, keepdims=0),
            _node("Cast", ["payload.nearest"], "codes", to=TensorProto.UINT8),
            function_call("PackBits", ["codes"], ["payload"], bits=bits),
        ]
    )
    del model.graph.output[:]
    model.graph.output.extend(
        [
            tensor_info("codes", TensorProto.UINT8, groups),
            tensor_info("payload", TensorProto.UINT8, payload_bytes(groups, bits)),
        ]
    )


def prepend_vector_dequantizer(model: ModelProto, book: NDArray[np.float32]) -> None:
    """Replace the one input, a feature (n, M), by `payload` uint8 (n, ceil(M B / 8)).

    Functions are attached by the caller (`attach_functions`).

    Args:
        model: begins with a feature.
        book: the vectors, float32 (2^(L B), L).

    Raises:
        InputError: the book has another shape, or does not fit the feature.
    """
    (feature,) = model.graph.input
    outputs = feature_width(feature)
    groups, bits = _geometry(book, outputs)
    rename(model, feature.name, "feature")
    stored = store(model, "payload.book", np.ascontiguousarray(book))
    shape = store(model, "payload.outputs", np.array([0, outputs], np.int64))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(
        [
            function_call("UnpackBits", ["payload"], ["codes"], count=groups, bits=bits),
            _node("Cast", ["codes"], "payload.index", to=TensorProto.INT64),
            _node("Gather", [stored, "payload.index"], "payload.vectors", axis=0),
            _node("Reshape", ["payload.vectors", shape], "feature"),
            *rest,
        ]
    )
    del model.graph.input[:]
    model.graph.input.append(tensor_info("payload", TensorProto.UINT8, payload_bytes(groups, bits)))


def _geometry(book: NDArray[np.float32], outputs: int) -> tuple[int, int]:
    """Groups a sample, and bits of a code."""
    if book.dtype != np.float32 or book.ndim != 2 or book.shape[1] not in LENGTHS:
        raise InputError(
            f"a book of vectors {book.dtype} {book.shape}; float32 (2^(L B), L) is right, with L "
            "1, 2 or 4"
        )
    rows, length = book.shape
    bits = rows.bit_length() - 1
    if rows != 1 << bits or not 1 <= bits <= 8 or bits % length:
        raise InputError(f"{rows} vectors of {length}: 2^({length} B) are right, {length} B <= 8")
    if outputs % length:
        raise InputError(f"vectors of {length} do not divide a feature of {outputs}")
    if not np.isfinite(book).all():
        raise InputError("a vector of the book is not finite")
    return outputs // length, bits


def _node(op: str, inputs: list[str], output: str, **attributes: int) -> NodeProto:
    node = helper.make_node(op, inputs, [output], name=f"payload.{op}")
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    return node
