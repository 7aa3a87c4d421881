"""Pass: Conv becomes CONV2D, with every attribute written out.

ONNX leaves strides, dilations, pads and groups at defaults and may ask for "same" padding; the
executor wants numbers. Both compute the same cross-correlation.
"""

from csideploy.export.graph import Graph
from csideploy.export.plan import Activation, Op
from csideploy.export.shape_rules import conv_geometry


def run(graph: Graph) -> None:
    """Change in place."""
    for node in graph.nodes:
        if node.op != "Conv":
            continue
        x, weight = (graph.values[name] for name in node.inputs[:2])
        assert weight.data is not None
        geometry = conv_geometry(node, x.shape, weight.data.shape[2:])
        top, left, bottom, right = geometry["pads"]
        groups = int(node.attributes.get("group", 1))
        bias = node.inputs[2] if len(node.inputs) > 2 else ""
        node.op = Op.CONV2D
        node.inputs = [node.inputs[0], node.inputs[1], bias, "", ""]
        node.attributes = {
            "groups": groups,
            "stride_h": geometry["strides"][0],
            "stride_w": geometry["strides"][1],
            "dilation_h": geometry["dilations"][0],
            "dilation_w": geometry["dilations"][1],
            "pad_top": top,
            "pad_left": left,
            "pad_bottom": bottom,
            "pad_right": right,
            "activation": Activation.NONE,
            "alpha": 0.0,
        }
