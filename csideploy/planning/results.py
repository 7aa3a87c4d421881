"""Result files: measured accuracy of a link, one JSON object a line (`docs/plan.md`).

The zoo's cards say what its own weights reach as they are; a result file holds all else that was
measured: other widths, compressions and bits, and the zoo's weights in integers. A line says on
what it was tested, how it was trained, and the command that gives it again.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from csideploy import registry
from csideploy.errors import InputError
from csideploy.outputs import file_aside

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TestSet(_Strict):
    """What the figures were measured on; figures of two test sets are never compared.

    sha256: as in a zoo card, of the samples as float16 x - 0.5 in row-major order.
    """

    __test__ = False  # Its name makes pytest look for tests in it.

    scenario: Annotated[str, Field(min_length=1)]
    samples: Count
    seed: int | None = None
    sha256: Sha256


class Training(_Strict):
    """How the weights came about.

    minutes: of wall time, on `device` ("cpu", "cuda"); data_sha256: as `TestSet.sha256`.
    """

    samples: Count
    epochs: Annotated[float, Field(ge=0)]
    recipe: Annotated[str, Field(min_length=1)]
    seed: int
    minutes: Annotated[float, Field(ge=0)] | None = None
    device: Annotated[str, Field(min_length=1)] | None = None
    data_sha256: Sha256


class Reference(_Strict):
    """The same link on another file, for the record alone: nothing is chosen by it."""

    nmse_db: float
    sgcs: Annotated[float, Field(ge=0, le=1)]
    rho: Annotated[float, Field(ge=0, le=1)] | None = None
    test: TestSet


class ResultLine(_Strict):
    """One measured link.

    Attributes:
        system: of the registry. cr: 4 for 1/4. bits: a feature; None: floats are fed back.
        binarize: which fully connected layers have 1-bit weights.
        quantizer: of the feature; payload_bits: of a sample, needed with "codebook".
        precision: what was measured ran in; activation: of the convolutions, if not the system's.
        nmse_db: as `csideploy decode --reference` prints it; sgcs, rho: likewise.
        test, train: what it was measured on, how it was trained (None: the zoo's card says it).
        reference: figures on a second file, if there is one.
        checkpoint: the name of a zoo entry, or a path of weights beside the result file; None: the
            weights are not at hand and `command` trains them.
        weights: of a zoo entry, the sha256 of its files when it was measured, as its card has them.
        command: what gives this line again; without a checkpoint its last `csideploy train` has
            `--out`, where `export` then finds the weights.
    """

    system: str
    cr: int
    bits: int | None
    binarize: Literal["none", "encoder", "both"]
    quantizer: Literal["uniform", "codebook", "vector", "round"] = "uniform"
    payload_bits: Count | None = None
    precision: Literal["fp32", "auto", "int8", "mixed"] = "fp32"
    activation: Literal["prelu", "lrelu", "sprelu"] | None = None
    nmse_db: float
    sgcs: Annotated[float, Field(ge=0, le=1)]
    rho: Annotated[float, Field(ge=0, le=1)] | None = None
    test: TestSet
    train: Training | None = None
    reference: Reference | None = None
    checkpoint: Annotated[str, Field(min_length=1)] | None = None
    weights: dict[str, Sha256] | None = None
    command: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> ResultLine:
        spec = registry.get(self.system)
        registry.check_options(spec, self.cr, self.bits, self.binarize)
        if self.quantizer == "codebook" and self.payload_bits is None:
            raise InputError("a codebook's payload_bits must be said")
        self._check_payload()
        if self.checkpoint is None:
            if self.train is None:
                raise InputError("without a checkpoint, train must say how it was trained")
            self.run_folder()
        return self

    def _check_payload(self) -> None:
        """Codes of equal length leave no choice of payload bits."""
        if self.payload_bits is None or self.quantizer not in ("uniform", "round"):
            return
        if self.bits is None:
            raise InputError("payload_bits: float features have no payload")
        right = registry.payload_bits(self.cr, self.bits)
        if self.payload_bits != right:
            raise InputError(
                f"payload_bits {self.payload_bits}: {self.bits} bits a feature at cr {self.cr} are "
                f"{right}; leave it out"
            )

    def run_folder(self) -> str:
        """Where the command leaves the weights.

        Raises:
            InputError: it has no `csideploy train ... --out FOLDER`.
        """
        for part in reversed(self.command.split("&&")):
            words = shlex.split(part)
            if words[:2] == ["csideploy", "train"] and "--out" in words[:-1]:
                return words[words.index("--out") + 1]
        raise InputError("without a checkpoint, command must have `csideploy train ... --out DIR`")


def as_line(line: ResultLine) -> str:
    """A line of a result file, without its end; what has its default is left out."""
    needed = {key: getattr(line, key) for key in ("system", "cr", "bits", "binarize", "checkpoint")}
    return json.dumps(needed | line.model_dump(mode="json", exclude_defaults=True))


def read_results(path: Path) -> list[ResultLine]:
    """The lines of a result file; empty ones are passed over.

    Raises:
        InputError: it cannot be read, or a line is not as above: file, line number, key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or '').lower()}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no result file: one JSON object a line is right") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            found.append(_parse(line, f"{path}, line {number}"))
    return found


def package_of(line: ResultLine) -> dict[str, object]:
    """What was measured, and on what: all but the figures and how they are had again."""
    apart = {"payload_bits", "nmse_db", "sgcs", "rho", "reference", "weights", "command"}
    return line.model_dump(exclude=apart)


def append(path: Path, line: ResultLine) -> None:
    """Put a line at the end of a result file; an older one of the same package goes.

    Raises:
        InputError: the file is no result file. OutputError: it cannot be written.
    """
    there = read_results(path) if path.exists() else []
    kept = [older for older in there if package_of(older) != package_of(line)]
    text = "".join(as_line(whole) + "\n" for whole in [*kept, line])
    with file_aside(path) as file:
        file.write(text.encode())


def _parse(line: str, where: str) -> ResultLine:
    try:
        return ResultLine.model_validate_json(line)
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from error
    except (InputError, ValueError) as error:
        raise InputError(f"{where}: {error}") from error


def first_problem(error: ValidationError) -> str:
    """Pydantic's first complaint in one line: which key, and what would be right."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "json_invalid":
        return "no JSON object"
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}"
    if problem["type"] == "missing":
        return f"no key {key!r}"
    return f"{key or 'the line'}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
