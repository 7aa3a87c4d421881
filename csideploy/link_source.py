"""Where a trained link comes from: the zoo (no torch needed), or a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csideploy.errors import FormatError, InputError
from csideploy.quantizers.scalar import Codebook
from csideploy.quantizers.scalar.files import read_codebooks
from csideploy.registry import QUANTIZERS


@dataclass(frozen=True)
class Bits:
    """`--bits`: left open, one budget or several, or float features (none, and `given` true)."""

    numbers: tuple[int, ...] = ()
    given: bool = False

    @property
    def number(self) -> int | None:
        """The one number; the largest of several budgets; None for floats, or left open."""
        return max(self.numbers, default=None)

    @property
    def is_float(self) -> bool:
        """Whether float features were asked for."""
        return self.given and not self.numbers

    def __str__(self) -> str:
        """As it was written."""
        return ",".join(map(str, self.numbers)) or "float"


def parse_bits(text: str | None) -> Bits:
    """`--bits`: a number from 1 to 8, several with commas, or `float`.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return Bits()
    if text == "float":
        return Bits(given=True)
    numbers = [item.strip() for item in text.split(",")]
    if not all(item.isdecimal() and 1 <= int(item) <= 8 for item in numbers):
        raise InputError(f"--bits {text}: a number from 1 to 8, several with commas, or float")
    budgets = sorted({int(item) for item in numbers})
    if len(budgets) != len(numbers):
        raise InputError(f"--bits {text}: a budget stands there twice")
    return Bits(tuple(budgets), given=True)


@dataclass(frozen=True)
class LinkSource:
    """A trained link as two ONNX files, and what is known about it.

    With any quantizer but "codebook" the files have it inside: x -> codes, payload, and
    payload -> h (x -> feature, feature -> h with `bits` None). With "codebook" the
    files are those of the float feature, and `codebooks` has what is put between: budget (bits an
    output on average) -> codebook; `bits` is then the budget that is taken where none is named.

    ue, bs: the bytes of the files; scenario: of the channels it was trained on.

    Raises:
        InputError: quantizer, codebooks and bits contradict each other.
    """

    system: str
    cr: int
    bits: int | None
    binarize: str
    ue: bytes
    bs: bytes
    scenario: str
    provenance: dict[str, Any]
    metrics: dict[str, Any]
    quantizer: str = "uniform"
    codebooks: dict[int, Codebook] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.quantizer not in QUANTIZERS:
            raise InputError(f"quantizer {self.quantizer!r}: one of {', '.join(QUANTIZERS)}")
        if (self.quantizer == "codebook") != bool(self.codebooks):
            raise InputError("codebooks go with the quantizer 'codebook', and it with them")
        if self.codebooks and self.bits not in self.codebooks:
            raise InputError(
                f"bits {self.bits} is none of the budgets {', '.join(map(str, self.codebooks))}"
            )

    def demand(
        self, *, cr: int | None, bits: Bits, binarize: str | None, quantizer: str | None = None
    ) -> None:
        """Refuse weights that are not what the command line asked for.

        Raises:
            InputError: an option was given and says something else.
        """
        for name, value in (("cr", cr), ("binarize", binarize), ("quantizer", quantizer)):
            if value is not None and value != getattr(self, name):
                raise InputError(
                    f"--{name} {value}: these weights have {name} {getattr(self, name)}; leave the "
                    "option out, or give others"
                )
        has = set(self.codebooks) or ({self.bits} if self.bits is not None else set())
        if bits.given and not (set(bits.numbers) <= has and bits.is_float == (not has)):
            own = ", ".join(map(str, sorted(has))) or "float"
            raise InputError(
                f"--bits {bits}: these weights have bits {own}; leave the option out, or give "
                "others"
            )

    def budgets(self, bits: Bits) -> tuple[int, ...]:
        """The codebooks to export, ascending: those asked for, else the default one; () for none.

        Raises:
            InputError: another budget was asked for.
        """
        self.demand(cr=None, bits=bits, binarize=None)
        if not self.codebooks or self.bits is None:
            return ()
        return bits.numbers or (self.bits,)


def from_zoo(
    model: str, *, cr: int | None, bits: Bits, binarize: str | None, quantizer: str | None = None
) -> LinkSource:
    """Weights that come with csideploy.

    Raises:
        InputError: unknown system, or no such entry; FormatError: a file is not its card's.
    """
    from csideploy import zoo

    entry = zoo.find(
        model,
        cr=cr,
        bits=bits.numbers or None,
        binarize=binarize,
        float_features=bits.is_float,
        quantizer=quantizer,
    )
    card = entry.card
    files = {name: zoo.checked_file(entry, name) for name in entry.files}
    codebooks: dict[int, Codebook] = {}
    if zoo.CODEBOOKS in files:
        path = entry.path / zoo.CODEBOOKS
        codebooks = read_codebooks(files[zoo.CODEBOOKS], name=str(path))
        if sorted(codebooks) != sorted(card["budgets"]):
            raise FormatError(f"{path} has the budgets {sorted(codebooks)}, not those of its card")
    return LinkSource(
        system=card["system"],
        cr=card["cr"],
        bits=card["bits"],
        binarize=card["binarize"],
        ue=files["ue.onnx"],
        bs=files["bs.onnx"],
        scenario=_scenario(card),
        provenance={"source": "zoo", "entry": entry.path.name, "card": card},
        metrics=card["metrics"],
        quantizer=entry.quantizer,
        codebooks=codebooks,
    )


def _scenario(about: dict[str, Any]) -> str:
    """Channels for the golden vectors: of a user's own data, the generator knows none."""
    named = about["data"].get("scenario")
    return named if named in ("indoor", "outdoor", "rayleigh") else "indoor"


def from_checkpoint(path: Path) -> LinkSource:
    """Weights that `csideploy train` wrote; needs the extra `train`.

    Raises:
        InputError: no such file; FormatError: it is no checkpoint.
        MissingDependencyError: torch is not installed.
    """
    from csideploy.training import load_checkpoint
    from csideploy.training.exported import export_trained

    link, about = load_checkpoint(path)
    made = export_trained(link)
    return LinkSource(
        system=about["system"],
        cr=about["cr"],
        bits=about["bits"],
        binarize=about["binarize"],
        ue=made.ue,
        bs=made.bs,
        scenario=_scenario(about),
        provenance={"source": "checkpoint", "file": path.name, **about},
        metrics=about.get("metrics", {}),
        quantizer=link.feature.quantizer,
        codebooks=made.codebooks,
    )
