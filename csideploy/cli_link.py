"""Verbs on a link package: export, encode, decode, validate, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from csideploy.cli_shell import (
    Binarize,
    Convention,
    Distances,
    Domain,
    Domains,
    Json,
    Precision,
    PrecisionOption,
    Quantizers,
    Seed,
    check_calibration,
    print_json,
    progress,
    refuse_given,
    say,
    table_console,
)
from csideploy.errors import CheckFailedError

Package = Annotated[Path, typer.Argument(help="A link package: the folder that export made.")]
Snr = Annotated[
    float | None, typer.Option(help="Of a transceiver: P over the noise in dB, of pilots and data.")
]
Group = Annotated[int | None, typer.Option(min=1, help="Of a transceiver: K, users of a group.")]
Rank = Annotated[
    int | None,
    typer.Option(min=1, max=4, help="Of a profile: samples in a row are the layers of a report."),
]
OF_LINKS = ("cr", "quantizer", "binarize", "calibration", "profile")
OF_PRECODERS = ("table", "bs_memory", "distance")
OF_DOWNLINKS = ("snr", "users", "settings")
OF_FRONTHAUL = ("channel",)
OF_TRANSCEIVERS = ("max_users",)
OF_GROUPS = ("snr", "users", "samples", "seed")
OF_CSI = ("bits", "domain", "convention", "reference_domain", "with_scale", "rank")
"""Parameters of verbs that say nothing about the other kind of system."""


def export(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="A system; `csideploy systems` lists.")] = None,
    cr: Annotated[int | None, typer.Option(help="Compression ratio, 4 to 64.")] = None,
    bits: Annotated[
        str | None,
        typer.Option(
            help="Bits a feature, 1 to 8, or float; 2,3,4: budgets of one package. Of a fronthaul "
            "system: bits a channel use, or 64,64,32,32: of each RU. Of a transceiver: bits a "
            "user, any number."
        ),
    ] = None,
    quantizer: Annotated[
        Quantizers | None,
        typer.Option(help="Steps of equal size, a codebook for every feature or one a vector."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights that `train` wrote; without it, from the zoo.")
    ] = None,
    binarize: Annotated[Binarize | None, typer.Option(help="Layers with 1-bit weights.")] = None,
    precision: PrecisionOption = Precision.FP32,
    emit: Annotated[
        str, typer.Option(help="What to write, with commas: onnx, bundle, c.")
    ] = "onnx,bundle",
    inline: Annotated[
        bool,
        typer.Option("--inline", help="ONNX without local functions."),
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="CSI for int8 scales, generated channels if left out; of a transceiver users."
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(help="Of a precoder: none, auto, or a form such as sorted-rank1-int8."),
    ] = None,
    bs_memory: Annotated[
        str | None, typer.Option(help="Of a precoder: what table auto may take, such as 64MB.")
    ] = None,
    snr: Annotated[
        float | None, typer.Option(help="Of a precoder: P in dB; of a fronthaul: the SNR.")
    ] = None,
    users: Annotated[
        int | None, typer.Option(help="Of a precoder: K; of a fronthaul system: N.")
    ] = None,
    distance: Annotated[
        Distances | None, typer.Option(help="Of rank1-rzf: how a user chooses its codeword.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Of a precoder: antennas, streams, pilots, pilot-power = N. Of a fronthaul "
            "system: rus, antennas, block, ...; a wrong name lists all. Of a transceiver: "
            "codebooks=features|codewords.",
        ),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(help="Of vq, mq, smq, pmq: channels that tables are trained on; umi-links."),
    ] = None,
    max_users: Annotated[
        int | None, typer.Option(help="Of a transceiver: the most users of a group; 8.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="r20-case0: payload, report and keys that RAN1 reported for Rel-20."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to make; ./MODEL if left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing package.")] = False,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """Make a link package: ONNX and a bundle for each side, golden vectors, report.

    Example: csideploy export --model bacrnet10x --precision auto --out P

    As reported for Rel-20: csideploy export --checkpoint run --profile r20-case0 --out P

    A precoder: csideploy export --model rank1-rzf --snr 20 --table auto --bs-memory 64MB

    A fronthaul, DU and RUs: csideploy export --model pmq --set rus=8 --bits 2 --out P

    Any bits, any users: csideploy export --checkpoint run --bits 5,10,30 --max-users 8 --out P
    """
    from csideploy import cli_fronthaul, cli_precoder, link_export
    from csideploy.downlink.export import PrecoderWanted
    from csideploy.downlink.request import is_precoder, parse_sizes
    from csideploy.fronthaul.request import is_fronthaul
    from csideploy.link_source import parse_bits
    from csideploy.options import parse_memory, parse_number
    from csideploy.report import precision_table
    from csideploy.transceiver.request import is_transceiver

    if is_transceiver(model, checkpoint):
        from csideploy import cli_transceiver_link
        from csideploy.transceiver.export import TransceiverWanted
        from csideploy.transceiver.parts import MAX_USERS
        from csideploy.transceiver.request import parse_codebooks, parse_list

        apart = ("cr", "quantizer", "binarize", "profile", "snr", "users")
        refuse_given(context, (*apart, *OF_PRECODERS, *OF_FRONTHAUL), "other systems")
        cli_transceiver_link.export(
            model,
            checkpoint,
            TransceiverWanted(
                bits=None if bits is None else parse_list(bits, "--bits"),
                max_users=MAX_USERS if max_users is None else max_users,
                precision=precision.value,
                calibration=calibration,
                method=parse_codebooks(settings or ()),
                emit=link_export.parse_emit(emit),
                inline=inline,
                seed=seed,
            ),
            out=out,
            force=force,
            as_json=as_json,
        )
        return
    refuse_given(context, OF_TRANSCEIVERS, "transceivers")
    if is_fronthaul(model, checkpoint):
        from csideploy.fronthaul.export import FronthaulWanted
        from csideploy.fronthaul.request import EXPORT, parse_asked

        refuse_given(context, (*OF_LINKS, *OF_PRECODERS), "other systems")
        asked = parse_asked(settings or (), EXPORT, users=users, bits=bits, snr_db=snr)
        cli_fronthaul.export(
            model,
            checkpoint,
            asked,
            FronthaulWanted(
                block=asked.block,
                precision=precision.value,
                emit=link_export.parse_emit(emit),
                inline=inline,
                seed=seed,
            ),
            channel=channel,
            out=out,
            force=force,
            as_json=as_json,
        )
        return
    refuse_given(context, OF_FRONTHAUL, "fronthaul systems")
    if is_precoder(model, checkpoint):
        refuse_given(context, OF_LINKS, "CSI feedback links")
        cli_precoder.export(
            model,
            checkpoint,
            parse_sizes(settings or (), users=users, bits=parse_number(bits, "--bits")),
            PrecoderWanted(
                table=table,
                memory=None if bs_memory is None else parse_memory(bs_memory, "--bs-memory"),
                precision=precision.value,
                emit=link_export.parse_emit(emit),
                inline=inline,
                seed=seed,
            ),
            snr_db=snr,
            distance=None if distance is None else distance.value,
            out=out,
            force=force,
            as_json=as_json,
        )
        return
    refuse_given(context, (*OF_PRECODERS, *OF_DOWNLINKS), "precoders")
    check_calibration(precision, calibration)
    wanted = link_export.Wanted(
        model=model,
        cr=cr,
        bits=parse_bits(bits),
        binarize=None if binarize is None else binarize.value,
        emit=link_export.parse_emit(emit),
        inline=inline,
        seed=seed,
        precision=precision.value,
        calibration=calibration,
        quantizer=None if quantizer is None else quantizer.value,
        profile=profile,
    )
    with progress("export") as advance:
        result = link_export.export_link(
            wanted, checkpoint=checkpoint, out=out, force=force, progress=advance
        )
    if as_json:
        print_json(result)
    else:
        budgets = ", ".join(str(layout["bits"]) for layout in result["budgets"])
        bits = f"{budgets}-bit" if budgets else "float"
        say(
            f"{result['out']}: {result['system']}, cr {result['cr']}, {bits} features, "
            f"binarize {result['binarize']}, pairing id {result['pairing_id']}"
        )
        if result["profile"] is not None:
            about = result["profile"]
            pairs = ", ".join(f"{{{m}, {q}}}" for m, q in about["layer_payload_pairs"])
            say(f"  profile {about['release']}: {about['status']}; pairs of the layers {pairs}")
            say(f"  target CSI: {about['target_csi_domain']}")
        wide = max(14, *(len(name) + 2 for name in (*result["files"], *result["c"])))
        for name, size in result["files"].items():
            say(f"  {name:<{wide}}{size:>12,} bytes")
        for name in result["c"]:
            say(f"  {name + '/':<{wide}}C99 for a device: see {name}/README.md")
        if result["quantization"] is not None:
            precision_table.show(result["quantization"], table_console())


def encode(
    context: typer.Context,
    package: Package,
    csi: Annotated[
        Path,
        typer.Argument(
            help="CSI: .npy, .npz, .h5 or .mat; for a precoder received pilots, for a fronthaul "
            "blocks (.npz); for a transceiver received pilots or users."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The payload file to write.")],
    bits: Annotated[
        str | None,
        typer.Option(
            help="Bit budget, if it has several; the largest if left out. Of a transceiver too "
            "5,10,30: of each user of a group."
        ),
    ] = None,
    domain: Domain = Domains.ANGULAR,
    convention: Convention = "auto",
    raw: Annotated[bool, typer.Option("--raw", help="Leave the 32-byte header out.")] = False,
    with_scale: Annotated[
        bool, typer.Option("--with-scale", help="16 more bits a sample carry max|H|.")
    ] = False,
    rank: Rank = None,
    snr: Snr = None,
    users: Group = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Of a transceiver: groups; all of the file, or 1000.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The UE's side: CSI to payload bits. Of a fronthaul the DU's: blocks to the bits of RUs.

    Example: csideploy encode P indoor.npz --out p.bin

    Users of a transceiver: csideploy encode P users.npz --snr 10 --bits 10 --users 4 --out p.bin
    """
    from csideploy import cli_fronthaul, cli_precoder, feedback
    from csideploy.channels.files import read_csi
    from csideploy.options import parse_number
    from csideploy.package import open_package

    link = open_package(package)
    if link.is_transceiver:
        from csideploy import cli_transceiver_link

        refuse_given(context, OF_CSI[1:], "CSI feedback")
        cli_transceiver_link.encode(
            link,
            csi,
            out,
            snr_db=snr,
            bits=bits,
            group=users,
            samples=samples,
            raw=raw,
            seed=seed,
            as_json=as_json,
        )
        return
    refuse_given(context, OF_GROUPS, "transceivers")
    if link.is_precoder:
        refuse_given(context, OF_CSI, "CSI feedback")
        cli_precoder.encode(link, csi, out, raw=raw, as_json=as_json)
        return
    if link.is_fronthaul:
        refuse_given(context, OF_CSI, "CSI feedback")
        cli_fronthaul.encode(link, csi, out, raw=raw, as_json=as_json)
        return
    budget = link.bits_of(link.layout_of(parse_number(bits, "--bits")))
    if len(link.layouts) > 1:
        say(f"{package}: {budget} bits a feature, of {link.budgets} (--bits chooses)")
    source = read_csi(csi, convention=convention, domain=domain.value)
    say(f"{csi}: {source.description}")
    with progress("encode") as advance:
        result = feedback.encode(
            link,
            source,
            out,
            bits=budget,
            raw=raw,
            with_scale=with_scale,
            rank=rank,
            progress=advance,
        )
    if as_json:
        print_json(result)
    else:
        _say_encoded(result)


