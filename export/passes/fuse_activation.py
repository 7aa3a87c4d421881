"""Pass: a layer takes the activation behind it.

y = act(z) needs no tensor for z where nothing else reads it: the executor applies act before it
writes. A sigmoid in front of the payload's quantizer stays for `fuse_logit`, which leaves it out.
"""

from csideploy.export.graph import Graph
from csideploy.export.passes.fuse_logit import quantizer_path
from csideploy.export.plan import OPS, Activation, Op

_TAKERS = (Op.CONV2D, Op.LINEAR, Op.BINARY_LINEAR, Op.ADD)


def run(graph: Graph) -> None:
    """Change in place."""
    producers, users = graph.producers(), graph.users()
    gone = []
    for node in graph.nodes:
        if node.op is not Op.ACTIVATION or quantizer_path(graph, users, node):
            continue
        source, slope = node.inputs
        layer = producers.get(source)
        if layer is None or not isinstance(layer.op, Op) or layer.op not in _TAKERS:
            continue
        if layer.attributes["activation"] != Activation.NONE:
            continue
        if graph.only_user(source, users) is not node:
            continue
        # A slope is by axis 1 in an activation, by output in a linear layer.
        rows = layer.op in (Op.LINEAR, Op.BINARY_LINEAR)
        if slope and rows and len(graph.values[source].shape) != 2:
            continue
        layer.inputs[OPS[layer.op].inputs.index("slope?")] = slope
        layer.attributes.update(node.attributes)
        layer.outputs = node.outputs
        producers[node.outputs[0]] = layer
        gone.append(node)
    graph.remove(gone)
