"""Passes that know what exporters write out: fewer steps, the same numbers as ONNX Runtime.

Each case must also survive a second reader of what lies inside, which forbids the fusion.
"""

import math
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto, NodeProto
from plan_interpreter import run_plan
from small_models import floats, model, node

from csideploy.export.compile import compile_model

X = {"x": ("n", 2, 4, 6)}
SEQUENCE = {"x": ("n", 5, 6)}
SIGNAL = {"x": ("n", 4, 9)}


def number(value: float) -> Any:
    return np.float32(value)


def integers(*values: int) -> Any:
    return np.array(values, np.int64)


NUMBERS = {
    "root": number(math.sqrt(2)), "inverse_root": number(math.sqrt(0.5)), "one": number(1),
    "half": number(0.5), "three": number(3), "cubic": number(0.044715), "six": number(6),
    "zero": number(0), "tanh_gain": number(math.sqrt(2 / math.pi)), "two": number(2),
    "eps": number(1e-5),
}  # fmt: skip
SHAPES = {"last": integers(-1), "scale": floats(6, low=0.5), "term": floats(6)}

LAYER_NORM = [
    node("ReduceMean", ["x", "last"], ["m"]), node("Sub", ["x", "m"], ["d"]),
    node("Pow", ["d", "two"], ["q"]), node("ReduceMean", ["q", "last"], ["v"]),
    node("Add", ["v", "eps"], ["r"]), node("Sqrt", ["r"], ["s"]), node("Div", ["d", "s"], ["y"]),
]  # fmt: skip
NORM = {key: floats(3, seed=i, low=0.2) for i, key in enumerate("gbmv")}


def image(nodes: list[NodeProto], constants: Any = None) -> ModelProto:
    return model(nodes, X, ["y"], {**NUMBERS, **(constants or {})})


def sequence(nodes: list[NodeProto]) -> ModelProto:
    return model(nodes, SEQUENCE, ["y"], {**NUMBERS, **SHAPES})


