"""What `evaluate` measures on the fronthaul: names to systems, and what changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from csideploy import zoo
from csideploy.errors import InputError
from csideploy.fronthaul.channels import KINDS
from csideploy.fronthaul.codebooks import Codebooks, load_codebooks
from csideploy.fronthaul.packaged import read_codebooks
from csideploy.fronthaul.request import Asked
from csideploy.fronthaul.setup import Setup
from csideploy.fronthaul.systems import FRONTHAUL
from csideploy.package import MANIFEST, open_package
from csideploy.progress import Advance, quiet

CHANNELS = "umi-links,umi"

Systems = list[tuple[str, Codebooks]]


def parse_channels(text: str | None) -> list[str]:
    """`--channel`: kinds with commas.

    Raises:
        InputError: an unknown kind, or one that stands there twice.
    """
    kinds = [item.strip() for item in (text or CHANNELS).split(",")]
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"--channel {kind}: {', '.join(KINDS)} are right, with commas")
    if len(set(kinds)) != len(kinds):
        raise InputError(f"--channel {text}: a kind stands there twice")
    return kinds


def parse_values(text: str, option: str, *, whole: bool) -> list[float]:
    """Numbers with commas, ascending.

    Raises:
        InputError: anything else.
    """
    try:
        values = [float(int(item)) if whole else float(item) for item in text.split(",")]
    except ValueError:
        kind = "whole numbers" if whole else "numbers"
        raise InputError(f"{option} {text}: {kind} with commas") from None
    if len(set(values)) != len(values):
        raise InputError(f"{option} {text}: a value stands there twice")
    return sorted(values)


def scene_setup(names: list[str], asked: Asked) -> Setup:
    """Sizes of the scene: those of the first weights named, else the system's own.

    Raises:
        InputError: sizes that do not go together.
    """
    given = asked.given
    users = {k: given[k] for k in ("users", "receive_antennas", "snr_db", "streams") if k in given}
    for name in names:
        fixed = _fixed(name)
        if fixed is not None:
            return replace(fixed.setup, **users)
    first = next(name for name in names if name in FRONTHAUL)
    return asked.setup(FRONTHAUL[first])


def systems_of(
    names: list[str],
    setup: Setup,
    kind: str,
    asked: Asked,
    *,
    bits: list[float],
    seed: int,
    progress: Advance = quiet,
) -> Systems:
    """Everything that the names mean on one kind of channel.

    A trained entry, run or package is itself on every channel. The name of a neural system means
    its zoo entries of this kind of channel; that of a table system trains tables for it now.

    Args:
        names: on the command line.
        setup: of the scene.
        kind: of the channel.
        asked: search and sizes.
        bits: budgets to take; [] takes all, of tables those of the set-up.
        seed: of training.
        progress: of training.

    Raises:
        InputError: a system that cannot have these sizes.
    """
    found: Systems = []
    for name in names:
        fixed = _fixed(name)
        if fixed is not None:
            found.append((name, _searched(fixed, asked)))
            continue
        spec = FRONTHAUL[name]
        if spec.training == "networks":
            found += _entries(name, setup, kind, asked, bits)
        elif spec.training == "tables":
            found += _tables(name, setup, kind, asked, bits, seed, progress)
    return found


def _entries(name: str, setup: Setup, kind: str, asked: Asked, bits: list[float]) -> Systems:
    found: Systems = []
    for entry in zoo.fronthaul_entries():
        card = entry.card
        if (card["system"], card["channel"]) != (name, kind):
            continue
        zoo.checked_file(entry, zoo.FRONTHAUL_FILE)
        one = load_codebooks(entry.path)
        own = one.setup
        fits = (own.antennas, own.streams) == (setup.antennas, setup.streams)
        if fits and (not bits or float(max(own.bits)) in bits):
            found.append((entry.path.name, _searched(one, asked)))
    return sorted(found, key=lambda pair: max(pair[1].setup.bits))


def _tables(
    name: str,
    setup: Setup,
    kind: str,
    asked: Asked,
    bits: list[float],
    seed: int,
    progress: Advance,
) -> Systems:
    from csideploy.training.fronthaul_tables import train_tables

    found: Systems = []
    for budget in bits or [float(max(setup.bits))]:
        own = replace(setup, bits=(int(budget),) * setup.rus)
        search = {key: value for key, value in asked.search().items() if name == "pmq"}
        made = train_tables(name, own, channel=kind, seed=seed, progress=progress, **search)
        found.append((f"{name}, B = {budget:g}", made))
    return found


def _searched(codebooks: Codebooks, asked: Asked) -> Codebooks:
    given = asked.search()
    if codebooks.method != "pmq":
        given.pop("alpha", None)
    if codebooks.method in ("vq", "mq", "smq"):
        given.pop("iterations", None)
    return replace(codebooks, **given)


def _fixed(name: str) -> Codebooks | None:
    """Of a package, a run or a zoo entry; None for the name of a system.

    Raises:
        InputError: none of these.
    """
    path = Path(name)
    if name in FRONTHAUL:
        return None
    if (path / MANIFEST).is_file():
        return read_codebooks(open_package(path))
    if path.exists():
        return load_codebooks(path)
    for entry in zoo.fronthaul_entries():
        if entry.path.name == name:
            zoo.checked_file(entry, zoo.FRONTHAUL_FILE)
            return load_codebooks(entry.path)
    raise InputError(f"{name}: no fronthaul system, zoo entry, package or run")
