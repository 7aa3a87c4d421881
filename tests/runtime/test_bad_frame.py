"""Sound sections in a bad frame, and tensors that lie about their bytes."""

from collections.abc import Callable

import numpy as np
import pytest
from bundle_surgery import directory, edited, put, put_section, rebuilt, resized
from hand_plan import HandPlan, micro_bundle

from csideploy.errors import FormatError
from csideploy.export import bundle_fields as bf
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op, PayloadLayout, Storage
from csideploy.runtime import Part

GOOD = micro_bundle()


def refusal(data: bytes) -> str:
    with pytest.raises(FormatError) as error:
        Part(data)
    return str(error.value)


def test_surgery_is_sound() -> None:
    assert rebuilt(GOOD) == GOOD
    assert resized(GOOD, len(GOOD)) == GOOD
    Part(rebuilt(GOOD, drop="metadata"))


FRAMES: dict[str, tuple[Callable[[], bytes], str]] = {
    "directory beyond the file": (lambda: resized(GOOD, bf.HEADER.size + 48), "TRUNCATED"),
    "file ends inside padding": (
        lambda: resized(rebuilt(GOOD, add=(99, 0, b"abc")), len(GOOD) + 32 + 8),
        "TRUNCATED",
    ),
    "zeros at the end": (lambda: resized(GOOD, len(GOOD) + 16), "BAD_SIZE"),
    "dirt in the last padding": (
        lambda: edited(rebuilt(GOOD, add=(99, 0, b"abc")), lambda d: d.__setitem__(-1, 1)),
        "BAD_PADDING",
    ),
    "no strings": (lambda: rebuilt(GOOD, {"names": lambda _: b""}), "BAD_STRINGS"),
    "an operand too many": (
        lambda: rebuilt(GOOD, {"operands": lambda b: b + bytes(4)}),
        "BAD_OPERANDS",
    ),
    "an operand too few": (
        lambda: rebuilt(GOOD, {"operands": lambda b: b[:-4]}),
        "step 10, operand_first",
    ),
    "a parameter too many": (
        lambda: rebuilt(GOOD, {"params": lambda b: b + bytes(4)}),
        "BAD_OPERANDS",
    ),
    "a parameter too few": (lambda: rebuilt(GOOD, {"params": lambda b: b[:-4]}), "BAD_OPERANDS"),
    "no steps": (lambda: rebuilt(GOOD, {"steps": lambda _: b""}), "FIELD_INDEX"),
    "no tensors": (lambda: rebuilt(GOOD, {"tensors": lambda _: b""}), "FIELD_INDEX"),
    "no interface": (lambda: rebuilt(GOOD, {"interface": lambda _: b""}), "BAD_PLACE"),
    "no weights": (lambda: rebuilt(GOOD, {"weights": lambda _: b""}), "BAD_PLACE"),
    "unknown required": (lambda: rebuilt(GOOD, add=(99, 1, b"later")), "BAD_SECTION"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frame(name: str) -> None:
    make, status = FRAMES[name]
    assert status in refusal(make())


@pytest.mark.parametrize("section", [s.name for s in bf.SECTIONS if s.required])
def test_missing_section(section: str) -> None:
    text = refusal(rebuilt(GOOD, drop=section))
    number = next(s.id for s in bf.SECTIONS if s.name == section)
    assert "SECTION_MISSING" in text
    assert f"section {number}" in text


def test_optional_sections_may_be_absent() -> None:
    for names in (("metadata",), ("payload",), ("vectors", "vector_data")):
        data = GOOD
        for name in names:
            data = rebuilt(data, drop=name)
        Part(data)


def test_unknown_optional_section_is_skipped() -> None:
    x = np.ones((1, 2, 3, 4), np.float32)
    later = rebuilt(GOOD, add=(1000, 0, b"of a later version"))
    results = zip(Part(GOOD).run(x), Part(later).run(x), strict=True)
    assert all(np.array_equal(a, b) for a, b in results)
    damaged = bytearray(later)
    damaged[directory(later)[-1]["offset"]] ^= 1
    assert "BAD_CRC" in refusal(bytes(damaged))


def spare_plan() -> tuple[bytes, int]:
    """x -> a -> y of one size, and a view of `a` that nobody reads; its index."""
    hand = HandPlan()
    a = hand.arena("a", ("n", 8))
    hand.step(Op.COPY, [hand.input("x", ("n", 8))], [a])
    hand.step(Op.COPY, [a], [hand.output("y", ("n", 8))])
    hand.arena("z", ("n", 8))
    hand.step(Op.COPY, [a], [len(hand.tensors) - 1])
    spare = hand.view(a, "spare", ("n", 2, 4))
    return write_bundle(hand.plan()), spare


LIES: dict[str, dict[str, int]] = {
    "no producer": {"producer": bf.NONE},
    "another place": {"place": 32},
    "a step that writes another place": {"producer": 2},
    "a step that writes another storage": {"producer": 1},
    "a step that writes more": {"nbytes": 16, "dims[1]": 1},
    "another type": {"dtype": 2, "dims[2]": 16},
    "no batch": {"dims[0]": 1},
    "users": {"dims[1]": bf.DIM_K, "dims[2]": 8},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_view_must_name_who_wrote_it(lie: str) -> None:
    data, spare = spare_plan()
    Part(data)

    def edit(out: bytearray) -> None:
        for name, value in LIES[lie].items():
            field, _, item = name.partition("[")
            put_section(out, "tensors", spare, field, value, int(item.rstrip("]") or 0))

    assert "BAD_PRODUCER" in refusal(edited(data, edit))


@pytest.mark.parametrize("storage", [Storage.INPUT, Storage.OUTPUT])
@pytest.mark.parametrize("change", ["more", "less", "no batch", "type"])
def test_a_view_of_the_callers_buffer_must_be_as_large(storage: Storage, change: str) -> None:
    hand = HandPlan()
    x, y = hand.input("x", ("n", 8)), hand.output("y", ("n", 8))
    hand.step(Op.COPY, [x], [y])
    spare = hand.view(x if storage is Storage.INPUT else y, "spare", ("n", 2, 4))
    data = write_bundle(hand.plan())
    Part(data)

    def edit(out: bytearray) -> None:
        def field(name: str, value: int, item: int = 0) -> None:
            put_section(out, "tensors", spare, name, value, item)

        if change == "no batch":
            field("dims", 1, 0)
        elif change == "type":
            field("dtype", 2)
            field("dims", 16, 2)
        else:
            field("dims", 5 if change == "more" else 3, 2)
            field("nbytes", 40 if change == "more" else 24)

    assert "BAD_INTERFACE" in refusal(edited(data, edit))


@pytest.mark.parametrize(
    ("shape", "n_max", "k_max"),
    [
        (("n", 4), bf.DIM_MAX, 1),
        (("k", 4), 1, bf.DIM_MAX),
        (("n", "k", 4), 2**14, 2**14),
        # 16 bytes x 2^30 x 2^30 = 2^64, which is 0 in 64 bits.
        (("n", "k", 4), 2**30, 2**30),
        (("n", "k", 4), 2**31 - 1, 2**31 - 1),
    ],
)
def test_the_maxima_must_not_overflow(shape: tuple[int | str, ...], n_max: int, k_max: int) -> None:
    """No arena here, so that nothing but the limit itself can refuse."""
    hand = HandPlan()
    hand.step(Op.COPY, [hand.input("x", shape)], [hand.output("y", shape)])
    data = write_bundle(hand.plan())
    Part(data)

    def edit(out: bytearray) -> None:
        put(out, bf.HEADER, 0, "n_max", n_max)
        put(out, bf.HEADER, 0, "k_max", k_max)

    assert "BAD_NBYTES" in refusal(edited(data, edit))


@pytest.mark.parametrize(
    ("shape", "dtype", "fits"),
    [
        (("n", 2), np.uint8, True),
        (("n", 3), np.uint8, False),
        (("n", 2, 1), np.uint8, False),
        ((1, 2), np.uint8, False),
        (("n", 2), np.float32, False),
    ],
)
def test_a_payload_needs_its_tensor(
    shape: tuple[int | str, ...], dtype: type[np.generic], fits: bool
) -> None:
    hand = HandPlan()
    hand.step(Op.COPY, [hand.input("x", shape, dtype)], [hand.output("y", shape, dtype)])
    data = write_bundle(hand.plan(payload=PayloadLayout(0x103, 5, 3)))
    if fits:
        Part(data)
    else:
        assert "BAD_PAYLOAD" in refusal(data)
