"""Pass: Add of two activations becomes ADD, Concat becomes a chain of CONCAT.

Joining is associative: concat(a, b, c) = concat(concat(a, b), c).
"""

from csideploy.export.graph import Graph, Node, Value
from csideploy.export.plan import Activation, Op
from csideploy.export.shape_rules import refuse


def run(graph: Graph) -> None:
    """Change in place."""
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op == "Add":
            if any(graph.constant(name) is not None for name in node.inputs):
                refuse(node, "a constant is added where no convolution or linear layer can hold it")
            node.op = Op.ADD
            node.inputs = [*node.inputs, ""]
            node.attributes = {"activation": Activation.NONE, "alpha": 0.0}
            nodes.append(node)
        elif node.op == "Concat":
            nodes.extend(_chain(graph, node))
        else:
            nodes.append(node)
    graph.nodes = nodes


def _chain(graph: Graph, node: Node) -> list[Node]:
    result = graph.values[node.outputs[0]]
    if len(node.inputs) == 1:
        return [Node(Op.COPY, node.name, node.inputs, node.outputs)]
    chain = []
    left = node.inputs[0]
    for index, right in enumerate(node.inputs[1:], 1):
        last = index == len(node.inputs) - 1
        if last:
            name, made = node.name, node.outputs[0]
        else:
            name = made = f"{node.name}.join{index}"
            a, b = graph.values[left].shape, graph.values[right].shape
            channels = int(a[1]) + int(b[1])
            graph.values[made] = Value(made, result.dtype, (a[0], channels, *a[2:]))
        chain.append(Node(Op.CONCAT, name, [left, right], [made], {"axis": 1}))
        left = made
    return chain
