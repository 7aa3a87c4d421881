"""What the command line asks of a precoder: sizes, P, where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csideploy.baselines.feedback import DISTANCES, Distance
from csideploy.downlink.setup import Setup
from csideploy.downlink.source import (
    COMPUTED,
    PrecoderSource,
    computed,
    from_checkpoint,
    from_zoo,
)
from csideploy.downlink.trained_codewords import SYSTEM
from csideploy.errors import InputError
from csideploy.precoders import PRECODERS
from csideploy.progress import Advance, quiet
from csideploy.weights_header import metadata

DEFAULT_SNR_DB = 10.0

_SIZES = {"antennas": int, "streams": int, "pilots": int, "pilot-power": float}


@dataclass(frozen=True)
class Sizes:
    """Sizes that were asked for; the rest are the paper's, or the weights' own.

    asked: by the names of `Setup`.
    """

    asked: dict[str, Any] = field(default_factory=dict)

    def setup(self) -> Setup:
        """The set-up, what was left open as in the paper's Fig. 2.

        Where streams or antennas were asked for and users not, as many users as fit, at most 4.
        """
        asked = dict(self.asked)
        antennas, streams = asked.get("antennas", 8), asked.get("streams", 2)
        if "users" not in asked and streams:
            asked["users"] = max(1, min(Setup().users, antennas // streams))
        return Setup(**asked)


def parse_sizes(given: Sequence[str], *, users: int | None, bits: int | None) -> Sizes:
    """`--users`, `--bits`, and `--set NAME=VALUE` of the other sizes.

    Raises:
        InputError: no such name (the message lists all), no number, or a name given twice.
    """
    asked: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or name not in _SIZES:
            raise InputError(f"--set {pair}: NAME=VALUE, NAME one of {', '.join(_SIZES)}")
        key = name.replace("-", "_")
        if key in asked:
            raise InputError(f"--set {name}: given twice")
        try:
            asked[key] = _SIZES[name](text)
        except ValueError:
            raise InputError(f"--set {pair}: a number is needed") from None
    for key, value in (("users", users), ("bits", bits)):
        if value is not None:
            asked[key] = value
    sizes = Sizes(asked)
    sizes.setup()
    return sizes


def parse_codewords(
    given: Sequence[str], *, users: int | None, bits: int | None
) -> tuple[Setup, Distance | None]:
    """The same of `train rank1-rzf`, where `--set distance=` is one more name.

    Raises:
        InputError: as `parse_sizes`, or no such distance.
    """
    distance: Distance | None = None
    rest = []
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or name not in (*_SIZES, "distance"):
            names = ", ".join((*_SIZES, "distance"))
            raise InputError(f"--set {pair}: NAME=VALUE, NAME one of {names}")
        if name != "distance":
            rest.append(pair)
            continue
        if distance is not None:
            raise InputError("--set distance: given twice")
        distance = next((known for known in DISTANCES if known == text), None)
        if distance is None:
            raise InputError(f"--set {pair}: distance is {' or '.join(DISTANCES)}")
    return parse_sizes(rest, users=users, bits=bits).setup(), distance


def parse_snr(text: str) -> float:
    """`--snr` where it is one P: dB.

    Raises:
        InputError: no number, or several.
    """
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--snr {text}: {SYSTEM} is trained for one P, a number in dB") from None


def is_precoder(name: str | None, checkpoint: Path | None = None) -> bool:
    """Whether a name on the command line means a precoder, not a CSI feedback link."""
    from csideploy import zoo
    from csideploy.downlink.schemes import BASELINES
    from csideploy.package import MANIFEST, open_package

    if name is not None:
        path = Path(name)
        if name in PRECODERS or name in BASELINES:
            return True
        if (path / MANIFEST).is_file():
            return open_package(path).is_precoder
        if checkpoint is None and path.exists():
            checkpoint = path
    if checkpoint is not None:
        about = metadata(checkpoint)
        return about is not None and about.get("system") in PRECODERS
    try:
        return name in {entry.path.name for entry in zoo.precoder_entries()}
    except InputError:
        return False


def find_source(
    model: str | None,
    checkpoint: Path | None,
    sizes: Sizes,
    *,
    snr_db: float | None,
    distance: Distance | None,
    seed: int,
    progress: Advance = quiet,
) -> PrecoderSource:
    """What `export --model NAME` means for a precoder.

    Args:
        model: a system or a zoo entry; None with a checkpoint.
        checkpoint: weights that `train` wrote.
        sizes: asked for; those of weights must agree.
        snr_db: P; None: what weights were trained for, 10 dB where the precoder is computed.
        distance: of codewords, for computed precoders.
        seed: of codebooks.
        progress: of codebooks.

    Raises:
        InputError: no such precoder, or options that do not go with it.
    """
    if snr_db is not None and not -50 <= snr_db <= 80:
        raise InputError(f"--snr {snr_db:g}: P in dB, from -50 to 80")
    if checkpoint is None and model in COMPUTED:
        snr = DEFAULT_SNR_DB if snr_db is None else snr_db
        return computed(
            model, sizes.setup(), snr_db=snr, seed=seed, distance=distance, progress=progress
        )
    if distance is not None:
        raise InputError("--distance goes with computed precoders: rank1-rzf, bd and rbd")
    if model == "rbd-infinite":
        raise InputError("rbd-infinite feeds back without bound: it is to compare with only")
    if checkpoint is not None:
        source = from_checkpoint(checkpoint, snr_db)
        if model in PRECODERS and model != source.system:
            raise InputError(f"--model {model}: {checkpoint} holds {source.system}")
    else:
        assert model is not None
        source = from_zoo(model, snr_db, sizes.asked)
    for key, value in sizes.asked.items():
        if getattr(source.setup, key) != value:
            raise InputError(f"{key} {value}: these weights are for {source.setup}")
    return source
