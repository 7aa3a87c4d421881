"""`export` for transceivers: from weights to a package that serves any bits and any users."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import __version__, c_folder
from csideploy.errors import InputError, UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.emit_c import emit_c
from csideploy.export.inline import inlined_bytes
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import Plan
from csideploy.integer_rules import has_integers
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.options import refuse_mixed
from csideploy.outputs import check_folder_free, folder_aside
from csideploy.package import MANIFEST, npz_bytes, pairing_id, write_package
from csideploy.progress import Advance, quiet
from csideploy.report import footprint
from csideploy.report.page import report_files
from csideploy.transceiver.described import Described
from csideploy.transceiver.integers import SNRS_DB, Integers, quantize_ends
from csideploy.transceiver.parts import MAX_USERS, Parts, trained_budgets
from csideploy.transceiver.running import Transceiver
from csideploy.transceiver.users import load_users
from csideploy.transceiver.weights import SYSTEM, Weights

VECTORS = 2
"""Groups of golden vectors, of the most users."""


@dataclass(frozen=True)
class TransceiverWanted:
    """What the user asked for.

    Attributes:
        bits: B of the budgets; None: of the trained tiers, 10, 20, 30.
        max_users: the most users of a group.
        precision: of encoder and precoder: fp32, int8 or auto.
        calibration: users whose pilots the encoder's integer scales are chosen by.
        method: what codebooks of other sizes are fitted to: features or codewords.
        emit: out of onnx, bundle, c.
        inline: ONNX without local functions.
        seed: of vectors and calibration.
    """

    bits: tuple[int, ...] | None = None
    max_users: int = MAX_USERS
    precision: str = "fp32"
    calibration: Path | None = None
    method: str = "features"
    emit: frozenset[str] = frozenset({"onnx", "bundle"})
    inline: bool = False
    seed: int = 7


def make_transceiver(
    weights: Weights,
    wanted: TransceiverWanted,
    folder: Path,
    *,
    force: bool = False,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Make the package at `folder`.

    Args:
        weights: trained.
        wanted: see there.
        folder: where.
        force: replace an existing package.
        progress: called with parts done and in all.

    Returns:
        Where it is and what is in it.

    Raises:
        InputError: budgets, users or calibration that do not fit.
        OutputError: the folder is taken or cannot be written.
    """
    refuse_mixed(wanted.precision, "transceivers")
    check_folder_free(folder, force=force, holding=MANIFEST)
    bits = trained_budgets(weights.setup) if wanted.bits is None else wanted.bits
    parts = Parts(weights, bits, wanted.max_users, wanted.method)
    described, stems = parts.described, parts.described.stems()
    pairing = transceiver_pairing(weights)
    integers = _integers(parts, wanted)
    plans = {}
    for number, stem in enumerate(stems, 1):
        plans[stem] = _plan(parts, stem, pairing, integers.get(stem))
        progress(number, len(stems))
    golden = golden_vectors(parts, plans, integers, wanted)
    files = {"vectors.npz": npz_bytes(golden)}
    if "onnx" in wanted.emit:
        for stem in stems:
            files[f"{stem}.onnx"] = inlined_bytes(parts.onnx(stem), inline=wanted.inline)
        for stem, made in integers.items():
            files[f"{stem}.int8.onnx"] = inlined_bytes(made.data, inline=wanted.inline)
    names = {stem: f"{stem}.int8.csib" if stem in integers else f"{stem}.csib" for stem in stems}
    bundles = {stem: write_bundle(plan) for stem, plan in plans.items()}
    if "bundle" in wanted.emit:
        files |= {names[stem]: data for stem, data in bundles.items()}
    sources = {}
    if "c" in wanted.emit:
        for stem, data in bundles.items():
            sources[c_folder.folder_name(names[stem])] = emit_c(
                data, title=names[stem], vectors=vectors_of(stem, golden, described)
            )
    manifest = _manifest(parts, wanted, pairing, integers)
    if "bundle" in wanted.emit:
        files |= report_files(footprint.of_named_bundles(bundles), manifest)
    with folder_aside(folder, force=force, holding=MANIFEST) as aside:
        write_package(aside, manifest, files)
        for name, written in sources.items():
            c_folder.write_files(aside / name, written)
    shown = ("system", "setup", "budgets", "max_users", "pairing_id", "provenance", "metrics")
    return {
        "out": str(folder),
        **{key: manifest[key] for key in shown},
        "files": {name: len(data) for name, data in sorted(files.items())},
        "c": sorted(sources),
        "precision": wanted.precision,
        "quantization": manifest.get("quantization"),
    }


