"""The published figures of ACRNet and BACRNet beside ours: a table of the README.

    python -m csideploy.planning.yardsticks [--json]

Published figures are those of paper 002 (Lu et al.), NMSE in dB on its indoor COST2100 set. Ours
are the best lines of `zoo/results.jsonl` on 20,000 generated indoor channels, and the same weights
on the reference channels, which nothing was trained on, calibrated with or chosen by. Beside them
is the best line of principal components with the same compression and bits. A row's precision is
that of the bundles that ran; how much a UE stores is that of its fp32 bundle. A row with no line
says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from csideploy import registry, zoo
from csideploy.cli_shell import print_json
from csideploy.errors import CsideployError, InputError
from csideploy.planning.footprints import Footprints
from csideploy.planning.results import ResultLine, read_results
from csideploy.zoo import ZooEntry

SCENARIO, SAMPLES, SEED = "indoor", 20_000, 2
"""Of the test set."""
BITS = 4
"""Of a feature, for the size of a link that sends floats."""


@dataclass(frozen=True)
class Yardstick:
    """One published figure.

    Attributes:
        system, cr, bits, binarize: of the link; bits None: float features.
        published: NMSE in dB, indoor.
        source: where in paper 002.
    """

    system: str
    cr: int
    bits: int | None
    binarize: str
    published: float
    source: str


YARDSTICKS = (
    Yardstick("acrnet1x", 4, None, "none", -27.16, "table I"),
    Yardstick("acrnet10x", 4, None, "none", -29.83, "table I"),
    Yardstick("bacrnet1x", 4, None, "encoder", -20.46, "table IV"),
    Yardstick("bacrnet10x", 4, None, "encoder", -23.36, "table IV"),
    Yardstick("bacrnet1x", 4, 4, "encoder", -16.49, "table V"),
    Yardstick("bacrnet10x", 4, 4, "encoder", -19.38, "table V"),
    Yardstick("bacrnet1x", 4, 2, "encoder", -12.93, "table V"),
    Yardstick("bacrnet10x", 4, 2, "encoder", -15.68, "table V"),
    Yardstick("bacrnet1x", 4, None, "both", -14.20, "table IV"),
    Yardstick("bacrnet10x", 4, None, "both", -17.27, "table IV"),
    Yardstick("bacrnet1x", 8, 4, "encoder", -12.38, "table V"),
    Yardstick("bacrnet10x", 8, 4, "encoder", -15.44, "table V"),
)


def comparable(lines: Sequence[ResultLine], entries: Mapping[str, ZooEntry]) -> list[ResultLine]:
    """Lines on the one test set that most of them have, of weights as they are today.

    Args:
        lines: of a result file, the newest last.
        entries: of the zoo, by name: their cards have the hashes.
    """
    fitting = [
        line
        for line in lines
        if (line.test.scenario, line.test.samples, line.test.seed) == (SCENARIO, SAMPLES, SEED)
        and line.activation is None
        and not _outdated(line, entries)
    ]
    # Of as many lines the newer set: the generator may have changed.
    counts = Counter(line.test.sha256 for line in reversed(fitting))
    (chosen, _), *_ = counts.most_common(1) or [("", 0)]
    return [line for line in fitting if line.test.sha256 == chosen]


def _outdated(line: ResultLine, entries: Mapping[str, ZooEntry]) -> bool:
    """Whether it was measured with older weights of a zoo entry."""
    entry = entries.get(line.checkpoint or "")
    return entry is not None and line.weights not in (None, entry.card["sha256"])


def best_line(stick: Yardstick, lines: Sequence[ResultLine]) -> ResultLine | None:
    """The least NMSE of the link among comparable lines, any precision; None: not trained."""
    fitting = [
        line
        for line in lines
        if (line.system, line.cr, line.bits, line.binarize)
        == (stick.system, stick.cr, stick.bits, stick.binarize)
        and line.quantizer == "uniform"
    ]
    return min(fitting, key=lambda line: line.nmse_db, default=None)


def best_pca(stick: Yardstick, lines: Sequence[ResultLine]) -> float | None:
    """The least NMSE in dB of principal components with as many numbers and bits, or None."""
    asked = ("pca", stick.cr, stick.bits)
    found = [line.nmse_db for line in lines if (line.system, line.cr, line.bits) == asked]
    return min(found, default=None)


def rows(lines: Sequence[ResultLine]) -> list[dict[str, object]]:
    """A row a yardstick: what is published, and ours with how it was trained."""
    footprints = Footprints.load()
    entries = _entries()
    compared = comparable(lines, entries)
    found: list[dict[str, object]] = []
    for stick in YARDSTICKS:
        line = best_line(stick, compared)
        row: dict[str, object] = asdict(stick) | {
            "ue_bytes": _ue_bytes(stick, footprints),
            "pca_nmse_db": best_pca(stick, compared),
        }
        if line is not None:
            row |= {
                "nmse_db": line.nmse_db,
                "sgcs": line.sgcs,
                "precision": line.precision,
                "reference_nmse_db": None if line.reference is None else line.reference.nmse_db,
                "checkpoint": line.checkpoint,
                **_training(line, entries),
            }
        found.append(row)
    return found


def _entries() -> dict[str, ZooEntry]:
    try:
        return {entry.path.name: entry for entry in zoo.entries()}
    except InputError:  # an installed package has none beside it
        return {}


def _ue_bytes(stick: Yardstick, footprints: Footprints) -> int:
    """Without a quantizer a bundle is smaller by a step or two, some 200 bytes."""
    spec = registry.get(stick.system)
    link = footprints.of_system(spec, stick.cr, stick.bits or BITS, stick.binarize)
    assert link is not None
    return link["ue"].bundle_bytes


def _training(line: ResultLine, entries: Mapping[str, ZooEntry]) -> dict[str, object]:
    """Passes, minutes and device, with those of the weights that the training started from."""
    if line.train is not None:
        own = line.train
        return {"epochs": own.epochs, "minutes": own.minutes, "device": own.device or "cpu"}
    entry = entries.get(line.checkpoint or "")
    if entry is None:
        return {"epochs": None, "minutes": None, "device": "cpu"}
    runs = [entry.card, *([entry.card["start"]] if "start" in entry.card else [])]
    minutes = [run.get("training", {}).get("minutes") for run in runs]
    stages = [stage for run in runs for stage in run.get("recipe", {}).get("stages", [])]
    devices = {run.get("training", {}).get("device", "cpu").partition(":")[0] for run in runs}
    return {
        "epochs": sum(stage["epochs"] for stage in stages),
        "minutes": None if None in minutes else sum(minutes),
        "device": " and ".join(sorted(devices)),
    }


def markdown(table: Sequence[dict[str, object]]) -> str:
    """The table of the docs."""
    head = (
        "| system | 1-bit FC | 1/cr | bits a feature | UE stores | published "
        "| PCA, same bits | ours | on the reference | precision | epochs, minutes |"
    )
    lines = [head, "|" + "---|" * 11]
    for row in table:
        bits = "float" if row["bits"] is None else row["bits"]
        pca = "" if row["pca_nmse_db"] is None else f"{row['pca_nmse_db']:.2f}"
        ours = ["not trained", "", "", ""]
        if "nmse_db" in row:
            reference = row["reference_nmse_db"]
            ours = [
                f"**{row['nmse_db']:.2f}**",
                "" if reference is None else f"{reference:.2f}",
                str(row["precision"]),
                _effort(row),
            ]
        one_bit = {"none": "", "encoder": "UE", "both": "UE, BS"}[str(row["binarize"])]
        cells = [
            f"`{row['system']}`", one_bit, f"1/{row['cr']}", str(bits), _kib(row["ue_bytes"]),
            f"{row['published']:.2f} ({row['source']})", pca, *ours,
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _effort(row: Mapping[str, object]) -> str:
    epochs, minutes, device = (row[key] for key in ("epochs", "minutes", "device"))
    said = [] if epochs is None else [f"{epochs:.3g}"]
    said += [] if minutes is None else [f"{minutes:.0f}"]
    return ", ".join(said) + ("" if device == "cpu" else f" ({device})")


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
