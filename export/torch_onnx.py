"""torch -> ONNX: one file a part, opset 21, batch symbolic, 1-bit weights packed.

torch's exporter writes the float network; the 1-bit layers leave it as calls of the local
function BinaryLinear, and the payload's end is put on by `interface`. Node and tensor names come
from the modules' attribute names, because reports and error messages show them.

This is the only module of the compiler that needs torch, and it imports it when it is called.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

import csideploy
from csideploy.errors import InputError, MissingDependencyError
from csideploy.export.functions import attach_functions
from csideploy.export.graph import USERS
from csideploy.export.integer.scales import quantize_weight
from csideploy.export.interface import (
    BATCH,
    IR_VERSION,
    OPSET,
    append_codebook,
    append_quantizer,
    prepend_codebook,
    prepend_dequantizer,
)
from csideploy.quantizers.scalar import Codebook

if TYPE_CHECKING:
    import torch

CSI_SHAPE = (2, 32, 32)
"""Channels (real, imaginary), angle, delay."""

_FP16_MIN_SIZE = 4096
"""Smaller tensors stay fp32: they are little of the file, and biases feel the rounding."""

_MISSING = "exporting from torch needs '{}': pip install 'csideploy[train]'"


@runtime_checkable
class PackedLayer(Protocol):
    """A 1-bit fully connected layer, by what it offers."""

    def packed(self) -> tuple[NDArray[np.uint8], Any, Any]:
        """Bits (M, ceil(K / 8)) as BinaryLinear wants them, scale () or (M,), bias (M,) or None."""


def export_part(
    module: torch.nn.Module,
    side: str,
    *,
    bits: int | None = None,
    codebook: Codebook | None = None,
    features: int | None = None,
    name: str | None = None,
    csi_shape: tuple[int, int, int] = CSI_SHAPE,
    half_weights: bool = False,
    integer_weights: Collection[str] = (),
) -> ModelProto:
    """Export one part of a link.

    Args:
        module: a UE part maps x (n, 2, angle, delay) to a feature (n, M), which lies in [0, 1]
            where bits is set; a BS part maps a feature (n, M) to h (n, 2, angle, delay).
        side: "ue" or "bs".
        bits: B of the uniform quantizer; the UE file then ends in `codes` uint8 (n, M) and
            `payload` uint8 (n, ceil(M B / 8)), and the BS file begins with `payload`. None:
            output or input `feature`, float32 (n, M).
        codebook: the values of each of the M outputs, in place of `bits`; the payload then has
            ceil(sum B_m / 8) bytes. Its values are rounded to float16 on both sides.
        features: M; needed for the BS, whose input it sizes.
        name: prefix of node names; default "encoder" (ue) or "decoder" (bs).
        csi_shape: channels, angle, delay.
        half_weights: store float weights of at least 4096 elements as fp16, with a Cast to
            float32 behind each (half the file; the arithmetic stays fp32).
        integer_weights: names of weights of two dimensions that are stored as int8 with a scale an
            output, max |w| / 127, with a Cast and a Mul behind each: for those that were trained
            with that rounding, and lose nothing.

    Raises:
        InputError: wrong side, bits, codebook, shapes; a BS part without `features`.
        MissingDependencyError: torch or onnxscript is not installed.
    """
    if side not in ("ue", "bs"):
        raise InputError(f"side '{side}': a link's parts run at 'ue' or 'bs'")
    if bits is not None and codebook is not None:
        raise InputError("bits and a codebook: a feature is quantized once")
    if side == "bs" and features is None:
        raise InputError("a BS part needs `features`, the length M of the feature it receives")
    prefix = name or {"ue": "encoder", "bs": "decoder"}[side]
    shape = csi_shape if side == "ue" else (int(features or 0),)
    begin, end = ("x", "feature") if side == "ue" else ("feature", "h")
    model = export_network(
        module,
        {begin: shape},
        end,
        prefix,
        half_weights=half_weights,
        integer_weights=integer_weights,
    )
    if bits is not None and side == "ue":
        append_quantizer(model, bits)
    elif bits is not None:
        prepend_dequantizer(model, bits)
    elif codebook is not None and side == "ue":
        append_codebook(model, codebook)
    elif codebook is not None:
        prepend_codebook(model, codebook)
    attach_functions(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def export_network(
    module: torch.nn.Module,
    inputs: Mapping[str, tuple[int | str, ...]],
    output: str,
    prefix: str,
    *,
    half_weights: bool = False,
    integer_weights: Collection[str] = (),
) -> ModelProto:
    """Export a network as it is, without a payload's end; `attach_functions` is left to do.

    Args:
        module: takes the inputs in their order, float32, and gives one tensor.
        inputs: name -> shape without the batch; "k" in it is the number of users, which stays open.
        output: name of what it gives.
        prefix: of node names.
        half_weights: see `export_part`.
        integer_weights: see `export_part`.

    Raises:
        InputError: torch cannot export it. MissingDependencyError: torch or onnxscript is missing.
    """
    model = _export_float(module, inputs, output)
    _name_by_modules(model, prefix)
    _store_integers(model, integer_weights)
    if half_weights:
        _store_half(model)
    return model


def _export_float(
    module: torch.nn.Module, inputs: Mapping[str, tuple[int | str, ...]], output: str
) -> ModelProto:
    """Torch's exporter, quiet, with batch and users symbolic; 1-bit layers as calls."""
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(_MISSING.format("torch")) from error
    if importlib.util.find_spec("onnxscript") is None:
        raise MissingDependencyError(_MISSING.format("onnxscript"))
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    # Two samples, three users: torch specialises a size of one.
    sizes = [[2, *(3 if d == USERS else int(d) for d in shape)] for shape in inputs.values()]
    examples = tuple(torch.full(size, 0.5, device=device) for size in sizes)
    open_axes = tuple(
        {0: torch.export.Dim(BATCH)}
        | {axis: torch.export.Dim(USERS) for axis, d in enumerate(shape, 1) if d == USERS}
        for shape in inputs.values()
    )
    # Warnings of the exporter speak about torchvision and its own deprecations.
    with (
        _packed_layers(module, device),
        _evaluating(module),
        warnings.catch_warnings(),
        _quiet_logs(),
    ):
        warnings.simplefilter("ignore")
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                program = torch.onnx.export(
                    module,
                    examples,
                    dynamo=True,
                    opset_version=OPSET,
                    input_names=list(inputs),
                    output_names=[output],
                    dynamic_shapes=open_axes,
                    verbose=False,
                )
        # Any module may come here, and its forward may raise anything.
        except Exception as error:
            cause = error.__cause__ or error
            first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
            shapes = ", ".join(f"(n, {', '.join(map(str, shape))})" for shape in inputs.values())
            raise InputError(
                f"torch cannot export {type(module).__name__} on input {shapes}: {first}"
            ) from error
    if program is None:
        raise InputError("torch exported nothing for this module")
    model: ModelProto = program.model_proto
    return model


