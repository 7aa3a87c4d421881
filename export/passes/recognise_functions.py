"""Pass: calls of our local functions become operations of the executor.

Each function's definition is in `functions/`; the operation of the same name computes it, without
the unpacking to float that the standard body needs.
"""

from csideploy.export.functions import DOMAIN
from csideploy.export.graph import Graph
from csideploy.export.plan import Activation, Op

_OPERATIONS = {
    "UniformQuantize": Op.QUANTIZE_UNIFORM,
    "PackBits": Op.PACK_BITS,
    "UnpackBits": Op.UNPACK_BITS,
    "UniformDequantize": Op.DEQUANTIZE_UNIFORM,
}


def run(graph: Graph) -> None:
    """Change in place."""
    for node in graph.nodes:
        if node.domain != DOMAIN:
            continue
        if node.op == "BinaryLinear":
            node.op = Op.BINARY_LINEAR
            node.inputs = [*node.inputs[:4], ""]
            node.attributes = {"activation": Activation.NONE, "alpha": 0.0}
        else:
            node.op = _OPERATIONS[str(node.op)]
            node.attributes = {"bits": int(node.attributes["bits"])}
        node.domain = ""
