"""Pass: sigmoid and uniform quantizer become thresholds on what goes into the sigmoid.

A sigmoid that only the quantizer reads needs not be computed: its code is a count of thresholds,
for every float32 the same (`export/integer/logit.py` derives them). Views between the two, which
move nothing, go in front of the quantizer.
"""

from __future__ import annotations

from csideploy.export.graph import VIEW, Graph, Node, Value
from csideploy.export.integer.logit import sigmoid_thresholds
from csideploy.export.plan import Activation, Op


def run(graph: Graph) -> None:
    """Change in place; behind the passes that make thresholds on integers."""
    users = graph.users()
    gone = []
    for node in graph.nodes:
        path = quantizer_path(graph, users, node)
        if not path:
            continue
        source = node.inputs[0]
        for view in path[:-1]:
            # What it shows is another number now.
            shape = graph.values[view.outputs[0]].shape
            name = graph.free_name(f"{source}.view")
            graph.values[name] = Value(name, graph.values[source].dtype, shape)
            view.inputs, view.outputs, source = [source], [name], name
        quantizer = path[-1]
        thresholds = sigmoid_thresholds(int(quantizer.attributes["bits"]))
        stored = graph.add_constant(f"{quantizer.name}.thresholds", thresholds)
        quantizer.op, quantizer.attributes = Op.QUANTIZE_LOGIT, {}
        quantizer.inputs = [source, stored]
        gone.append(node)
    graph.remove(gone)


def quantizer_path(graph: Graph, users: dict[str, list[Node]], node: Node) -> list[Node]:
    """From a sigmoid to the uniform quantizer that alone reads it: views, then the quantizer.

    Args:
        graph: holds the node.
        users: of the graph.
        node: any.

    Returns:
        Nothing where the node is no sigmoid, or something else reads it.
    """
    path: list[Node] = []
    if node.op is not Op.ACTIVATION or node.attributes["activation"] != Activation.SIGMOID:
        return []
    reader = graph.only_user(node.outputs[0], users)
    while reader is not None:
        path.append(reader)
        if reader.op != VIEW:
            return path if reader.op is Op.QUANTIZE_UNIFORM else []
        reader = graph.only_user(reader.outputs[0], users)
    return []
