"""The zoo: trained weights as two ONNX files and a card each. Needs neither torch nor onnx.

`zoo/NAME/{ue.onnx,bs.onnx,card.json}`; a card holds the system's options, the recipe, data, seed,
budget, measured metrics, the hashes of all files and the command that retrains them.

An entry whose outputs have a codebook each (`"quantizer": "codebook"`) is trained once for several
bit budgets: its files are x -> feature and feature -> h, `codebooks.npz` holds the codebooks of
each budget, `bits` is the budget that is taken where none is named, and the card has more keys:
`budgets`, a list; `payload_bits`, the exact bits of a sample for each budget; and
`metrics_per_budget`, of which `metrics` are those of `bits`.

A card with `"kind": "precoder"` is of a downlink's receiver (ue.onnx) and transmitter (bs.onnx). It
has no cr, bits and binarize but `setup`, the sizes, `options` and `snr_db`: the P in dB that it was
trained for, one number, or [least, most] where P is an input of the transmitter.

A card with `"kind": "fronthaul"` is of the decoders of a fronthaul quantizer, all in one file,
`weights.safetensors` (`csideploy.fronthaul.codebooks`): `setup` are its sizes, `channel` what it
was trained on. `"kind": "transceiver"` is of one in a file of the same name
(`csideploy.transceiver.weights`). In both, large weight matrices are float16, and the figures are
of these.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csideploy import registry
from csideploy.errors import FormatError, InputError
from csideploy.outputs import folder_aside

if TYPE_CHECKING:
    from csideploy.quantizers.scalar import Codebook

FOLDER_VARIABLE = "CSIDEPLOY_ZOO"
FILES = ("ue.onnx", "bs.onnx")
CODEBOOKS = "codebooks.npz"
CARD = "card.json"
_CARD_KEYS = ("system", "cr", "bits", "binarize", "data", "metrics", "sha256", "command")
FRONTHAUL_FILE = "weights.safetensors"
_TRANSCEIVER_KEYS = ("system", "setup", "widths", "data", "metrics", "sha256", "command")
_FRONTHAUL_KEYS = ("system", "setup", "channel", "metrics", "sha256", "command")
_PRECODER_KEYS = ("system", "setup", "options", "snr_db", "metrics", "sha256", "command")


@dataclass(frozen=True)
class ZooEntry:
    """One trained link: its folder and its card."""

    path: Path
    card: dict[str, Any]

    @property
    def is_precoder(self) -> bool:
        """Whether it is a receiver and a transmitter, not an encoder and a decoder."""
        return self.card.get("kind") == "precoder"

    @property
    def is_fronthaul(self) -> bool:
        """Whether it is the decoders of a fronthaul quantizer."""
        return self.card.get("kind") == "fronthaul"

    @property
    def is_transceiver(self) -> bool:
        """Whether it is the weights of a transceiver."""
        return self.card.get("kind") == "transceiver"

    @property
    def quantizer(self) -> str:
        """One of `registry.QUANTIZERS`."""
        return str(self.card.get("quantizer", "uniform"))

    @property
    def budgets(self) -> tuple[int | None, ...]:
        """Bits a feature that it was trained for; None: floats."""
        return tuple(self.card["budgets"]) if "budgets" in self.card else (self.card["bits"],)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files, the card apart."""
        if self.is_fronthaul or self.is_transceiver:
            return (FRONTHAUL_FILE,)
        return (*FILES, CODEBOOKS) if self.quantizer == "codebook" else FILES


