"""How the front end says no: one line with the node, its operator and what would be right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import UnsupportedError
from csideploy.export.graph import Node, Value

Inputs = Sequence[Value | None]

MALFORMED = (
    ValueError,
    IndexError,
    TypeError,
    KeyError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    MemoryError,
)
"""What NumPy and dictionaries raise on attributes and sizes that fit nothing."""


def refuse(node: Node, why: str) -> NoReturn:
    """Raise for this node; one line."""
    raise UnsupportedError(f"node '{node.name}' ({node.label}): {why}")


def given(node: Node, inputs: Inputs, index: int) -> Value:
    """An input that must be there."""
    value = inputs[index] if index < len(inputs) else None
    if value is None:
        refuse(node, f"input {index} is missing")
    return value


def optional(inputs: Inputs, index: int) -> Value | None:
    """An input that may be absent."""
    return inputs[index] if index < len(inputs) else None


def known(node: Node, inputs: Inputs, index: int, what: str) -> NDArray[Any]:
    """An input that must be a constant."""
    value = given(node, inputs, index)
    if value.data is None:
        refuse(node, f"{what} '{value.name}' must be a constant")
    return value.data


def floats(node: Node, inputs: Inputs, index: int, what: str) -> NDArray[np.float32]:
    """An input that must be a float32 constant."""
    data = known(node, inputs, index, what)
    if data.dtype != np.float32:
        refuse(node, f"{what} is {data.dtype}; float32 is supported")
    return data


def text(value: Any) -> str:
    """A string attribute."""
    return value.decode() if isinstance(value, bytes) else str(value)
