"""What the command line asks of a precoder: sizes, P, where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csideploy.downlink.setup import Setup
from csideploy.errors import InputError

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


def is_precoder(name: str | None, checkpoint: Path | None = None) -> bool:
    """Whether a name on the command line means a precoder, not a CSI feedback link."""
    from csideploy import zoo
    from csideploy.downlink.schemes import BASELINES
    from csideploy.package import MANIFEST, open_package
    from csideploy.precoders import PRECODERS

    if name is not None:
        path = Path(name)
        if name in PRECODERS or name in BASELINES:
            return True
        if (path / MANIFEST).is_file():
            return open_package(path).is_precoder
        if checkpoint is None and path.exists():
            checkpoint = path
    if checkpoint is not None:
        return _of_precoder(checkpoint)
    try:
        return name in {entry.path.name for entry in zoo.precoder_entries()}
    except InputError:
        return False


def _of_precoder(path: Path) -> bool:
    """Whether weights that `train` wrote are a precoder's: their metadata say so, without torch."""
    import json

    weights = path / "weights.safetensors" if path.is_dir() else path
    try:
        with weights.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            head = json.loads(stream.read(min(size, 1 << 24)))
        return "precoder" in json.dumps(head.get("__metadata__", {}).get("system", "")) or (
            '"system": "kd-precoder"' in json.dumps(head.get("__metadata__", {})).replace("\\", "")
        )
    except (OSError, ValueError, AttributeError):
        return False
