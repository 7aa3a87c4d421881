"""Pass: every ONNX node becomes steps of the executor, on tensors with the batch in front.

What a step computes is what ONNX says of its node for one sample; `infer` has proved that this is
the whole. How each operator is written in steps, and why that is the same, stands in `steps/`.
BatchNormalization alone stays, for the pass that folds it.
"""

from __future__ import annotations

from csideploy.export.check import GraphError, check_node
from csideploy.export.graph import VIEW, Graph, Node, Value
from csideploy.export.refusal import MALFORMED, refuse
from csideploy.export.steps.site import Site, stored_dtype, stored_shape
from csideploy.export.supported import rule_for


def run(graph: Graph) -> None:
    """Change in place."""
    stored: dict[str, Value] = {}
    for name in graph.inputs:
        value = graph.values[name]
        stored[name] = Value(name, stored_dtype(_end(name), value), stored_shape(value))
    nodes: list[Node] = []
    for node in graph.nodes:
        site = Site(graph, stored, node)
        steps = rule_for(node).steps
        assert steps is not None
        try:
            steps(site)
            for step in site.nodes:
                check_node(stored, step)
        except GraphError as error:
            # ONNX's inference lets pass what does not fit together.
            refuse(node, f"does not fit its inputs: {error}")
        except MALFORMED as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            refuse(node, f"is malformed: {lines[0]}")
        nodes.extend(site.nodes)
    for name in graph.outputs:
        stored_dtype(_end(name), graph.values[name])
        if graph.values[name].data is not None:
            _constant_output(graph, stored, nodes, name)
    graph.nodes, graph.values = nodes, stored
    graph.sweep()


def _end(name: str) -> Node:
    return Node(VIEW, name, [], [name])


def _constant_output(graph: Graph, stored: dict[str, Value], nodes: list[Node], name: str) -> None:
    """A result that no input changes is copied from the weights; one for every sample."""
    value = graph.values[name]
    node = Node("Constant", name, [], [name])
    site = Site(graph, stored, node)
    assert value.data is not None
    site.result(site.constant(value.data.reshape(value.data.shape or (1,))))
    nodes.extend(site.nodes)