CASES: dict[str, tuple[ModelProto, list[str]]] = {
    "mish": (
        image([node("Softplus", ["x"], ["s"]), node("Tanh", ["s"], ["t"]),
               node("Mul", ["x", "t"], ["y"])]),
        ["UNARY"],
    ),
    "swish": (
        image([node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "x"], ["y"])]),
        ["UNARY"],
    ),
    "a gate that is not its own": (
        image([node("Tanh", ["x"], ["z"]), node("Sigmoid", ["z"], ["s"]),
               node("Mul", ["s", "x"], ["y"])]),
        ["ACTIVATION", "ACTIVATION", "BINARY"],
    ),
    "a gate that others read": (
        image([node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "x"], ["a"]),
               node("Sub", ["a", "s"], ["y"])]),
        ["ACTIVATION", "BINARY", "BINARY"],
    ),
    "GELU, as the older exporter has it": (
        image([node("Div", ["x", "root"], ["a"]), node("Erf", ["a"], ["b"]),
               node("Add", ["b", "one"], ["c"]), node("Mul", ["x", "c"], ["d"]),
               node("Mul", ["d", "half"], ["y"])]),
        ["UNARY"],
    ),
    "GELU, half of x first": (
        image([node("Mul", ["half", "x"], ["h"]), node("Mul", ["x", "inverse_root"], ["a"]),
               node("Erf", ["a"], ["b"]), node("Add", ["one", "b"], ["c"]),
               node("Mul", ["c", "h"], ["y"])]),
        ["UNARY"],
    ),
    "GELU of another gain": (
        image([node("Erf", ["x"], ["b"]), node("Add", ["b", "one"], ["c"]),
               node("Mul", ["x", "c"], ["d"]), node("Mul", ["d", "half"], ["y"])]),
        ["UNARY", "BINARY", "BINARY", "BINARY"],
    ),
    "GELU by tanh": (
        image([node("Pow", ["x", "three"], ["p"]), node("Mul", ["p", "cubic"], ["a"]),
               node("Add", ["x", "a"], ["b"]), node("Mul", ["b", "tanh_gain"], ["c"]),
               node("Tanh", ["c"], ["t"]), node("Add", ["t", "one"], ["e"]),
               node("Mul", ["x", "e"], ["f"]), node("Mul", ["f", "half"], ["y"])]),
        ["UNARY"],
    ),
    "GELU by tanh, the cube as a product": (
        image([node("Mul", ["x", "x"], ["p"]), node("Mul", ["p", "x"], ["q"]),
               node("Mul", ["q", "cubic"], ["a"]),
               node("Add", ["x", "a"], ["b"]), node("Mul", ["b", "tanh_gain"], ["c"]),
               node("Tanh", ["c"], ["t"]), node("Add", ["t", "one"], ["e"]),
               node("Mul", ["x", "half"], ["f"]), node("Mul", ["f", "e"], ["y"])]),
        ["UNARY"],
    ),
    "hard sigmoid": (
        image([node("Add", ["x", "three"], ["a"]), node("Clip", ["a", "zero", "six"], ["b"]),
               node("Div", ["b", "six"], ["y"])]),
        ["UNARY"],
    ),
    "a clip to another height": (
        image([node("Add", ["x", "three"], ["a"]), node("Clip", ["a", "zero", "six"], ["b"]),
               node("Div", ["b", "three"], ["y"])]),
        ["BINARY", "UNARY", "BINARY"],
    ),
    "layer norm": (sequence(LAYER_NORM), ["LAYER_NORM"]),
    "layer norm with scale and term": (
        sequence([*LAYER_NORM[:-1], node("Div", ["d", "s"], ["e"]),
                  node("Mul", ["e", "scale"], ["f"]), node("Add", ["f", "term"], ["y"])]),
        ["LAYER_NORM"],
    ),
    "layer norm by the inverse root": (
        sequence([*LAYER_NORM[:2], node("Mul", ["d", "d"], ["q"]), *LAYER_NORM[3:6],
                  node("Reciprocal", ["s"], ["i"]), node("Mul", ["i", "d"], ["y"])]),
        ["LAYER_NORM"],
    ),
    "layer norm whose mean is needed": (
        sequence([*LAYER_NORM[:-1], node("Div", ["d", "s"], ["e"]), node("Add", ["e", "m"], ["y"])
                  ]),
        ["REDUCE", "BINARY", "BINARY", "REDUCE", "BINARY", "UNARY", "BINARY", "BINARY"],
    ),
    "1-D layers": (
        model([node("Conv", ["x", "w"], ["c"], pads=[1, 1]),
               node("BatchNormalization", ["c", *"gbmv"], ["d"]), node("LeakyRelu", ["d"], ["e"]),
               node("Conv", ["e", "u"], ["f"], pads=[1, 1]), node("Add", ["f", "e"], ["h"]),
               node("Relu", ["h"], ["y"])],
              SIGNAL, ["y"], {"w": floats(3, 4, 3), "u": floats(3, 3, 3), **NORM}),
        ["CONV2D", "CONV2D"],
    ),
    "a linear layer seen as images": (
        model([node("Gemm", ["x", "w"], ["c"]), node("Reshape", ["c", "t"], ["d"]),
               node("Mul", ["d", "s"], ["e"]), node("Add", ["e", "o"], ["f"]),
               node("Sigmoid", ["f"], ["y"])],
              {"x": ("n", 5)}, ["y"],
              {"w": floats(5, 24), "t": integers(-1, 3, 2, 4), "s": floats(3, 1, 1, low=0.5),
               "o": floats(3, 1, 1, seed=8)}),
        ["LINEAR"],
    ),
    "a kernel as large as the image": (
        model([node("Conv", ["x", "w", "b"], ["c"]),
               node("BatchNormalization", ["c", *"gbmv"], ["d"]), node("Relu", ["d"], ["y"])],
              X, ["y"], {"w": floats(3, 2, 4, 6), **NORM}),
        ["LINEAR"],
    ),
    "batch norm behind a transposed convolution": (
        model([node("ConvTranspose", ["x", "w"], ["c"], group=2, strides=[2, 1]),
               node("BatchNormalization", ["c", *"gbmv"], ["d"]), node("Add", ["d", "k"], ["y"])],
              X, ["y"], {"w": floats(2, 2, 3, 2), "k": floats(4, 1, 1),
                         **{k: floats(4, seed=i, low=0.2) for i, k in enumerate("gbmv")}}),
        ["CONV_TRANSPOSE2D"],
    ),
    "nothing added, nothing multiplied": (
        image([node("Add", ["x", "zero"], ["a"]), node("Mul", ["one", "a"], ["b"]),
               node("Sub", ["b", "zero"], ["c"]), node("Div", ["c", "one"], ["d"]),
               node("Exp", ["d"], ["y"])]),
        ["UNARY"],
    ),
    "a signal of one element": (
        model([node("Conv", ["x", "w"], ["c"]), node("PRelu", ["c", "s"], ["d"]),
               node("ConvTranspose", ["d", "u", "t"], ["y"])], {"x": ("n", 7, 1)}, ["y"],
              {"w": floats(3, 7, 1), "s": floats(3, 1, low=0.1), "u": floats(3, 4, 5),
               "t": floats(4)}),
        ["LINEAR", "LINEAR"],
    ),
    "channels last before a linear layer": (
        model([node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]), node("Flatten", ["t"], ["f"]),
               node("Gemm", ["f", "w", "b"], ["y"])], X, ["y"], {"w": floats(48, 3),
                                                                 "b": floats(3)}),
        ["LINEAR"],
    ),
    "channels last behind a linear layer": (
        model([node("Gemm", ["x", "w", "b"], ["c"]), node("Reshape", ["c", "t"], ["d"]),
               node("Transpose", ["d"], ["y"], perm=[0, 3, 1, 2])],
              {"x": ("n", 5)}, ["y"],
              {"w": floats(5, 24), "b": floats(24), "t": integers(-1, 2, 4, 3)}),
        ["LINEAR"],
    ),
    "what is transposed for others too": (
        model([node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]), node("Flatten", ["t"], ["f"]),
               node("Gemm", ["f", "w"], ["g"]), node("Flatten", ["t"], ["u"]),
               node("Concat", ["g", "u"], ["y"], axis=1)], X, ["y"], {"w": floats(48, 3)}),
        ["TRANSPOSE", "LINEAR", "CONCAT"],
    ),
    "scale and shift by constants": (
        model([node("Conv", ["x", "w"], ["c"]), node("Mul", ["c", "s"], ["d"]),
               node("Sub", ["o", "d"], ["e"]), node("Div", ["e", "s"], ["y"])],
              X, ["y"], {"w": floats(3, 2, 3, 3), "s": floats(3, 1, 1, low=0.5),
                         "o": floats(1, 3, 1, 1)}),
        ["CONV2D"],
    ),
    "a bias of sequences": (
        model([node("MatMul", ["x", "w"], ["a"]), node("Add", ["term", "a"], ["b"]),
               node("Relu", ["b"], ["y"])], SEQUENCE, ["y"],
              {"w": floats(6, 6), "term": floats(6)}),
        ["LINEAR"],
    ),
    "a bias by place": (
        model([node("MatMul", ["x", "w"], ["a"]), node("Add", ["a", "k"], ["y"])], SEQUENCE, ["y"],
              {"w": floats(6, 6), "k": floats(5, 1)}),
        ["LINEAR", "BINARY"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_same_in_fewer_steps(name: str) -> None:
    proto, expected = CASES[name]
    plan = compile_model(proto, part="small", side="ue")
    assert [step.op.name for step in plan.steps] == expected
    (info,) = proto.graph.input
    x = floats(3, *(d.dim_value for d in info.type.tensor_type.shape.dim[1:])) * 3
    theirs = ort.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    for ours, other in zip(run_plan(plan, x), theirs, strict=True):
        assert ours.shape == other.shape
        # Float32 there, and constants of exporters that are rounded to 7 digits.
        bound = 1e-5 * max(1.0, float(np.abs(other).max()))
        np.testing.assert_allclose(ours, other, rtol=0, atol=bound)
