"""Pass: a layer norm that is written out becomes LAYER_NORM.

    m = mean(x), d = x - m, y = d / sqrt(mean(d d) + eps) [* scale] [+ bias]

with the means over the last axes. Exporters below opset 17 write it so. d is read by the square
and by the quotient only, m, the variance and the root once.
"""

from __future__ import annotations

from csideploy.export.channels import constant_beside
from csideploy.export.graph import Graph, Node
from csideploy.export.operations import Binary, Reduction, Unary
from csideploy.export.plan import Op


def run(graph: Graph) -> None:
    """Change in place."""
    for node in list(graph.nodes):
        if node.op is Op.BINARY and node.attributes["function"] in (Binary.DIV, Binary.MUL):
            _fuse(graph, node)
    for function, place in ((Binary.MUL, 1), (Binary.ADD, 2)):
        _take(graph, function, place)


def _fuse(graph: Graph, node: Node) -> None:
    producers, users = graph.producers(), graph.users()

    def behind(name: str, op: Op, function: int) -> Node | None:
        found = producers.get(name)
        alone = found is not None and graph.only_user(name, users) is not None
        same = found is not None and found.op is op
        fits = same and found is not None and found.attributes.get("function") == function
        return found if alone and fits else None

    centred, root = node.inputs
    inverse = None
    if node.attributes["function"] == Binary.MUL:
        inverse = behind(root, Op.UNARY, Unary.RECIPROCAL)
        if inverse is None:
            centred, root = root, centred
            inverse = behind(root, Op.UNARY, Unary.RECIPROCAL)
        if inverse is None:
            return
        root = inverse.inputs[0]
    sqrt = behind(root, Op.UNARY, Unary.SQRT)
    raised = behind(sqrt.inputs[0], Op.BINARY, Binary.ADD) if sqrt else None
    pair = constant_beside(graph, raised) if raised else None
    if pair is None or pair[1].size != 1:
        return
    epsilon = float(pair[1].reshape(-1)[0])
    variance = behind(pair[0], Op.REDUCE, Reduction.MEAN)
    square = behind(variance.inputs[0], Op.BINARY, Binary.MUL) if variance else None
    if variance is None or square is None or square.inputs != [centred, centred] or epsilon <= 0:
        return
    apart = producers.get(centred)
    if apart is None or apart.op is not Op.BINARY or centred in graph.outputs:
        return
    if apart.attributes["function"] != Binary.SUB or len(users[centred]) != 3:
        return
    x = apart.inputs[0]
    mean = behind(apart.inputs[1], Op.REDUCE, Reduction.MEAN)
    if mean is None or mean.inputs != [x] or mean.attributes != variance.attributes:
        return
    rank, axes = len(graph.values[x].shape), int(mean.attributes["axes"])
    first = (axes & -axes).bit_length() - 1
    if axes != (1 << rank) - (1 << first):
        return
    node.op = Op.LAYER_NORM
    node.inputs = [x, "", ""]
    node.attributes = {"axis": first, "epsilon": epsilon}
    gone = [variance, square, apart, mean]
    gone += [entry for entry in (inverse, sqrt, raised) if entry is not None]
    graph.remove(gone)


def _take(graph: Graph, function: Binary, place: int) -> None:
    """LAYER_NORM takes the constant factor, then the constant term, of the axes' own shape."""
    producers, users = graph.producers(), graph.users()
    gone = []
    for node in graph.nodes:
        if node.op is not Op.BINARY or node.attributes["function"] != function:
            continue
        pair = constant_beside(graph, node)
        norm = producers.get(pair[0]) if pair else None
        if pair is None or norm is None or norm.op is not Op.LAYER_NORM or any(norm.inputs[place:]):
            continue
        source = norm.outputs[0]
        shape = graph.values[source].shape
        whole = shape[int(norm.attributes["axis"]) :]
        data = pair[1]
        while data.ndim > len(whole) and data.shape[0] == 1:
            data = data[0]
        if data.shape != whole or graph.only_user(source, users) is not node:
            continue
        norm.inputs[place] = graph.add_constant(f"{norm.name}.{function.name}", data)
        norm.outputs = node.outputs
        producers[node.outputs[0]] = norm
        gone.append(node)
    graph.remove(gone)
