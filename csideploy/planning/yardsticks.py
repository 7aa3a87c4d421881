"""The published figures of ACRNet and BACRNet beside ours: a table of the README.

    python -m csideploy.planning.yardsticks [--json]

Published figures are those of paper 002 (Lu et al.), NMSE in dB on its indoor COST2100 set. Ours
are the best lines of `zoo/results.jsonl` on 20,000 generated indoor channels, and the same weights
on the reference channels, which nothing was trained on, calibrated with or chosen by. A row's
precision is that of the bundles that ran; how much a UE stores is that of its fp32 bundle. A row
with no line says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from csideploy import registry, zoo
from csideploy.cli_shell import print_json
from csideploy.errors import CsideployError
from csideploy.planning.footprints import Footprints
from csideploy.planning.results import ResultLine, read_results

SAMPLES = 20_000
BITS = 4
"""Of a feature, for the size of a link that sends floats."""


@dataclass(frozen=True)
class Yardstick:
    """One published figure.

    Attributes:
        system, cr, bits, binarize: of the link; bits None: float features.
        published: NMSE in dB, indoor.
        source: where in paper 002.
        linear: NMSE in dB of a linear code with as many numbers or bits on our data, untrained.
        linear_code: which.
    """

    system: str
    cr: int
    bits: int | None
    binarize: str
    published: float
    source: str
    linear: float | None = None
    linear_code: str = ""


_SIGNS = "signs of rotated PCA, ridge decoder"
_ALLOCATED = "PCA, bits allocated, 4 MiB at the UE"

YARDSTICKS = (
    Yardstick("acrnet1x", 4, None, "none", -27.16, "table I", -28.65, "PCA, 512 components"),
    Yardstick("acrnet10x", 4, None, "none", -29.83, "table I", -28.65, "PCA, 512 components"),
    Yardstick("bacrnet1x", 4, None, "encoder", -20.46, "table IV", -24.95, _SIGNS),
    Yardstick("bacrnet10x", 4, None, "encoder", -23.36, "table IV", -24.95, _SIGNS),
    Yardstick("bacrnet1x", 4, 4, "encoder", -16.49, "table V", -21.63, _ALLOCATED),
    Yardstick("bacrnet10x", 4, 4, "encoder", -19.38, "table V", -21.63, _ALLOCATED),
    Yardstick("bacrnet1x", 4, 2, "encoder", -12.93, "table V", -13.41, _ALLOCATED),
    Yardstick("bacrnet10x", 4, 2, "encoder", -15.68, "table V", -13.41, _ALLOCATED),
    Yardstick("bacrnet1x", 4, None, "both", -14.20, "table IV"),
    Yardstick("bacrnet10x", 4, None, "both", -17.27, "table IV"),
    Yardstick("bacrnet1x", 8, 4, "encoder", -12.38, "table V"),
    Yardstick("bacrnet10x", 8, 4, "encoder", -15.44, "table V"),
)


def best_line(stick: Yardstick, lines: Sequence[ResultLine]) -> ResultLine | None:
    """The least NMSE of the link on the 20,000 channels, of any precision; None: not trained."""
    fitting = [
        line
        for line in lines
        if (line.system, line.cr, line.bits, line.binarize)
        == (stick.system, stick.cr, stick.bits, stick.binarize)
        and line.quantizer == "uniform"
        and line.test.samples == SAMPLES
        and line.activation is None
    ]
    return min(fitting, key=lambda line: line.nmse_db, default=None)


def rows(lines: Sequence[ResultLine]) -> list[dict[str, object]]:
    """A row a yardstick: what is published, and ours with how it was trained."""
    footprints = Footprints.load()
    found: list[dict[str, object]] = []
    for stick in YARDSTICKS:
        line = best_line(stick, lines)
        row: dict[str, object] = asdict(stick) | {"ue_bytes": _ue_bytes(stick, footprints)}
        if line is not None:
            row |= {
                "nmse_db": line.nmse_db,
                "sgcs": line.sgcs,
                "precision": line.precision,
                "reference_nmse_db": None if line.reference is None else line.reference.nmse_db,
                "checkpoint": line.checkpoint,
                **_training(line),
            }
        found.append(row)
    return found


def _ue_bytes(stick: Yardstick, footprints: Footprints) -> int:
    """Without a quantizer a bundle is smaller by a step or two, some 200 bytes."""
    spec = registry.get(stick.system)
    link = footprints.of_system(spec, stick.cr, stick.bits or BITS, stick.binarize)
    assert link is not None
    return link["ue"].bundle_bytes


def _training(line: ResultLine) -> dict[str, object]:
    if line.train is not None:
        return {"epochs": line.train.epochs, "minutes": line.train.minutes}
    card = zoo.find(line.checkpoint).card if line.checkpoint else {}
    stages = card.get("recipe", {}).get("stages", [])
    return {
        "epochs": sum(stage["epochs"] for stage in stages),
        "minutes": card.get("training", {}).get("minutes"),
    }


def markdown(table: Sequence[dict[str, object]]) -> str:
    """The table of the docs."""
    head = (
        "| system | 1-bit FC | 1/cr | bits a feature | UE stores | published "
        "| linear code, our data | ours | on the reference | precision | epochs, CPU minutes |"
    )
    lines = [head, "|" + "---|" * 11]
    for row in table:
        bits = "float" if row["bits"] is None else row["bits"]
        linear = "" if row["linear"] is None else f"{row['linear']:.2f} ({row['linear_code']})"
        ours = ["not trained", "", "", ""]
        if "nmse_db" in row:
            reference = row["reference_nmse_db"]
            minutes = row["minutes"]
            ours = [
                f"**{row['nmse_db']:.2f}**",
                "" if reference is None else f"{reference:.2f}",
                str(row["precision"]),
                f"{row['epochs']:.3g}" + ("" if minutes is None else f", {minutes:.0f}"),
            ]
        one_bit = {"none": "", "encoder": "UE", "both": "UE, BS"}[str(row["binarize"])]
        cells = [
            f"`{row['system']}`", one_bit, f"1/{row['cr']}", str(bits), _kib(row["ue_bytes"]),
            f"{row['published']:.2f} ({row['source']})", linear, *ours,
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _kib(count: object) -> str:
    assert isinstance(count, int)
    return f"{count / 1024:,.0f} KiB"


def main(
    results: Annotated[Path, typer.Option(help="The result file.")] = Path("zoo/results.jsonl"),
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of the table.")] = False,
) -> None:
    """Print published figures beside ours."""
    try:
        table = rows(read_results(results))
        if as_json:
            print_json({"rows": table})
        else:
            typer.echo(markdown(table), nl=False)
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


if __name__ == "__main__":
    typer.run(main)
