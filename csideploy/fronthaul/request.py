"""What the command line asks of a fronthaul system: sizes, and where its decoders come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from csideploy.errors import InputError
from csideploy.fronthaul.codebooks import Codebooks, is_codebooks, load_codebooks
from csideploy.fronthaul.setup import Setup
from csideploy.fronthaul.systems import FRONTHAUL, FronthaulSpec
from csideploy.progress import Advance, quiet

BLOCK = 168
"""Channel uses of a block where none are asked for: a resource block in a slot, 12 x 14."""
MOST_BLOCK = 65_535
CHANNEL = "umi-links"
"""What networks are of where nothing else is asked for."""
TABLE_CHANNEL = "umi"
"""The same of tables: where all links are equally strong, pmq's schedule is decided by rounding."""


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_number(item) for item in text.split("/"))


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(text)
    return text == "yes"


_SIZES: dict[str, Callable[[str], Any]] = {
    "rus": _number,
    "antennas": _numbers,
    "receive-antennas": _number,
    "streams": _number,
}
_SEARCH: dict[str, Callable[[str], Any]] = {"iterations": _number, "alpha": float}
_NETWORK: dict[str, Callable[[str], Any]] = {"layers": _number, "hidden": _number}
EXPORT = {**_SIZES, "block": _number, **_SEARCH, **_NETWORK}
TRAIN = {
    **_SIZES, **_SEARCH, **_NETWORK,
    "steps": _number, "rounds": _number, "channels": _number, "eta": float,
    "follow": _yes, "gamma-rounds": _number,
}  # fmt: skip
DATA = {**_SIZES, "users": _number, "block": _number}
EVALUATE = {**_SIZES, "alpha": float}
"""Names that `--set` takes, of each verb."""


@dataclass(frozen=True)
class Asked:
    """What was asked for; the rest are the paper's values, or those of the weights.

    given: by the names of `EXPORT`, `TRAIN` and `DATA` with _ for -, and users, bits, snr_db.
    """

    given: dict[str, Any] = field(default_factory=dict)

    @property
    def block(self) -> int:
        """R."""
        return int(self.given.get("block", BLOCK))

    def setup(self, spec: FronthaulSpec) -> Setup:
        """The set-up; what was left open as in the paper.

        Raises:
            InputError: sizes out of range, or that do not go together.
        """
        given, default = self.given, spec.setup
        lists = [given[key] for key in ("antennas", "bits") if len(given.get(key, ())) > 1]
        rus = given.get("rus", len(lists[0]) if lists else default.rus)
        each = {}
        for key in ("antennas", "bits"):
            values = given.get(key, getattr(default, key)[:1])
            each[key] = values * min(rus, 1 << 10) if len(values) == 1 else values
            if len(each[key]) != rus:
                raise InputError(f"{key} of {len(values)} RUs, and there are {rus}")
        return replace(default, **each, **self._users())

    def _users(self) -> dict[str, Any]:
        names = ("users", "receive_antennas", "streams", "snr_db")
        return {name: self.given[name] for name in names if name in self.given}

    def search(self) -> dict[str, Any]:
        """Iterations and alpha, where they were given."""
        return {name: self.given[name] for name in _SEARCH if name in self.given}

    def applied(self, codebooks: Codebooks) -> Codebooks:
        """Weights with what was asked of users and of the search.

        Decoders fit any users; antennas, bits and layers are their own.

        Raises:
            InputError: other antennas, bits or layers than the weights'.
        """
        own, given = codebooks.setup, self.given
        if given.get("rus", own.rus) != own.rus:
            raise InputError(f"rus {given['rus']}: these weights are for {own}")
        for key in ("antennas", "bits"):
            asked = given.get(key)
            if asked is not None and getattr(own, key) not in (asked, asked * own.rus):
                text = ",".join(map(str, asked))
                raise InputError(f"{key} {text}: these weights are for {own}")
        for key in ("layers", "hidden"):
            if key in given and not codebooks.neural:
                raise InputError(f"--set {key}: {codebooks.method} has tables, no networks")
            if key in given and any(getattr(n, key) != given[key] for n in codebooks.networks):
                raise InputError(
                    f"--set {key}={given[key]}: these weights have "
                    f"{getattr(codebooks.networks[0], key)}"
                )
        searched = self.search()
        check_search(codebooks.method, searched)
        return replace(codebooks, setup=replace(own, **self._users()), **searched)


def check_search(method: str, given: dict[str, Any]) -> None:
    """Whether a method has the options of a search that were given.

    Raises:
        InputError: alpha of another method than pmq, iterations of one that does not iterate.
    """
    if "alpha" in given and method != "pmq":
        raise InputError(f"--set alpha: of pmq; {method} has none")
    if "iterations" in given and method in ("vq", "mq", "smq"):
        raise InputError(f"--set iterations: of pmq and neural systems; {method} has none")


