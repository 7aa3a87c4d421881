"""Forms of tables: the sizes that the issue names, texts that are taken, forms that fit."""

from __future__ import annotations

from itertools import combinations_with_replacement, pairwise, product

import pytest

from csideploy.downlink.forms import FORMS, LARGEST_TABLE, Form, fitting, parse_form
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError

FOUR, TWO = Setup(), Setup(users=2)


@pytest.mark.parametrize(
    ("setup", "form", "rows", "nbytes"),
    [
        # 2^24 rows of 4 users x 2 columns x 8 antennas x 2 numbers x 4 bytes.
        (FOUR, "ordered-full-fp32", 16_777_216, 8_589_934_592),
        (FOUR, "sorted-full-int8", 766_480, 98_109_440),
        (FOUR, "sorted-rank1-int8", 766_480, 49_054_720),
        (FOUR, "sorted-rank1-int4", 766_480, 24_527_360),
        (TWO, "ordered-full-fp32", 4096, 1_048_576),
        (TWO, "ordered-rank1-fp32", 4096, 524_288),
        (TWO, "ordered-rank1-int8", 4096, 131_072),
        (TWO, "sorted-rank1-int8", 2080, 66_560),
    ],
)
def test_sizes(setup: Setup, form: str, rows: int, nbytes: int) -> None:
    parsed = parse_form(form)
    assert parsed.rows(setup) == rows
    assert parsed.nbytes(setup) == nbytes


@pytest.mark.parametrize(("bits", "users"), [(1, 1), (2, 3), (3, 2), (4, 3), (1, 8)])
def test_rows_by_counting(bits: int, users: int) -> None:
    setup = Setup(antennas=8, streams=1, users=users, bits=bits)
    tuples = sum(1 for _ in product(range(1 << bits), repeat=users))
    sets = sum(1 for _ in combinations_with_replacement(range(1 << bits), users))
    for form in FORMS:
        assert form.rows(setup) == (sets if form.sorted else tuples)
        assert form.sorted == (form.order == "sorted")


def test_width_and_bytes_of_a_row() -> None:
    setup = Setup(antennas=9, streams=3, users=2, bits=2)
    widths = {form: form.width(setup) for form in FORMS}
    assert all(widths[form] == (3 if form.columns == "full" else 1) for form in FORMS)
    bits = {"fp32": 32, "int8": 8, "int4": 4}
    for form in FORMS:
        whole = form.rows(setup) * 2 * widths[form] * 9 * 2 * bits[form.values]
        assert whole % 8 == 0
        assert form.nbytes(setup) == whole // 8


def test_parse_form_and_back() -> None:
    assert len(FORMS) == len(set(FORMS)) == 12
    for order, columns, values in product(
        ("ordered", "sorted"), ("full", "rank1"), ("fp32", "int8", "int4")
    ):
        form = parse_form(f"{order}-{columns}-{values}")
        assert (form.order, form.columns, form.values) == (order, columns, values)
        assert str(form) == f"{order}-{columns}-{values}"
        assert form in FORMS


@pytest.mark.parametrize(
    "text", ["", "auto", "sorted", "sorted-rank1", "rank1-sorted-int8", "sorted-rank1-int16",
             "Sorted-full-fp32", "sorted-full-fp32 ", "sorted--int8"]
)  # fmt: skip
def test_unknown_forms(text: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_form(text)
    message = str(raised.value)
    assert message.startswith(f"--table {text}: ")
    assert "\n" not in message
    for word in ("auto", "none", "ordered|sorted", "full|rank1", "fp32|int8|int4"):
        assert word in message


def names(forms: list[Form]) -> list[str]:
    return [str(form) for form in forms]


def test_all_fit_the_largest_first() -> None:
    found = fitting(TWO, 1 << 40, equivariant=True)
    assert sorted(names(found)) == sorted(names(list(FORMS)))
    sizes = [form.nbytes(TWO) for form in found]
    assert sizes == sorted(sizes, reverse=True)


def test_of_equal_sizes_the_fewer_rows_first() -> None:
    """One user has as many sets of indices as tuples; B = 1, K = 3: 4 rows instead of 8."""
    setup = Setup(users=3, bits=1)
    found = names(fitting(setup, 1 << 40, equivariant=True))
    # 4 rows with two columns of int8 are as large as 8 rows with two of int4, or with one of int8.
    equal = [parse_form(name).nbytes(setup) for name in found]
    assert len(set(equal)) < len(equal)
    for before, after in pairwise(found):
        one, other = parse_form(before), parse_form(after)
        assert (-one.nbytes(setup), one.rows(setup)) <= (-other.nbytes(setup), other.rows(setup))
    assert found.index("sorted-full-int8") < found.index("ordered-full-int4")
    assert found.index("sorted-full-int8") < found.index("ordered-rank1-int8")


def test_memory_is_respected_to_the_byte() -> None:
    for form in FORMS:
        size = form.nbytes(TWO)
        assert form in fitting(TWO, size, equivariant=True)
        less = fitting(TWO, size - 1, equivariant=True)
        assert form not in less
        assert all(other.nbytes(TWO) < size for other in less)
    assert fitting(TWO, 33_279, equivariant=True) == []
    assert names(fitting(TWO, 33_280, equivariant=True)) == ["sorted-rank1-int4"]


def test_the_issues_choice_for_64_mb() -> None:
    found = names(fitting(FOUR, 64_000_000, equivariant=True))
    assert found[0] in ("sorted-rank1-int8", "sorted-full-int4")
    assert set(found) == {"sorted-rank1-int8", "sorted-full-int4", "sorted-rank1-int4"}


def test_no_table_larger_than_the_compiler_takes() -> None:
    found = fitting(FOUR, 1 << 40, equivariant=True)
    assert found
    assert all(form.nbytes(FOUR) <= LARGEST_TABLE for form in found)
    # Only sorted ones: 2^24 rows of 32 bytes are 2^29.
    assert {form.order for form in found} == {"sorted"}
    assert fitting(FOUR, 1 << 40, equivariant=False) == []


def test_not_equivariant_is_never_sorted() -> None:
    found = fitting(TWO, 1 << 40, equivariant=False)
    assert sorted(names(found)) == sorted(str(form) for form in FORMS if not form.sorted)


def test_one_stream_has_only_full() -> None:
    setup = Setup(streams=1, users=2)
    found = fitting(setup, 1 << 40, equivariant=True)
    assert sorted(names(found)) == sorted(str(form) for form in FORMS if form.columns == "full")
