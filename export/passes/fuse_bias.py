"""Pass: a constant added to a layer's result becomes its bias.

(w . x + b) + c = w . x + (b + c), with c one number an output channel, where nothing else reads
the layer's result.
"""

import numpy as np

from csideploy.export.graph import Graph, Node
from csideploy.export.plan import Op
from csideploy.export.shape_rules import channel_vector

_BIAS_AT = {Op.CONV2D: 2, Op.LINEAR: 2, Op.BINARY_LINEAR: 3}


def run(graph: Graph) -> None:
    """Change in place."""
    producers, users = graph.producers(), graph.users()
    gone: list[Node] = []
    for node in graph.nodes:
        if node.op != "Add":
            continue
        constants = [name for name in node.inputs if graph.constant(name) is not None]
        if len(constants) != 1:
            continue
        (source,) = (name for name in node.inputs if name != constants[0])
        layer = producers.get(source)
        if not layer or not isinstance(layer.op, Op) or layer.op not in _BIAS_AT:
            continue
        if graph.only_user(source, users) is not node:
            continue
        data = graph.constant(constants[0])
        assert data is not None
        added = channel_vector(data, graph.values[source].shape)
        assert added is not None
        at = _BIAS_AT[layer.op]
        bias = graph.constant(layer.inputs[at])
        total = added if bias is None else bias.astype(np.float64) + added
        layer.inputs[at] = graph.add_constant(f"{layer.name}.bias", total.astype(np.float32))
        layer.outputs = node.outputs
        producers[node.outputs[0]] = layer
        gone.append(node)
    graph.remove(gone)
