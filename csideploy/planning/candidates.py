"""What may be chosen: measured links with their exact footprints.

Accuracy comes from the zoo's cards and from result files alone; nothing is estimated between two
measured points. A link whose weights are at hand is exported by a command that works now; another
one is trained first, by the command of its line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from csideploy import registry, zoo
from csideploy.errors import FormatError, InputError
from csideploy.planning.commands import checkpoint_options, zoo_options
from csideploy.planning.footprints import Footprints, Link
from csideploy.planning.results import ResultLine, TestSet, first_problem, read_results

RESULTS = "results.jsonl"
"""In the zoo's folder."""


@dataclass(frozen=True)
class Identity:
    """What a network is: the systems acrnetKx and bacrnetKx are one, told apart by `binarize`."""

    family: str
    width: int
    cr: int
    bits: int
    binarize: str
    quantizer: str
    precision: str

    @staticmethod
    def of(line: ResultLine) -> Identity:
        """Of a line with a feature quantizer."""
        spec = registry.get(line.system)
        assert line.bits is not None
        return Identity(
            spec.family, spec.width, line.cr, line.bits, line.binarize, line.quantizer,
            line.precision,
        )  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A measured link.

    Attributes:
        line: what was measured.
        source: where that stands.
        commands: what makes its package: training first, where weights are not at hand.
        ready: whether they are.
        footprint: by side.
        figures: what limits are about: `nmse_db`, `sgcs`, `payload_bits`, and with "ue_" and "bs_"
            in front `memory` (bytes), `macs` (executed) and, on a device, `latency` (s) and `fit`
            (1 or 0). Besides `network_macs`, the same at every precision.
    """

    line: ResultLine
    source: str
    commands: tuple[str, ...]
    ready: bool
    footprint: Link
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        """What it is, its training apart."""
        return Identity.of(self.line)

    @property
    def name(self) -> str:
        """As a zoo entry would be called, and the precision."""
        return named(self.line.system, self.identity)

    def describe(self) -> dict[str, Any]:
        """For scripts: plain values."""
        line = self.line
        return {
            "name": self.name,
            "system": line.system,
            **{key: getattr(line, key) for key in ("cr", "bits", "binarize", "quantizer")},
            "precision": line.precision,
            "figures": self.figures,
            "ready": self.ready,
            "source": self.source,
        }


def named(system: str, identity: Identity) -> str:
    """`bacrnet10x-both auto`."""
    name = registry.entry_name(
        registry.get(system), identity.cr, identity.bits, identity.binarize, identity.quantizer
    )
    return f"{name} {identity.precision}"


def base_figures(
    footprint: Link, payload_bits: int, network: Link | None = None
) -> dict[str, float]:
    """What needs no measuring: payload, memory and operations.

    Args:
        footprint: of what runs.
        payload_bits: of a sample.
        network: the footprint of the same network in fp32; None: that is what runs.
    """
    figures: dict[str, float] = {"payload_bits": payload_bits}
    figures |= {f"{side}_memory": own.memory_bytes for side, own in footprint.items()}
    for key, link in (("macs", footprint), ("network_macs", network or footprint)):
        figures |= {f"{side}_{key}": own.total("macs") for side, own in link.items()}
    return figures


@dataclass(frozen=True)
class Collected:
    """Candidates, and how many lines were passed over for what reason.

    without_zoo: where there is no zoo, what to do about it.
    """

    candidates: tuple[Candidate, ...]
    passed_over: Mapping[str, int]
    without_zoo: str | None = None

    def tests(self) -> list[tuple[TestSet, int]]:
        """Test sets with the number of figures on each, the largest first."""
        counts = Counter(candidate.line.test for candidate in self.candidates)
        return sorted(counts.items(), key=lambda item: (-item[1], item[0].sha256))


def collect(results: Sequence[Path], footprints: Footprints) -> Collected:
    """All candidates.

    Args:
        results: result files beside the zoo's own.
        footprints: the tables.

    Raises:
        InputError: there is neither a zoo nor a result file, or one cannot be read.
        FormatError: a card is broken.
    """
    skipped: Counter[str] = Counter()
    without_zoo = None
    files = list(results)
    entries: dict[str, zoo.ZooEntry] = {}
    try:
        own = zoo.folder() / RESULTS
    except InputError as error:
        # An installed package has none beside it: result files alone then.
        without_zoo = f"{error}, or name measured results with --results FILE"
        if not results:
            raise InputError(without_zoo) from error
    else:
        entries = {entry.path.name: entry for entry in zoo.entries()}
        files = [*([own] if own.is_file() else []), *results]
    sourced = [(line, path) for path in files for line in read_results(path)]
    found = []
    for entry in entries.values():
        found += [
            _of_zoo(line, entry, f"zoo {entry.path.name}", footprints, skipped)
            for line in _card_lines(entry, skipped)
        ]
    for line, path in sourced:
        named_entry = entries.get(line.checkpoint or "")
        if line.bits is None:
            skipped["float features have no payload"] += 1
        elif line.activation is not None:
            skipped["another activation than the system's: no export makes it"] += 1
        elif named_entry is None:
            found.append(_of_line(line, path, footprints, skipped))
        elif line.weights not in (None, named_entry.card["sha256"]):
            skipped["measured with older weights of a zoo entry"] += 1
        else:
            found.append(_of_zoo(line, named_entry, path.name, footprints, skipped))
    return Collected(_best([c for c in found if c is not None]), dict(skipped), without_zoo)


def _card_lines(entry: zoo.ZooEntry, skipped: Counter[str]) -> list[ResultLine]:
    """A card's figures as lines; they are those of the fp32 files."""
    card = entry.card
    if "test_data" not in card:
        skipped["a zoo card does not say its test set"] += 1
        return []
    about = card["test_data"]
    test = {key: about.get(key) for key in ("scenario", "samples", "seed", "sha256")}
    metrics = card.get("metrics_per_budget") or {str(card["bits"]): card["metrics"]}
    lines = []
    for bits in entry.budgets:
        if bits is None:
            skipped["float features have no payload"] += 1
            continue
        figures = {key: metrics[str(bits)].get(key) for key in ("nmse_db", "sgcs", "rho")}
        line = {
            **{key: card[key] for key in ("system", "cr", "binarize", "command")},
            "bits": bits,
            "quantizer": entry.quantizer,
            "payload_bits": card.get("payload_bits", {}).get(str(bits)),
            "checkpoint": entry.path.name,
            "test": test,
            **figures,
        }
        try:
            lines.append(ResultLine.model_validate(line))
        except ValidationError as error:
            raise FormatError(f"{entry.path}/{zoo.CARD}: {first_problem(error)}") from error
    return lines