def transceiver_pairing(weights: Weights) -> bytes:
    """Of networks, pilots and all trained codebooks: exports of other budgets pair.

    A budget that was not trained is fitted at export, and its codebooks' checksum stands in the
    payload file (`groups_file`).
    """
    identity = {"system": SYSTEM, "setup": weights.setup.describe(), "widths": weights.widths}
    tensors = [
        name.encode() + np.ascontiguousarray(values, "<f4").tobytes()
        for name, values in sorted(weights.state.items())
    ]
    return pairing_id(identity, *tensors)


def _integers(parts: Parts, wanted: TransceiverWanted) -> dict[str, Integers]:
    if wanted.precision == "fp32":
        return {}
    y = None
    if wanted.calibration is not None:
        y = heard_by(parts, wanted.calibration, wanted.seed)
    return quantize_ends(parts, y, wanted.precision, seed=wanted.seed)


def heard_by(parts: Parts, path: Path, seed: int) -> NDArray[np.float32]:
    """Pilots (n, L, 2) that a file's users hear, at unit mean power, each at an SNR of its own.

    Raises:
        InputError: the file cannot be read, or has other antennas.
    """
    setup = parts.weights.setup
    users = load_users(path, antennas=setup.antennas).normalized()
    rng = np.random.default_rng([seed, 12])
    h = users.h[rng.permutation(len(users))[:4096]]
    snr = 10 ** (rng.uniform(*SNRS_DB, len(h)) / 10)
    running = Transceiver(parts.described, parts.weights.pilots, {})
    heard = running.hear(h[:, None], noise_of(rng, (len(h), 1, setup.pilots)), snr)
    return np.ascontiguousarray(heard[:, 0])


