"""The graph checker names the pass and the place of each kind of fault."""

from collections.abc import Callable

import numpy as np
import pytest

from csideploy.export.check import GraphError, check_graph
from csideploy.export.graph import VIEW, Graph, Node, Value
from csideploy.export.plan import Activation, Op

F32 = np.dtype(np.float32)
PRELU = {"activation": Activation.PRELU, "alpha": 0.0}
NONE = {"activation": Activation.NONE, "alpha": 0.0}


def good() -> Graph:
    """x (n, 4) -> linear with PReLU -> codes -> payload, and a view."""
    values = {
        "x": Value("x", F32, ("n", 4)),
        "w": Value("w", F32, (6, 4), np.ones((6, 4), np.float32)),
        "s": Value("s", F32, (6,), np.ones(6, np.float32)),
        "y": Value("y", F32, ("n", 6)),
        "z": Value("z", F32, ("n", 2, 3)),
        "codes": Value("codes", np.dtype(np.uint8), ("n", 6)),
        "payload": Value("payload", np.dtype(np.uint8), ("n", 3)),
    }
    nodes = [
        Node(Op.LINEAR, "fc", ["x", "w", "", "s"], ["y"], dict(PRELU)),
        Node(VIEW, "view", ["y"], ["z"]),
        Node(Op.QUANTIZE_UNIFORM, "q", ["y"], ["codes"], {"bits": 4}),
        Node(Op.PACK_BITS, "pack", ["codes"], ["payload"], {"bits": 4}),
    ]
    return Graph("g", nodes, values, ["x"], ["payload", "z"])


def value(wanted: str, **changes: object) -> Callable[[Graph], None]:
    def change(graph: Graph) -> None:
        for key, new in changes.items():
            setattr(graph.values[wanted], key, new)

    return change


def node(index: int, **changes: object) -> Callable[[Graph], None]:
    def change(graph: Graph) -> None:
        for key, new in changes.items():
            setattr(graph.nodes[index], key, new)

    return change


FAULTS: dict[str, tuple[Callable[[Graph], None], str]] = {
    "order": (lambda g: g.nodes.reverse(), "'pack' reads 'codes' before it is made"),
    "made twice": (lambda g: g.nodes.append(g.nodes[0]), "'y' is made twice"),
    "output not made": (lambda g: g.outputs.append("nothing"), "output 'nothing' is not made"),
    "another name": (value("y", name="x"), "value 'y' calls itself 'x'"),
    "constant and shape": (value("w", shape=(4, 6)), "constant 'w' has another shape"),
    "no batch": (value("y", shape=(1, 6)), "says \\(1, 6\\)"),
    "wrong width": (value("y", shape=("n", 5)), "makes \\('n', 6\\)"),
    "wrong payload": (value("payload", shape=("n", 4)), "makes \\('n', 3\\)"),
    "wrong type": (value("y", dtype=np.dtype(np.float64)), "y is float64"),
    "view of another size": (value("z", shape=("n", 7)), "view 'view' changes the size"),
    "too few inputs": (node(0, inputs=["x", "w"]), "'fc' has 2 inputs"),
    "missing weight": (node(0, inputs=["x", "", "", "s"]), "'fc' has no weight"),
    "PReLU without slope": (node(0, inputs=["x", "w", "", ""]), "slope and activation disagree"),
    "slope without PReLU": (node(0, attributes=NONE), "slope and activation disagree"),
    "slope of another length": (value("s", shape=(5,), data=np.ones(5, np.float32)), "slope"),
    "unknown parameter": (node(2, attributes={"bit": 4}), "'q'"),
}


def test_the_good_graph_passes() -> None:
    check_graph(good(), "nothing")


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_caught(name: str) -> None:
    change, message = FAULTS[name]
    graph = good()
    change(graph)
    with pytest.raises(GraphError, match=f"after pass broken: .*{message}"):
        check_graph(graph, "broken")