def parse_asked(
    settings: Sequence[str],
    known: dict[str, Callable[[str], Any]],
    *,
    users: int | None = None,
    bits: str | None = None,
    snr_db: float | None = None,
) -> Asked:
    """`--set NAME=VALUE`, `--users`, `--bits B` or `--bits 64,64,32,32`, `--snr`.

    Raises:
        InputError: no such name (the message lists all), no number, or a name given twice.
    """
    given: dict[str, Any] = {}
    for pair in settings:
        name, equals, text = pair.partition("=")
        if not equals or name not in known:
            raise InputError(f"--set {pair}: NAME=VALUE, NAME one of {', '.join(known)}")
        key = name.replace("-", "_")
        if key in given:
            raise InputError(f"--set {name}: given twice")
        try:
            given[key] = known[name](text)
        except ValueError:
            what = "a number, or one an RU such as 16/16/8/8" if name == "antennas" else "a number"
            raise InputError(f"--set {pair}: {what} is needed") from None
        if given[key] == 0 and name not in ("alpha", "layers", "eta", "follow"):
            raise InputError(f"--set {pair}: at least 1")
    if not 1 <= given.get("block", 1) <= MOST_BLOCK:
        raise InputError(f"--set block={given['block']}: 1 to {MOST_BLOCK} channel uses")
    if bits is not None:
        try:
            given["bits"] = tuple(_number(item.strip()) for item in bits.split(","))
        except ValueError:
            raise InputError(
                f"--bits {bits}: bits a channel use of every RU, or of each, such as 64,64,32,32"
            ) from None
    for key, value in (("users", users), ("snr_db", snr_db)):
        if value is not None:
            if key in given:
                raise InputError(f"{key}: given twice")
            given[key] = value
    return Asked(given)


def is_fronthaul(name: str | None, checkpoint: Path | None = None) -> bool:
    """Whether a name on the command line means a fronthaul system."""
    from csideploy import zoo
    from csideploy.package import MANIFEST, open_package

    if name is not None:
        path = Path(name)
        if name in FRONTHAUL:
            return True
        if (path / MANIFEST).is_file():
            return open_package(path).is_fronthaul
        if checkpoint is None and path.exists():
            checkpoint = path
    if checkpoint is not None:
        return is_codebooks(checkpoint)
    try:
        return name in {entry.path.name for entry in zoo.fronthaul_entries()}
    except InputError:
        return False


def find_codebooks(
    model: str | None,
    checkpoint: Path | None,
    asked: Asked,
    *,
    channel: str | None = None,
    seed: int = 0,
    progress: Advance = quiet,
) -> Codebooks:
    """What `export --model NAME` means for a fronthaul system.

    Args:
        model: a system or a zoo entry; None with a checkpoint.
        checkpoint: weights that `train` wrote, or their folder.
        asked: sizes and search.
        channel: kind that tables are trained on where there are no weights; TABLE_CHANNEL
            if None.
        seed: of that.
        progress: of that.

    Returns:
        Decoders and search; `about` has `source`, where they come from.

    Raises:
        InputError: no such system, no weights, or options that do not go with them.
    """
    if checkpoint is not None:
        return _from_checkpoint(model, checkpoint, asked, channel)
    assert model is not None
    spec = FRONTHAUL.get(model)
    if spec is not None and not spec.deployed:
        raise InputError(f"{model} is a baseline without parts: csideploy evaluate {model}")
    from csideploy import zoo

    trainable = spec is not None and spec.training == "tables"
    fixed = asked.setup(spec) if spec is not None else None
    entry = zoo.find_fronthaul(
        model,
        antennas=None if fixed is None else fixed.antennas,
        bits=None if fixed is None else fixed.bits,
        channel=channel,
        needed=not trainable,
    )
    if entry is not None:
        zoo.checked_file(entry, zoo.FRONTHAUL_FILE)
        if channel not in (None, entry.card["channel"]):
            raise InputError(f"--channel {channel}: {model} is of {entry.card['channel']}")
        found = load_codebooks(entry.path)
        about = {**found.about, "source": "zoo", "entry": entry.path.name}
        return asked.applied(replace(found, about=about))
    assert spec is not None
    assert fixed is not None
    return _tables_now(spec, fixed, asked, channel or TABLE_CHANNEL, seed, progress)


def _from_checkpoint(
    model: str | None, checkpoint: Path, asked: Asked, channel: str | None
) -> Codebooks:
    if channel is not None:
        raise InputError("--channel: weights are trained already; leave it out")
    found = load_codebooks(checkpoint)
    if model in FRONTHAUL and model != found.method:
        raise InputError(f"--model {model}: {checkpoint} holds {found.method}")
    return asked.applied(replace(found, about={**found.about, "source": "checkpoint"}))


def _tables_now(
    spec: FronthaulSpec,
    setup: Setup,
    asked: Asked,
    channel: str,
    seed: int,
    progress: Advance,
) -> Codebooks:
    from csideploy.training.fronthaul_tables import train_tables

    for key in ("layers", "hidden"):
        if key in asked.given:
            raise InputError(f"--set {key}: {spec.name} has tables, no networks")
    searched = asked.search()
    check_search(spec.name, searched)
    found = train_tables(
        spec.name, setup, channel=channel, seed=seed, progress=progress, **searched
    )
    return replace(found, about={**found.about, "source": "trained at export"})