def _of_zoo(
    line: ResultLine,
    entry: zoo.ZooEntry,
    source: str,
    footprints: Footprints,
    skipped: Counter[str],
) -> Candidate | None:
    footprint = footprints.of_zoo(entry, line.bits, line.precision)
    network = footprints.of_zoo(entry, line.bits, "fp32")
    if footprint is None or network is None:
        skipped["the tables have no footprint of a zoo entry's weights"] += 1
        return None
    options = zoo_options(entry.path.name, entry.budgets, line.bits, line.precision)
    folder = _folder(entry.path.name, entry.budgets, line)
    commands = (f"csideploy export {options} --out {folder}",)
    return _candidate(line, source, commands, footprint, network)


def _folder(entry: str, budgets: tuple[int | None, ...], line: ResultLine) -> str:
    name = f"{entry}-b{line.bits}" if len(budgets) > 1 else entry
    return name if line.precision == "fp32" else f"{name}-{line.precision}"


def _of_line(
    line: ResultLine, path: Path, footprints: Footprints, skipped: Counter[str]
) -> Candidate | None:
    spec = registry.get(line.system)
    if line.quantizer != "uniform" or line.precision != "fp32":
        skipped["the footprint depends on the weights: only zoo entries have it"] += 1
        return None
    assert line.bits is not None
    footprint = footprints.of_system(spec, line.cr, line.bits, line.binarize)
    if footprint is None:
        skipped["the tables have no footprint of a system"] += 1
        return None
    weights = None if line.checkpoint is None else path.parent / line.checkpoint
    ready = weights is not None and weights.exists()
    try:
        run = str(weights) if ready else line.run_folder()
    except InputError:
        skipped["neither weights at hand nor a command that trains them"] += 1
        return None
    options = checkpoint_options(run, several=False, bits=line.bits, precision=line.precision)
    folder = registry.entry_name(spec, line.cr, line.bits, line.binarize)
    export = f"csideploy export {options} --out {folder}"
    commands = (export,) if ready else (line.command, export)
    # In fp32: what runs is the network.
    return _candidate(line, path.name, commands, footprint, footprint, ready=ready)


def _candidate(
    line: ResultLine,
    source: str,
    commands: tuple[str, ...],
    footprint: Link,
    network: Link,
    *,
    ready: bool = True,
) -> Candidate:
    assert line.bits is not None
    payload = line.payload_bits or registry.payload_bits(line.cr, line.bits)
    figures = {"nmse_db": line.nmse_db, "sgcs": line.sgcs}
    figures |= base_figures(footprint, payload, network)
    return Candidate(line, source, commands, ready, footprint, figures)


def _best(found: list[Candidate]) -> tuple[Candidate, ...]:
    """Of several trainings of one network on one test set the best, ready ones apart."""
    kept: dict[tuple[Identity, str, bool], Candidate] = {}
    for candidate in found:
        key = (candidate.identity, candidate.line.test.sha256, candidate.ready)
        older = kept.get(key)
        if older is None or candidate.line.nmse_db < older.line.nmse_db:
            kept[key] = candidate
    return tuple(kept.values())
