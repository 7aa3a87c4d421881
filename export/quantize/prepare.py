"""Before quantizing: one opset, constants computed, batch norm folded, Gemm in its plain form.

What is left computes the same function, up to the rounding of float32, and every layer has its
weight and bias as initializers, which is what the emitter puts scales to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, version_converter
from onnx.reference import ReferenceEvaluator

from csideploy.errors import UnsupportedError
from csideploy.export.functions import DOMAIN
from csideploy.export.standard_qonnx import has_qonnx

OPSET = 21
"""The first with 16-bit QuantizeLinear."""
IR_VERSION = 10
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")

Float = NDArray[np.float32]


def is_quantized(model: ModelProto) -> bool:
    """Whether the network carries scales of its own (QDQ, QONNX)."""
    return has_qonnx(model) or any(node.op_type in QUANTIZERS for node in model.graph.node)


class Network:
    """A prepared network: an ONNX model with its tables.

    Attributes:
        model: the prepared model.
        constants: initializer name -> its values.
        producers: tensor -> the node that makes it.
        readers: tensor -> the nodes that read it, a node once for every time it reads.
        inputs, outputs: names of the graph's inputs and outputs.
        shapes: tensor -> its shape, sizes as numbers or names, where ONNX can infer it.
        types: tensor -> its NumPy type, the same.
        inverted: tensors that matrix inverses alone read, at once or behind other nodes. They stay
            float: an inverse makes a rounding larger, by the condition number of its matrix.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.index()

    def index(self) -> None:
        """Make the tables again, after the model was changed."""
        graph = self.model.graph
        self.constants: dict[str, NDArray[Any]] = {
            t.name: numpy_helper.to_array(t) for t in graph.initializer
        }
        self.inputs = [i.name for i in graph.input if i.name not in self.constants]
        self.outputs = [output.name for output in graph.output]
        self.producers = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                if name:
                    self.readers.setdefault(name, []).append(node)
        self.inverted: set[str] = set()
        for node in reversed(graph.node):
            readers = [r for name in node.output for r in self.readers.get(name, [])]
            alone = all(_inverts(r) or r.output[0] in self.inverted for r in readers)
            if readers and alone and not set(self.outputs).intersection(node.output):
                self.inverted.update(node.output)
        self.shapes: dict[str, tuple[int | str, ...]] = {}
        self.types: dict[str, np.dtype[np.generic]] = {}

    def infer(self) -> None:
        """Fill in shapes and types."""
        inferred = onnx.shape_inference.infer_shapes(self.model, data_prop=True).graph
        for info in (*inferred.input, *inferred.value_info, *inferred.output):
            kind = info.type.tensor_type
            if kind.HasField("shape"):
                self.shapes[info.name] = tuple(
                    dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
                    for dim in kind.shape.dim
                )
            if kind.elem_type:
                self.types[info.name] = helper.tensor_dtype_to_np_dtype(kind.elem_type)

    def only_reader(self, name: str) -> NodeProto | None:
        """The one node that reads a tensor, None where there are more or it leaves."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def constant(self, node: NodeProto, index: int) -> NDArray[Any] | None:
        """An input's values, None if it is absent or no constant."""
        if len(node.input) <= index or not node.input[index]:
            return None
        return self.constants.get(node.input[index])


def _inverts(node: NodeProto) -> bool:
    return (node.domain, node.op_type) == (DOMAIN, "ZeroForcing")


def prepare(model: ModelProto) -> Network:
    """A copy of a model, ready to be quantized.

    Raises:
        UnsupportedError: an older opset that onnx cannot convert.
    """
    network = Network(_at_opset(model))
    _fold_constants(network)
    _plain_gemm(network)
    _fold_batch_norm(network)
    _drop_unused(network)
    return network


