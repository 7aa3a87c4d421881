"""Layers to calibrate a host with: one network a layer, of sizes as the field's networks have.

None of them is a network of this repository: `benchmarks/latency_model.py` judges the calibrated
model by those. Weights are drawn at random; their values do not change what a kernel does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from csideploy.export.functions import DOMAIN, attach_functions
from csideploy.export.interface import append_quantizer, prepend_dequantizer

SIDE = 32
"""Angles and delays of the field's CSI."""

_INT8_SCALE = 0.05


@dataclass(frozen=True)
class Synthetic:
    """A network with one layer that is timed.

    Quantizers before and behind it are timed with it, as layers of their own.
    """

    name: str
    model: ModelProto


def all_layers() -> list[Synthetic]:
    """Everything but the streams."""
    return [
        *elements(),
        *convolutions(),
        *blocks(),
        *linears(),
        *binaries(),
        *products(),
        *payloads(),
    ]


def convolutions() -> list[Synthetic]:
    """Of all kinds, fp32 and int8: inputs, outputs, groups, kernel."""
    sizes = (
        *((2, 16, 1, 3, 3), (12, 24, 1, 3, 3), (32, 32, 1, 1, 9), (32, 8, 1, 9, 1)),
        *((24, 24, 1, 5, 5), (2, 48, 1, 1, 7), (64, 64, 1, 1, 1)),
        *((2, 2, 1, 3, 3), (2, 4, 1, 5, 5), (2, 2, 1, 1, 7), (2, 2, 1, 7, 1)),
        *((32, 2, 1, 3, 3), (48, 2, 1, 7, 1), (24, 4, 1, 1, 7), (32, 2, 1, 1, 1)),
        *((24, 24, 12, 7, 7), (48, 48, 24, 5, 5), (32, 32, 16, 7, 7), (24, 24, 8, 3, 3)),
    )
    return [_convolution(*size, integer) for size in sizes for integer in (False, True)]


def blocks() -> list[Synthetic]:
    """2 channels to some and back, the middle convolution of groups of 2; fp32 and int8."""
    sizes = ((24, 7, 7), (48, 5, 5), (64, 7, 5))
    return [_block(*size, integer) for size in sizes for integer in (False, True)]


def linears() -> list[Synthetic]:
    """Fully connected layers whose weights stay near the core."""
    sizes = ((256, 64), (64, 256), (512, 96), (128, 128), (320, 320))
    return [_linear(*size, integer) for size in sizes for integer in (False, True)]


def binaries() -> list[Synthetic]:
    """The same with 1-bit weights."""
    sizes = ((2048, 128), (1024, 256), (512, 512), (256, 1024))
    return [_binary(*size, integer) for size in sizes for integer in (False, True)]


def products() -> list[Synthetic]:
    """Products of two activations: (rows, inner, columns)."""
    sizes = ((32, 64, 32), (64, 32, 64), (16, 128, 16), (64, 64, 64))
    return [_product(*size) for size in sizes]


