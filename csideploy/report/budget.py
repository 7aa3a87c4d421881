"""Budget files: what a link may cost, side by side. `docs/targets-files.md` has the keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from csideploy.errors import InputError
from csideploy.options import parse_memory, parse_time
from csideploy.outputs import reason
from csideploy.targets.files import explain, read_toml


def _parsed(parse: Callable[[str, str], float]) -> BeforeValidator:
    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError("a number or a text with a unit is needed")
        try:
            return parse(str(value), "")
        except InputError as error:
            raise ValueError(str(error).split(": ", 1)[1]) from error

    return BeforeValidator(read)


Size = Annotated[int, _parsed(parse_memory)]
Seconds = Annotated[float, _parsed(parse_time)]
Count = Annotated[int, Field(gt=0, strict=True)]
Part = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, strict=True)]
Rate = Annotated[float, Field(ge=1e-9, le=1e15, allow_inf_nan=False, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SideBudget(_Strict):
    """Limits of one side; what is left out is not limited.

    memory: bundle and arena. code: text and constants of the runtime. share: of the time that the
    link leaves. time, symbols: what the link leaves, in place of Z2'; they go with the UE. target:
    the device whose latency and code are judged. users_per_slot and decodes_per_second go with the
    BS, prbs with RU and DU.
    """

    memory: Size | None = None
    latency: Seconds | None = None
    macs: Count | None = None
    flops: Count | None = None
    code: Size | None = None
    share: Part | None = None
    target: str | None = None
    users_per_slot: Count | None = None
    decodes_per_second: Rate | None = None
    time: Seconds | None = None
    symbols: Count | None = None
    prbs: Count | None = None


class PayloadBudget(_Strict):
    """Limits of what crosses the air, of one sample."""

    bits: Count


class Budget(_Strict):
    """A whole file; `target` judges sides that name none."""

    target: str | None = None
    ue: SideBudget = SideBudget()
    bs: SideBudget = SideBudget()
    ru: SideBudget = SideBudget()
    du: SideBudget = SideBudget()
    payload: PayloadBudget | None = None

    def of(self, side: str) -> SideBudget:
        """Of a side of a report: `ru-2` is an RU."""
        found: SideBudget = getattr(self, side.split("-")[0])
        return found

    def target_of(self, side: str) -> str | None:
        """The device whose latency is judged."""
        return self.of(side).target or self.target

    def targets(self) -> list[str]:
        """All devices that it names."""
        sides = (self.ue, self.bs, self.ru, self.du)
        named = [self.target, *(side.target for side in sides)]
        return list(dict.fromkeys(name for name in named if name))

    def limited(self) -> list[str]:
        """Sides that the file has a table for."""
        return [side for side in ("ue", "bs", "ru", "du") if side in self.model_fields_set]


_OF_SIDES = {
    "users_per_slot": ("bs",),
    "decodes_per_second": ("bs",),
    "prbs": ("ru", "du"),
    "time": ("ue",),
    "symbols": ("ue",),
}


def read_budget(path: Path) -> Budget:
    """The limits of a file.

    Raises:
        InputError: no such file, no TOML, or a key that is unknown or wrong: names it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"budget {path}: {reason(error)}") from error
    try:
        budget = Budget.model_validate(read_toml(data, str(path)))
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error)}; docs/targets-files.md has the keys") from error
    for key, sides in _OF_SIDES.items():
        for side in budget.limited():
            if getattr(budget.of(side), key) is not None and side not in sides:
                raise InputError(f"{path}: {side}.{key}: goes with {' and '.join(sides)} alone")
    for side in budget.limited():
        if not budget.of(side).model_fields_set:
            raise InputError(f"{path}: [{side}] is empty: give it a limit, such as memory")
    if budget.ue.time is not None and budget.ue.symbols is not None:
        raise InputError(f"{path}: ue.time and ue.symbols say the same: one of them is needed")
    if not budget.model_fields_set - {"target"}:
        raise InputError(f"{path}: limits nothing; a table such as [ue] with memory is needed")
    return budget
