"""Forms of a table of precoders: which rows it has, how many columns, how numbers are stored."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Literal

from csideploy.downlink.setup import Setup
from csideploy.errors import InputError

Order = Literal["ordered", "sorted"]
Columns = Literal["full", "rank1"]
Values = Literal["fp32", "int8", "int4"]

VALUE_BITS: dict[Values, int] = {"fp32": 32, "int8": 8, "int4": 4}
LARGEST_TABLE = 1 << 28
"""Bytes of the largest tensor that the compiler takes."""


@dataclass(frozen=True)
class Form:
    """One form.

    Attributes:
        order: "ordered": a row for every tuple of indices, 2^(B K). "sorted": a row for every
            multiset, binomial(2^B + K - 1, K); the users are sorted by index and unsorted again.
        columns: "full": N a user. "rank1": one a user, which all its streams share.
        values: integers have no scale in the table: a column's is that which gives it unit norm.
    """

    order: Order
    columns: Columns
    values: Values

    def __str__(self) -> str:
        return f"{self.order}-{self.columns}-{self.values}"

    @property
    def sorted(self) -> bool:
        """Whether the users are sorted before the look-up."""
        return self.order == "sorted"

    def rows(self, setup: Setup) -> int:
        """Entries of the table."""
        if self.sorted:
            return comb((1 << setup.bits) + setup.users - 1, setup.users)
        return 1 << (setup.bits * setup.users)

    def width(self, setup: Setup) -> int:
        """Columns of a user."""
        return setup.streams if self.columns == "full" else 1

    def nbytes(self, setup: Setup) -> int:
        """Bytes of the table; what else a bundle holds is below 2 kB."""
        numbers = 2 * setup.antennas * setup.users * self.width(setup)
        return self.rows(setup) * numbers * VALUE_BITS[self.values] // 8


FORMS: tuple[Form, ...] = tuple(
    Form(order, columns, values)
    for order in ("ordered", "sorted")
    for columns in ("full", "rank1")
    for values in ("fp32", "int8", "int4")
)


def parse_form(text: str) -> Form:
    """`--table`: ORDER-COLUMNS-VALUES.

    Raises:
        InputError: no such form; the message lists the words.
    """
    for form in FORMS:
        if str(form) == text:
            return form
    raise InputError(
        f"--table {text}: auto, none, or one of ordered|sorted - full|rank1 - fp32|int8|int4, "
        "such as sorted-rank1-int8"
    )


def fitting(setup: Setup, memory: int, *, equivariant: bool) -> list[Form]:
    """The forms of at most that many bytes, the largest first; of equals the fewer rows first.

    Args:
        setup: sizes.
        memory: bytes for the table.
        equivariant: whether sorting users changes nothing but their order; else no sorted form.
    """
    able = [form for form in FORMS if equivariant or not form.sorted]
    able = [form for form in able if setup.streams > 1 or form.columns == "full"]
    limit = min(memory, LARGEST_TABLE)
    small = [form for form in able if form.nbytes(setup) <= limit]
    return sorted(small, key=lambda form: (-form.nbytes(setup), form.rows(setup)))
