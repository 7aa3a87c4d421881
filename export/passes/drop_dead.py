"""Pass: nodes whose results reach no output go."""

from csideploy.export.graph import Graph, Node


def run(graph: Graph) -> None:
    """Change in place."""
    needed = set(graph.outputs)
    dead: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.isdisjoint(node.outputs):
            dead.append(node)
        else:
            needed.update(name for name in node.inputs if name)
    graph.remove(dead)
