"""Payload bits and the payload file's header."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csideploy.errors import FormatError, InputError, PairingError
from csideploy.payload import (
    HEADER_BYTES,
    Header,
    Layout,
    append_scale,
    check_header,
    check_length,
    pack_codes,
    read_header,
    split_scale,
    unpack_codes,
)

PAIRING = bytes(range(1, 17))


def codes_strategy() -> st.SearchStrategy[tuple[int, np.ndarray]]:
    return st.tuples(
        st.integers(1, 8), st.integers(1, 5), st.integers(1, 41), st.integers(0, 99)
    ).map(
        lambda t: (
            t[0],
            np.random.default_rng(t[3]).integers(0, 2 ** t[0], t[1:3]).astype(np.uint8),
        )
    )


def spelled_out(codes: np.ndarray, bits: int) -> np.ndarray:
    """Packing by writing the bits as text: an independent path."""
    text = "".join(f"{code:0{bits}b}" for code in codes)
    text += "0" * (-len(text) % 8)
    return np.array([int(text[i : i + 8], 2) for i in range(0, len(text), 8)], np.uint8)


@given(codes_strategy())
@settings(deadline=None, max_examples=60)
def test_codes_are_packed_msb_first_and_come_back(case: tuple[int, np.ndarray]) -> None:
    bits, codes = case
    payload = pack_codes(codes, bits)
    np.testing.assert_array_equal(payload, [spelled_out(row, bits) for row in codes])
    np.testing.assert_array_equal(unpack_codes(payload, codes.shape[1], bits), codes)


@given(codes_strategy(), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_a_scale_follows_the_last_code_bit(case: tuple[int, np.ndarray], seed: int) -> None:
    bits, codes = case
    layout = Layout(codes.shape[1], bits, scale=True)
    scale = np.random.default_rng(seed).uniform(1e-3, 60000, len(codes)).astype(np.float32)
    payload = append_scale(pack_codes(codes, bits), layout, scale)
    assert payload.shape == (len(codes), layout.nbytes)
    text = "".join(f"{byte:08b}" for byte in payload[0])
    half = text[codes.shape[1] * bits :][:16]
    expected = struct.unpack(">H", struct.pack(">e", scale[0]))[0]
    assert int(half, 2) == expected
    back, scales = split_scale(payload, layout)
    np.testing.assert_array_equal(back, pack_codes(codes, bits))
    np.testing.assert_array_equal(scales, scale.astype(np.float16).astype(np.float32))


mixed_codes = st.tuples(
    st.lists(st.integers(0, 8), min_size=1, max_size=41), st.integers(1, 5), st.integers(0, 99)
).map(
    lambda t: (
        tuple(t[0]),
        np.random.default_rng(t[2])
        .integers(0, 2 ** np.array(t[0]), (t[1], len(t[0])))
        .astype(np.uint8),
    )
)


@given(mixed_codes, st.binary(max_size=3))
@settings(deadline=None, max_examples=80)
def test_codes_of_different_widths(case: tuple[tuple[int, ...], np.ndarray], more: bytes) -> None:
    widths, codes = case
    payload = pack_codes(codes, widths)
    for row, made in zip(codes, payload, strict=True):
        text = "".join(f"{code:0{b}b}" for code, b in zip(row, widths, strict=True) if b)
        text += "0" * (-len(text) % 8)
        assert bytes(made) == bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    # What stands behind the codes is not read.
    tail = np.tile(np.frombuffer(more, np.uint8), (len(codes), 1))
    longer = np.concatenate([payload, tail], axis=1)
    np.testing.assert_array_equal(unpack_codes(longer, len(widths), widths), codes)


def test_equal_widths_are_the_uniform_packing() -> None:
    codes = np.random.default_rng(0).integers(0, 8, (3, 13)).astype(np.uint8)
    np.testing.assert_array_equal(pack_codes(codes, (3,) * 13), pack_codes(codes, 3))


def test_a_codebook_layout_says_its_widths() -> None:
    layout = Layout.codebook((8, 0, 3, 2, 0), 3)
    assert (layout.layout_id, layout.payload_bits, layout.nbytes) == (0x0203, 13, 2)
    assert layout.figures() == {
        **{"layout_id": 0x0203, "count": 5, "bits": 3, "bits_per_sample": 13},
        **{"bytes_per_sample": 2, "widths": [8, 0, 3, 2, 0]},
    }
    assert "widths" not in Layout.uniform(5, 3).figures()
    scaled = layout.carrying_scale(True)
    assert (scaled.layout_id, scaled.payload_bits, scaled.nbytes) == (0x8203, 29, 4)
    assert "0 to 8 bits (13 in all)" in layout.describe()
    codes = np.array([[200, 0, 5, 1, 0], [3, 0, 0, 2, 0]], np.uint8)
    payload = append_scale(layout.pack(codes), scaled, np.array([0.5, 40.0]))
    assert f"{int.from_bytes(payload[0].tobytes()):032b}"[13:29] == f"{0x3800:016b}"
    back, scales = split_scale(payload, scaled)
    np.testing.assert_array_equal(layout.unpack(back), codes)
    np.testing.assert_array_equal(scales, [0.5, 40.0])


@pytest.mark.parametrize(
    ("widths", "budget", "words"),
    [
        ((1, 9), 5, "code 1 has 9 bits"),
        ((1, -1), 5, "code 1 has -1 bits"),
        ((4, 3), 3, "7 bits together; a budget of 3 bits a code allows 1 to 6"),
        ((0, 0), 3, "0 bits together"),
        ((1, 2), 0, "1 to 8"),
    ],
)
def test_codebook_layouts_that_cannot_be(widths: tuple[int, ...], budget: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Layout.codebook(widths, budget)


def test_widths_that_do_not_fit_the_codes() -> None:
    codes = np.ones((1, 3), np.uint8)
    with pytest.raises(InputError, match="2 widths for 3 codes"):
        pack_codes(codes, (1, 1))
    with pytest.raises(InputError, match="code 1 does not fit 0 bits"):
        pack_codes(codes, (1, 0, 1))
    with pytest.raises(InputError, match="not 1 or 9"):
        pack_codes(codes, (1, 9, 1))


def test_the_header_finds_the_budget() -> None:
    layouts = [Layout.codebook((b + 1, b - 1, 0), b) for b in (2, 3, 4)]
    for number, scale in ((0x0203, False), (0x8203, True)):
        carried = layouts[1].carrying_scale(scale)
        header = Header(number, PAIRING[:8], 1, carried.nbytes)
        assert check_header(header, layouts, PAIRING, name="p.bin") == carried
    for number in (0x0103, 0x0205, 0x8201):
        with pytest.raises(PairingError, match=r"decodes 0x0202 \(.*\), 0x0203 \(.*\), 0x0204"):
            check_header(Header(number, PAIRING[:8], 1, 1), layouts, PAIRING, name="p.bin")


def test_a_code_wider_than_its_bits_is_refused() -> None:
    with pytest.raises(InputError, match="16 does not fit 4 bits"):
        pack_codes(np.array([[3, 16]], np.uint8), 4)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6, np.nan, np.inf])
def test_a_scale_that_half_precision_cannot_hold_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match="of sample 1 does not fit 16 bits"):
        append_scale(np.ones((2, 4), np.uint8), Layout(8, 4, scale=True), np.array([1.0, scale]))


def test_a_damaged_scale_is_refused() -> None:
    with pytest.raises(FormatError, match="damaged"):
        split_scale(np.full((1, 6), 0xFF, np.uint8), Layout(8, 4, scale=True))


def header_bytes(**changes: int | bytes) -> bytes:
    fields = {"magic": b"CSIP", "version": 1, "layout": 0x0104, "pairing": PAIRING[:8]}
    fields |= {"count": 3, "sample_bytes": 256} | changes
    packed = struct.pack("<4sHH8sQI", *fields.values())
    return packed + struct.pack("<I", zlib.crc32(packed))


def test_the_header_is_these_32_bytes() -> None:
    data = Header(0x0104, PAIRING[:8], 3, 256).pack()
    assert data == header_bytes()
    assert len(data) == HEADER_BYTES == 32
    assert read_header(data, name="p") == Header(0x0104, PAIRING[:8], 3, 256)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no payload file"),
        (b"PK\3\4" + bytes(40), "no payload file"),
        (header_bytes()[:20], "truncated"),
        (header_bytes(version=2), "version 2"),
        (header_bytes()[:-1] + b"\0", "damaged header"),
        (header_bytes().replace(PAIRING[:8], PAIRING[1:9]), "damaged header"),
    ],
)
def test_bad_headers(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read_header(data, name="p.bin")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"pairing": bytes(8)}, PairingError, "another link"),
        ({"layout": 0x0103}, PairingError, "layout 0x0103"),
        ({"layout": 0x8103}, PairingError, "layout 0x8103"),
        ({"sample_bytes": 255}, FormatError, "255 bytes a sample"),
        ({"layout": 0x8104}, FormatError, "258 bytes a sample"),
    ],
)
def test_headers_that_do_not_fit_the_link(
    changes: dict[str, int | bytes], error: type[Exception], words: str
) -> None:
    header = read_header(header_bytes(**changes), name="p.bin")
    with pytest.raises(error, match=words):
        check_header(header, [Layout(512, 4)], PAIRING, name="p.bin")


def test_a_file_holds_its_samples_and_nothing_more() -> None:
    header = read_header(header_bytes(), name="p.bin")
    check_length(header, 32 + 768, name="p.bin")
    with pytest.raises(FormatError, match="truncated: 799 bytes"):
        check_length(header, 799, name="p.bin")
    with pytest.raises(FormatError, match="1 bytes behind"):
        check_length(header, 801, name="p.bin")