def noise_of(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Complex noise of variance 1."""
    made: NDArray[np.complex128] = (
        rng.standard_normal((*shape, 2)).view(np.complex128)[..., 0] * 0.5**0.5
    )
    return made


def _plan(parts: Parts, stem: str, pairing: bytes, integers: Integers | None) -> Plan:
    about = {"precision": "fp32" if integers is None else "int8"}
    network = None if integers is None else integers.network
    return parts.plan(stem, network, pairing_id=pairing, metadata=about)


def golden_vectors(
    parts: Parts,
    plans: dict[str, Plan],
    integers: dict[str, Integers],
    wanted: TransceiverWanted,
) -> Arrays:
    """Pilots, what users hear, features, payloads, precoders: by ONNX Runtime.

    Where integers run, by their NumPy specification if it has every step. Channels are Rayleigh.

    Returns:
        `pilots` complex64 (M, L); `y` (n, K, L, 2); `snr_db` (n, 1); `feature` (n, K, D); of every
        quantizer `payload-bB[-rR]` uint8 (n, K, bytes) and `read-bB[-rR]` (n, K, D); `W-k` (n, k,
        M, 2) of the first k users of each group with the largest budget, k = 1, K / 2, K.
    """
    weights, described = parts.weights, parts.described
    setup, users = described.setup, described.max_users
    rng = np.random.default_rng([wanted.seed, 3])
    h = noise_of(rng, (VECTORS, users, setup.antennas))
    snr_db = np.linspace(5, 15, VECTORS, dtype=np.float32)[:, None]
    running = Transceiver(described, weights.pilots, {})
    noise = noise_of(rng, (VECTORS, users, setup.pilots))
    y = running.hear(h, noise, 10 ** (snr_db[:, 0] / 10))
    golden: Arrays = {"pilots": weights.pilots, "y": y, "snr_db": snr_db}

    def made(stem: str, **arrays: NDArray[Any]) -> Arrays:
        plan, own = plans[stem], integers.get(stem)
        if has_integers(plan):
            try:
                return run_plan(plan, [arrays[plan.tensors[i].name] for i in plan.inputs])
            except UnsupportedError:
                # Float steps between the codes: ONNX Runtime has them all.
                pass
        data = parts.onnx(stem) if own is None else own.data
        return Oracle(data, name=f"{stem}.onnx").run(arrays)

    flat = y.reshape(-1, setup.pilots, 2)
    feature = made("ue", y=flat)["feature"]
    golden["feature"] = feature.reshape(VECTORS, users, -1)
    for side, read in (("ue", False), ("bs", True)):
        for stem, budget, _ in described.quantizers(side):
            mark = mark_of(stem)
            if read:
                sent = golden[f"payload-{mark}"].reshape(-1, budget.nbytes)
                golden[f"read-{mark}"] = made(stem, payload=sent)["feature"].reshape(
                    VECTORS, users, -1
                )
            else:
                sent = made(stem, feature=feature)["payload"]
                golden[f"payload-{mark}"] = sent.reshape(VECTORS, users, -1)
    known = golden[f"read-{largest(described)}"]
    for k in some_users(users):
        own = np.ascontiguousarray(known[:, :k])
        golden[f"W-{k}"] = made("bs", feature=own, snr_db=snr_db)["W"]
    return golden


def mark_of(stem: str) -> str:
    """`ue-quantizer-b10-r1` -> `b10-r1`, a quantizer's name among the vectors."""
    return stem.split("-", 2)[2]


def largest(described: Described) -> str:
    """The mark of the largest budget in region 0."""
    stem, *_ = [s for s, b, _ in described.quantizers("bs") if b == described.budgets[-1]]
    return mark_of(stem)


def some_users(most: int) -> list[int]:
    """Numbers of users that the vectors have precoders of: fewest, half, most."""
    return sorted({1, max(1, most // 2), most})


def vectors_of(stem: str, golden: Arrays, described: Described) -> Arrays:
    """The vectors of one part under the names that it has for them, a sample a row."""
    setup = described.setup
    feature = golden["feature"].reshape(-1, setup.feature)
    if stem == "ue":
        return {"y": golden["y"].reshape(-1, setup.pilots, 2), "feature": feature}
    if stem == "bs":
        return {
            "feature": golden[f"read-{largest(described)}"],
            "snr_db": golden["snr_db"],
            "W": golden[f"W-{described.max_users}"],
        }
    mark = mark_of(stem)
    payload = golden[f"payload-{mark}"]
    payload = payload.reshape(-1, payload.shape[-1])
    if stem.startswith("bs"):
        return {"payload": payload, "feature": golden[f"read-{mark}"].reshape(-1, setup.feature)}
    layout = described.layout(stem)
    assert layout is not None
    return {
        "feature": feature,
        "codes": np.unpackbits(payload, axis=1, count=layout[1]),
        "payload": payload,
    }


def _manifest(
    parts: Parts, wanted: TransceiverWanted, pairing: bytes, integers: dict[str, Integers]
) -> dict[str, Any]:
    described, about = parts.described, dict(parts.weights.about)
    metrics = about.pop("metrics", {})
    manifest: dict[str, Any] = {
        "kind": "transceiver",
        "system": SYSTEM,
        "setup": described.setup.describe(),
        "widths": parts.weights.widths,
        "bits": list(described.bits),
        "payload": None,
        "budgets": [budget.figures() for budget in described.budgets],
        "regions": described.setup.regions,
        "max_users": described.max_users,
        "codebooks": wanted.method,
        "pairing_id": pairing.hex(),
        "parts": [
            {
                "part": described.part_name(stem),
                "side": stem.split("-")[0],
                "file": stem,
                "precision": "int8" if stem in integers else "fp32",
            }
            for stem in described.stems()
        ],
        "csideploy": __version__,
        "provenance": about,
        "metrics": metrics,
        "vectors": {"groups": VECTORS, "seed": wanted.seed},
    }
    if integers:
        manifest["quantization"] = {
            "precision": wanted.precision,
            "parts": {stem: made.quantized.figures() for stem, made in integers.items()},
        }
    return manifest


def check_calibration(precision: str, calibration: Path | None) -> None:
    """`--calibration` goes with integers, and integers need it.

    Raises:
        InputError: one stands there without the other, or the precision is `mixed`.
    """
    refuse_mixed(precision, "transceivers")
    if precision != "fp32" and calibration is None:
        raise InputError(
            f"--precision {precision} needs --calibration F: a file of users, whose pilots the "
            "encoder's scales are chosen by"
        )
    if precision == "fp32" and calibration is not None:
        raise InputError("--calibration chooses the scales of integers: add --precision int8")