@contextlib.contextmanager
def _quiet_logs() -> Iterator[None]:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode inside; each submodule's own mode again outside."""
    modes = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for child, mode in modes:
            child.training = mode


@contextlib.contextmanager
def _packed_layers(module: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """Inside, every layer that offers packed() is a call of BinaryLinear."""
    swapped = []
    try:
        for parent in list(module.modules()):
            for key, child in list(parent.named_children()):
                if isinstance(child, PackedLayer):
                    swapped.append((parent, key, child))
                    setattr(parent, key, _binary_call(child).to(device))
        yield
    finally:
        for parent, key, child in swapped:
            setattr(parent, key, child)


def _binary_call(layer: PackedLayer) -> torch.nn.Module:
    import torch

    packed, scale, bias = layer.packed()
    packed = np.asarray(packed, np.uint8)
    outputs = packed.shape[0]
    scale_array = np.asarray(scale, np.float32).reshape(-1)
    bias_array = np.zeros(outputs, np.float32) if bias is None else np.asarray(bias, np.float32)

    class BinaryCall(torch.nn.Module):
        packed: torch.Tensor
        scale: torch.Tensor
        bias: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("packed", torch.from_numpy(packed.copy()))
            self.register_buffer("scale", torch.from_numpy(scale_array.copy()))
            self.register_buffer("bias", torch.from_numpy(bias_array.copy()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            # The shape tells -(-K // 8), not K, so K is read where the call is made.
            width = int(x.shape[1])
            if -(-width // 8) != packed.shape[1]:
                raise InputError(
                    f"1-bit layer: {width} inputs need rows of {-(-width // 8)} bytes, "
                    f"packed() gives {packed.shape[1]}"
                )
            return torch.onnx.ops.symbolic(
                "csideploy::BinaryLinear",
                (x, self.packed, self.scale, self.bias),
                attrs={"in_features": width},
                dtype=torch.float32,
                shape=(x.shape[0], outputs),
                version=1,
            )

    return BinaryCall()


def _scope(node: onnx.NodeProto, kernels: dict[str, list[int]]) -> str:
    """Where a node comes from, for people: block1.conv1x9, fc, block1.add.

    The module of its weight, else the module that called it. Numbers of a Sequential inside a
    block say nothing beside a kernel size, so only the first of them stays.
    """
    properties = {entry.key: entry.value for entry in node.metadata_props}
    # A printed list of strings: ['', 'block1', 'block1.act', 'prelu'], the last one torch's own.
    printed = properties.get("pkg.torch.onnx.name_scopes", "").strip("[]").split(",")
    scopes = [part.strip(" '\"") for part in printed]
    module = scopes[-2] if len(scopes) > 1 else ""
    weighted = [name for name in node.input[1:] if name in kernels and "." in name]
    if weighted and node.op_type != "PRelu":
        module = weighted[0].rsplit(".", 1)[0]
    parts = module.split(".") if module else []
    leaf = node.op_type.lower()
    if node.op_type == "Conv" and weighted:
        leaf = "conv" + "x".join(map(str, kernels[weighted[0]][2:]))
        parts = parts[:-1]
    elif parts and node.op_type in _MODULE_OPS:
        last = parts.pop()
        leaf = leaf if last.isdigit() else last
    numbers = [index for index, part in enumerate(parts) if part.isdigit()]
    kept = [part for index, part in enumerate(parts) if index not in numbers[1:]]
    return ".".join([*kept, leaf])


_MODULE_OPS = {
    "BatchNormalization",
    "BinaryLinear",
    "Gemm",
    "LeakyRelu",
    "MatMul",
    "PRelu",
    "Relu",
    "Sigmoid",
    "Tanh",
}
"""Operators that are a module's own work, and may carry its name."""


def _name_by_modules(model: ModelProto, prefix: str) -> None:
    """Names that people recognise, for nodes, tensors and weights; the exporter's notes go."""
    graph = model.graph
    stored = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    ends = {info.name for info in (*graph.input, *graph.output)}
    renamed = {name: name for name in ends}
    used: set[str] = set(ends)

    def free(wanted: str) -> str:
        name, number = wanted, 1
        while name in used:
            number += 1
            name = f"{wanted}_{number}"
        used.add(name)
        return name

    for node in graph.node:
        node.name = free(f"{prefix}.{_scope(node, stored)}")
        for index, output in enumerate(node.output):
            if output not in renamed:
                renamed[output] = node.name if index == 0 else free(f"{node.name}.{index}")
        # Constants that the exporter made have no module: they belong to their reader.
        for index, name in enumerate(node.input):
            if name in stored and name not in renamed:
                own = f"{prefix}.{name}" if "." in name else f"{node.name}.const{index}"
                renamed[name] = free(own)
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed[name] for name in node.output]
        del node.metadata_props[:]
        node.doc_string = ""
    for tensor in graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    _tidy(model, prefix)


def _tidy(model: ModelProto, prefix: str) -> None:
    """Our own header, batch called n, nothing that depends on where or when it was exported."""
    graph = model.graph
    for info in (*graph.input, *graph.output):
        info.type.tensor_type.shape.dim[0].dim_param = BATCH
        del info.metadata_props[:]
        info.doc_string = ""
    del graph.value_info[:]
    del graph.metadata_props[:]
    graph.name = prefix
    graph.doc_string = ""
    del model.metadata_props[:]
    del model.functions[:]
    model.doc_string = ""
    model.ir_version = IR_VERSION
    model.producer_name = "csideploy"
    model.producer_version = csideploy.__version__
    imports = [helper.make_opsetid("", OPSET)]
    if any(node.domain for node in graph.node):
        imports.append(helper.make_opsetid("csideploy", 1))
    del model.opset_import[:]
    model.opset_import.extend(imports)


def _store_integers(model: ModelProto, names: Collection[str]) -> None:
    """These weights as int8 with a scale an output, as `integer.scales.quantize_weight` makes them.

    Cast and Mul give the floats back, not DequantizeLinear: that would say of the whole network
    that it comes with scales.
    """
    graph = model.graph
    added = []
    for tensor in graph.initializer:
        if tensor.name not in names:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        codes, scale = quantize_weight(values, axis=0)
        tensor.CopyFrom(numpy_helper.from_array(codes, f"{name}.codes"))
        scales = numpy_helper.from_array(scale.reshape(-1, 1), f"{name}.scale")
        added.append(scales)
        whole = f"{name}.whole"
        nodes = [
            helper.make_node(
                "Cast", [f"{name}.codes"], [whole], name=f"{name}.cast", to=TensorProto.FLOAT
            ),
            helper.make_node("Mul", [whole, scales.name], [name], name=f"{name}.scaled"),
            *graph.node,
        ]
        del graph.node[:]
        graph.node.extend(nodes)
    graph.initializer.extend(added)


def _store_half(model: ModelProto) -> None:
    """Large float weights as fp16, each with a Cast to float32 in front of its readers."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _FP16_MIN_SIZE:
            continue
        values = numpy_helper.to_array(tensor)
        name = tensor.name
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise InputError(f"weight '{name}' holds values beyond fp16; store it as fp32")
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(
            helper.make_node(
                "Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=TensorProto.FLOAT
            )
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
