"""Pass: BINARY ADD of two equal shapes becomes ADD, which takes an activation behind it."""

from csideploy.export.graph import Graph
from csideploy.export.operations import Binary
from csideploy.export.plan import Activation, Op


def run(graph: Graph) -> None:
    """Change in place."""
    for node in graph.nodes:
        if node.op is not Op.BINARY or node.attributes["function"] != Binary.ADD:
            continue
        a, b = (graph.values[name] for name in node.inputs)
        if a.shape != b.shape or a.data is not None or b.data is not None:
            continue
        node.op = Op.ADD
        node.inputs = [*node.inputs, ""]
        node.attributes = {"activation": Activation.NONE, "alpha": 0.0}
