"""Pass: in QuantizeLinear, Clip, DequantizeLinear the Clip moves in front, to the floats.

Exporters write fewer than 8 bits as a Clip of int8 codes (brevitas' QCDQ). With codes
c = rint(x / s) + z, clipping c to [low, high] is clipping x to [(low - z) s, (high - z) s] first:
rounding keeps order, and in float32 ((k s) / s) is within 2^-23 |k| of k, so that rint gives k
back for every |k| < 2^21. Then the Clip is an activation of the layer in front, as a ReLU is, and
the codes need no operation of their own.
"""

from __future__ import annotations

import numpy as np

from csideploy.export.graph import Graph, Node


def run(graph: Graph) -> None:
    """Change in place; after `infer`, while the operators are ONNX's."""
    users, producers = graph.users(), graph.producers()
    for clip in [node for node in graph.nodes if node.op == "Clip" and not node.domain]:
        quantize = producers.get(clip.inputs[0])
        if quantize is None or quantize.op != "QuantizeLinear" or quantize.domain:
            continue
        alone = graph.only_user(quantize.outputs[0], users)
        if alone is clip and _swap(graph, quantize, clip):
            users, producers = graph.users(), graph.producers()
    graph.sweep()


def _swap(graph: Graph, quantize: Node, clip: Node) -> bool:
    """X -> Clip -> QuantizeLinear instead of x -> QuantizeLinear -> Clip."""
    scale = graph.constant(quantize.inputs[1])
    zero = graph.constant(quantize.inputs[2]) if len(quantize.inputs) > 2 else np.zeros(1, np.int32)
    given = [*clip.inputs[1:], "", ""][:2]
    limits = [graph.constant(name) if name else None for name in given]
    unknown = any(name and data is None for name, data in zip(given, limits, strict=True))
    if scale is None or zero is None or scale.size != 1 or zero.size != 1 or unknown:
        return False
    step, origin = np.float32(scale.item()), int(zero.item())
    x, codes = quantize.inputs[0], clip.outputs[0]
    source = graph.values[x]
    clipped = graph.free_name(f"{x}.clipped")
    graph.values[clipped] = type(source)(clipped, source.dtype, source.shape, batch=source.batch)
    clip.inputs = [x]
    for what, data in zip(("low", "high"), limits, strict=True):
        if data is None:
            clip.inputs.append("")
        else:
            limit = np.asarray(np.float32(int(data.item()) - origin) * step, np.float32)
            clip.inputs.append(graph.add_constant(f"{clip.name}.{what}", limit))
    clip.outputs = [clipped]
    quantize.inputs = [clipped, *quantize.inputs[1:]]
    quantize.outputs = [codes]
    first, second = graph.nodes.index(quantize), graph.nodes.index(clip)
    graph.nodes[first], graph.nodes[second] = clip, quantize
    return True
