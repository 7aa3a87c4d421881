"""`export` for fronthaul systems: from decoders to a package, a bundle for the DU and each RU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from csideploy import __version__, c_folder
from csideploy.calibration import chunks
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.emit_c import emit_c
from csideploy.export.inline import inlined_bytes
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import Plan
from csideploy.fronthaul.channels import carrier, draw
from csideploy.fronthaul.codebooks import TABLE_METHODS, Codebooks
from csideploy.fronthaul.deployed import Fronthaul
from csideploy.fronthaul.du_oracle import table_indices, table_payload
from csideploy.fronthaul.link import Complex, Links, prepare
from csideploy.fronthaul.parts import du_inputs, du_plan, payload_spans, ru_model
from csideploy.fronthaul.quality import gaussian_symbols
from csideploy.fronthaul.request import BLOCK, CHANNEL
from csideploy.fronthaul.searches import settle
from csideploy.fronthaul.setup import Setup
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.options import refuse_mixed
from csideploy.outputs import check_folder_free, folder_aside
from csideploy.package import MANIFEST, fronthaul_stems, npz_bytes, pairing_id, write_package
from csideploy.progress import Advance, quiet
from csideploy.quantize import quantize_part
from csideploy.report import footprint
from csideploy.report.page import report_files
from csideploy.runtime import Part

VECTORS = 2
"""Blocks of golden vectors."""
CALIBRATION_USES = 4096
"""Channel uses that integer scales are chosen by, about."""

RU_LEVEL_DB = -50.0
"""What `--precision auto` judges an RU's 8 bits beside: far below the error of the bits themselves,
-10 to -20 dB, which a user's efficiency already has."""


@dataclass(frozen=True)
class FronthaulWanted:
    """What the user asked for.

    Attributes:
        block: R, channel uses under one channel.
        precision: of neural RUs: fp32, int8 or auto.
        emit: out of onnx, bundle, c.
        inline: ONNX without local functions.
        seed: of vectors and calibration.
    """

    block: int = BLOCK
    precision: str = "fp32"
    emit: frozenset[str] = frozenset({"onnx", "bundle"})
    inline: bool = False
    seed: int = 7


