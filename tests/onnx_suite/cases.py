"""The stored node tests: a model, its inputs and the outputs that ONNX expects."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

from onnx_suite.listed import LISTED, TYPES
from onnx_suite.own_cases import casts

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One test.

    Attributes:
        name: ONNX's, such as "test_conv_with_strides_padding".
        operator: what it tests; for the body of a function written out, the function.
        range: "" if the operator and all types are ours to answer for, else why not.
        inputs: by the model's input names; empty where they are no plain tensors.
        outputs: in the model's order.
    """

    name: str
    operator: str
    range: str
    model: ModelProto
    inputs: dict[str, Array]
    outputs: list[Array]
    rtol: float
    atol: float

    @property
    def opset(self) -> int:
        """Of the standard domain."""
        return next((e.version for e in self.model.opset_import if e.domain == ""), 0)


@functools.cache
def all_cases() -> tuple[Case, ...]:
    """All node tests that come with onnx, by name, and our own."""
    found = []
    for test in sorted(load_model_tests(kind="node"), key=lambda test: test.name):
        folder = Path(test.model_dir)
        model = onnx.load(folder / "model.onnx")
        base = re.sub(r"_expanded.*$", "", folder.name)
        named = folder.parent / base / "model.onnx"
        operator = _operator(onnx.load(named) if named.is_file() else model)
        why = _out_of_range(model, operator)
        inputs, outputs = ({}, []) if why == "no tensors" else _data(folder, model)
        if not inputs:
            _add_input(model, inputs)
        found.append(Case(test.name, operator, why, model, inputs, outputs, test.rtol, test.atol))
    for name, model, x, expected in casts():
        found.append(Case(name, "Cast", "", model, {"x": x}, [expected], 0, 0))
    return tuple(found)


def _operator(model: ModelProto) -> str:
    """The one operator; the last one where a test feeds it from Constant nodes."""
    return model.graph.node[-1].op_type if model.graph.node else "?"


def _out_of_range(model: ModelProto, operator: str) -> str:
    graph = model.graph
    if any(not entry.type.HasField("tensor_type") for entry in [*graph.input, *graph.output]):
        return "no tensors"
    if operator not in LISTED:
        return f"operator {operator}"
    if any(entry.domain not in ("", "ai.onnx") for entry in graph.node):
        return "another domain"
    kinds = {TensorProto.DataType.Name(e.type.tensor_type.elem_type) for e in graph.input}
    kinds |= {TensorProto.DataType.Name(e.type.tensor_type.elem_type) for e in graph.output}
    if not kinds <= TYPES:
        return f"type {', '.join(sorted(kinds - TYPES))}"
    return ""


def _add_input(model: ModelProto, inputs: dict[str, Array]) -> None:
    """A part has an input; this one nothing reads."""
    info = onnx.helper.make_tensor_value_info("unread", TensorProto.FLOAT, (2, 3))
    model.graph.input.append(info)
    inputs["unread"] = np.ones((2, 3), np.float32)


def _data(folder: Path, model: ModelProto) -> tuple[dict[str, Array], list[Array]]:
    stored = folder / "test_data_set_0"
    inputs = {
        entry.name: _tensor(stored / f"input_{index}.pb")
        for index, entry in enumerate(model.graph.input)
    }
    outputs = [_tensor(stored / f"output_{index}.pb") for index in range(len(model.graph.output))]
    return inputs, outputs


def _tensor(path: Path) -> Array:
    proto = TensorProto()
    proto.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(proto)
