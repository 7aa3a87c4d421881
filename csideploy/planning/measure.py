"""What the zoo's weights reach in each precision, as lines of a result file.

    python -m csideploy.planning.measure bacrnet10x-both --precision auto --test held.npz \
        --reference cost2100_indoor_reference.npz

Each package is made as `csideploy export` makes it, then both sides run in our runtime over the
whole test file, as `encode` and `decode --reference` do: integers lose what they lose on a device.
A float feature goes from one bundle to the other as it is. Needs the extra `train`, for the hash
that names a test set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from csideploy import metrics, zoo
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import Csi, read_csi
from csideploy.cli_shell import progress, say
from csideploy.errors import CsideployError, InputError
from csideploy.feedback import decode, encode
from csideploy.link_export import Wanted, export_link
from csideploy.link_source import Bits
from csideploy.outputs import check_writable
from csideploy.package import LinkPackage, open_package
from csideploy.planning.commands import zoo_options
from csideploy.planning.results import ResultLine, TestSet, append, read_results
from csideploy.progress import Advance, quiet

PRECISIONS = ("fp32", "auto", "int8", "mixed")
_CHUNK = 500
SEED = 7
"""The default of `csideploy export`: what is measured is the package that its command makes."""


def wanted_package(entry: zoo.ZooEntry, bits: int | None, precision: str) -> Wanted:
    """What `csideploy export` is asked for by `commands.zoo_options`."""
    return Wanted(
        model=entry.path.name,
        cr=None,
        bits=Bits() if bits is None else Bits((bits,), given=True),
        binarize=None,
        emit=frozenset({"bundle"}),
        inline=False,
        seed=SEED,
        precision=precision,
    )


def measured(
    entry: zoo.ZooEntry,
    bits: int | None,
    precision: str,
    tests: Sequence[tuple[Csi, TestSet]],
    *,
    advance: Advance = quiet,
) -> ResultLine:
    """One package of a zoo entry over a test file, and over another for the record.

    Args:
        entry: a CSI feedback link with a feature quantizer.
        bits: a feature, one of the entry's budgets.
        precision: fp32, auto, int8 or mixed.
        tests: the test file and what it is, and the reference file where there is one.
        advance: called with samples done and samples in all.

    Raises:
        InputError: the entry cannot be exported so, or the CSI does not fit it.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        export_link(wanted_package(entry, bits, precision), out=folder / "P")
        package = open_package(folder / "P")
        figures = [
            _coded(package, csi, folder, advance) if bits else _uncoded(package, csi)
            for csi, _ in tests
        ]
    made, test = figures[0], tests[0][1]
    reference = None
    if len(tests) > 1:
        reference = {**figures[1], "test": tests[1][1]}
        reference.pop("payload_bits", None)
    options = zoo_options(entry.path.name, entry.budgets, bits, precision)
    return ResultLine.model_validate(
        {
            "system": entry.card["system"],
            "cr": entry.card["cr"],
            "bits": bits,
            "binarize": entry.card["binarize"],
            "quantizer": entry.quantizer,
            "precision": precision,
            **made,
            "test": test,
            "reference": reference,
            "checkpoint": entry.path.name,
            "weights": entry.card["sha256"],
            "command": (
                f"csideploy data generate --scenario {test.scenario} --samples {test.samples} "
                f"--seed {test.seed} --out held.npz && {_command(entry, options, bits, precision)}"
            ),
        }
    )


def _coded(package: LinkPackage, csi: Csi, folder: Path, advance: Advance) -> dict[str, Any]:
    sent = encode(package, csi, folder / "p.bin")
    made = decode(package, folder / "p.bin", folder / "h.npy", reference=csi, progress=advance)
    return {"payload_bits": sent["payload_bits"], **_rounded(made)}


def _uncoded(package: LinkPackage, csi: Csi) -> dict[str, Any]:
    """A feature of floats has no payload: what the UE's bundle makes goes to the BS's."""
    ue, bs = package.open_part("ue"), package.open_part("bs")
    made: dict[str, float] = dict.fromkeys(("nmse", "sgcs", "rho"), 0.0)
    for begin in range(0, len(csi.h), _CHUNK):
        h = csi.h[begin : begin + _CHUNK]
        x, absmax = to_input(h)
        (feature,) = ue.run(x)
        (found,) = bs.run(feature)
        estimate = from_input(found) * absmax[:, None, None]
        for name in made:
            made[name] += getattr(metrics, name)(h, estimate) * len(h) / len(csi.h)
    return _rounded({**made, "nmse_db": metrics.to_db(made["nmse"])})


def _rounded(made: Mapping[str, float]) -> dict[str, float]:
    places = {"nmse_db": 3, "sgcs": 5, "rho": 5}
    return {name: round(made[name], digits) for name, digits in places.items()}


def _command(entry: zoo.ZooEntry, options: str, bits: int | None, precision: str) -> str:
    if bits is None:
        name = entry.path.name
        return (
            f"python -m csideploy.planning.measure {name} --precision {precision} --test held.npz"
        )
    return (
        f"csideploy export {options} --out P && csideploy encode P held.npz --out p.bin && "
        "csideploy decode P p.bin --out h.npy --reference held.npz"
    )


def main(
    entries: Annotated[list[str] | None, typer.Argument(help="Zoo entries; all if none.")] = None,
    test: Annotated[Path, typer.Option(help="CSI that no training saw.")] = Path("held.npz"),
    reference: Annotated[
        Path | None, typer.Option(help="CSI of another source, for the record.")
    ] = None,
    precision: Annotated[str, typer.Option(help="With commas.")] = ",".join(PRECISIONS),
    out: Annotated[Path, typer.Option(help="The result file.")] = Path("zoo/results.jsonl"),
) -> None:
    """Measure zoo entries on a test file; each line is written when it is known."""
    from csideploy.training.data import describe

    try:
        unknown = sorted(set(precision.split(",")) - set(PRECISIONS))
        if unknown:
            raise InputError(f"--precision {precision}: some of {', '.join(PRECISIONS)}")
        check_writable(out)
        if out.exists():
            read_results(out)
        there = {entry.path.name: entry for entry in zoo.entries()}
        missing = sorted(set(entries or ()) - set(there))
        if missing:
            raise InputError(f"no zoo entry {missing[0]!r}: there is {', '.join(there)}")
        files = [test] if reference is None else [test, reference]
        tests = [(read_csi(path), TestSet.model_validate(describe(path))) for path in files]
        for name in entries or there:
            for bits in there[name].budgets:
                for kind in precision.split(","):
                    with progress(f"{name} {bits} {kind}") as advance:
                        line = measured(there[name], bits, kind, tests, advance=advance)
                    append(out, line)
                    kept = "float" if bits is None else f"{bits} bits"
                    say(f"{name}, {kept}, {kind}: {line.nmse_db:.3f} dB, SGCS {line.sgcs}")
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


if __name__ == "__main__":
    typer.run(main)
