"""`export` for precoders: from a source to a package with a bundle for each side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from csideploy import __version__, c_folder
from csideploy.calibration import chunks
from csideploy.downlink.channels import observe, rayleigh
from csideploy.downlink.costs import rate_costs
from csideploy.downlink.forms import Form, fitting, parse_form
from csideploy.downlink.setup import Setup
from csideploy.downlink.source import PrecoderSource, as_real
from csideploy.downlink.tables import build_table
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.emit_c import emit_c
from csideploy.export.inline import inlined_bytes
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import PayloadLayout, Plan
from csideploy.export.precoder_models import table_precoder_model
from csideploy.onnx_oracle import Arrays, Oracle
from csideploy.options import refuse_mixed
from csideploy.outputs import check_folder_free, folder_aside
from csideploy.package import MANIFEST, npz_bytes, pairing_id, write_package
from csideploy.progress import Advance, quiet
from csideploy.quantize import quantize_part
from csideploy.report import footprint
from csideploy.report.page import report_files

VECTORS = 20
CALIBRATION = 192
OVERHEAD = 4096
"""What a bundle of a table holds besides it, at most."""


@dataclass(frozen=True)
class PrecoderWanted:
    """What the user asked for.

    Attributes:
        table: None or "none": the transmitter itself; "auto": the largest form of at most `memory`
            bytes, else the transmitter if that fits; else a form's name.
        memory: bytes for the BS's bundle and arena; None: no limit.
        precision: of the UE: fp32, int8 or auto.
        emit: out of onnx, bundle, c.
        inline: ONNX without local functions.
        seed: of vectors, calibration and of the channels that rates are measured on.
    """

    table: str | None = None
    memory: int | None = None
    precision: str = "fp32"
    emit: frozenset[str] = frozenset({"onnx", "bundle"})
    inline: bool = False
    seed: int = 7


def make_precoder(
    source: PrecoderSource,
    wanted: PrecoderWanted,
    folder: Path,
    *,
    force: bool = False,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Make the package of a precoder at `folder`.

    Args:
        source: the precoder.
        wanted: see there.
        folder: where.
        force: replace an existing package.
        progress: called with what is done and what there is, of the table's rows above all.

    Returns:
        Where it is and what is in it; `table` says the form, its bytes and what it costs in rate.

    Raises:
        InputError: no form fits, or the transmitter has no such form.
        OutputError: the folder is taken or cannot be written.
        UnsupportedError: the compiler does not take the network.
    """
    refuse_mixed(wanted.precision, "precoders")
    check_folder_free(folder, force=force, holding=MANIFEST)
    form, about = _form(source, wanted)
    networks = {"ue": source.ue}
    if source.bs is not None and form is None:
        networks["bs"] = source.bs
    if form is not None:
        networks["bs"] = _table_model(source, form, progress)
    identity = {
        "system": source.system,
        "setup": source.setup.describe(),
        "snr_db": source.snr_db,
        "layout_id": source.layout.layout_id,
    }
    # Of the network or the codewords, not of the table: all forms pair with the same UE.
    end = source.bs if source.bs is not None else _codeword_bytes(source)
    pairing = pairing_id(identity, source.ue, end)
    running = dict(networks)
    quantization = None
    if wanted.precision != "fp32":
        running["ue"], quantization = _integers(source, wanted)
    names = {"ue": "ue" if quantization is None else "ue.int8", "bs": "bs"}
    plans = _plans(source, running, pairing, "fp32" if quantization is None else "int8")
    golden = _golden(source, wanted, plans, networks, integers=quantization is not None)
    files = {"vectors.npz": npz_bytes({"pilots": source.pilots, **golden})}
    if "onnx" in wanted.emit:
        for side, data in networks.items():
            files[f"{side}.onnx"] = inlined_bytes(data, inline=wanted.inline)
        if quantization is not None:
            files["ue.int8.onnx"] = inlined_bytes(running["ue"], inline=wanted.inline)
    bundles = {f"{names[side]}.csib": write_bundle(plan) for side, plan in plans.items()}
    if "bundle" in wanted.emit:
        files |= bundles
    sources = {}
    if "c" in wanted.emit:
        for name, data in bundles.items():
            sources[c_folder.folder_name(name)] = emit_c(
                data, title=name, vectors=_vectors_of(name, golden)
            )
    manifest = {
        "kind": "precoder",
        **{key: identity[key] for key in ("system", "setup", "snr_db")},
        "bits": source.setup.bits,
        "payload": source.layout.figures(),
        "pairing_id": pairing.hex(),
        "parts": [
            {
                "part": plan.part,
                "side": side,
                "file": side,
                "precision": "int8" if side == "ue" and quantization is not None else "fp32",
            }
            for side, plan in plans.items()
        ],
        "transmitter": "table" if form is not None else "native" if source.is_native else "network",
        "table": about,
        "loading": source.loading,
        "distance": source.distance,
        "users_in_any_order": source.equivariant,
        **({} if quantization is None else {"quantization": quantization}),
        "csideploy": __version__,
        "provenance": source.provenance,
        "metrics": source.metrics,
        "vectors": {"samples": VECTORS, "seed": wanted.seed},
    }
    if "bundle" in wanted.emit:
        files |= report_files(footprint.of_bundles(list(bundles.values())), manifest)
    with folder_aside(folder, force=force, holding=MANIFEST) as aside:
        write_package(aside, manifest, files)
        for name, parts in sources.items():
            c_folder.write_files(aside / name, parts)
    shown = ("system", "setup", "snr_db", "pairing_id", "payload", "transmitter", "table")
    return {
        "out": str(folder),
        **{key: manifest[key] for key in shown},
        "files": {name: len(data) for name, data in sorted(files.items())},
        "c": sorted(sources),
        "precision": wanted.precision,
        "quantization": quantization,
    }


