"""Pass: a network of packed bits with one hidden layer of 8 bits becomes one step.

UNPACK_BITS, QLINEAR, QLINEAR and DEQUANTIZE with nothing else between them are what a radio unit's
neural decoder is in integers. Together they need no byte for each bit and no hidden layer in
memory, and a first layer whose inputs are bits is a sum of look-ups. Integers are exact, and the
floats are those of DEQUANTIZE: nothing changes.
"""

from __future__ import annotations

import numpy as np

from csideploy.export.graph import VIEW, Graph, Node, Value
from csideploy.export.plan import Op

LEAST_BITS, MOST = 8, 512
"""Bits of a row, and the most hidden units, too: what the kernels hold on their stack. With fewer
bits than a byte has, a pad could be taken for a row."""

_U8 = np.dtype(np.uint8)


def run(graph: Graph) -> None:
    """Change in place; behind the passes that make integer layers."""
    for back in list(graph.nodes):
        if back.op is Op.DEQUANTIZE:
            _take(graph, back)


def _take(graph: Graph, back: Node) -> None:
    producers, users = graph.producers(), graph.users()

    def before(node: Node, gone: list[Node]) -> Node | None:
        """What makes the first input, through views; with nobody else who reads any of it."""
        while True:
            name = node.inputs[0]
            found = producers.get(name)
            if found is None or graph.only_user(name, users) is not node or name in graph.outputs:
                return None
            gone.append(found)
            if found.op != VIEW:
                return found
            node = found

    gone: list[Node] = []
    second = before(back, gone)
    first = before(second, gone) if second is not None and second.op is Op.QLINEAR else None
    unpack = before(first, gone) if first is not None and first.op is Op.QLINEAR else None
    if second is None or first is None or unpack is None or unpack.op is not Op.UNPACK_BITS:
        return
    codes, hidden = graph.values[second.outputs[0]], graph.values[first.outputs[0]]
    weight = graph.values[first.inputs[1]]
    outputs = int(codes.shape[-1])
    if (
        unpack.attributes["bits"] != 1
        or first.attributes["x_zero"] != 0
        or second.attributes["x_zero"] != first.attributes["y_zero"]
        or hidden.dtype != _U8
        or codes.dtype != _U8
        or back.attributes["zero"] != second.attributes["y_zero"]
        or int(weight.shape[1]) < LEAST_BITS
        or max(int(size) for size in weight.shape) > MOST
    ):
        return
    name = graph.free_name(f"{back.outputs[0]}.rows")
    shape = (codes.shape[0], codes.per_sample // outputs, outputs)
    graph.values[name] = Value(name, np.dtype(np.float32), shape)
    network = Node(
        Op.BITS_NETWORK,
        second.name,
        [unpack.inputs[0], *first.inputs[1:4], *second.inputs[1:4]],
        [name],
        {
            "hidden_zero": first.attributes["y_zero"],
            "hidden_low": first.attributes["low"],
            "hidden_high": first.attributes["high"],
            **{key: second.attributes[key] for key in ("y_zero", "low", "high")},
            "y_scale": back.attributes["scale"],
        },
    )
    graph.nodes.insert(next(i for i, node in enumerate(graph.nodes) if node is back), network)
    back.op, back.inputs, back.attributes = VIEW, [name], {}
    graph.remove(gone)
