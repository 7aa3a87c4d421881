"""Pass: a view that changes nothing goes, a view of a view is a view of its source."""

from csideploy.export.graph import VIEW, Graph


def run(graph: Graph) -> None:
    """Change in place."""
    producers = graph.producers()
    for node in graph.nodes:
        if node.op != VIEW:
            continue
        before = producers.get(node.inputs[0])
        if before is not None and before.op == VIEW:
            node.inputs = list(before.inputs)
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
        elif result not in users and result not in graph.outputs:
            gone.append(node)
    graph.remove(gone)
