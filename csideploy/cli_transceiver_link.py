"""What `export`, `encode` and `decode` do for transceivers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from csideploy.cli_shell import print_json, progress, say
from csideploy.errors import InputError

if TYPE_CHECKING:
    from csideploy.package import LinkPackage
    from csideploy.transceiver.export import TransceiverWanted


def export(
    model: str | None,
    checkpoint: Path | None,
    wanted: TransceiverWanted,
    *,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make the package, and say what is in it."""
    from csideploy.outputs import check_folder_free
    from csideploy.package import MANIFEST
    from csideploy.transceiver.export import check_calibration, make_transceiver
    from csideploy.transceiver.request import find_weights
    from csideploy.transceiver.weights import SYSTEM

    if out is not None:
        check_folder_free(out, force=force, holding=MANIFEST)
    check_calibration(wanted.precision, wanted.calibration)
    weights = find_weights(model, checkpoint)
    named = model if model is not None and not Path(model).exists() else SYSTEM
    folder = out if out is not None else Path(named)
    with progress("export") as advance:
        result = make_transceiver(weights, wanted, folder, force=force, progress=advance)
    if as_json:
        print_json(result)
        return
    bits = ", ".join(str(budget["bits"]) for budget in result["budgets"])
    say(
        f"{result['out']}: {result['system']}, {weights.setup}; {bits} bits a user, 1 to "
        f"{result['max_users']} users, pairing id {result['pairing_id']}"
    )
    wide = max(14, *(len(name) + 2 for name in (*result["files"], *result["c"])))
    for name, size in result["files"].items():
        say(f"  {name:<{wide}}{size:>13,} bytes")
    for name in result["c"]:
        say(f"  {name + '/':<{wide}}C99 for a device: see {name}/README.md")
    if result["quantization"] is not None:
        for stem, figures in result["quantization"]["parts"].items():
            say(f"  {stem}: {result['precision']}, {figures['loss_db']:+.3f} dB against fp32")


def encode(
    package: LinkPackage,
    users: Path,
    out: Path,
    *,
    snr_db: float | None,
    bits: str | None,
    group: int | None,
    samples: int | None,
    raw: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Pilots or users to payloads."""
    from csideploy.transceiver import wire
    from csideploy.transceiver.request import parse_list

    each = None if bits is None else parse_list(bits, "--bits")
    with progress("encode") as advance:
        result = wire.encode(
            package,
            users,
            out,
            snr_db=snr_db,
            bits=each,
            group=group,
            samples=samples,
            raw=raw,
            seed=seed,
            progress=advance,
        )
    if as_json:
        print_json(result)
        return
    say(f"{users}: {result['taken_for']}")
    say(
        f"{out}: {result['samples']} groups of {result['users']} users, "
        f"{_listed(result['bits'])} bits, {result['file_bytes']:,} bytes in all"
    )


def decode(
    package: LinkPackage,
    payload: Path,
    out: Path,
    *,
    snr_db: float | None,
    bits: str | None,
    group: int | None,
    raw: bool,
    reference: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Payloads to precoders, and their sum rate over known channels."""
    from csideploy.transceiver import wire
    from csideploy.transceiver.request import parse_list

    if snr_db is None:
        raise InputError("--snr dB: the precoder is told P over the noise; add it")
    each = None if bits is None else parse_list(bits, "--bits")
    with progress("decode") as advance:
        result = wire.decode(
            package,
            payload,
            out,
            snr_db=snr_db,
            raw=raw,
            bits=each,
            group=group,
            reference=reference,
            seed=seed,
            progress=advance,
        )
    if as_json:
        print_json(result)
        return
    say(f"{out}: complex64 {tuple(result['shape'])}, w_k of every group and user, total power 1")
    if "sum_rate" in result:
        typer.echo(
            f"Sum rate {_with_interval(result)} bit/s/Hz at {result['snr_db']:g} dB over "
            f"{result['samples']} groups of {result['users']} users, {_listed(result['bits'])} bits"
        )


def _listed(bits: list[int]) -> str:
    """`20`, or `5, 10, 30` where the users of a group have budgets of their own."""
    return str(bits[0]) if len(set(bits)) == 1 else ", ".join(map(str, bits))


def _with_interval(result: dict[str, Any]) -> str:
    interval = result.get("sum_rate_interval")
    half = "" if interval is None else f" +- {(interval[1] - interval[0]) / 2:.3f}"
    return f"{result['sum_rate']:.3f}{half}"
