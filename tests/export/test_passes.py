"""Each pass on the smallest graphs that it is for, and on those it must leave alone.

What is computed is judged against ONNX Runtime, what is fused by the steps that are left.
"""

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto
from plan_interpreter import run_plan
from small_models import call, floats, model, node

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import Op
from csideploy.runtime import Part

X = {"x": ("n", 2, 4, 4)}
ROW = {"x": ("n", 6)}
NORM = {
    "g": floats(3, seed=1, low=0.5),
    "b": floats(3, seed=2),
    "m": floats(3, seed=3),
    "v": floats(3, seed=4, low=0.3),
}
CONV = {"w": floats(3, 2, 3, 3), "cb": floats(3, seed=5)}


def conv(source: str = "x", result: str = "c", *, bias: bool = False, w: str = "w") -> Any:
    return node("Conv", [source, w, "cb"] if bias else [source, w], [result], pads=[1, 1, 1, 1])


def norm(source: str, result: str, epsilon: float = 1e-3) -> Any:
    return node("BatchNormalization", [source, "g", "b", "m", "v"], [result], epsilon=epsilon)


def integers(*values: int) -> Any:
    return np.array(values, np.int64)


W2 = {"w": floats(2, 2, 3, 3), "w2": floats(2, 2, 3, 3, seed=9)}
CONV_Y = {"w": floats(2, 2, 3, 3)}

