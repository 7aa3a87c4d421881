"""`export`: from trained weights to a link package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from csideploy import __version__, c_folder, calibration, registry
from csideploy.channels.conventions import to_input
from csideploy.channels.generate import generate
from csideploy.errors import InputError, UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.emit_c import emit_c
from csideploy.export.inline import inlined_bytes
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import PayloadLayout, Plan
from csideploy.integer_rules import has_integers
from csideploy.link_parts import LinkPart, LinkParts, Run, assemble, golden_vectors, vectors_of
from csideploy.link_source import Bits, LinkSource, from_checkpoint, from_zoo
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.outputs import check_folder_free, folder_aside
from csideploy.package import MANIFEST, npz_bytes, pairing_id, write_package
from csideploy.profiles import described, r20_case0
from csideploy.progress import Advance, quiet
from csideploy.quantize import Quantized, quantize_link
from csideploy.report import footprint, network_count
from csideploy.report.page import report_files

VECTORS = 20
"""Golden samples: one environment of the indoor scenario."""


@dataclass(frozen=True)
class Wanted:
    """What the user asked for; None where it was left open.

    precision: fp32, int8, auto or mixed. calibration: CSI for the scales; None: generated channels.
    quantizer: one of `registry.QUANTIZERS`. profile: `r20-case0`.
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
    quantizer: str | None = None
    profile: str | None = None


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
        InputError: no such system, zoo entry or checkpoint, it is not what was asked for, or not
            to be had in integers.
        OutputError: the folder is taken or cannot be written.
        UnsupportedError: the compiler lacks an operator.
    """
    if checkpoint is None and wanted.model is None:
        raise InputError("export needs --model NAME (see `csideploy systems`) or --checkpoint FILE")
    if out is not None:
        check_folder_free(out, force=force, holding=MANIFEST)
    _check_profile(wanted)
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
    if wanted.precision != "fp32" and source.quantizer == "vector":
        raise InputError(
            f"--precision {wanted.precision}: distances to the vectors of a codebook are computed "
            "in fp32; leave the option out"
        )
    link = assemble(source, source.budgets(wanted.bits))
    if wanted.profile is not None:
        # Before the long part.
        r20_case0.check_name(wanted.profile)
        _check_payload(link, source)
    quantized = None
    if wanted.precision != "fp32":
        quantized = _quantize(link, source, wanted, progress)
        # Its bar has shown the long part.
        progress = quiet
    progress(1, 4)
    manifest = _manifest(link, source, wanted, quantized)
    # What runs: the QDQ network where there is one, under its own file name.
    running = {part.stem: (part.stem, part.network) for part in link.parts}
    if quantized is not None:
        running |= {stem: (f"{stem}.int8", data) for stem, data in quantized.models.items()}
    plans = {}
    if quantized is not None or wanted.emit & {"bundle", "c"}:
        plans = {part.stem: _plan(running[part.stem][1], part, manifest) for part in link.parts}
    x = _golden_inputs(source, wanted.seed)
    golden = golden_vectors(link, x, _runner(running, plans if quantized is not None else {}))
    files = {"vectors.npz": npz_bytes(golden)}
    progress(2, 4)
    if "onnx" in wanted.emit:
        for part in link.parts:
            files[f"{part.stem}.onnx"] = inlined_bytes(part.network, inline=wanted.inline)
            name, network = running[part.stem]
            files[f"{name}.onnx"] = inlined_bytes(network, inline=wanted.inline)
    if wanted.profile is not None:
        manifest["profile"] = _profile(link, source, manifest, files)
    bundles = {}
    if wanted.emit & {"bundle", "c"}:
        bundles = {f"{running[stem][0]}.csib": write_bundle(plan) for stem, plan in plans.items()}
    if "bundle" in wanted.emit:
        files |= bundles
        figures = footprint.of_bundles(list(bundles.values()))
        network_count.add(figures, _network(link, manifest, figures, quantized))
        files |= report_files(figures, manifest)
    sources = {}
    if "c" in wanted.emit:
        for part, (name, data) in zip(link.parts, bundles.items(), strict=True):
            vectors = vectors_of(part, link, golden)
            sources[c_folder.folder_name(name)] = emit_c(data, title=name, vectors=vectors)
    progress(3, 4)
    with folder_aside(folder, force=force, holding=MANIFEST) as aside:
        write_package(aside, manifest, files)
        for name, parts in sources.items():
            c_folder.write_files(aside / name, parts)
    progress(4, 4)
    return {
        "out": str(folder),
        **{key: manifest[key] for key in ("system", "cr", "bits", "binarize", "quantizer")},
        "pairing_id": manifest["pairing_id"],
        "payload": manifest["payload"],
        "budgets": [layout.figures() for layout in link.layouts],
        "files": {name: len(data) for name, data in sorted(files.items())},
        "c": sorted(sources),
        "precision": wanted.precision,
        "quantization": quantized and quantized.figures(),
        "profile": manifest.get("profile"),
    }


def _check_profile(wanted: Wanted) -> None:
    """Refuse what can be refused before any weights are read."""
    if wanted.profile is None:
        return
    r20_case0.check_name(wanted.profile)
    known = wanted.cr in registry.COMPRESSIONS and len(wanted.bits.numbers) < 2
    if wanted.cr is not None and wanted.bits.given and known:
        bits = wanted.bits.number
        r20_case0.check_pair(registry.features(wanted.cr), bits, wanted.quantizer or "uniform")


def _check_payload(link: LinkParts, source: LinkSource) -> None:
    if link.layouts:
        layout = link.layouts[-1]
        r20_case0.check_pair(layout.count, layout.bits, source.quantizer)
    else:
        r20_case0.check_pair(registry.features(source.cr), None, source.quantizer)


def _profile(
    link: LinkParts, source: LinkSource, manifest: dict[str, Any], files: Mapping[str, bytes]
) -> dict[str, Any]:
    """The manifest's `profile`; hashes are those of the package's files, if it has them."""
    ue, bs = (
        hashlib.sha256(files.get(f"{stem}.onnx", link[stem].network)).hexdigest()
        for stem in ("ue", "bs")
    )
    return described.describe(
        link.layouts[-1],
        pairing_id=manifest["pairing_id"],
        provenance=source.provenance,
        metrics=source.metrics,
        encoder_sha256=ue,
        decoder_sha256=bs,
    )


def _quantize(link: LinkParts, source: LinkSource, wanted: Wanted, progress: Advance) -> Quantized:
    """The QDQ networks of both sides; quantizers of several budgets stay as they are."""
    if wanted.calibration is None:
        # Its own seed: the golden vectors are no calibration data.
        x = calibration.generated(source.scenario, seed=wanted.seed + 1)
    else:
        (info,) = onnx.load_model_from_string(source.ue).graph.input
        shape = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim[1:])
        x = calibration.from_csi(wanted.calibration, shape)
    return quantize_link(
        link["ue"].network,
        link["bs"].network,
        calibration.chunks(x),
        precision=wanted.precision,
        seed=wanted.seed,
        progress=progress,
    )


def _source(wanted: Wanted, checkpoint: Path | None) -> LinkSource:
    if checkpoint is None:
        assert wanted.model is not None
        return from_zoo(
            wanted.model,
            cr=wanted.cr,
            bits=wanted.bits,
            binarize=wanted.binarize,
            quantizer=wanted.quantizer,
        )
    source = from_checkpoint(checkpoint)
    if wanted.model is not None and wanted.model != source.system:
        raise InputError(f"--model {wanted.model}: {checkpoint} holds {source.system}")
    source.demand(
        cr=wanted.cr, bits=wanted.bits, binarize=wanted.binarize, quantizer=wanted.quantizer
    )
    return source


def _manifest(
    link: LinkParts, source: LinkSource, wanted: Wanted, quantized: Quantized | None
) -> dict[str, Any]:
    # Of several budgets the largest is the one that is taken where none is named.
    layout = link.layouts[-1] if link.layouts else None
    bits = layout.bits if layout is not None and layout.widths else source.bits
    sizes = {
        "system": source.system,
        "cr": source.cr,
        "bits": bits,
        "binarize": source.binarize,
    }
    identity = {**sizes, "layout_id": layout.layout_id if layout else 0}
    # Of the weights' own files: a package with inlined ONNX still pairs with one without.
    pairing = pairing_id(identity, *(part.network for part in link.parts))
    integers = () if quantized is None else quantized.models
    integer = "mixed" if wanted.precision == "mixed" else "int8"
    about: dict[str, Any] = {}
    if quantized is not None:
        about["quantization"] = {
            "precision": wanted.precision,
            "calibration": _calibration(source, wanted),
            **quantized.figures(),
        }
    if link.several:
        about["budgets"] = [own.figures() for own in link.layouts]
    return {
        **sizes,
        "quantizer": source.quantizer if layout else None,
        "payload": layout and layout.figures(),
        "pairing_id": pairing.hex(),
        "parts": [
            {
                **{"part": part.part, "side": part.side, "file": part.stem},
                **({} if part.budget is None else {"budget": part.budget}),
                "precision": integer if part.stem in integers else "fp32",
            }
            for part in link.parts
        ],
        **about,
        "csideploy": __version__,
        "provenance": source.provenance,
        "metrics": source.metrics,
        "vectors": {"scenario": source.scenario, "samples": VECTORS, "seed": wanted.seed},
    }


def _calibration(source: LinkSource, wanted: Wanted) -> dict[str, Any]:
    if wanted.calibration is not None:
        return {"file": wanted.calibration.name}
    samples = calibration.SAMPLES
    return {"scenario": source.scenario, "samples": samples, "seed": wanted.seed + 1}


def _plan(network: bytes, part: LinkPart, manifest: dict[str, Any]) -> Plan:
    about = {key: str(manifest[key]) for key in ("system", "cr", "bits", "binarize")}
    (precision,) = (p["precision"] for p in manifest["parts"] if p["file"] == part.stem)
    payload = None
    if part.layout is not None:
        own = part.layout
        coded = 0 if own.widths else own.bits
        payload = PayloadLayout(own.layout_id, own.count, coded, own.widths)
        about["bits"] = str(own.bits)
    return compile_model(
        onnx.load_model_from_string(network),
        part=part.part,
        side=part.side,
        pairing_id=bytes.fromhex(manifest["pairing_id"]),
        payload=payload,
        metadata={**about, "precision": precision},
    )


def _network(
    link: LinkParts, manifest: dict[str, Any], figures: dict[str, Any], quantized: Quantized | None
) -> network_count.Sides:
    """What the network counts at each side, whatever it runs in."""
    if quantized is None:
        return network_count.of_executed(figures["sides"])
    return network_count.of_plans(_plan(part.network, part, manifest) for part in link.parts)


def _golden_inputs(source: LinkSource, seed: int) -> NDArray[np.float32]:
    made = generate(source.scenario, VECTORS, seed=seed).H.astype(np.float32)
    x, _ = to_input(made[:, 0] + 1j * made[:, 1])
    return x


def _runner(running: Mapping[str, tuple[str, bytes]], plans: Mapping[str, Plan]) -> Run:
    """What makes golden vectors: ONNX Runtime, or of integers alone their NumPy specification.

    Args:
        running: the name and the network of each part's file, by the name of the part.
        plans: by the name of the part, of a package of integers; {} for fp32.
    """

    def run(part: LinkPart, array: NDArray[Any]) -> Arrays:
        plan = plans.get(part.stem)
        if plan is not None and has_integers(plan):
            try:
                return run_plan(plan, [array])
            except UnsupportedError:
                # Float layers beside the integers: ONNX Runtime has them all.
                pass
        name, network = running[part.stem]
        return Oracle(network, name=f"{name}.onnx").run(array)

    return run
