"""Keras networks in the forms in which tf2onnx writes them, node by node.

Keras keeps images as (n, height, width, channels). Around each convolution tf2onnx puts a Transpose
to channels first and one back, and cancels some; names carry slashes and colons; a batch norm is
either folded, or a Mul and an Add with constants (1, C, 1, 1); a Dense is MatMul and Add; target
shapes of a Reshape are computed from Shape with Slice, Concat and Casts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


class Writer:
    """Collects nodes and initializers."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def weight(self, name: str, *shape: int, low: float = -0.5, high: float = 0.5) -> str:
        """Seeded numbers, none of them zero."""
        return self.constant(name, self.rng.uniform(low, high, shape).astype(np.float32))

    def constant(self, name: str, data: Any) -> str:
        """An initializer; returns its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(data), name))
        return name

    def node(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        """A node named as tf2onnx names it; returns its output, the name with ":0"."""
        output = f"{name}:0"
        self.nodes.append(helper.make_node(op, inputs, [output], name, **attributes))
        return output

    def model(self, given: tuple[Any, ...], made: str, shape: tuple[Any, ...]) -> ModelProto:
        """Input "input_1" of shape `given`; output `made`."""
        graph = helper.make_graph(
            self.nodes,
            "tf2onnx",
            [helper.make_tensor_value_info("input_1", TensorProto.FLOAT, given)],
            [helper.make_tensor_value_info(made, TensorProto.FLOAT, shape)],
            self.constants,
        )
        return helper.make_model(
            graph,
            producer_name="tf2onnx",
            opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 2)],
            ir_version=8,
        )


def encoder() -> ModelProto:
    """CsiNet's encoder in Keras: (n, 32, 32, 2) -> (n, 64); the batch norm is Mul and Add."""
    w = Writer(1)
    x = w.node("Transpose", "model/conv2d/Conv2D__6", ["input_1"], perm=TO_FIRST)
    kernel = w.weight("model/conv2d/Conv2D/ReadVariableOp:0", 2, 2, 3, 3)
    bias = w.weight("model/conv2d/BiasAdd/ReadVariableOp:0", 2)
    x = w.node(
        "Conv", "model/conv2d/BiasAdd", [x, kernel, bias],
        kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1], dilations=[1, 1], group=1,
    )  # fmt: skip
    gain = w.weight("Const__31:0", 1, 2, 1, 1, low=0.5, high=1.5)
    shift = w.weight("Const__32:0", 1, 2, 1, 1)
    x = w.node("Mul", "model/bn/FusedBatchNormV3/mul", [x, gain])
    x = w.node("Add", "model/bn/FusedBatchNormV3/add", [x, shift])
    x = w.node("LeakyRelu", "model/leaky_re_lu/LeakyRelu", [x], alpha=0.3)
    x = w.node("Transpose", "model/leaky_re_lu/LeakyRelu__12", [x], perm=TO_LAST)
    target = w.constant("model/flatten/Const:0", np.array([-1, 2048], np.int64))
    x = w.node("Reshape", "model/flatten/Reshape", [x, target])
    x = w.node(
        "MatMul", "model/dense/MatMul", [x, w.weight("model/dense/ReadVariableOp:0", 2048, 64)]
    )
    x = w.node("Add", "model/dense/BiasAdd", [x, w.weight("model/dense/bias/read:0", 64)])
    return w.model(("unk__40", 32, 32, 2), x, ("unk__41", 64))


def decoder() -> ModelProto:
    """(n, 64) -> (n, 16, 16, 2): computed Reshape, a residual in NHWC, one Transpose for two."""
    w = Writer(2)
    x = w.node("MatMul", "dec/dense/MatMul", ["input_1", w.weight("dec/kernel:0", 64, 512)])
    x = w.node("Add", "dec/dense/BiasAdd", [x, w.weight("dec/bias:0", 512)])
    image = w.node("Reshape", "dec/reshape/Reshape", [x, _keras_shape(w, x, (16, 16, 2))])
    y = w.node("Transpose", "dec/conv/Conv2D__20", [image], perm=TO_FIRST)
    kernel = w.weight("dec/conv/kernel:0", 8, 2, 3, 3)
    y = w.node("Conv", "dec/conv/Conv2D", [y, kernel], kernel_shape=[3, 3], auto_pad="SAME_UPPER")
    statistics = [
        w.weight("dec/bn/gamma:0", 8, low=0.5, high=1.5),
        w.weight("dec/bn/beta:0", 8),
        w.weight("dec/bn/moving_mean:0", 8),
        w.weight("dec/bn/moving_variance:0", 8, low=0.5, high=2.0),
    ]
    y = w.node("BatchNormalization", "dec/bn/FusedBatchNormV3", [y, *statistics], epsilon=0.001)
    y = w.node("LeakyRelu", "dec/lrelu/LeakyRelu", [y], alpha=0.3)
    y = w.node(
        "Conv", "dec/conv2/BiasAdd", [y, w.weight("dec/conv2/kernel:0", 2, 8, 3, 3),
                                      w.weight("dec/conv2/bias:0", 2)],
        kernel_shape=[3, 3], pads=[1, 1, 1, 1],
    )  # fmt: skip
    y = w.node("Transpose", "dec/conv2/BiasAdd__24", [y], perm=TO_LAST)
    x = w.node("Add", "dec/add/add", [image, y])
    x = w.node("Sigmoid", "dec/activation/Sigmoid", [x])
    return w.model(("N", 64), x, ("N", 16, 16, 2))


