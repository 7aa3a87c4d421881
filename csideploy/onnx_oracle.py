"""ONNX Runtime as the oracle: runs a part's fp32 file, and shows tensors inside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from csideploy.errors import FormatError

Arrays = dict[str, NDArray[Any]]


class Oracle:
    """One ONNX file in ONNX Runtime, on one thread of the CPU.

    Args:
        model: the file's bytes.
        name: the file's name, for messages.
        expose: tensors inside the graph to give out besides its outputs; names that the graph
            does not have are left out.

    Raises:
        FormatError: the bytes are no ONNX network that ONNX Runtime loads.
    """

    def __init__(self, model: bytes, *, name: str, expose: tuple[str, ...] = ()) -> None:
        self._name = name
        try:
            graph = onnx.load_model_from_string(model)
            self.exposed = _expose(graph, expose)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                graph.SerializeToString() if self.exposed else model,
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:
            # protobuf and ONNX Runtime raise types of their own, without a common root.
            raise FormatError(
                f"ONNX Runtime does not load {name}: {str(error).splitlines()[0]}"
            ) from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.input = self._session.get_inputs()[0].name

    def run(self, x: NDArray[Any]) -> Arrays:
        """All outputs by name, for one input (n, ...).

        Raises:
            FormatError: the network does not take such an input.
        """
        try:
            values = self._session.run(None, {self.input: x})
        except Exception as error:
            raise FormatError(
                f"{self._name} does not take {x.dtype} {x.shape}: {str(error).splitlines()[0]}"
            ) from error
        return {name: np.asarray(value) for name, value in zip(self._outputs, values, strict=True)}


def _expose(model: onnx.ModelProto, names: tuple[str, ...]) -> tuple[str, ...]:
    made = {output for node in model.graph.node for output in node.output}
    present = {output.name for output in model.graph.output}
    added = tuple(name for name in dict.fromkeys(names) if name in made - present)
    for name in added:
        value = onnx.ValueInfoProto()
        value.name = name
        model.graph.output.append(value)
    return added
