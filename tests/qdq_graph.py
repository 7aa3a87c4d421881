"""QDQ graphs for tests: built node by node, and run by ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]
SIGNED = {"session.qdqisint8allowed": "1"}
"""int8 activations stay int8: an x86 would rather compute in uint8, or in float."""
UNSIGNED = {"session.x64quantprecision": "1"}
"""Without it, x86 processors older than VNNI saturate the sum of two products to 16 bits. With int8
activations the setting gives a graph that ONNX Runtime cannot run."""


class QdqGraph:
    """A graph that grows by quantized inputs, operators and quantized outputs."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.constants: dict[str, Array] = {}
        self.feeds: dict[str, Array] = {}

    def node(self, op: str, inputs: list[str], **attributes: Any) -> str:
        """Adds a node and returns its output's name."""
        name = f"{op}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def _scaled(self, op: str, name: str, scale: Any, zero: Array, **attributes: Any) -> str:
        to = f"{op}{len(self.nodes)}"
        self.constants[f"{to}.scale"] = np.asarray(scale, np.float32)
        self.constants[f"{to}.zero"] = zero
        return self.node(op, [name, f"{to}.scale", f"{to}.zero"], **attributes)

    def input(self, name: str, value: Array, scale: Any, zero: int) -> str:
        """A dequantized input."""
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, kind, value.shape))
        self.feeds[name] = value
        return self._scaled("DequantizeLinear", name, scale, np.array(zero, value.dtype))

    def constant(self, name: str, value: Array, scale: Array, axis: int = 0) -> str:
        """A dequantized constant with one scale, or one an index of the axis."""
        self.constants[name] = value
        zero = np.zeros(scale.shape, value.dtype)
        axes = {} if scale.ndim == 0 else {"axis": axis}
        return self._scaled("DequantizeLinear", name, scale, zero, **axes)

    def output(self, name: str, scale: Any, zero: int, dtype: Any) -> None:
        """Quantizes a value and makes it an output."""
        y = self._scaled("QuantizeLinear", name, scale, np.array(zero, dtype))
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.outputs.append(helper.make_tensor_value_info(y, kind, None))

    def run(self, folder: Path) -> tuple[list[Array], set[str]]:
        """The outputs, and the operators that ONNX Runtime made of the graph, saved in `folder`."""
        signed = any(value.dtype == np.int8 for value in self.feeds.values())
        graph = helper.make_graph(
            self.nodes,
            "qdq",
            self.inputs,
            self.outputs,
            [numpy_helper.from_array(np.asarray(v), k) for k, v in self.constants.items()],
        )
        model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 22)])
        options = ort.SessionOptions()
        options.log_severity_level = 3
        for key, value in (SIGNED if signed else UNSIGNED).items():
            options.add_session_config_entry(key, value)
        options.optimized_model_filepath = str(folder / "optimized.onnx")
        session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        results = session.run(None, self.feeds)
        optimized = onnx.load(options.optimized_model_filepath)
        return results, {node.op_type for node in optimized.graph.node}
