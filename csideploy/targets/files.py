"""Target files: what a device can do, every figure with its source and how sure it is.

`docs/targets-files.md` describes the format for those who write one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from csideploy.errors import InputError
from csideploy.outputs import reason

HOST = "host"
"""The machine at hand: its file is made by `csideploy bench --calibrate`."""

SUFFIX = ".toml"
Confidence = Literal["P", "C", "S", "M"]
CONFIDENCES: dict[str, str] = {
    "P": "read in a primary source, or measured",
    "C": "computed from such figures",
    "S": "from a secondary source",
    "M": "from memory or estimated, not checked",
}
"""From the surest to the least sure."""
ESTIMATED = "M"


def _within(value: float) -> float:
    if not 1e-9 <= value <= 1e18:
        raise ValueError("should be between 1e-9 and 1e18")
    return value


# Products and quotients of a few of these are finite, and none is 0.
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), AfterValidator(_within)]


_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    # `strict` would refuse 400 for 400.0; a text that reads like a number is refused all the same.
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Strict):
    """One number, where it is from, and how sure it is."""

    value: Annotated[Positive, Field(strict=True)]
    source: Annotated[str, Field(min_length=1)]
    confidence: Confidence


class Memory(_Strict):
    """A memory that holds weights or activations.

    bytes: what fits. bandwidth: bytes a second that one core reads. holds: flash holds weights
    alone, and where there is flash the RAM beside it holds activations alone.
    """

    name: Annotated[str, Field(min_length=1)]
    bytes: Annotated[int, Field(gt=0, le=1 << 60, strict=True)]
    bandwidth: Annotated[Positive, Field(strict=True)]
    holds: Literal["weights", "activations", "both"] = "both"
    source: Annotated[str, Field(min_length=1)]
    confidence: Confidence


class Peaks(_Strict):
    """Multiply-accumulates a cycle of one core, every unit busy.

    binary: of float activations by 1-bit weights. None: the device has no such units.
    """

    fp32: Figure | None = None
    int8: Figure
    binary: Figure


Share = Annotated[float, Field(ge=1e-6, le=1000, allow_inf_nan=False, strict=True)]


class Shares(_Strict):
    """What part of a peak each kind of layer reaches (`csideploy.targets.kinds`).

    More than 1 is possible where a look-up stands for several multiplications.
    """

    conv: Share
    narrow_conv: Share
    grouped_conv: Share
    block: Share
    linear: Share
    matmul: Share
    search: Share


class Elements(_Strict):
    """What part of the element-wise rate the other kinds reach."""

    elementwise: Share
    function: Share
    integer: Share
    move: Share
    bits: Share


class Utilisation(_Strict):
    """Shares of the peaks, by precision.

    binary, binary_int8: 1-bit weights by float and by integer activations, of the binary peak.
    estimated: keys of shares, such as `int8.search`, that are estimates whatever the confidence of
    the others.
    """

    fp32: Shares
    int8: Shares
    binary: Share
    binary_int8: Share
    elements: Elements
    source: Annotated[str, Field(min_length=1)]
    confidence: Confidence
    estimated: list[str] = []

    def of(self, key: str) -> float:
        """A share by its key: `binary`, `int8.conv`, `elements.move`."""
        found: Any = self
        for step in key.split("."):
            found = getattr(found, step)
        return float(found)

    @model_validator(mode="after")
    def _estimated_are_keys(self) -> Utilisation:
        for key in self.estimated:
            if key not in SHARE_KEYS:
                raise ValueError(f"estimated: no share {key}; such as int8.search, binary")
        return self


SHARE_KEYS = (
    *(f"{precision}.{kind}" for precision in ("fp32", "int8") for kind in Shares.model_fields),
    *("binary", "binary_int8"),
    *(f"elements.{kind}" for kind in Elements.model_fields),
)
"""As `Utilisation.of` takes them."""


class Device(_Strict):
    """How a part is built for a device and run here (`csideploy.cross.tool_chain.ToolChain`).

    packages, emulator_packages: Debian's. board: of a bare machine. flags: as the compiler takes
    them; emulator: the command before the program.
    """

    compiler: Annotated[str, Field(min_length=1)]
    packages: list[str] = []
    flags: list[str] = []
    emulator: list[str] = []
    emulator_packages: list[str] = []
    board: str | None = None


class Target(_Strict):
    """A device, or a class of devices; one core of it runs a part.

    memories: nearest first; the first that is large enough holds what is placed.
    overhead_cycles: of a layer, whatever its size.
    mark: `measured` for the file of a calibrated host, else `modelled`.
    """

    title: Annotated[str, Field(min_length=1)]
    side: Literal["ue", "bs", "ru", "du"]
    cores: Annotated[int, Field(gt=0, le=1 << 20, strict=True)]
    clock_hz: Figure
    mac_per_cycle: Peaks
    elementwise_per_cycle: Figure
    memories: Annotated[list[Memory], Field(min_length=1)]
    overhead_cycles: Figure
    utilisation: Utilisation | None = None
    note: str | None = None
    calibration: dict[str, str | int | _Finite] | None = None
    device: Device | None = None
    name: str = ""

    @model_validator(mode="after")
    def _memories_for_all(self) -> Target:
        for what in ("weights", "activations"):
            if all(memory.holds not in (what, "both") for memory in self.memories):
                raise ValueError(f"memories: none holds {what}")
        return self

    @property
    def shares(self) -> Utilisation:
        """The file's utilisation, or the defaults of a device that was not calibrated."""
        return self.utilisation or DEFAULT_UTILISATION

    def figures(self) -> Iterator[tuple[str, float, str, str]]:
        """Path of the key, value, source, confidence of every figure."""
        peaks = self.mac_per_cycle
        for key, figure in (
            ("clock_hz", self.clock_hz),
            ("mac_per_cycle.fp32", peaks.fp32),
            ("mac_per_cycle.int8", peaks.int8),
            ("mac_per_cycle.binary", peaks.binary),
            ("elementwise_per_cycle", self.elementwise_per_cycle),
            ("overhead_cycles", self.overhead_cycles),
        ):
            if figure is not None:
                yield key, figure.value, figure.source, figure.confidence
        for memory in self.memories:
            for key in ("bytes", "bandwidth"):
                path = f"memories.{memory.name}.{key}"
                yield path, getattr(memory, key), memory.source, memory.confidence

    @property
    def confidence(self) -> str:
        """That of the least sure figure, utilisation included; `utilisation.estimated` apart."""
        tags = [row[3] for row in self.figures()] + [self.shares.confidence]
        return max(tags, key=list(CONFIDENCES).index)