def _form(
    source: PrecoderSource, wanted: PrecoderWanted
) -> tuple[Form | None, dict[str, Any] | None]:
    """The form of the table, None for the transmitter itself; and what the manifest says of it."""
    setup = source.setup
    itself = source.bs is not None or source.is_native
    every = fitting(setup, 1 << 62, equivariant=source.equivariant)
    if wanted.table in (None, "none"):
        if not itself:
            raise InputError(
                f"{source.system}: the BS's part is a table: add --table FORM, or --table auto "
                "--bs-memory 64MB"
            )
        if wanted.memory is not None and (size := _size_itself(source)) > wanted.memory:
            raise InputError(
                f"--bs-memory {wanted.memory:,} bytes: the transmitter itself takes {size:,}; give "
                "more, or --table auto"
            )
        return None, None
    room = None if wanted.memory is None else wanted.memory - OVERHEAD
    if wanted.table == "auto":
        if room is None:
            raise InputError("--table auto: say --bs-memory, such as 64MB")
        own = _size_itself(source) if itself else None
        forms = [form for form in every if form.nbytes(setup) <= room]
        if not forms and (own is None or own > room + OVERHEAD):
            other = "" if own is None else f", the transmitter itself {own:,}"
            if not every:
                raise InputError(
                    f"{setup}: no table is below 2^28 bytes{other}; take fewer bits or users"
                )
            least = min(form.nbytes(setup) for form in every)
            raise InputError(
                f"--bs-memory {wanted.memory:,} bytes: the smallest table takes {least:,}{other}; "
                "give more, or fewer bits or users"
            )
        costs = rate_costs(source, every, seed=wanted.seed)
        chosen = max(
            forms, key=lambda form: (form.nbytes(setup), -costs[str(form)]["loss"]), default=None
        )
        return chosen, _about_table(setup, every, chosen, costs, room, own)
    assert wanted.table is not None
    form = parse_form(wanted.table)
    if form.sorted and not source.equivariant:
        raise InputError(
            f"--table {form}: this transmitter depends on the order of its users; an ordered form, "
            "or train with --set order=sorted"
        )
    if form not in every:
        raise InputError(
            f"--table {form}: {form.nbytes(setup):,} bytes; a table has at most 2^28, and with one "
            "stream a user all columns are full"
        )
    if room is not None and form.nbytes(setup) > room:
        raise InputError(
            f"--table {form}: {form.nbytes(setup):,} bytes are more than --bs-memory "
            f"{wanted.memory:,}; --table auto takes one that fits"
        )
    return form, _about_table(
        setup, every, form, rate_costs(source, every, seed=wanted.seed), room, None
    )


def _about_table(
    setup: Setup,
    every: list[Form],
    chosen: Form | None,
    costs: dict[str, dict[str, Any]],
    room: int | None,
    own: int | None,
) -> dict[str, Any]:
    """What stands in the manifest about the table; `transmitter_bytes` is that without one."""
    candidates = [
        {
            "form": str(entry),
            "rows": entry.rows(setup),
            "bytes": entry.nbytes(setup),
            "fits": room is None or entry.nbytes(setup) <= room,
            **costs[str(entry)],
        }
        for entry in every
    ]
    return {
        "form": None if chosen is None else str(chosen),
        "candidates": candidates,
        **({} if own is None else {"transmitter_bytes": own}),
    }


def _size_itself(source: PrecoderSource) -> int:
    """Bundle and arena of the transmitter without a table."""
    plan = _bs_plan(source, source.bs, bytes(16))
    return len(write_bundle(plan)) + plan.arena_bytes


