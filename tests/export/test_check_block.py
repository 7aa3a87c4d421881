"""The graph checker on CONV_BLOCK: element types and the rows of `channels` go together."""

from typing import Any

import numpy as np
import pytest

from csideploy.export.check import GraphError, check_graph
from csideploy.export.graph import Graph, Node, Value
from csideploy.export.plan import Activation, Op

F32, I8, I16 = np.float32, np.int8, np.int16


def block(
    ends: Any = F32, middle: Any = F32, behind: Any = None, channels: tuple[int, ...] = (4, 4)
) -> Graph:
    """x (n, 2, 3, 4) -> two groups of two channels -> y (n, 3, 3, 4)."""
    held = {
        "expand": np.ones((4, 2, 1, 3), ends),
        "channels": np.ones(channels, F32),
        "middle": np.ones((4, 2, 3, 2), middle),
        "project": np.ones((3, 4, 3, 1), ends if behind is None else behind),
    }
    made: dict[str, tuple[str | int, ...]] = {
        "x": ("n", 2, 3, 4),
        "y": ("n", 3, 3, 4),
        "scratch": (48,),
    }
    values = {name: Value(name, np.dtype(F32), shape) for name, shape in made.items()}
    values |= {name: Value(name, a.dtype, a.shape, a) for name, a in held.items()}
    how: dict[str, Any] = {"groups": 2, "activation": Activation.NONE, "alpha": 0.0}
    how |= {f"pad_{side}_{i}": 0 for i in (1, 2, 3) for side in ("top", "left")}
    how |= {"code_scale": 1.0, "code_zero": 0, "code_bits": 8}
    how |= {"x_scale": 1.0, "m_scale": 1.0, "y_scale": 1.0}
    node = Node(Op.CONV_BLOCK, "block", ["x", *held, "", "", ""], ["y", "scratch"], how)
    return Graph("g", [node], values, ["x"], ["y"])


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"middle": I8, "channels": (5, 4)},
        {"ends": I16, "middle": I8, "channels": (6, 4)},
    ],
)
def test_the_forms_pass(how: dict[str, Any]) -> None:
    check_graph(block(**how), "nothing")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"channels": ()}, "not 4 rows"),
        ({"channels": (4,)}, "channels"),
        ({"channels": (4, 4, 1)}, "channels"),
        ({"channels": (4, 5)}, "channels"),
        ({"channels": (5, 4)}, "not 4 rows"),
        ({"middle": I8}, "not 5 rows"),
        ({"middle": I8, "channels": (6, 4)}, "not 5 rows"),
        ({"ends": I16, "middle": I8, "channels": (5, 4)}, "not 6 rows"),
        ({"ends": I16, "channels": (6, 4)}, "types of weights"),
        ({"ends": I16, "behind": F32, "middle": I8, "channels": (6, 4)}, "types of weights"),
    ],
)
def test_what_does_not_fit(how: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        check_graph(block(**how), "broken")