def _say_encoded(result: dict[str, Any]) -> None:
    """What the file counts: samples, or reports that have them as layers."""
    samples = f"{result['samples']} samples of {result['payload_bits']} bits"
    report = result.get("report")
    if report is None:
        say(
            f"{result['out']}: {samples} ({result['payload_bytes']} bytes), "
            f"{result['file_bytes']:,} bytes in all"
        )
        return
    say(
        f"{result['out']}: {report['reports']} reports of rank {report['rank']} "
        f"({report['bytes']} bytes), {result['file_bytes']:,} bytes in all"
    )
    say(
        f"  {samples} are their layers; a report: part 1 {report['part1_bits']} bits, part 2 "
        f"{report['part2_bits']} bits"
    )
    if report["not_strongest_first"]:
        say(
            f"  {report['not_strongest_first']} of them have a layer with more energy than the one "
            "before it: a file's samples are to stand strongest layer first"
        )


def decode(
    context: typer.Context,
    package: Package,
    payload: Annotated[Path, typer.Argument(help="The payload file that encode wrote.")],
    out: Annotated[Path, typer.Option(help="The .npy file to write, complex64.")],
    reference: Annotated[
        Path | None, typer.Option(help="The CSI that was encoded: prints NMSE, SGCS and rho.")
    ] = None,
    domain: Annotated[Domains, typer.Option(help="Domain of the output.")] = Domains.ANGULAR,
    convention: Convention = "auto",
    reference_domain: Annotated[
        Domains, typer.Option(help="Domain of the reference.")
    ] = Domains.ANGULAR,
    bits: Annotated[
        str | None, typer.Option(help="Bit budget of a raw payload, if the package has several.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The payload has no header.")] = False,
    with_scale: Annotated[
        bool, typer.Option("--with-scale", help="Multiply by the max|H| that the payload carries.")
    ] = False,
    rank: Annotated[
        int | None, typer.Option(min=1, max=4, help="Layers of a report, of a raw payload.")
    ] = None,
    snr: Snr = None,
    users: Group = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The BS's side: payload bits to CSI. Of a fronthaul the RUs': bits to what they send.

    Example: csideploy decode P p.bin --out h.npy --reference indoor.npz

    A transceiver's BS: csideploy decode P p.bin --snr 10 --out W.npy --reference users.npz
    """
    from csideploy import cli_fronthaul, cli_precoder, feedback
    from csideploy.channels.files import read_csi
    from csideploy.options import parse_number
    from csideploy.package import open_package

    link = open_package(package)
    if link.is_transceiver:
        from csideploy import cli_transceiver_link

        refuse_given(context, OF_CSI[1:], "CSI feedback")
        cli_transceiver_link.decode(
            link,
            payload,
            out,
            snr_db=snr,
            bits=bits,
            group=users,
            raw=raw,
            reference=reference,
            seed=seed,
            as_json=as_json,
        )
        return
    refuse_given(context, OF_GROUPS, "transceivers")
    if link.is_precoder:
        refuse_given(context, OF_CSI, "CSI feedback")
        cli_precoder.decode(link, payload, out, raw=raw, reference=reference, as_json=as_json)
        return
    if link.is_fronthaul:
        refuse_given(context, OF_CSI, "CSI feedback")
        cli_fronthaul.decode(link, payload, out, raw=raw, reference=reference, as_json=as_json)
        return
    known = None
    if reference is not None:
        known = read_csi(reference, convention=convention, domain=reference_domain.value)
        say(f"{reference}: {known.description}")
    with progress("decode") as advance:
        result = feedback.decode(
            link,
            payload,
            out,
            bits=parse_number(bits, "--bits"),
            raw=raw,
            with_scale=with_scale,
            rank=rank,
            domain=domain.value,
            reference=known,
            progress=advance,
        )
    if raw and rank is None and "profile" in link.manifest:
        # Many lengths are whole numbers of both, and any bits decode to some CSI.
        say(
            f"{payload}: taken for {result['samples']} samples of {result['payload_bytes']} bytes; "
            "--rank takes it for reports"
        )
    if as_json:
        print_json(result)
        return
    what = "max|H| of the payload" if with_scale else "unit maximum"
    say(f"{out}: complex64 {tuple(result['shape'])}, {domain} domain, {what}")
    if known is not None:
        typer.echo(
            f"NMSE {result['nmse_db']:.2f} dB   SGCS {result['sgcs']:.4f}   "
            f"rho {result['rho']:.4f}   over {result['samples']} samples "
            f"of {result['payload_bits']} bits"
        )


def validate(
    target: Annotated[Path, typer.Argument(help="A link package, or a bundle (.csib).")],
    reference: Annotated[
        Path | None, typer.Option(help="CSI to run; the golden vectors, if left out.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, help="Only the first so many; of a fronthaul blocks, a transceiver groups."
        ),
    ] = None,
    domain: Domain = Domains.ANGULAR,
    convention: Convention = "auto",
    onnx_file: Annotated[
        Path | None, typer.Option("--onnx", help="What a bundle was compiled from.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Our runtime against ONNX Runtime and the golden vectors; exit 1 if a check does not hold.

    Example: csideploy validate P --reference indoor.npz
    """
    from csideploy import validate as validation
    from csideploy.report import validation_table

    with progress("validate") as advance:
        result = validation.validate(
            target,
            reference=reference,
            samples=samples,
            domain=domain.value,
            convention=convention,
            onnx_file=onnx_file,
            seed=seed,
            progress=advance,
        )
    if as_json:
        print_json(result)
    else:
        validation_table.show(result, table_console())
    failed = [check["name"] for check in result["checks"] if not check["holds"]]
    if failed:
        raise CheckFailedError(f"{target}: these checks do not hold: {'; '.join(failed)}")
