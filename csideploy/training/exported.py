"""A trained link as the ONNX files that packages and zoo entries are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnx import ModelProto

from csideploy.export.functions import attach_functions
from csideploy.export.quantize.channel_steps import UNIT_STEPS
from csideploy.export.torch_onnx import export_part
from csideploy.export.vector_interface import append_vector_quantizer, prepend_vector_dequantizer
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.scalar import Codebook
from csideploy.quantizers.vector import VectorQuantizer
from csideploy.systems.link import Link


@dataclass(frozen=True)
class Exported:
    """Both sides as bytes; see `link_source.LinkSource` for what they begin and end with."""

    ue: bytes
    bs: bytes
    codebooks: dict[int, Codebook] = field(default_factory=dict)


def export_trained(
    link: Link, *, half_weights: bool = False, integer_weights: bool = False
) -> Exported:
    """Export a link with its quantizer.

    Args:
        link: in evaluation mode.
        half_weights: store large weights as fp16, at the BS, and at the UE too where its fully
            connected layer is float and so most of the file.
        integer_weights: store the decoder's fully connected layer as int8 with a scale an output,
            as `--precision mixed` rounds it. A decoder that was trained with integers loses nothing
            by it.

    Raises:
        InputError: torch cannot export it.
    """
    quantizer = link.quantizer
    codebooks: dict[int, Codebook] = {}
    bits = None if isinstance(quantizer, CodebookQuantizer | VectorQuantizer) else link.bits
    half_ue = half_weights and link.binarize == "none"
    ue = export_part(link.encoder, "ue", bits=bits, half_weights=half_ue)
    rounded = integer_weights and link.binarize != "both"
    bs = export_part(
        link.decoder,
        "bs",
        bits=bits,
        features=link.features,
        half_weights=half_weights,
        integer_weights=("decoder.fc.weight",) if rounded else (),
    )
    if link.unit_steps:
        bs.metadata_props.add(key=UNIT_STEPS, value="1")
    if isinstance(quantizer, CodebookQuantizer):
        codebooks = {budget: quantizer.book(budget) for budget in quantizer.budgets}
    elif isinstance(quantizer, VectorQuantizer):
        append_vector_quantizer(ue, quantizer.book())
        prepend_vector_dequantizer(bs, quantizer.book())
        for model in (ue, bs):
            attach_functions(model)
    return Exported(_bytes(ue), _bytes(bs), codebooks)


def _bytes(model: ModelProto) -> bytes:
    data: bytes = model.SerializeToString()
    return data