def folder() -> Path:
    """Where the zoo is: `$CSIDEPLOY_ZOO`, else beside the package in a checkout.

    Raises:
        InputError: neither is a folder; the message says where it looked.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    places = [Path(named)] if named else [Path(__file__).resolve().parents[1] / "zoo"]
    for place in places:
        if place.is_dir():
            return place
    raise InputError(
        f"no zoo in {places[0]}: set {FOLDER_VARIABLE} to the zoo folder of a csideploy checkout"
    )


def entries() -> list[ZooEntry]:
    """All CSI feedback links, by name.

    Raises:
        InputError: there is no zoo. FormatError: a card is broken.
    """
    return [e for e in _all_entries() if "kind" not in e.card]


def precoder_entries() -> list[ZooEntry]:
    """All precoders, by name; raises as `entries`."""
    return [entry for entry in _all_entries() if entry.is_precoder]


def fronthaul_entries() -> list[ZooEntry]:
    """All decoders of fronthaul quantizers, by name; raises as `entries`."""
    return [entry for entry in _all_entries() if entry.is_fronthaul]


def transceiver_entries() -> list[ZooEntry]:
    """All transceivers, by name; raises as `entries`."""
    return [entry for entry in _all_entries() if entry.is_transceiver]


def _all_entries() -> list[ZooEntry]:
    cards = sorted(folder().glob(f"*/{CARD}"))
    return [ZooEntry(card.parent, read_card(card)) for card in cards]


def find_precoder(name: str, sizes: Mapping[str, Any] | None = None) -> ZooEntry:
    """A precoder's entry.

    Args:
        name: of the entry, or of a system, whose first entry with these sizes is taken.
        sizes: of the set-up that are asked for, such as users.

    Raises:
        InputError: no such entry; the message lists what is there.
    """
    found = precoder_entries()
    asked = dict(sizes or {})
    named = [entry for entry in found if name == entry.path.name]
    # An entry's own name first, whatever the sizes; then they are checked below.
    for entry in named or [entry for entry in found if name == entry.card["system"]]:
        if all(entry.card["setup"].get(key) == value for key, value in asked.items()):
            return entry
    there = ", ".join(entry.path.name for entry in found) or "none"
    of_sizes = "".join(f", {key} {value}" for key, value in asked.items())
    raise InputError(
        f"no trained precoder {name!r}{of_sizes} in {folder()}: there is {there}; train it "
        f"(`csideploy train {name}`), or --checkpoint"
    )


def find_fronthaul(
    name: str,
    *,
    antennas: tuple[int, ...] | None = None,
    bits: tuple[int, ...] | None = None,
    channel: str | None = None,
    needed: bool = True,
) -> ZooEntry | None:
    """The entry of a fronthaul quantizer.

    Args:
        name: of the entry; or of a system: then its first entry with these sizes and this channel,
            one of "umi-links" before others.
        antennas: of each RU, for a system; None: any.
        bits: of each RU, likewise.
        channel: likewise.
        needed: whether it is an error if there is none; else None is returned.

    Raises:
        InputError: no such entry, or no zoo; the message lists what is there.
    """
    try:
        found = fronthaul_entries()
    except InputError:
        if not needed:
            return None
        raise
    named = [entry for entry in found if name == entry.path.name]
    sizes = {"antennas": antennas, "bits": bits}
    asked = {key: list(value) for key, value in sizes.items() if value is not None}
    fits = [
        entry
        for entry in found
        if entry.card["system"] == name
        and channel in (None, entry.card["channel"])
        and all(entry.card["setup"][key] == value for key, value in asked.items())
    ]
    fits.sort(key=lambda entry: entry.card["channel"] != "umi-links")
    if named or fits:
        return (named or fits)[0]
    if not needed:
        return None
    there = ", ".join(entry.path.name for entry in found) or "none"
    of_sizes = "".join(f", {key} {','.join(map(str, value))}" for key, value in asked.items()) + (
        "" if channel is None else f", channel {channel}"
    )
    raise InputError(
        f"no trained {name}{of_sizes} in {folder()}: there is {there}; train it "
        f"(`csideploy train {name}`), or --checkpoint"
    )


def find_transceiver(name: str) -> ZooEntry:
    """The entry of a transceiver: by its name, or the first one of a system.

    Raises:
        InputError: no such entry, or no zoo; the message lists what is there.
    """
    found = transceiver_entries()
    named = [entry for entry in found if name == entry.path.name]
    for entry in named or [entry for entry in found if name == entry.card["system"]]:
        return entry
    there = ", ".join(entry.path.name for entry in found) or "none"
    raise InputError(
        f"no trained {name} in {folder()}: there is {there}; train it (`csideploy train "
        "rvq-egat`), or --checkpoint"
    )


def write_fronthaul(zoo: Path, name: str, card: dict[str, Any], weights: bytes) -> Path:
    """Write the entry of a fronthaul quantizer; an older one of the same name is replaced.

    Args:
        zoo: the folder of entries; made if it is not there.
        name: of the entry.
        card: system, setup, channel, metrics, command and what else is to be known.
        weights: the file, `codebooks_bytes`.

    Raises:
        InputError: the card lacks a key. OutputError: the zoo cannot be written.
    """
    return _write_weights(zoo, name, {"kind": "fronthaul", **card}, weights)


def write_transceiver(zoo: Path, name: str, card: dict[str, Any], weights: bytes) -> Path:
    """The same of a transceiver.

    Args:
        zoo: the folder of entries; made if it is not there.
        name: of the entry.
        card: system, setup, widths, data, metrics, command and what else is to be known.
        weights: the file, `transceiver.weights.weights_bytes`.

    Raises:
        InputError: the card lacks a key. OutputError: the zoo cannot be written.
    """
    return _write_weights(zoo, name, {"kind": "transceiver", **card}, weights)


def _write_weights(zoo: Path, name: str, card: dict[str, Any], weights: bytes) -> Path:
    whole = {**card, "sha256": {FRONTHAUL_FILE: hashlib.sha256(weights).hexdigest()}}
    _check_card(whole)
    _write(zoo, name, whole, {FRONTHAUL_FILE: weights})
    return zoo / name


def checked_file(entry: ZooEntry, name: str) -> bytes:
    """A file of an entry, checked against its card.

    Raises:
        InputError: it cannot be read. FormatError: it is not its card's.
    """
    path = entry.path / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or '').lower()}") from error
    if hashlib.sha256(data).hexdigest() != entry.card["sha256"].get(name):
        raise FormatError(f"{path} is not the file of its card: its sha256 differs")
    return data


def write_precoder(zoo: Path, name: str, card: dict[str, Any], *, ue: bytes, bs: bytes) -> Path:
    """Write a precoder's entry; an older one of the same name is replaced.

    Args:
        zoo: the folder of entries; made if it is not there.
        name: of the entry.
        card: system, setup, options, snr_db, metrics, command and what else is to be known.
        ue: ONNX, y -> codes, payload.
        bs: ONNX, payload (and snr_db) -> V.

    Raises:
        InputError: the card lacks a key. OutputError: the zoo cannot be written.
    """
    files = {"ue.onnx": ue, "bs.onnx": bs}
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
    whole = {"kind": "precoder", **card, "sha256": hashes}
    _check_card(whole)
    _write(zoo, name, whole, files)
    return zoo / name


def find(
    system: str,
    cr: int | None = None,
    bits: int | tuple[int, ...] | None = None,
    binarize: str | None = None,
    *,
    float_features: bool = False,
    quantizer: str | None = None,
) -> ZooEntry:
    """The entry of a system with these options; None means the system's default.

    Args:
        system: a system's name, or the name of an entry.
        cr: compression, 4 for 1/4.
        bits: of a feature; several are budgets that one entry must have.
        binarize: "none", "encoder" or "both".
        float_features: the entry without a feature quantizer (`bits` is then None).
        quantizer: one of `registry.QUANTIZERS`; None: what a named entry has, of a system its
            default, but for several budgets codebooks.

    Raises:
        InputError: unknown system or option, no zoo, or no such entry; the message lists those of
            the system.
    """
    found = entries()
    asked = (bits,) if isinstance(bits, int) else bits or ((None,) if float_features else ())
    wanted = next((entry for entry in found if entry.path.name == system), None)
    if wanted is not None and (system not in registry.SYSTEMS):
        return _agreeing(wanted, asked, cr=cr, binarize=binarize, quantizer=quantizer)
    spec = registry.get(system)
    kind = quantizer or ("codebook" if len(asked) > 1 else spec.default_quantizer)
    default = max(b or 0 for b in asked) or None if asked else spec.default_bits
    ratio = spec.default_cr if cr is None else cr
    checked = registry.check_options(spec, ratio, default, binarize)
    fits = [
        entry
        for entry in found
        if (entry.card["system"], entry.card["cr"], entry.card["binarize"])
        == (spec.name, ratio, checked[2])
        and (float_features or entry.quantizer == kind)
        and set(asked or (default,)) <= set(entry.budgets)
    ]
    # Of several that have the budget: the one that was made for it.
    for entry in sorted(fits, key=lambda entry: entry.card["bits"] != default):
        return entry
    name = registry.entry_name(spec, *checked, kind)
    if kind == "codebook" and asked:
        name += f" with budgets {', '.join(map(str, asked))} (several need codebooks)"
    others = [entry.path.name for entry in found if entry.card["system"] == spec.name]
    there = f"there is {', '.join(others)}" if others else f"none of {spec.name} is there"
    raise InputError(
        f"no trained weights {name!r} in {folder()}: {there}; train it, or --checkpoint"
    )


def _agreeing(entry: ZooEntry, bits: tuple[int | None, ...], **asked: object) -> ZooEntry:
    card = {**entry.card, "quantizer": entry.quantizer}
    for option, value in asked.items():
        if value is not None and value != card[option]:
            raise InputError(
                f"zoo entry {entry.path.name!r} has {option} {card[option]}, not {value}"
            )
    if not set(bits) <= set(entry.budgets):
        has, wants = (", ".join(str(b or "float") for b in own) for own in (entry.budgets, bits))
        raise InputError(f"zoo entry {entry.path.name!r} has bits {has}, not {wants}")
    return entry


def write_entry(
    zoo: Path,
    card: dict[str, Any],
    *,
    ue: bytes,
    bs: bytes,
    codebooks: Mapping[int, Codebook] | None = None,
) -> Path:
    """Write an entry; an older one of the same name is replaced.

    Args:
        zoo: the folder of entries; made if it is not there.
        card: system, cr, bits (with codebooks the budget that is taken where none is named),
            binarize, data, metrics, command and what else is to be known; `quantizer` if it is
            neither uniform nor codebooks; with codebooks `metrics_per_budget`, budget as text ->
            figures; `length` of vectors. The hashes, and with codebooks `quantizer`, `budgets` and
            `payload_bits`, are added here.
        ue: ONNX, x -> codes, payload; with codebooks x -> feature.
        bs: ONNX, payload -> h; with codebooks feature -> h.
        codebooks: budget -> codebook.

    Returns:
        The entry's folder.

    Raises:
        InputError: the card lacks a key, or has no such budget.
        OutputError: the zoo cannot be written.
    """
    files = {"ue.onnx": ue, "bs.onnx": bs}
    about: dict[str, Any] = {}
    if codebooks:
        from csideploy.quantizers.scalar.files import write_codebooks

        files[CODEBOOKS] = write_codebooks(codebooks)
        about = {
            "quantizer": "codebook",
            "budgets": sorted(codebooks),
            "payload_bits": {str(b): book.bits for b, book in sorted(codebooks.items())},
        }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    whole = {**card, **about, "sha256": hashes}
    _check_card(whole)
    spec = registry.get(whole["system"])
    options = (whole["cr"], whole["bits"], whole["binarize"])
    kind = whole.get("quantizer", "uniform")
    # Vectors of another length are another entry.
    kind += str(whole["length"]) if kind == "vector" and "length" in whole else ""
    name = registry.entry_name(spec, *options, kind)
    _write(zoo, name, whole, files)
    return zoo / name


def _write(zoo: Path, name: str, card: dict[str, Any], files: Mapping[str, bytes]) -> None:
    zoo.mkdir(parents=True, exist_ok=True)
    with folder_aside(zoo / name, force=True, holding=CARD) as aside:
        for file, data in files.items():
            (aside / file).write_bytes(data)
        text = json.dumps(card, indent=2, ensure_ascii=False)
        (aside / CARD).write_text(text + "\n", encoding="utf-8")


def _check_card(card: dict[str, Any]) -> None:
    """What a card must have.

    Raises:
        InputError: a key is missing, or the keys contradict each other.
    """
    kinds = {
        "precoder": _PRECODER_KEYS,
        "fronthaul": _FRONTHAUL_KEYS,
        "transceiver": _TRANSCEIVER_KEYS,
    }
    other = kinds.get(card.get("kind", ""))
    missing = [key for key in other or _CARD_KEYS if key not in card]
    if missing:
        raise InputError(f"card without {', '.join(missing)}")
    if other is not None:
        return
    kind = card.get("quantizer", "uniform")
    if kind not in registry.QUANTIZERS:
        raise InputError(
            f"card with quantizer {kind!r}; {', '.join(registry.QUANTIZERS)} are known"
        )
    if (kind == "codebook") != ("budgets" in card):
        raise InputError("card: budgets go with the quantizer 'codebook'")
    if kind == "codebook":
        budgets = card["budgets"]
        if not isinstance(budgets, list) or card["bits"] not in budgets:
            raise InputError(
                f"card with bits {card['bits']}, which is none of its budgets {budgets}"
            )


def read_card(path: Path) -> dict[str, Any]:
    """A checked card; raises FormatError where it or a file beside it is not what it must be."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: not a readable card: {error}") from error
    if not isinstance(card, dict):
        card = {}
    try:
        _check_card(card)
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error
    entry = ZooEntry(path.parent, card)
    absent = [name for name in entry.files if not (path.parent / name).is_file()]
    if absent:
        raise FormatError(f"{path.parent}: zoo entry without {', '.join(absent)}")
    return card
