"""Pass: an output that would share its bytes with an input or with another output is copied.

A view costs nothing because it has no bytes of its own. The caller's buffers are separate, so a
view of an input, and a second output on the same bytes, needs a COPY.
"""

from csideploy.errors import UnsupportedError
from csideploy.export.graph import VIEW, Graph, Node, Value
from csideploy.export.plan import Op


def run(graph: Graph) -> None:
    """Change in place."""
    for name in graph.outputs:
        if name in graph.inputs:
            raise UnsupportedError(f"output '{name}' is an input: nothing to compile")
    taken = {*graph.inputs, *graph.outputs}
    roots: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.append(node)
        if node.op != VIEW:
            continue
        result = node.outputs[0]
        roots[result] = roots.get(node.inputs[0], node.inputs[0])
        if result not in graph.outputs:
            continue
        if roots[result] not in taken:
            taken.add(roots[result])
            continue
        value = graph.values[result]
        view = f"{result}.view"
        graph.values[view] = Value(view, value.dtype, value.shape)
        node.outputs = [view]
        nodes.append(Node(Op.COPY, f"{node.name}.copy", [view], [result]))
        roots.pop(result)
    graph.nodes = nodes