CASES: dict[str, tuple[ModelProto, list[str]]] = {
    "batch norm into a convolution": (
        model([conv(), norm("c", "y")], X, ["y"], {**CONV, **NORM}),
        ["CONV2D"],
    ),
    "batch norm into a convolution with bias": (
        model([conv(bias=True), norm("c", "y")], X, ["y"], {**CONV, **NORM}),
        ["CONV2D"],
    ),
    "batch norm whose input is needed elsewhere": (
        model([conv(), norm("c", "d"), node("Add", ["c", "d"], ["y"])], X, ["y"], CONV | NORM),
        ["CONV2D", "CONV2D"],
    ),
    "batch norm of an output": (
        model([conv(), norm("c", "y")], X, ["c", "y"], CONV | NORM),
        ["CONV2D", "CONV2D"],
    ),
    "batch norm of an input": (
        model([norm("x", "y")], {"x": ("n", 3, 4, 4)}, ["y"], NORM),
        ["CONV2D"],
    ),
    "batch norm into a linear layer": (
        model([node("Gemm", ["x", "w"], ["c"]), norm("c", "y")], ROW, ["y"],
              {"w": floats(6, 3), **NORM}),
        ["LINEAR"],
    ),
    "batch norm into a 1-bit layer": (
        model(
            [call("BinaryLinear", ["x", "p", "s", "pb"], ["c"], in_features=6), norm("c", "y")],
            ROW,
            ["y"],
            {"p": np.array([[0xA4], [0x5C], [0xFB]], np.uint8), "s": floats(1, low=0.1),
             "pb": floats(3), **NORM},
        ),
        ["BINARY_LINEAR"],
    ),
    "Gemm with every factor": (
        model([node("Gemm", ["x", "w", "c"], ["y"], alpha=0.5, beta=2.0)], ROW, ["y"],
              {"w": floats(6, 3), "c": floats(1, 3)}),
        ["LINEAR"],
    ),
    "Gemm transposed, one number as bias": (
        model([node("Gemm", ["x", "w", "c"], ["y"], transB=1)], ROW, ["y"],
              {"w": floats(3, 6), "c": floats(1)}),
        ["LINEAR"],
    ),
    "MatMul, Add in either order, activation": (
        model([node("MatMul", ["x", "w"], ["c"]), node("Add", ["b", "c"], ["d"]),
               node("Tanh", ["d"], ["y"])], ROW, ["y"], {"w": floats(6, 3), "b": floats(3)}),
        ["LINEAR"],
    ),
    "a constant behind a convolution that has a bias": (
        model([conv(bias=True), node("Add", ["c", "k"], ["d"]), norm("d", "y")], X, ["y"],
              {**CONV, **NORM, "k": floats(1, 3, 1, 1)}),
        ["CONV2D"],
    ),
    "weights in fp16": (
        model([node("Cast", ["h"], ["w"], to=1), conv(result="y")], X, ["y"],
              {"h": CONV["w"].astype(np.float16)}),
        ["CONV2D"],
    ),
    "one slope for all": (
        model([conv(), node("PRelu", ["c", "s"], ["y"])], X, ["y"], {**CONV, "s": floats(1)}),
        ["CONV2D"],
    ),
    "slopes of a row": (
        model([node("PRelu", ["x", "s"], ["y"])], ROW, ["y"], {"s": floats(6)}),
        ["ACTIVATION"],
    ),
    "slope from constants behind Unsqueeze": (
        model([node("Unsqueeze", ["s", "a"], ["t"]), node("PRelu", ["x", "t"], ["y"])], X, ["y"],
              {"s": floats(2), "a": integers(1, 2)}),
        ["ACTIVATION"],
    ),
    "two activations": (
        model([conv(), node("LeakyRelu", ["c"], ["d"]), node("Sigmoid", ["d"], ["y"])], X, ["y"],
              CONV),
        ["CONV2D", "ACTIVATION"],
    ),
    "an activation that others bypass": (
        model([conv(), node("Relu", ["c"], ["d"]), node("Add", ["c", "d"], ["y"])], X, ["y"], CONV),
        ["CONV2D", "ACTIVATION", "ADD"],
    ),
    "residual and activation": (
        model([conv(), node("Add", ["x", "c"], ["d"]), node("Relu", ["d"], ["y"])], X, ["y"],
              CONV_Y),
        ["CONV2D"],
    ),
    "residual of two convolutions": (
        model([conv(), conv(result="e", w="w2"), node("Add", ["c", "e"], ["y"])], X, ["y"], W2),
        ["CONV2D", "CONV2D"],
    ),
    "residual made after the convolution": (
        model([conv(), conv(result="e", w="w2"), node("Relu", ["e"], ["f"]),
               node("Add", ["c", "f"], ["y"])], X, ["y"], W2),
        ["CONV2D", "CONV2D"],
    ),
    "twice the same": (
        model([conv(), node("Add", ["c", "c"], ["y"])], X, ["y"], CONV),
        ["CONV2D", "ADD"],
    ),
    "activation between convolution and sum": (
        model([conv(), node("Relu", ["c"], ["d"]), node("Add", ["x", "d"], ["e"]),
               node("LeakyRelu", ["e"], ["y"], alpha=0.3)], X, ["y"], CONV_Y),
        ["CONV2D", "ADD"],
    ),
    "three parts joined": (
        model([conv(), node("Concat", ["x", "c", "x"], ["y"], axis=1)], X, ["y"], CONV),
        ["CONV2D", "CONCAT", "CONCAT"],
    ),
    "one part joined": (
        model([conv(), node("Concat", ["c"], ["y"], axis=-3)], X, ["y"], CONV),
        ["CONV2D"],
    ),
    "sizes computed from the batch": (
        model(
            [node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["n0"], axis=0),
             node("Unsqueeze", ["n0", "zero"], ["n1"]),
             node("Concat", ["n1", "rest"], ["t"], axis=0), node("Reshape", ["x", "t"], ["r"]),
             node("Gemm", ["r", "w"], ["y"])],
            X, ["y"],
            {"i": np.array(0, np.int64), "zero": integers(0), "rest": integers(-1),
             "w": floats(32, 3)},
        ),
        ["LINEAR"],
    ),
    "views of every kind": (
        model(
            [node("Flatten", ["x"], ["a"]), node("Unsqueeze", ["a", "one"], ["b"]),
             node("Transpose", ["b"], ["c"], perm=[0, 2, 1]), node("Squeeze", ["c", "two"], ["d"]),
             node("Reshape", ["d", "to"], ["e"]), node("Identity", ["e"], ["f"]),
             node("Dropout", ["f"], ["g"]), node("Dropout", ["g", "r", "no"], ["h"]),
             node("Relu", ["h"], ["y"])],
            X, ["y"], {"one": integers(1), "two": integers(2), "to": integers(0, 4, -1, 2),
                       "r": np.float32(0.5), "no": np.array(False)},
        ),
        ["ACTIVATION"],
    ),
    "a view of an input, a view of an output": (
        model([node("Flatten", ["x"], ["y"]), node("Relu", ["x"], ["z"]),
               node("Flatten", ["z"], ["u"])], X, ["y", "z", "u"]),
        ["COPY", "ACTIVATION", "COPY"],
    ),
    "an output that is a view": (
        model([node("Relu", ["x"], ["a"]), node("Flatten", ["a"], ["y"])], X, ["y"]),
        ["ACTIVATION"],
    ),
    "an output under two names": (
        model([node("Relu", ["x"], ["a"]), node("Identity", ["a"], ["y"]),
               node("Identity", ["a"], ["z"])], X, ["y", "z"]),
        ["ACTIVATION", "COPY"],
    ),
    "nothing that is needed": (
        model([node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["z"])], X, ["y"]),
        ["ACTIVATION"],
    ),
    "two inputs": (
        model([node("Add", ["x", "z"], ["y"])], {**X, "z": ("n", 2, 4, 4)}, ["y"]),
        ["ADD"],
    ),
    "stride, dilation, groups, odd pads": (
        model([node("Conv", ["x", "w"], ["y"], group=2, strides=[2, 1], dilations=[1, 2],
                    pads=[0, 1, 2, 3])], {"x": ("n", 4, 9, 7)}, ["y"],
              {"w": floats(6, 2, 3, 2)}),
        ["CONV2D"],
    ),
    "same padding, the odd pixel behind": (
        model([node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 3])],
              {"x": ("n", 2, 7, 6)}, ["y"], {"w": floats(2, 2, 4, 2)}),
        ["CONV2D"],
    ),
    "same padding, the odd pixel in front": (
        model([node("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER")],
              {"x": ("n", 2, 7, 6)}, ["y"], {"w": floats(2, 2, 4, 2)}),
        ["CONV2D"],
    ),
    "no padding": (
        model([node("Conv", ["x", "w"], ["y"], auto_pad="VALID")], X, ["y"], CONV_Y),
        ["CONV2D"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_computes_the_same_in_fewer_steps(name: str) -> None:
    proto, expected = CASES[name]
    plan = compile_model(proto, part="small", side="ue")
    assert [step.op.name for step in plan.steps] == expected
    feeds = {
        info.name: floats(3, *(d.dim_value for d in info.type.tensor_type.shape.dim[1:]), seed=i)
        for i, info in enumerate(proto.graph.input)
    }
    theirs = ort.InferenceSession(proto.SerializeToString()).run(None, feeds)
    part = Part(write_bundle(plan))
    for ours in (run_plan(plan, *feeds.values()), part.run(*feeds.values())):
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.shape == other.shape
            np.testing.assert_allclose(mine, other, rtol=0, atol=1e-5 * max(1, abs(other).max()))


def test_exported_for_one_sample_runs_any_number() -> None:
    nodes = [node("Reshape", ["x", "t"], ["r"]), node("Gemm", ["r", "w"], ["y"])]
    proto = model(nodes, {"x": (1, 2, 4, 4)}, ["y"], {"t": integers(1, -1), "w": floats(32, 3)})
    plan = compile_model(proto, part="small", side="bs")
    assert plan.tensors[plan.outputs[0]].shape == ("n", 3)
    x = floats(4, 2, 4, 4)
    (ours,) = run_plan(plan, x)
    np.testing.assert_allclose(ours, x.reshape(4, -1) @ floats(32, 3), rtol=0, atol=1e-5)


def test_residual_is_overwritten_in_place() -> None:
    nodes = [conv(), node("Relu", ["c"], ["r"]), conv("r", "d", w="w2"),
             node("Add", ["d", "r"], ["e"]), node("Tanh", ["e"], ["f"]),
             conv("f", "y", w="w")]  # fmt: skip
    plan = compile_model(model(nodes, X, ["y"], W2), part="small", side="ue")
    second = plan.steps[1]
    residual = second.inputs[4]
    # Its residual is also its x, so here it must not be overwritten.
    assert residual == second.inputs[0]
    assert plan.tensors[residual].place != plan.tensors[second.outputs[0]].place
    assert plan.arena_bytes == 2 * 2 * 4 * 4 * 4
    assert [s.op for s in plan.steps] == [Op.CONV2D] * 3
