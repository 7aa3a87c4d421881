"""The parts that a trained link is made of when it is exported, and what crosses between them.

A link of one bit budget is an encoder that ends in the payload and a decoder that begins with it.
One of several budgets has encoder and decoder once, with the feature as what goes between, and for
each budget a quantizer at the UE and one at the BS, which are small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto

from csideploy.errors import InputError
from csideploy.export.functions import DOMAIN, attach_functions
from csideploy.export.interface import (
    append_codebook,
    dequantizer_model,
    prepend_codebook,
    quantizer_model,
)
from csideploy.link_source import LinkSource
from csideploy.onnx_oracle import Arrays
from csideploy.package import quantizer_stem
from csideploy.payload import Layout


@dataclass(frozen=True)
class LinkPart:
    """One part: the name of its files without their end, where it runs, and its network.

    stem: "ue", "bs", "ue-quantizer-2". layout: of the payload that it makes or takes, if it does.
    network: the bytes of its fp32 ONNX file. budget: of a quantizer that is a part of its own.
    """

    stem: str
    side: str
    part: str
    network: bytes
    layout: Layout | None = None
    budget: int | None = None


@dataclass(frozen=True)
class LinkParts:
    """All parts of a link: encoder, decoder, then the quantizers of each budget.

    layouts: of the payload, the smallest budget first; () where floats are fed back.
    """

    parts: tuple[LinkPart, ...]
    layouts: tuple[Layout, ...]

    def __getitem__(self, stem: str) -> LinkPart:
        """The part of that name."""
        return next(part for part in self.parts if part.stem == stem)

    @property
    def several(self) -> bool:
        """Whether the quantizers are parts of their own."""
        return len(self.layouts) > 1


def assemble(source: LinkSource, budgets: tuple[int, ...]) -> LinkParts:
    """The parts of a link for some bit budgets.

    Args:
        source: the trained link.
        budgets: keys of its codebooks, ascending; () where it has none.

    Raises:
        InputError: a codebook does not fit the feature or its budget.
    """
    if not budgets:
        layout = _uniform_layout(source)
        return _one(source.ue, source.bs, layout)
    books = [source.codebooks[budget] for budget in budgets]
    layouts = [_codebook_layout(source, budget) for budget in budgets]
    if len(budgets) == 1:
        networks = [onnx.load_model_from_string(data) for data in (source.ue, source.bs)]
        append_codebook(networks[0], books[0])
        prepend_codebook(networks[1], books[0])
        for network in networks:
            attach_functions(network)
        ue, bs = (network.SerializeToString() for network in networks)
        return _one(ue, bs, layouts[0])
    parts = [
        LinkPart("ue", "ue", "encoder", source.ue),
        LinkPart("bs", "bs", "decoder", source.bs),
    ]
    for budget, book, layout in zip(budgets, books, layouts, strict=True):
        for side, model in (("ue", quantizer_model(book)), ("bs", dequantizer_model(book))):
            stem, data = quantizer_stem(side, budget), model.SerializeToString()
            parts.append(LinkPart(stem, side, "quantizer", data, layout, budget))
    return LinkParts(tuple(parts), tuple(layouts))


def _one(ue: bytes, bs: bytes, layout: Layout | None) -> LinkParts:
    parts = (
        LinkPart("ue", "ue", "encoder", ue, layout),
        LinkPart("bs", "bs", "decoder", bs, layout),
    )
    return LinkParts(parts, () if layout is None else (layout,))


def _uniform_layout(source: LinkSource) -> Layout | None:
    """What the network's own packing says; None for float features."""
    if source.bits is None:
        return None
    graph = onnx.load_model_from_string(source.ue).graph
    counts = [output for output in graph.output if output.name == "codes"]
    packing = [node for node in graph.node if (node.domain, node.op_type) == (DOMAIN, "PackBits")]
    if len(counts) != 1 or len(packing) != 1:
        raise InputError(
            f"{source.system}: the UE's network has {len(packing)} PackBits and {len(counts)} "
            "outputs 'codes'; one of each is right"
        )
    count = counts[0].type.tensor_type.shape.dim[1].dim_value
    return Layout.uniform(count, _attribute(packing[0], "bits"))


def _attribute(node: NodeProto, name: str) -> int:
    (value,) = (entry.i for entry in node.attribute if entry.name == name)
    return int(value)


def _codebook_layout(source: LinkSource, budget: int) -> Layout:
    book = source.codebooks[budget]
    for network, ends in ((source.ue, "output"), (source.bs, "input")):
        (info,) = getattr(onnx.load_model_from_string(network).graph, ends)
        features = info.type.tensor_type.shape.dim[-1].dim_value
        if features != book.outputs:
            raise InputError(
                f"{source.system}: the codebook of {budget} bits has {book.outputs} outputs, the "
                f"feature {features}"
            )
    try:
        return Layout.codebook(book.widths.tolist(), budget)
    except InputError as error:
        raise InputError(f"{source.system}: the codebook of {budget} bits: {error}") from error


Run = Callable[[LinkPart, NDArray[np.generic]], Arrays]
"""Runs a part on its one input; gives its outputs by name."""


def golden_vectors(link: LinkParts, x: NDArray[np.float32], run: Run) -> Arrays:
    """Inputs through both sides, for a package's `vectors.npz`.

    Args:
        link: the parts.
        x: float32 (n, 2, angle, delay).
        run: what the outputs are computed with.

    Returns:
        `x`; `codes` and `payload` uint8 (or `feature` float32 for a link without quantizer); `h`
        float32 like x. With several budgets `x`, `feature`, and for each budget B `codes_B`,
        `payload_B`, `feature_B` (what the BS makes of the payload) and `h_B`.
    """
    sent = run(link["ue"], x)
    if not link.several:
        received = sent["payload" if link.layouts else "feature"]
        return {"x": x, **sent, "h": run(link["bs"], received)["h"]}
    vectors = {"x": x, "feature": sent["feature"]}
    for layout in link.layouts:
        made = run(link[quantizer_stem("ue", layout.bits)], sent["feature"])
        feature = run(link[quantizer_stem("bs", layout.bits)], made["payload"])["feature"]
        own = {**made, "feature": feature, "h": run(link["bs"], feature)["h"]}
        vectors |= {f"{name}_{layout.bits}": array for name, array in own.items()}
    return vectors


def vectors_of(part: LinkPart, link: LinkParts, vectors: Arrays) -> Arrays:
    """The golden inputs and outputs of one part, by the names that it has for them."""
    if not link.several:
        return vectors
    if part.stem == "ue":
        return {"x": vectors["x"], "feature": vectors["feature"]}
    names = ("codes", "payload", "feature", "h")
    budget = part.budget or link.layouts[-1].bits
    own = {name: vectors[f"{name}_{budget}"] for name in names}
    return {**own, "feature": vectors["feature"]} if part.side == "ue" else own
