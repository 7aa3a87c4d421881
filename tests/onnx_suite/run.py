"""One model through compiler and runtime, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.runtime import Part
from onnx_suite.cases import Case
from onnx_suite.oracle_dft import dft

Array = NDArray[Any]


class Kind(Enum):
    """What may become of a test; the last two are faults."""

    PASSED = "passed"
    NAMED = "named error"
    WRONG = "wrong result"
    CRASH = "crash"


@dataclass(frozen=True)
class Outcome:
    """Kind, and for all but a pass the message; `frozen` if inputs became constants."""

    kind: Kind
    message: str = ""
    frozen: bool = False


def run(case: Case, model: ModelProto) -> Outcome:
    """As it stands; where that is refused, with the inputs after the first as initializers."""
    outcome = _attempt(case, model, dict(case.inputs), frozen=False)
    if outcome.kind is Kind.NAMED and len(case.inputs) > 1:
        first = next(iter(case.inputs))
        frozen = freeze(model, case.inputs)
        return _attempt(case, frozen, {first: case.inputs[first]}, frozen=True)
    return outcome


def freeze(model: ModelProto, inputs: dict[str, Array]) -> ModelProto:
    """The inputs after the first as initializers of the same names."""
    made = ModelProto()
    made.CopyFrom(model)
    kept, *rest = made.graph.input
    for entry in rest:
        made.graph.initializer.append(numpy_helper.from_array(inputs[entry.name], entry.name))
    del made.graph.input[:]
    made.graph.input.append(kept)
    return made


def _attempt(case: Case, model: ModelProto, inputs: dict[str, Array], frozen: bool) -> Outcome:
    try:
        part = Part(write_bundle(compile_model(model, part="test", side="ue")))
        made = part.run(
            *(_carried(inputs[info.name], info.dtype, info.shape) for info in part.inputs)
        )
    except (UnsupportedError, InputError) as error:
        message = str(error)
        if not message or "\n" in message:
            return Outcome(Kind.CRASH, f"an error of more than one line: {message!r}", frozen)
        return Outcome(Kind.NAMED, message, frozen)
    except Exception as error:
        return Outcome(Kind.CRASH, f"{type(error).__name__}: {error}", frozen)
    expected = [dft(model, case.inputs)] if case.operator == "DFT" else case.outputs
    try:
        _compare(case, made, expected)
    except AssertionError as error:
        return Outcome(Kind.WRONG, " ".join(str(error).split()), frozen)
    return Outcome(Kind.PASSED, "", frozen)


def _carried(array: Array, dtype: str, shape: tuple[int | str, ...]) -> Array:
    """As the executor takes it: bool as uint8, int64 as int32, and the part's rank."""
    if array.ndim != len(shape):
        array = array.reshape([-1 if isinstance(dim, str) else dim for dim in shape])
    return np.ascontiguousarray(array.astype(dtype))


def _compare(case: Case, made: tuple[Array, ...], expected: list[Array]) -> None:
    assert len(made) == len(expected), f"{len(made)} outputs, {len(expected)} expected"
    for ours, theirs in zip(made, expected, strict=True):
        assert ours.size == theirs.size, f"shape {ours.shape}, {theirs.shape} expected"
        ours = ours.reshape(theirs.shape)
        if theirs.dtype.kind != "f":
            np.testing.assert_array_equal(ours.astype(np.int64), theirs.astype(np.int64))
        elif case.operator == "DFT":
            # The project's bound, because here the oracle is float64.
            bound = 1e-4 * max(1.0, float(np.abs(theirs).max()))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=case.rtol, atol=case.atol)