def payloads() -> list[Synthetic]:
    """A feature's way into the payload's bits, and back."""
    made = []
    for change in (append_quantizer, prepend_dequantizer):
        own = helper.make_graph(
            [_node("Neg", "x")],
            "payload",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 512))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 512))],
        )
        model = helper.make_model(own, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
        change(model, 4)
        attach_functions(model)
        made.append(Synthetic(f"{change.__name__}, 512 x 4 bits", model))
    return made


def elements() -> list[Synthetic]:
    """What multiplies nothing; the first is as good as empty, its time is that of a call."""
    made = []
    for count in (4, 2048, 16384):
        name = f"{count}"
        plain = {"x": (count,)}
        two = {**plain, "other": (count,)}
        made += [
            _network(f"add {name}", [_node("Add", "x", "other")], two),
            _network(f"relu {name}", [_node("Relu", "x")], plain),
            _network(f"sigmoid {name}", [_node("Sigmoid", "x")], plain),
        ]
    for rows, columns in ((32, 64), (64, 128)):
        shape = {"x": (rows, columns)}
        name = f"{rows} x {columns}"
        scale: dict[str, Any] = {"scale": (columns,), "bias": (columns,)}
        norm = _node("LayerNormalization", "x", "scale", "bias", axis=-1)
        made += [
            _network(f"softmax {name}", [_node("Softmax", "x", axis=-1)], shape),
            _network(f"norm {name}", [norm], shape, **scale),
            _network(f"exp {name}", [_node("Exp", "x")], shape),
            _network(f"transpose {name}", [_node("Transpose", "x", perm=[0, 2, 1])], shape),
            _quantized_sum(rows, columns),
        ]
    return made


def stream(size: int) -> Synthetic:
    """A fully connected layer whose weights take about so many bytes; a call reads each once."""
    return _linear(1024, max(1, size // 4096), integer=False)


def _node(op: str, *inputs: str, output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(op, list(inputs), [output], **attributes)


def _random(shape: tuple[int, ...]) -> NDArray[np.float32]:
    values = np.random.default_rng(len(shape)).normal(0, 0.1, shape)
    # So that no layer multiplies by zero or by a number of the smallest.
    return np.where(np.abs(values) < 1e-3, 0.05, values).astype(np.float32)


def _network(
    name: str,
    nodes: list[Any],
    inputs: Mapping[str, tuple[int, ...]],
    **constants: tuple[int, ...] | NDArray[Any],
) -> Synthetic:
    held = {
        key: _random(value) if isinstance(value, tuple) else value
        for key, value in constants.items()
    }
    graph = helper.make_graph(
        nodes,
        "layer",
        [
            helper.make_tensor_value_info(key, TensorProto.FLOAT, ("n", *shape))
            for key, shape in inputs.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, key) for key, value in held.items()],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    attach_functions(model)
    return Synthetic(name, model)


def _scales(**integers: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {
        **integers,
        "s": np.array(_INT8_SCALE, np.float32),
        "z": np.array(0, np.int8),
    }


def _to_integers(source: str, name: str) -> list[Any]:
    return [
        _node("QuantizeLinear", source, "s", "z", output=f"{name}.q"),
        _node("DequantizeLinear", f"{name}.q", "s", "z", output=name),
    ]


def _integers(shape: tuple[int, ...]) -> NDArray[np.int8]:
    drawn = np.random.default_rng(len(shape)).integers(-127, 128, shape)
    return np.where(drawn == 0, 1, drawn).astype(np.int8)


def _convolution(
    inputs: int, outputs: int, groups: int, high: int, wide: int, integer: bool
) -> Synthetic:
    shape = (outputs, inputs // groups, high, wide)
    pads = [high // 2, wide // 2, high // 2, wide // 2]
    about: dict[str, Any] = {"kernel_shape": [high, wide], "pads": pads, "group": groups}
    name = f"{high}x{wide} {inputs} -> {outputs}" + (f" groups {groups}" if groups > 1 else "")
    image = {"x": (inputs, SIDE, SIDE)}
    if not integer:
        nodes = [
            _node("Conv", "x", "weight", "bias", output="c", **about),
            _node("LeakyRelu", "c", alpha=0.3),
        ]
        return _network(name, nodes, image, weight=shape, bias=(outputs,))
    nodes = [
        *_to_integers("x", "xq"),
        _node("DequantizeLinear", "weight", "s", "z", output="w"),
        _node("Conv", "xq", "w", output="c", **about),
        *_to_integers("c", "y"),
    ]
    return _network(f"int8 {name}", nodes, image, **_scales(weight=_integers(shape)))


def _block(channels: int, high: int, wide: int, integer: bool) -> Synthetic:
    middle = (channels, 2, high, wide)
    shapes = {"w1": (channels, 2, 1, 9), "w2": middle, "w3": (2, channels, 9, 1)}
    v, weight = ("v.c", "w2.f") if integer else ("v", "w2")
    nodes = [
        _node("Conv", "x", "w1", "b1", output="e", pads=[0, 4, 0, 4]),
        _node("LeakyRelu", "e", output="v", alpha=0.3),
        _node("Conv", v, weight, "b1", output="m", group=channels // 2,
              pads=[high // 2, wide // 2, high // 2, wide // 2]),
        _node("LeakyRelu", "m", output="a", alpha=0.3),
        _node("Conv", "a", "w3", output="c", pads=[4, 0, 4, 0]),
        _node("Add", "c", "x"),
    ]  # fmt: skip
    held: dict[str, Any] = {**shapes, "b1": (channels,)}
    if integer:
        nodes[2:2] = [
            _node("QuantizeLinear", "v", "s", "u", output="v.q"),
            _node("DequantizeLinear", "v.q", "s", "u", output="v.c"),
            _node("DequantizeLinear", "w2", "s", "z", output="w2.f"),
        ]
        held |= _scales(w2=_integers(middle)) | {"u": np.array(90, np.uint8)}
    name = f"{'int8 ' if integer else ''}block {high}x{wide} 2 -> {channels} -> 2"
    return _network(name, nodes, {"x": (2, SIDE, SIDE)}, **held)


def _linear(inputs: int, outputs: int, integer: bool) -> Synthetic:
    name, vector = f"fc {inputs} -> {outputs}", {"x": (inputs,)}
    if not integer:
        gemm = _node("Gemm", "x", "weight", "bias", transB=1)
        return _network(name, [gemm], vector, weight=(outputs, inputs), bias=(outputs,))
    nodes = [
        *_to_integers("x", "xq"),
        _node("DequantizeLinear", "weight", "s", "z", output="w"),
        _node("Gemm", "xq", "w", output="c", transB=1),
        *_to_integers("c", "y"),
    ]
    weight = _integers((outputs, inputs))
    return _network(f"int8 {name}", nodes, vector, **_scales(weight=weight))


def _binary(inputs: int, outputs: int, integer: bool) -> Synthetic:
    before, behind = ("xq", "c") if integer else ("x", "y")
    call = helper.make_node(
        "BinaryLinear",
        [before, "weight", "scale", "bias"],
        [behind],
        domain=DOMAIN,
        in_features=inputs,
    )
    nodes = [*_to_integers("x", "xq"), call, *_to_integers("c", "y")] if integer else [call]
    bits = np.random.default_rng(1).integers(0, 256, (outputs, inputs // 8), dtype=np.uint8)
    return _network(
        f"{'int8, ' if integer else ''}1-bit fc {inputs} -> {outputs}",
        nodes,
        {"x": (inputs,)},
        **_scales(weight=bits, scale=np.full(1, 0.01, np.float32)),
        # Whole numbers of the accumulator, which an integer layer takes.
        bias=np.full(outputs, 8 * np.float32(_INT8_SCALE) * np.float32(0.01), np.float32),
    )


def _product(rows: int, inner: int, columns: int) -> Synthetic:
    # Twice the same input, so that neither is a constant.
    nodes = [_node("MatMul", "x", "b")]
    shapes = {"x": (rows, inner), "b": (inner, columns)}
    return _network(f"product {rows} x {inner} x {columns}", nodes, shapes)


def _quantized_sum(rows: int, columns: int) -> Synthetic:
    nodes = [
        *_to_integers("x", "a"),
        _node("Neg", "x", output="m"),
        *_to_integers("m", "b"),
        _node("Add", "a", "b", output="c"),
        *_to_integers("c", "y"),
    ]
    return _network(f"int8 sum {rows} x {columns}", nodes, {"x": (rows, columns)}, **_scales())
