"""What `export` and `evaluate` do for precoders."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from csideploy.cli_figures import Figures
from csideploy.cli_shell import print_json, progress, say, table_console
from csideploy.errors import InputError

if TYPE_CHECKING:
    from csideploy.baselines.feedback import Distance
    from csideploy.downlink.export import PrecoderWanted
    from csideploy.downlink.request import Sizes
    from csideploy.package import LinkPackage


def export(
    model: str | None,
    checkpoint: Path | None,
    sizes: Sizes,
    wanted: PrecoderWanted,
    *,
    snr_db: float | None,
    distance: Distance | None,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make the package, and say what is in it and what its table costs."""
    from csideploy.downlink.export import make_precoder
    from csideploy.downlink.request import find_source
    from csideploy.outputs import check_folder_free
    from csideploy.package import MANIFEST
    from csideploy.report import forms_table

    if out is not None:
        check_folder_free(out, force=force, holding=MANIFEST)
    with progress("export") as advance:
        source = find_source(
            model,
            checkpoint,
            sizes,
            snr_db=snr_db,
            distance=distance,
            seed=wanted.seed,
            progress=advance,
        )
        folder = out if out is not None else Path(model or source.system)
        result = make_precoder(source, wanted, folder, force=force, progress=advance)
    if as_json:
        print_json(result)
        return
    say(
        f"{result['out']}: {result['system']}, {source.setup}, P {result['snr_db']:g} dB, "
        f"pairing id {result['pairing_id']}"
    )
    wide = max(14, *(len(name) + 2 for name in (*result["files"], *result["c"])))
    for name, size in result["files"].items():
        say(f"  {name:<{wide}}{size:>13,} bytes")
    for name in result["c"]:
        say(f"  {name + '/':<{wide}}C99 for a device: see {name}/README.md")
    if result["table"] is not None:
        forms_table.show(result, table_console())


def evaluate(
    names: list[str],
    sizes: Sizes,
    users: tuple[int, ...],
    *,
    snr: str | None,
    samples: int,
    distance: Distance | None,
    seed: int,
    figures: Figures,
) -> None:
    """Sum rates, once for each number of users."""
    from csideploy.downlink.evaluate import evaluate_precoders, parse_snrs, setups
    from csideploy.report import rate_chart, rate_table

    snrs = parse_snrs(snr)
    results: list[dict[str, Any]] = []
    every = setups(names, sizes, users)
    with progress("evaluate") as advance:
        for number, setup in enumerate(every):

            def step(done: int, total: int, number: int = number) -> None:
                advance(number * total + done, len(every) * total)

            results.append(
                evaluate_precoders(
                    names,
                    setup,
                    snrs=snrs,
                    samples=samples,
                    seed=seed,
                    distance=distance,
                    progress=step,
                )
            )
    whole = results[0] if len(results) == 1 else {"users": results}

    def show(console: Console) -> None:
        for result in results:
            rate_table.show(result, console)

    figures.give(whole, draw=partial(rate_chart.draw, results), show=show)


def encode(package: LinkPackage, pilots: Path, out: Path, *, raw: bool, as_json: bool) -> None:
    """Received pilots to payloads."""
    from csideploy.downlink import feedback

    with progress("encode") as advance:
        result = feedback.encode(package, pilots, out, raw=raw, progress=advance)
    if as_json:
        print_json(result)
    else:
        say(
            f"{out}: {result['samples']} samples of {result['users']} users, "
            f"{result['payload_bits']} bits each, {result['file_bytes']:,} bytes in all"
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
    """Payloads to precoding matrices, and their sum rate over known channels."""
    from csideploy.downlink import feedback

    with progress("decode") as advance:
        result = feedback.decode(
            package, payload, out, raw=raw, reference=reference, progress=advance
        )
    if as_json:
        print_json(result)
        return
    say(f"{out}: complex64 {tuple(result['shape'])}, V_k of every sample and user")
    if "sum_rate" in result:
        half = (result["sum_rate_interval"][1] - result["sum_rate_interval"][0]) / 2
        typer.echo(
            f"Sum rate {result['sum_rate']:.3f} +- {half:.3f} bit/s/Hz at P = "
            f"{result['snr_db']:g} dB over {result['samples']} samples"
        )


def parse_users(text: str | None) -> tuple[int, ...]:
    """`--users`: numbers with commas; () if left out.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return ()
    items = [item.strip() for item in text.split(",")]
    if not all(item.isascii() and item.isdigit() for item in items):
        raise InputError(f"--users {text}: whole numbers with commas, such as 2,4")
    return tuple(int(item) for item in items)