_FLOATS = Shares(
    conv=0.4, narrow_conv=0.15, grouped_conv=0.1, block=0.12, linear=0.5, matmul=0.3, search=0.1
)
# Where they were measured, our integer kernels do 1.0 to 1.5 times the MACs of the float ones (conv
# 1.1, narrow 1.03, grouped 1.5, linear 1.08), while the units' peaks are 4 times apart.
_INTEGERS = Shares(
    conv=0.11,
    narrow_conv=0.04,
    grouped_conv=0.04,
    block=0.04,
    linear=0.13,
    matmul=0.08,
    search=0.025,
)
DEFAULT_UTILISATION = Utilisation(
    fp32=_FLOATS,
    int8=_INTEGERS,
    binary=0.5,
    binary_int8=0.5,
    elements=Elements(elementwise=0.25, function=0.05, integer=0.1, move=0.25, bits=0.1),
    source="estimated: dense fp32 convolutions 0.3 to 0.6, groups of two channels 0.05 to 0.2; "
    "int8 as far below as our kernels are on an x86 host",
    confidence="M",
)
"""Of a device that nobody calibrated: estimates, and no better than that."""


def names() -> list[str]:
    """The targets that come with csideploy, by name; `host` is not among them."""
    folder = files("csideploy.targets")
    return sorted(
        entry.name.removesuffix(SUFFIX) for entry in folder.iterdir() if entry.name.endswith(SUFFIX)
    )


def host_file() -> Path:
    """Where the file of this machine is: of the user, never of the repository."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "csideploy" / f"{HOST}{SUFFIX}"


def load(given: str | Path) -> Target:
    """A target by its name or from a file.

    Args:
        given: one of `names()`, `host`, or the path of a TOML file.

    Raises:
        InputError: no such target or file, or the file does not say what it must: names the key.
    """
    text = str(given)
    if text == HOST:
        path = host_file()
        if not path.is_file():
            raise InputError(
                f"target {HOST}: not measured yet; csideploy bench --calibrate writes {path}"
            )
        return _read(path, HOST)
    if text in names():
        data = (files("csideploy.targets") / f"{text}{SUFFIX}").read_bytes()
        return parse(data, text, text)
    path = Path(given)
    if text.endswith(SUFFIX) or path.is_file() or os.sep in text:
        return _read(path, path.name.removesuffix(SUFFIX))
    known = [HOST, *names()]
    near = get_close_matches(text.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}" if near else f"one of {', '.join(known)}"
    raise InputError(f"no target {text}: {hint}? (a file of your own ends in {SUFFIX})")


def _read(path: Path, name: str) -> Target:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"target file {path}: {reason(error)}") from error
    return parse(data, name, str(path))


def parse(data: bytes, name: str, where: str) -> Target:
    """A target from the bytes of its file.

    Args:
        data: TOML, UTF-8.
        name: what it is called.
        where: what messages call the file.

    Raises:
        InputError: no TOML, or a key is missing, unknown or wrong: names the first one.
    """
    table = read_toml(data, where)
    if "name" in table:
        raise InputError(f"{where}: name: the file's own name is the target's; leave the key out")
    try:
        return Target.model_validate({**table, "name": name})
    except ValidationError as error:
        raise InputError(
            f"{where}: {explain(error)}; docs/targets-files.md has the format"
        ) from error


def read_toml(data: bytes, where: str) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        InputError: it is none.
    """
    try:
        tables = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not a TOML file: it is no text in UTF-8") from error
    # ValueError alone: an integer of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not a TOML file: {error}") from error
    for text in _texts(tables):
        if not text.isprintable():
            raise InputError(f"{where}: {text[:40]!r}: a text of one line is needed, all printable")
    return tables


def _texts(value: Any) -> Iterator[str]:
    """All keys and texts of a file: they reach terminals and tables."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, own in value.items():
            yield key
            yield from _texts(own)
    elif isinstance(value, list):
        for own in value:
            yield from _texts(own)


def explain(error: ValidationError) -> str:
    """The first thing that pydantic found, as `key.path: what would be right`."""
    first = error.errors(include_url=False)[0]
    path = ".".join(str(step) for step in first["loc"]) or "the file"
    what = {
        "missing": "is missing",
        "extra_forbidden": "no such key",
    }.get(first["type"], first["msg"].removeprefix("Value error, ").removeprefix("Input "))
    got = "" if first["type"] in ("missing", "extra_forbidden") else f", not {_short(first)}"
    return f"{path}: {what}{got}"


def _short(first: Any) -> str:
    text = repr(first["input"])
    return text if len(text) <= 40 else f"{text[:37]}..."