def make_fronthaul(
    codebooks: Codebooks,
    wanted: FronthaulWanted,
    folder: Path,
    *,
    force: bool = False,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Make the package of a fronthaul quantizer at `folder`.

    Args:
        codebooks: decoders and search.
        wanted: see there.
        folder: where.
        force: replace an existing package.
        progress: called with RUs done and in all.

    Returns:
        Where it is and what is in it.

    Raises:
        InputError: the parts do not take such sizes, or int8 of tables.
        OutputError: the folder is taken or cannot be written.
    """
    refuse_mixed(wanted.precision, "radio units")
    check_folder_free(folder, force=force, holding=MANIFEST)
    check_precision(codebooks.method, wanted.precision)
    integers = wanted.precision != "fp32"
    setup, stems = codebooks.setup, fronthaul_stems(codebooks.setup.rus)
    models = {
        f"ru-{m + 1}": ru_model(codebooks, m, block=wanted.block).SerializeToString()
        for m in range(setup.rus)
    }
    pairing = _pairing(codebooks, wanted.block, models)
    plans = {"du": _du_plan(codebooks, wanted.block, pairing)}
    plans |= {stem: _ru_plan(codebooks, stem, models[stem], pairing) for stem in stems[1:]}
    parts = {stem: Part(write_bundle(plan)) for stem, plan in plans.items()}
    running = Fronthaul(
        codebooks, setup, wanted.block, parts["du"], [parts[stem] for stem in stems[1:]]
    )
    int8: dict[str, bytes] = {}
    quantization: dict[str, Any] | None = None
    if integers:
        quantization = {"precision": wanted.precision, "rus": {}}
        for number, (stem, seen) in enumerate(_calibration(codebooks, wanted, running).items(), 1):
            made = quantize_part(
                onnx.load_model_from_string(models[stem]),
                chunks(seen, 4),
                precision=wanted.precision,
                seed=wanted.seed,
                level_db=RU_LEVEL_DB,
            )
            int8[stem] = made.models[""]
            quantization["rus"][stem] = made.figures()
            plans[stem] = _ru_plan(codebooks, stem, int8[stem], pairing, "int8")
            progress(number, setup.rus)
    golden = golden_vectors(codebooks, wanted, running, models, plans if integers else None)
    files = {"vectors.npz": npz_bytes(golden)}
    if "onnx" in wanted.emit:
        for stem, data in models.items():
            files[f"{stem}.onnx"] = inlined_bytes(data, inline=wanted.inline)
        for stem, data in int8.items():
            files[f"{stem}.int8.onnx"] = inlined_bytes(data, inline=wanted.inline)
    names = {stem: f"{stem}.int8.csib" if stem in int8 else f"{stem}.csib" for stem in plans}
    bundles = {stem: write_bundle(plan) for stem, plan in plans.items()}
    if "bundle" in wanted.emit:
        files |= {names[stem]: data for stem, data in bundles.items()}
    sources = {}
    if "c" in wanted.emit:
        for stem, data in bundles.items():
            sources[c_folder.folder_name(names[stem])] = emit_c(
                data, title=names[stem], vectors=vectors_of(stem, golden, setup, wanted.block)
            )
    manifest = _manifest(codebooks, wanted, pairing, plans, int8, quantization)
    if "bundle" in wanted.emit:
        files |= report_files(footprint.of_named_bundles(bundles), manifest)
    with folder_aside(folder, force=force, holding=MANIFEST) as aside:
        write_package(aside, manifest, files)
        for name, written in sources.items():
            c_folder.write_files(aside / name, written)
    shown = ("system", "setup", "block", "bits", "pairing_id", "provenance", "metrics")
    return {
        "out": str(folder),
        **{key: manifest[key] for key in shown},
        "payload_bytes": running.nbytes,
        "files": {name: len(data) for name, data in sorted(files.items())},
        "c": sorted(sources),
        "precision": wanted.precision,
        "quantization": quantization,
    }


def check_precision(method: str, precision: str) -> None:
    """Whether a method's RUs compute anything that integers could do.

    Raises:
        InputError: integers, and they look their numbers up.
    """
    if precision != "fp32" and method in TABLE_METHODS:
        raise InputError(
            f"--precision {precision}: the RUs of {method} look their numbers up; leave the option "
            "out"
        )


def _manifest(
    codebooks: Codebooks,
    wanted: FronthaulWanted,
    pairing: bytes,
    plans: dict[str, Plan],
    int8: dict[str, bytes],
    quantization: dict[str, Any] | None,
) -> dict[str, Any]:
    about = dict(codebooks.about)
    own = ("system", "setup", "iterations", "alpha", "eta", "metrics")
    return {
        "kind": "fronthaul",
        "system": codebooks.method,
        "setup": codebooks.setup.describe(),
        "block": wanted.block,
        "bits": list(codebooks.setup.bits),
        "payload": None,
        "iterations": codebooks.iterations,
        "alpha": codebooks.alpha,
        "eta": codebooks.eta,
        "gamma_rounds": codebooks.gamma_rounds,
        "pairing_id": pairing.hex(),
        "parts": [
            {
                "part": plan.part,
                "side": plan.side,
                "file": stem,
                "precision": "int8" if stem in int8 else "fp32",
            }
            for stem, plan in plans.items()
        ],
        **({} if quantization is None else {"quantization": quantization}),
        "csideploy": __version__,
        "provenance": {key: value for key, value in about.items() if key not in own},
        "metrics": about.get("metrics", {}),
        "vectors": {"blocks": VECTORS, "seed": wanted.seed, "channel": channel_of(about)},
    }


def channel_of(about: Any) -> str:
    """The kind of channels that vectors are drawn from: that of the training, without Sionna."""
    channel = str(about.get("channel", CHANNEL))
    return channel.removeprefix("sionna-")


def _pairing(codebooks: Codebooks, block: int, models: dict[str, bytes]) -> bytes:
    """Of all that gives the bits their meaning. Users and SNR do not: RUs serve any of them."""
    identity = {
        "system": codebooks.method,
        "antennas": list(codebooks.setup.antennas),
        "bits": list(codebooks.setup.bits),
        "block": block,
    }
    weights = du_plan(codebooks, block=block).weights.tobytes()
    return pairing_id(identity, *models.values(), weights)


def _about(codebooks: Codebooks, precision: str = "fp32") -> dict[str, str]:
    setup = codebooks.setup
    return {
        "system": codebooks.method,
        "rus": str(setup.rus),
        "users": str(setup.users),
        "precision": precision,
    }


def _du_plan(codebooks: Codebooks, block: int, pairing: bytes) -> Plan:
    return du_plan(codebooks, block=block, pairing_id=pairing, metadata=_about(codebooks))


def _ru_plan(
    codebooks: Codebooks, stem: str, network: bytes, pairing: bytes, precision: str = "fp32"
) -> Plan:
    return compile_model(
        onnx.load_model_from_string(network),
        part=stem.replace("ru", "decoder"),
        side="ru",
        pairing_id=pairing,
        metadata=_about(codebooks, precision),
    )


def blocks(
    setup: Setup, channel: str, count: int, block: int, seed: list[int]
) -> tuple[Links, Complex]:
    """Channels of one kind and Gaussian symbols for them."""
    rng = np.random.default_rng(seed)
    links = prepare(setup, carrier(draw(channel, setup, count, rng)))
    return links, gaussian_symbols(count, block, setup.total_streams, rng)


def _calibration(
    codebooks: Codebooks, wanted: FronthaulWanted, running: Fronthaul
) -> dict[str, NDArray[np.uint8]]:
    """Payloads of each RU: half of them the DU's own, half random bits.

    What the DU chooses is several times as strong as what random bits make, so that scales from
    random bits alone would cut it.
    """
    setup = codebooks.setup
    count = max(4, -(-CALIBRATION_USES // wanted.block))
    channel = channel_of(codebooks.about)
    links, s = blocks(setup, channel, -(-count // 2), wanted.block, [wanted.seed, 2])
    gamma = settle(running, links, s, codebooks.rounds)
    chosen = running.payload(links, s, gamma)
    noise = np.random.default_rng([wanted.seed, 4]).integers(
        0, 256, (count // 2, running.nbytes), dtype=np.uint8
    )
    both = np.concatenate([chosen, noise])
    both = both[np.random.default_rng([wanted.seed, 5]).permutation(len(both))]
    spans = payload_spans(setup, wanted.block)
    return {f"ru-{m + 1}": np.ascontiguousarray(both[:, span]) for m, span in enumerate(spans)}


def golden_vectors(
    codebooks: Codebooks,
    wanted: FronthaulWanted,
    running: Fronthaul,
    models: dict[str, bytes],
    integers: dict[str, Plan] | None,
) -> Arrays:
    """Inputs of the DU's part, payload, and `signal-M` of each RU.

    The payload is that of the float64 oracle for tables, of our runtime for networks, whose descent
    no other program repeats bit by bit. Signals are ONNX Runtime's; of integer RUs NumPy's.

    Args:
        codebooks: decoders and search.
        wanted: block, seed.
        running: all parts in fp32.
        models: fp32 ONNX of the RUs, by stem.
        integers: plans by stem, where the RUs are integers.
    """
    setup = codebooks.setup
    links, s = blocks(setup, channel_of(codebooks.about), VECTORS, wanted.block, [wanted.seed, 3])
    gamma = settle(running, links, s, codebooks.rounds)
    read = du_inputs(codebooks, links, s, gamma)
    if codebooks.neural:
        payload = running.payload(links, s, gamma)
    else:
        indices = table_indices(
            codebooks.method,
            codebooks.tables,
            read,
            alpha=codebooks.alpha,
            iterations=codebooks.iterations,
        )
        payload = table_payload(indices, setup.bits)
    golden: Arrays = {**read, "payload": payload}
    for (stem, model), span in zip(models.items(), payload_spans(setup, wanted.block), strict=True):
        own = np.ascontiguousarray(payload[:, span])
        if integers is not None:
            signal = run_plan(integers[stem], [own])["signal"]
        else:
            signal = Oracle(model, name=f"{stem}.onnx").run(own)["signal"]
        golden[signal_name(stem)] = signal
    return golden


def signal_name(stem: str) -> str:
    """The name of an RU's signal among the vectors: `signal-1`."""
    return stem.replace("ru", "signal")


def vectors_of(stem: str, golden: Arrays, setup: Setup, block: int) -> Arrays:
    """The vectors of one part under the names that it has for them."""
    if stem == "du":
        return {name: array for name, array in golden.items() if not name.startswith("signal-")}
    span = payload_spans(setup, block)[int(stem.removeprefix("ru-")) - 1]
    own = np.ascontiguousarray(golden["payload"][:, span])
    return {"payload": own, "signal": golden[signal_name(stem)]}