def _at_opset(model: ModelProto) -> ModelProto:
    found = next((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), OPSET)
    if found < OPSET:
        try:
            copy = version_converter.convert_version(model, OPSET)
        except Exception as error:
            # The converter raises RuntimeError and types of its own.
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise UnsupportedError(
                f"the network is of opset {found} and onnx cannot bring it to {OPSET}, which "
                f"16-bit scales need: {first}; export it with opset {OPSET}"
            ) from error
    else:
        copy = ModelProto()
        copy.CopyFrom(model)
    copy.ir_version = max(copy.ir_version, IR_VERSION)
    stored = {tensor.name for tensor in copy.graph.initializer}
    inputs = [entry for entry in copy.graph.input if entry.name not in stored]
    del copy.graph.input[:]
    copy.graph.input.extend(inputs)
    del copy.graph.value_info[:]
    for index, node in enumerate(copy.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return copy


def _fold_constants(network: Network) -> None:
    """Nodes of the standard domain whose inputs are all stored become initializers themselves."""
    graph = network.model.graph
    kept = []
    for node in graph.node:
        names = [name for name in node.input if name]
        foldable = node.domain in ("", "ai.onnx") and (names or node.op_type == "Constant")
        if not foldable or any(name not in network.constants for name in names):
            kept.append(node)
            continue
        alone = helper.make_model(
            helper.make_graph(
                [node],
                "constant",
                [],
                [helper.make_empty_tensor_value_info(name) for name in node.output],
                [numpy_helper.from_array(network.constants[name], name) for name in set(names)],
            ),
            opset_imports=network.model.opset_import,
            ir_version=network.model.ir_version,
        )
        for name, value in zip(node.output, ReferenceEvaluator(alone).run(None, {}), strict=True):
            network.constants[name] = np.asarray(value)
            graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    del graph.node[:]
    graph.node.extend(kept)
    network.index()


def _store(network: Network, wanted: str, data: NDArray[np.floating]) -> str:
    """Add an initializer as float32 under a free name."""
    name, number = wanted, 1
    while name in network.constants or name in network.producers:
        number += 1
        name = f"{wanted}.{number}"
    network.constants[name] = data.astype(np.float32)
    network.model.graph.initializer.append(
        numpy_helper.from_array(np.ascontiguousarray(network.constants[name]), name)
    )
    return name


def _plain_gemm(network: Network) -> None:
    """Alpha x B + beta c with constants becomes x W^T + b: transB 1, alpha 1, beta 1."""
    for node in network.model.graph.node:
        if node.op_type != "Gemm":
            continue
        about = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        weight = network.constant(node, 1)
        if weight is None or about.get("transA", 0):
            continue
        alpha, beta = float(about.get("alpha", 1.0)), float(about.get("beta", 1.0))
        if not about.get("transB", 0) or alpha != 1:
            rows = weight if about.get("transB", 0) else weight.T
            node.input[1] = _store(network, f"{node.name}.rows", rows * np.float32(alpha))
        bias = network.constant(node, 2)
        if bias is not None and (beta != 1 or bias.shape != (weight_rows(network, node),)):
            wide = np.broadcast_to(bias * np.float32(beta), (1, weight_rows(network, node)))
            node.input[2] = _store(network, f"{node.name}.row", wide.reshape(-1))
        if bias is None and len(node.input) > 2 and node.input[2]:
            continue
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("transB", 1))
    network.index()


def weight_rows(network: Network, node: NodeProto) -> int:
    """Outputs of a Conv, or of a Gemm in its plain form."""
    return int(network.constants[node.input[1]].shape[0])


def _fold_batch_norm(network: Network) -> None:
    """W' = W g / sqrt(v + e), b' = (b - m) g / sqrt(v + e) + beta, where a layer stands before."""
    gone = []
    for norm in network.model.graph.node:
        layer = network.producers.get(norm.input[0]) if norm.input else None
        if norm.op_type != "BatchNormalization" or layer is None or norm.output[1:] != []:
            continue
        if layer.op_type not in ("Conv", "Gemm") or network.constant(layer, 1) is None:
            continue
        if any(a.name == "transA" and a.i for a in layer.attribute):
            continue
        statistics = [network.constant(norm, index) for index in range(1, 5)]
        alone = network.only_reader(layer.output[0])
        if alone is None or alone.name != norm.name or any(s is None for s in statistics):
            continue
        bias = network.constant(layer, 2)
        if bias is None and len(layer.input) > 2 and layer.input[2]:
            continue
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        gamma, beta, mean, variance = (np.asarray(s, np.float64) for s in statistics)
        gain = gamma / np.sqrt(variance + epsilon)
        weight = network.constants[layer.input[1]].astype(np.float64)
        weight = weight * gain.reshape(-1, *[1] * (weight.ndim - 1))
        old = 0.0 if bias is None else bias.astype(np.float64)
        names = [
            layer.input[0],
            _store(network, f"{layer.name}.folded", weight),
            _store(network, f"{layer.name}.folded_bias", (old - mean) * gain + beta),
        ]
        del layer.input[:]
        layer.input.extend(names)
        layer.output[0] = norm.output[0]
        network.producers[norm.output[0]] = layer
        gone.append(norm)
    for norm in gone:
        network.model.graph.node.remove(norm)
    network.index()


def _drop_unused(network: Network) -> None:
    """Nodes and initializers that no output needs."""
    graph = network.model.graph
    needed = set(network.outputs)
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    stored: list[TensorProto] = [t for t in graph.initializer if t.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(stored)
    network.index()
    network.infer()
    for info in graph.output:
        if not info.type.tensor_type.HasField("shape") and info.name in network.shapes:
            kind = info.type.tensor_type.elem_type
            shape = network.shapes[info.name]
            info.CopyFrom(helper.make_tensor_value_info(info.name, kind, shape))
