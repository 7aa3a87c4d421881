"""A zoo entry as a link that training can go on from.

The files of an entry hold no batch norms: they are folded into the convolutions in front. The link
gets the folded weights, and norms that do nothing but add the folded bias.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper
from torch import Tensor, nn

from csideploy.errors import FormatError, InputError
from csideploy.export.quantize.channel_steps import has_learned
from csideploy.systems.acrnet import ConvolutionBlock, Residual
from csideploy.systems.link import Decoder, Encoder, Link
from csideploy.training.identity import reset_norm
from csideploy.training.integers import plain_units


@torch.no_grad()
def load_entry(link: Link, files: tuple[Path, Path]) -> None:
    """Give a link of family acrnet the weights in `ue.onnx` and `bs.onnx`.

    Args:
        link: of the same system, sizes and 1-bit layers as the entry.
        files: of the UE and of the BS.

    Raises:
        InputError: the files are of another network. FormatError: no ONNX files.
    """
    if link.spec.family != "acrnet":
        raise InputError(f"--start-from an entry is for ACRNet and BACRNet, not {link.spec.name}")
    _load_file(link.encoder, "encoder", link.spec.name, files[0])
    if has_learned(_load_file(link.decoder, "decoder", link.spec.name, files[1])):
        plain_units(link, folded=True)


def _load_file(part: Encoder | Decoder, prefix: str, system: str, path: Path) -> ModelProto:
    try:
        model = onnx.load(path)
    except Exception as error:
        raise FormatError(f"{path}: not an ONNX file") from error
    try:
        _load_part(part, prefix, _Graph(model))
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not the {prefix} of {system}: {error}") from error
    return model


class _Graph:
    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        self.by_weight = {name: n for n in graph.node for name in n.input if n.op_type == "Conv"}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def floats(self, name: str) -> Tensor:
        """A constant; large ones are stored as float16 or as integers with scales."""
        if f"{name}.codes" in self.constants:
            codes = self.constants[f"{name}.codes"].astype(np.float32)
            return torch.from_numpy(codes * self.constants[f"{name}.scale"])
        found = self.constants.get(name)
        value = self.constants[f"{name}.half"] if found is None else found
        return torch.from_numpy(value.astype(np.float32))

    def slope(self, convolution: NodeProto) -> Tensor:
        """Of the PReLU behind a convolution, with or without an Add between."""
        (node,) = self.readers[convolution.output[0]]
        if node.op_type == "Add":
            (node,) = (n for n in self.readers[node.output[0]] if n.op_type == "PRelu")
        return self.floats(node.input[1]).flatten()


def _load_part(part: Encoder | Decoder, prefix: str, graph: _Graph) -> None:
    for name, module in part.convolutions.named_modules():
        at = f"{prefix}.convolutions.{name}"
        if isinstance(module, ConvolutionBlock):
            convolution, norm, activation = module
            _load_convolution(graph, f"{at}.0.weight", convolution, norm, activation)
        elif isinstance(module, Residual):
            _load_convolution(
                graph, f"{at}.last.weight", module.last, module.norm, module.activation
            )
    fc = part.fc
    fc.bias.copy_(graph.floats(f"{prefix}.fc.bias"))
    if f"{prefix}.fc.packed" in graph.constants:
        fc.weight.copy_(_signs(graph, prefix, fc))
    else:
        fc.weight.copy_(graph.floats(f"{prefix}.fc.weight"))


def _load_convolution(
    graph: _Graph, weight: str, convolution: nn.Module, norm: nn.Module, activation: nn.Module
) -> None:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(activation, nn.PReLU)
    stored = weight if weight in graph.constants else f"{weight}.half"
    node = graph.by_weight.get(weight) or graph.by_weight[stored]
    convolution.weight.copy_(graph.floats(weight))
    reset_norm(norm, slice(None))
    norm.bias.copy_(graph.floats(node.input[2]))
    activation.weight.copy_(graph.slope(node))


def _signs(graph: _Graph, prefix: str, fc: nn.Linear) -> Tensor:
    """Alpha sign(W) as latent weights; their mean magnitude is alpha again."""
    packed: NDArray[np.uint8] = graph.constants[f"{prefix}.fc.packed"]
    if not hasattr(fc, "packed"):
        raise ValueError("its fully connected layer has 1-bit weights")
    bits = np.unpackbits(packed, axis=1)[:, : fc.in_features].astype(np.float32)
    scale = float(graph.constants[f"{prefix}.fc.scale"].ravel()[0])
    return torch.from_numpy((2 * bits - 1) * np.float32(scale))
