"""Verbs on one part: compile, run, inspect, supported-ops."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from csideploy.cli_shell import (
    Json,
    Precision,
    PrecisionOption,
    Seed,
    check_calibration,
    print_json,
    progress,
    say,
    table_console,
)
from csideploy.errors import InputError

Bundle = Annotated[Path, typer.Argument(help="A bundle: .csib.")]


def compile_onnx(
    model: Annotated[Path, typer.Argument(help="An ONNX network.")],
    precision: PrecisionOption = Precision.FP32,
    calibration: Annotated[
        Path | None, typer.Option(help="For int8: CSI, or inputs in an .npy, of its use.")
    ] = None,
    error_level: Annotated[
        float, typer.Option(help="For auto: the network's own error, NMSE in dB.")
    ] = -20.0,
    out: Annotated[
        Path | None,
        typer.Option(help="The bundle to write; MODEL.csib, MODEL.int8.csib if left out."),
    ] = None,
    side: Annotated[str, typer.Option(help="Where it will run: ue, bs, ru or du.")] = "ue",
    part: Annotated[str, typer.Option(help="What it is: encoder, decoder, ...")] = "network",
    vectors: Annotated[
        int, typer.Option(min=0, help="Golden vectors inside: random inputs through ONNX Runtime.")
    ] = 1,
    max_users: Annotated[
        int, typer.Option(min=1, help="Most users of a call, if the network has an axis named k.")
    ] = 8,
    emit: Annotated[
        str, typer.Option(help="What to write, with commas: bundle, c (a folder beside it).")
    ] = "bundle",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compile any ONNX network of supported operators into a bundle.

    Example: csideploy compile clnet.onnx --out clnet.csib --side bs --part decoder

    A network with QuantizeLinear runs in integers with the scales it has. --precision int8,
    auto or mixed quantizes an fp32 one, and writes it as QDQ ONNX too.
    """
    from csideploy import bundles
    from csideploy.report import precision_table

    wanted = {item.strip() for item in emit.split(",")}
    if not wanted <= {"bundle", "c"}:
        raise InputError(f"--emit {emit}: a comma list of bundle and c")
    check_calibration(precision, calibration)
    integers = None
    if precision is not Precision.FP32:
        integers = bundles.Integers(precision.value, calibration, error_level)
    with progress("quantize") as advance:
        result = bundles.compile_file(
            model,
            out,
            side=side,
            part=part,
            vectors=vectors,
            max_users=max_users,
            seed=seed,
            integers=integers,
            progress=advance,
        )
    if "c" in wanted:
        result["c"] = str(bundles.write_c(Path(result["out"])))
    if as_json:
        print_json(result)
        return
    say(
        f"{result['out']}: {result['steps']} steps, {result['bytes']:,} bytes, "
        f"arena {result['arena_bytes']:,} bytes"
    )
    if result["quantization"] is not None:
        say(f"{result['onnx']}: the same as QDQ ONNX")
        precision_table.show(result["quantization"], table_console())
    if "c" in result:
        say(f"{result['c']}/: C99 for a device: see {result['c']}/README.md")


def run(
    bundle: Bundle,
    data: Annotated[Path, typer.Argument(metavar="IN.npy", help="The input; .npz for several.")],
    out: Annotated[Path, typer.Option(help="The .npy to write; .npz for several outputs.")],
    as_json: Json = False,
) -> None:
    """Run one part on an array.

    Example: csideploy run P/ue.csib x.npy --out payload.npy
    """
    from csideploy import bundles

    with progress("run") as advance:
        result = bundles.run_file(bundle, data, out, progress=advance)
    if as_json:
        print_json(result)
    else:
        for name, shape in result["outputs"].items():
            say(f"{out}: {name} {tuple(shape)}")


def inspect(bundle: Bundle, as_json: Json = False) -> None:
    """What a bundle holds: header, inputs, outputs, steps, tensors, payload layout.

    Example: csideploy inspect P/ue.csib
    """
    from csideploy import bundles
    from csideploy.report import bundle_table

    result = bundles.describe(bundle)
    if as_json:
        print_json(result)
    else:
        bundle_table.show(result, table_console())


def supported_ops(as_json: Json = False) -> None:
    """The ONNX operators that the compiler takes, each with its conditions.

    Example: csideploy supported-ops
    """
    from csideploy import bundles
    from csideploy.report import bundle_table

    result = bundles.supported_operators()
    if as_json:
        print_json(result)
    else:
        bundle_table.show_operators(result, table_console())
