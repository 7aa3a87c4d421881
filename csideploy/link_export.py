"""`export`: from trained weights to a link package."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from csideploy import __version__, c_folder, calibration
from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.emit_c import emit_c
from csideploy.export.inline import inline_functions
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import Plan
from csideploy.link_source import Bits, LinkSource, from_checkpoint, from_zoo
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.outputs import check_folder_free, folder_aside
from csideploy.package import MANIFEST, pairing_id, write_package
from csideploy.payload import Layout
from csideploy.progress import Advance, quiet
from csideploy.quantize import Quantized, quantize_link
from csideploy.report import footprint

VECTORS = 20
"""Golden samples: one environment of the indoor scenario."""

PARTS = {"ue": "encoder", "bs": "decoder"}


@dataclass(frozen=True)
class Wanted:
    """What the user asked for; None where it was left open.

    precision: fp32, int8 or auto. calibration: CSI for the scales; None: generated channels.
    """

    model: str | None
    cr: int | None
    bits: Bits
    binarize: str | None
    emit: frozenset[str]
    inline: bool
    seed: int
    precision: str = "fp32"
    calibration: Path | None = None


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
    quantized = None
    if wanted.precision != "fp32":
        quantized = _quantize(source, wanted, progress)
        # Its bar has shown the long part.
        progress = quiet
    networks = quantized.models if quantized else {"ue": source.ue, "bs": source.bs}
    mark = ".int8" if quantized else ""
    progress(1, 4)
    manifest = _manifest(source, wanted, quantized)
    plans = {}
    if quantized is not None or wanted.emit & {"bundle", "c"}:
        plans = {side: _plan(network, side, manifest) for side, network in networks.items()}
    if quantized is None:
        golden = golden_vectors(source, seed=wanted.seed)
    else:
        golden = integer_vectors(source, plans, seed=wanted.seed)
    files = {"vectors.npz": _npz(golden)}
    progress(2, 4)
    if "onnx" in wanted.emit:
        for side in PARTS:
            files[f"{side}.onnx"] = _onnx_bytes(getattr(source, side), inline=wanted.inline)
            files[f"{side}{mark}.onnx"] = _onnx_bytes(networks[side], inline=wanted.inline)
    bundles = {}
    if wanted.emit & {"bundle", "c"}:
        bundles = {side: write_bundle(plan) for side, plan in plans.items()}
    if "bundle" in wanted.emit:
        files |= {f"{side}{mark}.csib": data for side, data in bundles.items()}
        report = json.dumps(footprint.of_bundles(bundles), indent=2) + "\n"
        files["report.json"] = report.encode()
    sources = {}
    if "c" in wanted.emit:
        sources = {
            c_folder.folder_name(name): emit_c(data, title=name, vectors=golden)
            for name, data in ((f"{side}{mark}.csib", data) for side, data in bundles.items())
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
        "precision": wanted.precision,
        "quantization": quantized and quantized.figures(),
    }


def _quantize(source: LinkSource, wanted: Wanted, progress: Advance) -> Quantized:
    """The QDQ networks of both sides."""
    if wanted.calibration is None:
        # Its own seed: the golden vectors are no calibration data.
        x = calibration.generated(source.scenario, seed=wanted.seed + 1)
    else:
        (info,) = onnx.load_model_from_string(source.ue).graph.input
        shape = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim[1:])
        x = calibration.from_csi(wanted.calibration, shape)
    return quantize_link(
        source.ue,
        source.bs,
        calibration.chunks(x),
        precision=wanted.precision,
        seed=wanted.seed,
        progress=progress,
    )


def _source(wanted: Wanted, checkpoint: Path | None) -> LinkSource:
    if checkpoint is None:
        assert wanted.model is not None
        return from_zoo(wanted.model, cr=wanted.cr, bits=wanted.bits, binarize=wanted.binarize)
    source = from_checkpoint(checkpoint)
    if wanted.model is not None and wanted.model != source.system:
        raise InputError(f"--model {wanted.model}: {checkpoint} holds {source.system}")
    source.demand(cr=wanted.cr, bits=wanted.bits, binarize=wanted.binarize)
    return source


def _manifest(source: LinkSource, wanted: Wanted, quantized: Quantized | None) -> dict[str, Any]:
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
    precision = "int8" if quantized else "fp32"
    about: dict[str, Any] = {}
    if quantized is not None:
        about["quantization"] = {
            "precision": wanted.precision,
            "calibration": _calibration(source, wanted),
            **quantized.figures(),
        }
    return {
        **sizes,
        "payload": layout and layout.figures(),
        "pairing_id": pairing.hex(),
        "parts": [
            {"part": part, "side": side, "precision": precision} for side, part in PARTS.items()
        ],
        **about,
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


def _calibration(source: LinkSource, wanted: Wanted) -> dict[str, Any]:
    if wanted.calibration is not None:
        return {"file": wanted.calibration.name}
    samples = calibration.SAMPLES
    return {"scenario": source.scenario, "samples": samples, "seed": wanted.seed + 1}


def _plan(network: bytes, side: str, manifest: dict[str, Any]) -> Plan:
    sizes = ("system", "cr", "bits", "binarize")
    (precision,) = (part["precision"] for part in manifest["parts"] if part["side"] == side)
    return compile_model(
        onnx.load_model_from_string(network),
        part=PARTS[side],
        side=side,
        pairing_id=bytes.fromhex(manifest["pairing_id"]),
        metadata={**{key: str(manifest[key]) for key in sizes}, "precision": precision},
    )


def _onnx_bytes(model: bytes, *, inline: bool) -> bytes:
    if not inline:
        return model
    inlined: bytes = inline_functions(onnx.load_model_from_string(model)).SerializeToString()
    return inlined


def _npz(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _golden_inputs(source: LinkSource, seed: int) -> NDArray[np.float32]:
    made = generate(source.scenario, VECTORS, seed=seed).H.astype(np.float32)
    x, _ = to_input(made[:, 0] + 1j * made[:, 1])
    return x


def golden_vectors(source: LinkSource, *, seed: int) -> Arrays:
    """Generated channels of the link's scenario, through both ONNX files by ONNX Runtime.

    Returns:
        `x` float32 (n, 2, angle, delay); `codes` and `payload` uint8 (or `feature` float32 for a
        link without quantizer); `h` float32 like x.
    """
    x = _golden_inputs(source, seed)
    sent = Oracle(source.ue, name="ue.onnx").run(x)
    received = sent["feature"] if source.bits is None else sent["payload"]
    return {"x": x, **sent, "h": Oracle(source.bs, name="bs.onnx").run(received)["h"]}


def integer_vectors(source: LinkSource, plans: dict[str, Plan], *, seed: int) -> Arrays:
    """The same through integer plans by their NumPy specification: exact, but for floats in `h`."""
    x = _golden_inputs(source, seed)
    sent = run_plan(plans["ue"], [x])
    received = sent["feature"] if source.bits is None else sent["payload"]
    return {"x": x, **sent, "h": run_plan(plans["bs"], [received])["h"]}
