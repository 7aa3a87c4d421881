"""Pass: a convolution takes the Add behind it as its residual.

y = conv(x) + r needs no tensor for conv(x) where nothing else reads it: the executor adds r
before it writes. The convolution moves to where the Add stood, so that r is there. Of two that
could take the Add, the later one does, which moves less.
"""

from csideploy.export.graph import Graph
from csideploy.export.plan import Activation, Op

_RESIDUAL_AT = 4


def run(graph: Graph) -> None:
    """Change in place."""
    producers, users = graph.producers(), graph.users()
    order = {id(node): index for index, node in enumerate(graph.nodes)}
    gone = []
    for node in graph.nodes:
        if node.op is not Op.ADD or node.inputs[0] == node.inputs[1]:
            continue
        layers = [
            (order[id(layer)], name, layer)
            for name in node.inputs[:2]
            if (layer := producers.get(name)) is not None
            and layer.op is Op.CONV2D
            and layer.attributes["activation"] == Activation.NONE
            and not layer.inputs[_RESIDUAL_AT]
            and graph.only_user(name, users) is node
        ]
        if not layers:
            continue
        _, taken, layer = max(layers, key=lambda entry: entry[0])
        (residual,) = (name for name in node.inputs[:2] if name != taken)
        layer.inputs[_RESIDUAL_AT] = residual
        layer.outputs = node.outputs
        graph.nodes[order[id(node)]] = layer
        graph.nodes[order[id(layer)]] = node
        order[id(node)], order[id(layer)] = order[id(layer)], order[id(node)]
        producers[node.outputs[0]] = layer
        gone.append(node)
    graph.remove(gone)
