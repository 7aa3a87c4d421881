"""Pass: what moves no data becomes a view, what does nothing goes.

Identity, Dropout (in evaluation mode) and a Cast of an activation to its own type return their
input. Reshape, Flatten, Squeeze, Unsqueeze and a Transpose that only moves axes of size one keep
the elements in their row-major order, so the same bytes serve under another shape: VIEW.
"""

from csideploy.export.graph import VIEW, Graph

_NOTHING = {"Identity", "Dropout", "Cast"}
_VIEWS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"}


def run(graph: Graph) -> None:
    """Change in place."""
    for node in graph.nodes:
        if node.op in _NOTHING or node.op in _VIEWS:
            node.op = VIEW
            node.domain = ""
            node.inputs = node.inputs[:1]
            node.outputs = node.outputs[:1]
            node.attributes = {}
    users = graph.users()
    gone = []
    for node in graph.nodes:
        if node.op != VIEW:
            continue
        source, result = node.inputs[0], node.outputs[0]
        # An output keeps its name; lowering copies where the bytes cannot be shared.
        if graph.values[source].shape == graph.values[result].shape and result not in graph.outputs:
            for reader in users.pop(result, []):
                reader.inputs = [source if name == result else name for name in reader.inputs]
                users.setdefault(source, []).append(reader)
            gone.append(node)
    graph.remove(gone)
