"""`export`: from trained weights to a link package."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from csideploy import __version__, c_folder
from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.emit_c import emit_c
from csideploy.export.inline import inline_functions
from csideploy.link_source import Bits, LinkSource, from_checkpoint, from_zoo
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.outputs import check_folder_free, folder_aside
from csideploy.package import MANIFEST, pairing_id, write_package
from csideploy.payload import Layout
from csideploy.progress import Advance, quiet
from csideploy.report import footprint

VECTORS = 20
"""Golden samples: one environment of the indoor scenario."""

PARTS = {"ue": "encoder", "bs": "decoder"}


@dataclass(frozen=True)
class Wanted:
    """What the user asked for; None where it was left open."""

    model: str | None
    cr: int | None
    bits: Bits
    binarize: str | None
    emit: frozenset[str]
    inline: bool
    seed: int


def parse_emit(text: str) -> frozenset[str]:
    """`--emit`: a comma list out of onnx, bundle and c.

    Raises:
        InputError: anything else.
    """
    wanted = frozenset(item.strip() for item in text.split(",") if item.strip())
    unknown = sorted(wanted - {"onnx", "bundle", "c"})
    if unknown or not wanted:
        raise InputError(f"--emit {text}: a comma list of onnx, bundle and c")
    return wanted


def export_link(
    wanted: Wanted,
    *,
    checkpoint: Path | None = None,
    out: Path | None = None,
    force: bool = False,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Make a link package.

    Args:
        wanted: system, sizes and what to write.
        checkpoint: weights that `train` wrote; None takes the zoo, and no torch.
        out: the folder; ./NAME if None.
        force: replace an existing package.
        progress: called with steps done and steps in all.

    Returns:
        Where it is and what is in it.

    Raises:
        InputError: no such system, zoo entry or checkpoint, or it is not what was asked for.
        OutputError: the folder is taken or cannot be written.
        UnsupportedError: the compiler lacks an operator.
    """
    if checkpoint is None and wanted.model is None:
        raise InputError("export needs --model NAME (see `csideploy systems`) or --checkpoint FILE")
    if out is not None:
        check_folder_free(out, force=force, holding=MANIFEST)
    source = _source(wanted, checkpoint)
    folder = out if out is not None else Path(wanted.model or source.system)
    return make_package(source, wanted, folder, force=force, progress=progress)


def make_package(
    source: LinkSource,
    wanted: Wanted,
    folder: Path,
    *,
    force: bool = False,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Make the package of a link at `folder`; the rest is as in `export_link`."""
    check_folder_free(folder, force=force, holding=MANIFEST)
    progress(1, 4)
    golden = golden_vectors(source, seed=wanted.seed)
    files = {"vectors.npz": _npz(golden)}
    progress(2, 4)
    manifest = _manifest(source, wanted)
    if "onnx" in wanted.emit:
        for side in PARTS:
            files[f"{side}.onnx"] = _onnx_bytes(getattr(source, side), inline=wanted.inline)
    bundles = {}
    if wanted.emit & {"bundle", "c"}:
        bundles = {side: _bundle(source, side, manifest) for side in PARTS}
    if "bundle" in wanted.emit:
        files |= {f"{side}.csib": data for side, data in bundles.items()}
        report = json.dumps(footprint.of_bundles(bundles), indent=2) + "\n"
        files["report.json"] = report.encode()
    sources = {}
    if "c" in wanted.emit:
        sources = {
            c_folder.folder_name(name): emit_c(data, title=name, vectors=golden)
            for name, data in ((f"{side}.csib", data) for side, data in bundles.items())
        }
    progress(3, 4)
    with folder_aside(folder, force=force, holding=MANIFEST) as aside:
        write_package(aside, manifest, files)
        for name, parts in sources.items():
            c_folder.write_files(aside / name, parts)
    progress(4, 4)
    return {
        "out": str(folder),
        **{key: manifest[key] for key in ("system", "cr", "bits", "binarize")},
        "pairing_id": manifest["pairing_id"],
        "payload": manifest["payload"],
        "files": {name: len(data) for name, data in sorted(files.items())},
        "c": sorted(sources),
    }


def _source(wanted: Wanted, checkpoint: Path | None) -> LinkSource:
    if checkpoint is None:
        assert wanted.model is not None
        return from_zoo(wanted.model, cr=wanted.cr, bits=wanted.bits, binarize=wanted.binarize)
    source = from_checkpoint(checkpoint)
    if wanted.model is not None and wanted.model != source.system:
        raise InputError(f"--model {wanted.model}: {checkpoint} holds {source.system}")
    source.demand(cr=wanted.cr, bits=wanted.bits, binarize=wanted.binarize)
    return source


def _manifest(source: LinkSource, wanted: Wanted) -> dict[str, Any]:
    layout = _layout(source)
    sizes = {
        "system": source.system,
        "cr": source.cr,
        "bits": source.bits,
        "binarize": source.binarize,
    }
    identity = {**sizes, "layout_id": layout.layout_id if layout else 0}
    # Of the weights' own files: a package with inlined ONNX still pairs with one without.
    pairing = pairing_id(identity, source.ue, source.bs)
    return {
        **sizes,
        "payload": layout and layout.figures(),
        "pairing_id": pairing.hex(),
        "parts": [
            {"part": part, "side": side, "precision": "fp32"} for side, part in PARTS.items()
        ],
        "csideploy": __version__,
        "provenance": source.provenance,
        "metrics": source.metrics,
        "vectors": {"scenario": source.scenario, "samples": VECTORS, "seed": wanted.seed},
    }


def _layout(source: LinkSource) -> Layout | None:
    if source.bits is None:
        return None
    graph = onnx.load_model_from_string(source.ue).graph
    (codes,) = [output for output in graph.output if output.name == "codes"]
    return Layout(codes.type.tensor_type.shape.dim[1].dim_value, source.bits)


def _bundle(source: LinkSource, side: str, manifest: dict[str, Any]) -> bytes:
    sizes = ("system", "cr", "bits", "binarize")
    plan = compile_model(
        onnx.load_model_from_string(getattr(source, side)),
        part=PARTS[side],
        side=side,
        pairing_id=bytes.fromhex(manifest["pairing_id"]),
        metadata={key: str(manifest[key]) for key in sizes},
    )
    return write_bundle(plan)


def _onnx_bytes(model: bytes, *, inline: bool) -> bytes:
    if not inline:
        return model
    inlined: bytes = inline_functions(onnx.load_model_from_string(model)).SerializeToString()
    return inlined


def _npz(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def golden_vectors(source: LinkSource, *, seed: int) -> Arrays:
    """Generated channels of the link's scenario, through both ONNX files by ONNX Runtime.

    Returns:
        `x` float32 (n, 2, angle, delay); `codes` and `payload` uint8 (or `feature` float32 for a
        link without quantizer); `h` float32 like x.
    """
    made = generate(source.scenario, VECTORS, seed=seed).H.astype(np.float32)
    x, _ = to_input(made[:, 0] + 1j * made[:, 1])
    sent = Oracle(source.ue, name="ue.onnx").run(x)
    received = sent["feature"] if source.bits is None else sent["payload"]
    return {"x": x, **sent, "h": Oracle(source.bs, name="bs.onnx").run(received)["h"]}
