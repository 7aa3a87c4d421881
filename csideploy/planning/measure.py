"""What the zoo's weights reach in each precision, as lines of a result file.

    python -m csideploy.planning.measure bacrnet10x-both --precision auto --test held.npz

Each package is made as `csideploy export` makes it, then both sides run in our runtime over the
whole test file, as `encode` and `decode --reference` do: integers lose what they lose on a device.
Needs the extra `train`, for the hash that names a test set.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from csideploy import zoo
from csideploy.channels.files import Csi, read_csi
from csideploy.cli_shell import progress, say
from csideploy.errors import CsideployError, InputError
from csideploy.feedback import decode, encode
from csideploy.link_export import Wanted, export_link
from csideploy.link_source import Bits
from csideploy.package import open_package
from csideploy.planning.commands import zoo_options
from csideploy.planning.results import ResultLine, TestSet, append
from csideploy.progress import Advance, quiet

PRECISIONS = ("fp32", "auto", "int8")
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
    csi: Csi,
    test: TestSet,
    *,
    advance: Advance = quiet,
) -> ResultLine:
    """One package of a zoo entry over a test file.

    Args:
        entry: a CSI feedback link with a feature quantizer.
        bits: a feature, one of the entry's budgets.
        precision: fp32, auto or int8.
        csi: the test file.
        test: what it is.
        advance: called with samples done and samples in all.

    Raises:
        InputError: the entry cannot be exported so, or the CSI does not fit it.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        export_link(wanted_package(entry, bits, precision), out=folder / "P")
        package = open_package(folder / "P")
        sent = encode(package, csi, folder / "p.bin")
        made = decode(package, folder / "p.bin", folder / "h.npy", reference=csi, progress=advance)
    options = zoo_options(entry.path.name, entry.budgets, bits, precision)
    return ResultLine.model_validate(
        {
            "system": entry.card["system"],
            "cr": entry.card["cr"],
            "bits": bits,
            "binarize": entry.card["binarize"],
            "quantizer": entry.quantizer,
            "payload_bits": sent["payload_bits"],
            "precision": precision,
            "nmse_db": round(made["nmse_db"], 3),
            "sgcs": round(made["sgcs"], 5),
            "rho": round(made["rho"], 5),
            "test": test,
            "checkpoint": entry.path.name,
            "weights": entry.card["sha256"],
            "command": (
                f"csideploy data generate --scenario {test.scenario} --samples {test.samples} "
                f"--seed {test.seed} --out held.npz && csideploy export {options} --out P && "
                "csideploy encode P held.npz --out p.bin && "
                "csideploy decode P p.bin --out h.npy --reference held.npz"
            ),
        }
    )


def main(
    entries: Annotated[list[str] | None, typer.Argument(help="Zoo entries; all if none.")] = None,
    test: Annotated[Path, typer.Option(help="CSI that no training saw.")] = Path("held.npz"),
    precision: Annotated[str, typer.Option(help="With commas.")] = ",".join(PRECISIONS),
    out: Annotated[Path, typer.Option(help="The result file.")] = Path("zoo/results.jsonl"),
) -> None:
    """Measure zoo entries on a test file; each line is written when it is known."""
    from csideploy.training.data import describe

    try:
        unknown = sorted(set(precision.split(",")) - set(PRECISIONS))
        if unknown:
            raise InputError(f"--precision {precision}: some of {', '.join(PRECISIONS)}")
        there = {entry.path.name: entry for entry in zoo.entries()}
        missing = sorted(set(entries or ()) - set(there))
        if missing:
            raise InputError(f"no zoo entry {missing[0]!r}: there is {', '.join(there)}")
        about = TestSet.model_validate(describe(test))
        csi = read_csi(test)
        for name in entries or there:
            for bits in there[name].budgets:
                if bits is None:
                    continue  # A float feature makes no payload.
                for kind in precision.split(","):
                    with progress(f"{name} {bits} {kind}") as advance:
                        line = measured(there[name], bits, kind, csi, about, advance=advance)
                    append(out, line)
                    say(f"{name}, {bits} bits, {kind}: {line.nmse_db:.3f} dB, SGCS {line.sgcs}")
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


if __name__ == "__main__":
    typer.run(main)
