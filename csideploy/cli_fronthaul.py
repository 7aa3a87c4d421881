"""What the verbs do for fronthaul systems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from csideploy.cli_shell import print_json, progress, say
from csideploy.errors import InputError

if TYPE_CHECKING:
    from csideploy.fronthaul.export import FronthaulWanted
    from csideploy.fronthaul.request import Asked
    from csideploy.package import LinkPackage


def train(
    system: str,
    *,
    out: Path,
    channel: str | None,
    bits: str | None,
    users: str | None,
    snr: str | None,
    settings: list[str],
    rate: float | None,
    publish: Path | None,
    threads: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Train decoders, and say what they reach beside linear precoding."""
    from csideploy.cli_precoder import parse_users
    from csideploy.training.fronthaul_run import train_fronthaul

    if threads is not None:
        _set_threads(threads)
    with progress(f"train {system}") as advance:
        result = train_fronthaul(
            system,
            out=out,
            channel=channel,
            bits=bits,
            users=parse_users(users),
            snrs=_numbers(snr),
            settings=settings,
            rate=rate,
            seed=seed,
            progress=advance,
        )
    entry = None
    if publish is not None:
        from csideploy.training.publish_fronthaul import publish as publish_run

        entry = publish_run(out, publish)
    codebooks = result.codebooks
    if as_json:
        own = {"weights": str(result.weights), "system": system, **codebooks.about}
        own |= {"setup": codebooks.setup.describe()}
        print_json(own if entry is None else {**own, "entry": str(entry)})
        return
    metrics = codebooks.about["metrics"]
    say(f"{result.weights}: {system}, {codebooks.setup}, {codebooks.about['seconds']:g} s")
    say(
        f"Sum SE {metrics['sum_se']:.2f} bit/s/Hz as deployed, {metrics['linear_sum_se']:.2f} by "
        f"linear precoding without limit ({metrics['channels']} fresh channels of "
        f"{codebooks.about['channel']}, {metrics['symbols']} symbols each)"
    )
    if entry is not None:
        say(f"{entry}: zoo entry")


def export(
    model: str | None,
    checkpoint: Path | None,
    asked: Asked,
    wanted: FronthaulWanted,
    *,
    channel: str | None,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make the package, and say what is in it."""
    from csideploy.fronthaul.export import check_precision, make_fronthaul
    from csideploy.fronthaul.request import find_codebooks
    from csideploy.outputs import check_folder_free
    from csideploy.package import MANIFEST

    if out is not None:
        check_folder_free(out, force=force, holding=MANIFEST)
    if model is not None:
        check_precision(model, wanted.precision)  # before tables are trained
    with progress("export") as advance:
        codebooks = find_codebooks(
            model, checkpoint, asked, channel=channel, seed=wanted.seed, progress=advance
        )
        folder = out if out is not None else Path(model or codebooks.method)
        result = make_fronthaul(codebooks, wanted, folder, force=force, progress=advance)
    if as_json:
        print_json(result)
        return
    say(
        f"{result['out']}: {result['system']}, {codebooks.setup}, blocks of {result['block']} "
        f"channel uses, {result['payload_bytes']:,} bytes each, pairing id {result['pairing_id']}"
    )
    say(f"  decoders: {_origin(result['provenance'])}")
    wide = max(14, *(len(name) + 2 for name in (*result["files"], *result["c"])))
    for name, size in result["files"].items():
        say(f"  {name:<{wide}}{size:>13,} bytes")
    for name in result["c"]:
        say(f"  {name + '/':<{wide}}C99 for a device: see {name}/README.md")


def _origin(about: dict[str, Any]) -> str:
    channel = f"trained on {about.get('channel', '?')} channels, seed {about.get('seed', '?')}"
    if about.get("source") == "zoo":
        return f"zoo entry {about['entry']}, {channel}"
    return f"{about.get('source', 'given')}, {channel}"


def generate(
    scenario: str,
    asked: Asked,
    *,
    blocks: int,
    out: Path,
    seed: int,
    as_json: bool,
) -> None:
    """Blocks: channels and symbols."""
    from csideploy.fronthaul import blocks_file
    from csideploy.fronthaul.systems import FRONTHAUL

    setup = asked.setup(FRONTHAUL["neural-mq"])
    with progress(f"{scenario} blocks") as advance:
        result = blocks_file.generate(
            out, scenario, setup, blocks=blocks, uses=asked.block, seed=seed, progress=advance
        )
    if as_json:
        print_json(result)
    else:
        say(
            f"{out}: {blocks} blocks of {asked.block} channel uses, {scenario}, M {setup.rus}, "
            f"N_tx {setup.total_antennas} in all, N {setup.users}, seed {seed}"
        )


def encode(package: LinkPackage, blocks: Path, out: Path, *, raw: bool, as_json: bool) -> None:
    """Blocks to payloads."""
    from csideploy.fronthaul import wire

    with progress("encode") as advance:
        result = wire.encode(package, blocks, out, raw=raw, progress=advance)
    if as_json:
        print_json(result)
    else:
        bits = ",".join(map(str, sorted(set(result["bits"]))))
        say(
            f"{out}: {result['samples']} blocks of {result['block']} channel uses for "
            f"{result['rus']} RUs, {bits} bits a use each, {result['payload_bytes']:,} bytes a "
            f"block, {result['file_bytes']:,} bytes in all"
        )


def decode(
    package: LinkPackage,
    payload: Path,
    out: Path,
    *,
    raw: bool,
    reference: Path | None,
    as_json: bool,
) -> None:
    """Payloads to what the RUs send, and its sum efficiency over known channels."""
    from csideploy.fronthaul import wire

    with progress("decode") as advance:
        result = wire.decode(package, payload, out, raw=raw, reference=reference, progress=advance)
    if as_json:
        print_json(result)
        return
    say(f"{out}: complex64 {tuple(result['shape'])}, what the RUs send in every block")
    if "efficiency" in result:
        typer.echo(
            f"Sum SE {_with_interval(result, 'efficiency')} bit/s/Hz "
            f"(log2 det(I + 1/E); {_with_interval(result, 'plain')} by log2 det(1/E)) over "
            f"{result['samples']} blocks"
        )
        typer.echo(
            f"Linear precoding without limit {_with_interval(result, 'linear_efficiency')} "
            f"({_with_interval(result, 'linear_plain')})"
        )


def _with_interval(result: dict[str, Any], name: str) -> str:
    interval = result.get(f"{name}_interval")
    if interval is None:
        return f"{result[name]:.2f}"
    return f"{result[name]:.2f} +- {(interval[1] - interval[0]) / 2:.2f}"


def _numbers(text: str | None) -> tuple[float, ...]:
    """`--snr`: numbers with commas; () if left out.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return ()
    try:
        return tuple(float(item) for item in text.split(","))
    except ValueError:
        raise InputError(f"--snr {text}: dB, several with commas") from None


def _set_threads(threads: int) -> None:
    try:
        import torch
    except ModuleNotFoundError:
        return
    torch.set_num_threads(threads)
