"""`export`: from trained weights, out of the zoo or out of a checkpoint, to a link package."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from csideploy import __version__
from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.inline import inline_functions
from csideploy.export.plan import PayloadLayout
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.outputs import check_folder_free, folder_aside
from csideploy.package import pairing_id, write_package
from csideploy.payload import Layout

VECTORS = 20
"""Golden samples: one environment of the indoor scenario."""

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """What the user asked for; None where it was left open."""

    model: str | None
    cr: int | None
    bits: int | None
    binarize: str | None
    emit: frozenset[str]
    inline: bool
    seed: int


@dataclass(frozen=True)
class LinkSource:
    """A trained link as two ONNX files, and what is known about it."""

    system: str
    cr: int
    bits: int | None
    binarize: str
    ue: bytes
    bs: bytes
    scenario: str
    provenance: dict[str, Any]
    metrics: dict[str, Any]


def parse_bits(text: str | None) -> int | None:
    """`--bits`: one number from 1 to 8.

    Raises:
        InputError: several budgets, or no such number.
    """
    if text is None:
        return None
    if "," in text:
        raise InputError(
            f"--bits {text}: several budgets in one package are not available in this version: "
            "give one number"
        )
    if not text.isdecimal() or not 1 <= int(text) <= 8:
        raise InputError(f"--bits {text}: a number from 1 to 8")
    return int(text)


def parse_emit(text: str) -> frozenset[str]:
    """`--emit`: a comma list out of onnx and bundle.

    Raises:
        InputError: anything else.
    """
    wanted = frozenset(item.strip() for item in text.split(",") if item.strip())
    if "c" in wanted:
        raise InputError("--emit c is not available in this version: onnx and bundle are")
    unknown = sorted(wanted - {"onnx", "bundle"})
    if unknown or not wanted:
        raise InputError(f"--emit {text}: a comma list of onnx and bundle")
    return wanted


def export_link(
    wanted: Wanted,
    *,
    checkpoint: Path | None = None,
    out: Path | None = None,
    force: bool = False,
    progress: Advance = lambda done, total: None,
) -> dict[str, Any]:
    """Make a link package.

    Args:
        wanted: system, sizes and what to write.
        checkpoint: weights that `train` wrote; None takes the zoo, and no torch.
        out: the folder; ./NAME if None.
        force: replace an existing folder.
        progress: called with steps done and steps in all.

    Raises:
        InputError: no such system, zoo entry or checkpoint, or it is not what was asked for.
        OutputError: the folder is taken or cannot be written.
        UnsupportedError: the compiler lacks an operator.
    """
    if wanted.model is None and checkpoint is None:
        raise InputError("export needs --model NAME (see `csideploy systems`) or --checkpoint FILE")
    folder = out if out is not None else Path(wanted.model or "link")
    check_folder_free(folder, force=force)
    source = _from_checkpoint(wanted, checkpoint) if checkpoint else _from_zoo(wanted)
    progress(1, 4)
    return _write(source, wanted, folder, force=force, progress=progress)


def _from_zoo(wanted: Wanted) -> LinkSource:
    from csideploy import zoo

    if wanted.model is None:
        raise InputError("export from the zoo needs --model NAME; `csideploy systems` lists them")
    entry = zoo.find(wanted.model, cr=wanted.cr, bits=wanted.bits, binarize=wanted.binarize)
    card = entry.card
    return LinkSource(
        system=card["system"],
        cr=card["cr"],
        bits=card["bits"],
        binarize=card["binarize"],
        ue=(entry.path / "ue.onnx").read_bytes(),
        bs=(entry.path / "bs.onnx").read_bytes(),
        scenario=card["data"]["scenario"],
        provenance={"source": "zoo", "entry": entry.path.name, "card": card},
        metrics=card["metrics"],
    )


def _from_checkpoint(wanted: Wanted, path: Path) -> LinkSource:
    from csideploy.export.torch_onnx import export_part
    from csideploy.training import load_checkpoint

    loaded = load_checkpoint(path)
    raise NotImplementedError(loaded, export_part)


def _write(
    source: LinkSource, wanted: Wanted, folder: Path, *, force: bool, progress: Advance
) -> dict[str, Any]:
    from csideploy.report import footprint

    models = {
        "ue": onnx.load_model_from_string(source.ue),
        "bs": onnx.load_model_from_string(source.bs),
    }
    layout = _layout(source, models["ue"])
    identity = {
        "system": source.system,
        "cr": source.cr,
        "bits": source.bits,
        "binarize": source.binarize,
        "layout_id": layout.layout_id if layout else 0,
    }
    pairing = pairing_id(identity, source.ue, source.bs)
    vectors = golden_vectors(source, seed=wanted.seed)
    progress(2, 4)
    files: dict[str, bytes] = {}
    for side, model in models.items():
        if "bundle" in wanted.emit:
            plan = compile_model(
                model,
                part={"ue": "encoder", "bs": "decoder"}[side],
                side=side,
                pairing_id=pairing,
                payload=layout and PayloadLayout(layout.layout_id, layout.count, layout.bits),
                metadata={key: str(value) for key, value in identity.items()},
            )
            files[f"{side}.csib"] = write_bundle(plan)
        if "onnx" in wanted.emit:
            files[f"{side}.onnx"] = _onnx_bytes(getattr(source, side), inline=wanted.inline)
    progress(3, 4)
    stream = io.BytesIO()
    np.savez_compressed(stream, **vectors)
    files["vectors.npz"] = stream.getvalue()
    manifest = {
        "name": wanted.model or source.system,
        **{key: identity[key] for key in ("system", "cr", "bits", "binarize")},
        "payload": layout
        and {
            "layout_id": layout.layout_id,
            "count": layout.count,
            "bits": layout.bits,
            "bits_per_sample": layout.payload_bits,
            "bytes_per_sample": layout.nbytes,
        },
        "pairing_id": pairing.hex(),
        "parts": [
            {"part": "encoder", "side": "ue", "precision": "fp32"},
            {"part": "decoder", "side": "bs", "precision": "fp32"},
        ],
        "csideploy": __version__,
        "provenance": source.provenance,
        "metrics": source.metrics,
        "vectors": {"scenario": source.scenario, "samples": VECTORS, "seed": wanted.seed},
    }
    with folder_aside(folder, force=force) as aside:
        if "bundle" in wanted.emit:
            report = footprint.of_bundles({s: files[f"{s}.csib"] for s in models})
            files["report.json"] = (json.dumps(report, indent=2) + "\n").encode()
        write_package(aside, manifest, files)
    progress(4, 4)
    return {
        "out": str(folder),
        "name": f"{source.system}, cr {source.cr}",
        "pairing_id": pairing.hex(),
        "payload": manifest["payload"],
        "files": {name: len(data) for name, data in sorted(files.items())},
    }


def _layout(source: LinkSource, ue: onnx.ModelProto) -> Layout | None:
    if source.bits is None:
        return None
    (codes,) = [output for output in ue.graph.output if output.name == "codes"]
    return Layout(codes.type.tensor_type.shape.dim[1].dim_value, source.bits)


def _onnx_bytes(model: bytes, *, inline: bool) -> bytes:
    if not inline:
        return model
    data: bytes = inline_functions(onnx.load_model_from_string(model)).SerializeToString()
    return data


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