def attention() -> ModelProto:
    """(n, 16, 16, 2) -> (n, 8): squeeze and excitation in NHWC, strided SAME, 1-D convolution."""
    w = Writer(3)
    x = w.node("Transpose", "se/conv/Conv2D__4", ["input_1"], perm=TO_FIRST)
    # TensorFlow's SAME at stride 2 pads one row below and one column to the right.
    x = w.node(
        "Conv", "se/conv/BiasAdd", [x, w.weight("se/conv/kernel:0", 8, 2, 3, 3),
                                    w.weight("se/conv/bias:0", 8)],
        kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1],
    )  # fmt: skip
    x = w.node("Relu", "se/conv/Relu", [x])
    x = w.node("Transpose", "se/conv/Relu__9", [x], perm=TO_LAST)
    mean = w.node("ReduceMean", "se/pool/Mean", [x], axes=[1, 2], keepdims=0)
    squeezed = w.node("MatMul", "se/d1/MatMul", [mean, w.weight("se/d1/kernel:0", 8, 2)])
    squeezed = w.node("Relu", "se/d1/Relu", [squeezed])
    weights = w.node("MatMul", "se/d2/MatMul", [squeezed, w.weight("se/d2/kernel:0", 2, 8)])
    weights = w.node("Sigmoid", "se/d2/Sigmoid", [weights])
    weights = w.node(
        "Reshape", "se/reshape/Reshape", [weights, _keras_shape(w, weights, (1, 1, 8))]
    )
    x = w.node("Mul", "se/multiply/mul", [x, weights])
    rows = w.constant("Const__60", np.array([0, 64, 8], np.int64))
    x = w.node("Reshape", "se/rows/Reshape", [x, rows])
    # Conv1D: Keras has (n, steps, channels); tf2onnx makes it a Conv2D of height 1.
    axis = w.constant("const_axes__61", np.array([1], np.int64))
    x = w.node("Unsqueeze", "se/conv1d/ExpandDims", [x, axis])
    x = w.node("Transpose", "se/conv1d/Conv1D__65", [x], perm=TO_FIRST)
    x = w.node(
        "Conv", "se/conv1d/Conv1D", [x, w.weight("se/conv1d/kernel:0", 4, 8, 1, 5)],
        kernel_shape=[1, 5], pads=[0, 2, 0, 2],
    )  # fmt: skip
    height = w.constant("const_axes__62", np.array([2], np.int64))
    x = w.node("Squeeze", "se/conv1d/Squeeze", [x, height])
    x = w.node("Transpose", "se/conv1d/BiasAdd__70", [x], perm=[0, 2, 1])
    x = w.node("Add", "se/conv1d/BiasAdd", [x, w.weight("se/conv1d/bias:0", 4)])
    flat = w.constant("se/flatten/Const:0", np.array([-1, 256], np.int64))
    x = w.node("Reshape", "se/flatten/Reshape", [x, flat])
    x = w.node("MatMul", "se/out/MatMul", [x, w.weight("se/out/kernel:0", 256, 8)])
    x = w.node("Softmax", "se/out/Softmax", [x], axis=1)
    return w.model(("batch", 16, 16, 2), x, ("batch", 8))


def _keras_shape(w: Writer, x: str, rest: tuple[int, ...]) -> str:
    """A Keras Reshape's target: the batch taken from Shape, the rest packed behind it."""
    name = f"{x.split(':')[0]}/shape"
    sizes = w.node("Shape", f"{name}/Shape", [x])
    sizes = w.node("Cast", f"{name}/Shape__14", [sizes], to=TensorProto.INT32)
    begin = w.constant(f"{name}/stack", np.array([0], np.int64))
    end = w.constant(f"{name}/stack_1", np.array([1], np.int64))
    batch = w.node("Slice", f"{name}/strided_slice", [sizes, begin, end, begin])
    batch = w.node("Squeeze", f"{name}/strided_slice__18", [batch, begin])
    batch = w.node("Unsqueeze", f"{name}/shape/Unsqueeze__22", [batch, begin])
    packed = w.constant(f"{name}/shape/rest", np.array(rest, np.int32))
    target = w.node("Concat", f"{name}/shape_Concat__24", [batch, packed], axis=0)
    return w.node("Cast", f"{name}/shape__26", [target], to=TensorProto.INT64)