def _table_model(source: PrecoderSource, form: Form, progress: Advance) -> bytes:
    setup = source.setup
    table = build_table(
        setup,
        form,
        source.transmitter(exact=form.values == "fp32"),
        per_user=source.per_user,
        progress=progress,
    )
    model = table_precoder_model(
        table,
        users=setup.users,
        streams=setup.streams,
        antennas=setup.antennas,
        bits=setup.bits,
        sorted_=form.sorted,
        per_user=source.per_user,
    )
    data: bytes = model.SerializeToString()
    return data


def _codeword_bytes(source: PrecoderSource) -> bytes:
    assert source.known is not None
    return source.known.tobytes() + np.float32(source.loading or 0).tobytes()


def _plans(
    source: PrecoderSource, networks: dict[str, bytes], pairing: bytes, precision: str
) -> dict[str, Plan]:
    ue = compile_model(
        onnx.load_model_from_string(networks["ue"]),
        part="receiver",
        side="ue",
        pairing_id=pairing,
        payload=_layout(source),
        metadata={**_about(source), "precision": precision},
    )
    return {"ue": ue, "bs": _bs_plan(source, networks.get("bs"), pairing)}


def _bs_plan(source: PrecoderSource, network: bytes | None, pairing: bytes) -> Plan:
    about: dict[str, Any] = {
        "part": "precoder",
        "side": "bs",
        "pairing_id": pairing,
        "payload": _layout(source),
        "metadata": {**_about(source), "precision": "fp32"},
    }
    if network is None:
        plan: Plan = source.native_plan(**about)
        return plan
    return compile_model(onnx.load_model_from_string(network), **about)


def _layout(source: PrecoderSource) -> PayloadLayout:
    own = source.layout
    return PayloadLayout(own.layout_id, own.count, own.bits, own.widths)


def _about(source: PrecoderSource) -> dict[str, str]:
    sizes = ("antennas", "streams", "users", "bits", "pilots")
    setup = source.setup.describe()
    return {
        "system": source.system,
        "snr_db": f"{source.snr_db:g}",
        **{key: str(setup[key]) for key in sizes},
    }


def draw(
    source: PrecoderSource, samples: int, seed: list[int]
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Channels (n, K, M, N) and what the users hear of the pilots, (n, K, L, N, 2)."""
    rng = np.random.default_rng(seed)
    h = rayleigh(source.setup, samples, rng)
    return h, observe(source.setup, h, source.pilots, rng)


def _integers(source: PrecoderSource, wanted: PrecoderWanted) -> tuple[bytes, dict[str, Any]]:
    """The receiver as a QDQ network, its scales from pilots of other channels."""
    if source.known is not None:
        raise InputError(
            f"--precision {wanted.precision}: the receiver of {source.system} takes argmax of fp32 "
            "projections; leave the option out"
        )
    _, y = draw(source, -(-CALIBRATION // source.setup.users), [wanted.seed, 2])
    x = y.reshape(-1, *y.shape[2:])[:CALIBRATION]
    made = quantize_part(
        onnx.load_model_from_string(source.ue),
        chunks(x),
        precision=wanted.precision,
        seed=wanted.seed,
    )
    return made.models[""], {"precision": wanted.precision, **made.figures()}


def _golden(
    source: PrecoderSource,
    wanted: PrecoderWanted,
    plans: dict[str, Plan],
    networks: dict[str, bytes],
    *,
    integers: bool,
) -> Arrays:
    """y, codes, payload and V, by ONNX Runtime, or NumPy where integers run or nothing is ONNX."""
    _, y = draw(source, VECTORS, [wanted.seed, 3])
    flat = y.reshape(-1, *y.shape[2:])
    if integers:
        sent = run_plan(plans["ue"], [flat])
    else:
        sent = Oracle(networks["ue"], name="ue.onnx").run(flat)
    users = (VECTORS, source.setup.users, -1)
    payload = np.ascontiguousarray(sent["payload"]).reshape(users)
    if "bs" in networks:
        v = Oracle(networks["bs"], name="bs.onnx").run(payload)["V"]
    else:
        v = as_real(source.oracle(payload)).astype(np.float32)
    return {"y": y, "codes": sent["codes"].reshape(users), "payload": payload, "V": v}


def _vectors_of(name: str, golden: Arrays) -> Arrays:
    """The vectors of a side under the names and shapes of its part."""
    if name.startswith("ue"):
        return {key: golden[key].reshape(-1, *golden[key].shape[2:]) for key in _UE}
    return {key: golden[key] for key in ("payload", "V")}


_UE = ("y", "codes", "payload")
