"""ONNX Runtime as the oracle: runs a part's fp32 file, and shows tensors inside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from csideploy.errors import FormatError
from csideploy.export.standard_qonnx import standard_qonnx

Arrays = dict[str, NDArray[Any]]
Given = NDArray[Any] | Mapping[str, NDArray[Any]]
"""Samples of a network's one input, or of its inputs by name."""
_EXACT = {
    # On x86 without VNNI, sums of two 8-bit products otherwise saturate at 16 bits.
    "session.x64quantprecision": "1",
    # A MatMul with an int8 weight otherwise rounds its float input to 8 bits.
    "session.qdq_matmulnbits_accuracy_level": "1",
}
"""Settings under which ONNX Runtime computes QDQ networks as they are written."""


class Session:
    """One ONNX file in ONNX Runtime.

    Args:
        model: the file's bytes.
        name: the file's name, for messages.
        threads: of the CPU; 0: ONNX Runtime's own choice.

    Raises:
        FormatError: the bytes are no ONNX network that ONNX Runtime loads.
    """

    def __init__(self, model: bytes, *, name: str, threads: int = 1) -> None:
        self._name = name
        try:
            try:
                self._session = _open(model, _EXACT, threads)
            except Exception:
                # It cannot load a file whose weights share a zero point under the first of them.
                self._session = _open(model, {}, threads)
        except Exception as error:
            # ONNX Runtime raises types of its own, without a common root.
            raise FormatError(
                f"ONNX Runtime does not load {name}: {str(error).splitlines()[0]}"
            ) from error
        self.outputs = [output.name for output in self._session.get_outputs()]
        self.inputs = [entry.name for entry in self._session.get_inputs()]

    def run(self, feeds: Arrays) -> Arrays:
        """All outputs by name, for inputs by name.

        Raises:
            FormatError: the network does not take such inputs.
        """
        try:
            values = self._session.run(None, feeds)
        except Exception as error:
            given = ", ".join(f"{x.dtype} {x.shape}" for x in feeds.values())
            raise FormatError(
                f"{self._name} does not take {given}: {str(error).splitlines()[0]}"
            ) from error
        return {name: np.asarray(x) for name, x in zip(self.outputs, values, strict=True)}


def _open(model: bytes, settings: dict[str, str], threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised
    for key, value in settings.items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Oracle:
    """One ONNX file in ONNX Runtime; operators of QONNX are written in standard ones first.

    Args:
        model: the file's bytes.
        name: the file's name, for messages.
        threads: of the CPU; 0: ONNX Runtime's own choice.
        expose: tensors inside the graph to give out besides its outputs; names that the graph
            does not have are left out.

    Raises:
        FormatError: the bytes are no ONNX network that ONNX Runtime loads.
        UnsupportedError: an operator of QONNX that is not known.
    """

    def __init__(
        self, model: bytes, *, name: str, expose: tuple[str, ...] = (), threads: int = 1
    ) -> None:
        try:
            graph = onnx.load_model_from_string(model)
        except Exception as error:
            # protobuf raises DecodeError, which shares no root with what onnx raises.
            raise FormatError(
                f"ONNX Runtime does not load {name}: {str(error).splitlines()[0]}"
            ) from error
        known = standard_qonnx(graph)
        self.exposed = _expose(known, expose)
        changed = known is not graph or self.exposed
        self._session = Session(
            known.SerializeToString() if changed else model, name=name, threads=threads
        )
        self.input = self._session.inputs[0]

    def feeds(self, x: Given) -> Arrays:
        """The inputs by name, whichever way they are given."""
        return dict(x) if isinstance(x, Mapping) else {self.input: x}

    def run(self, x: Given) -> Arrays:
        """All outputs by name, for one input (n, ...), or several by name.

        Raises:
            FormatError: the network does not take such inputs.
        """
        return self._session.run(self.feeds(x))


def samples(x: Given) -> int:
    """How many samples are given."""
    return len(next(iter(x.values())) if isinstance(x, Mapping) else x)


def _expose(model: onnx.ModelProto, names: tuple[str, ...]) -> tuple[str, ...]:
    made = {output for node in model.graph.node for output in node.output}
    present = {output.name for output in model.graph.output}
    added = tuple(name for name in dict.fromkeys(names) if name in made - present)
    for name in added:
        value = onnx.ValueInfoProto()
        value.name = name
        model.graph.output.append(value)
    return added
