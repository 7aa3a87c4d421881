"""Bits from the air are input too: any payload unpacks, and decodes to numbers."""

from pathlib import Path

import numpy as np
import pytest
from every_operation import FILE, SAID_BITS, SAID_USERS, SEEDS, WIDTHS, inputs
from ru_bundles import ANTENNAS, BLOCK, NETWORK, TABLE, ru_plans, table
from ru_bundles import BITS as RU_BITS

from csideploy.export.bundle_read import read_bundle
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import Op
from csideploy.runtime import Part

BITS, CODES = 3, 5


def unpacked(payload: np.ndarray) -> np.ndarray:
    """Codes by way of text: the bits written out, and read in threes."""
    out = np.zeros((len(payload), CODES), np.uint8)
    for row, (high, low) in enumerate(payload):
        text = f"{high:08b}{low:08b}"
        out[row] = [int(text[BITS * i : BITS * i + BITS], 2) for i in range(CODES)]
    return out


EVERY = np.stack(np.divmod(np.arange(65536), 256), axis=1).astype(np.uint8)


def test_every_payload_of_two_bytes_unpacks() -> None:
    """The bit behind the last code is padding: it changes nothing."""
    (codes,) = Part(SEEDS / "unpack_bits.csib").run(EVERY)
    assert np.array_equal(codes, unpacked(EVERY))
    assert np.array_equal(codes[0::2], codes[1::2])


def test_payloads_in_a_whole_part() -> None:
    part, some = Part(FILE), EVERY[::13]
    given = dict(zip([t.name for t in part.inputs], inputs(1, 1, seed=8), strict=True))
    given = {name: np.repeat(a, len(some), axis=0) for name, a in given.items()}
    given["air"] = some
    results = dict(zip([t.name for t in part.outputs], part.run(*given.values()), strict=True))
    assert np.array_equal(results["y"][:, :, 0], (unpacked(some) + 0.5) / 8)
    assert len(np.unique(results["net.y"], axis=0)) > 100  # a network of the payload's bits
    # Nothing else depends on the payload.
    others = [a for name, a in results.items() if name not in ("y", "net.y")]
    assert all(len(np.unique(a, axis=0)) == 1 for a in others)


def test_codes_that_no_payload_holds() -> None:
    """The dequantizer reads the low bits of a code alone, so a byte that is no code is harmless."""
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], CODES, axis=1)
    (values,) = Part(SEEDS / "dequantize_uniform.csib").run(every)
    assert np.array_equal(values, (every % 8 + 0.5) / 8)
    (packed,) = Part(SEEDS / "pack_bits.csib").run(every)
    assert np.array_equal(unpacked(packed), every % 8)


def unpacked_widths(payload: np.ndarray) -> np.ndarray:
    """The same where each code has its own number of bits, which may be none."""
    ends = np.cumsum(WIDTHS.astype(int)).tolist()
    out = np.zeros((len(payload), len(WIDTHS)), np.uint8)
    for row, (high, low) in enumerate(payload):
        text = f"{high:08b}{low:08b}"
        out[row] = [int("0" + text[e - w : e], 2) for e, w in zip(ends, WIDTHS, strict=True)]
    return out


def test_every_payload_of_widths() -> None:
    """Of 15 bits: all messages, and the bit behind them."""
    assert WIDTHS.sum() == 15
    (codes,) = Part(SEEDS / "unpack_widths.csib").run(EVERY)
    assert np.array_equal(codes, unpacked_widths(EVERY))
    assert np.array_equal(codes[0::2], codes[1::2])
    part, some = Part(FILE), EVERY[::13]
    given = dict(zip([t.name for t in part.inputs], inputs(1, 1, seed=8), strict=True))
    given = {name: np.repeat(a, len(some), axis=0) for name, a in given.items()}
    given["message"] = some
    results = dict(zip([t.name for t in part.outputs], part.run(*given.values()), strict=True))
    for name in ("values", "values.half"):
        assert np.isfinite(results[name]).all()
        # An output has as many values as it has codes; of small halves some are equal.
        found = [len(np.unique(column)) for column in results.pop(name).T]
        assert all(np.array(found) <= 1 << WIDTHS)
        assert name == "values.half" or found == (1 << WIDTHS).tolist()
    assert all(len(np.unique(a, axis=0)) == 1 for a in results.values())


def test_codes_that_no_payload_of_widths_holds() -> None:
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], len(WIDTHS), axis=1)
    low = every % (1 << WIDTHS)
    dequantizer = Part(SEEDS / "dequantize_codebook.csib")
    assert np.array_equal(dequantizer.run(every)[0], dequantizer.run(low.astype(np.uint8))[0])
    (packed,) = Part(SEEDS / "pack_widths.csib").run(every)
    assert np.array_equal(unpacked_widths(packed), low)


@pytest.mark.parametrize("name", ["table_precoder", "rzf_precoder"])
def test_every_message_of_two_users(name: str) -> None:
    """The low bits of a byte are padding; the third user says the same each time."""
    part = Part(SEEDS / f"{name}.csib")
    said = np.full((len(EVERY), SAID_USERS, 1), 0x5A, np.uint8)
    said[:, :2, 0] = EVERY
    (v,) = part.run(said)
    assert np.isfinite(v).all()
    assert np.array_equal(v, part.run(said & (0xFF00 >> SAID_BITS & 0xFF))[0])
    assert len(np.unique(v.reshape(len(v), -1), axis=0)) == 1 << 2 * SAID_BITS


def test_every_payload_of_a_radio_unit() -> None:
    """15 bits of a block: every one is a signal, and the bit behind them changes nothing."""
    assert (RU_BITS, BLOCK) == (BITS, CODES)
    (signal,) = Part(TABLE).run(EVERY)
    sent = table()[unpacked(EVERY)]
    assert np.array_equal(signal, np.stack([sent.real, sent.imag], axis=-1))
    (signal,) = Part(NETWORK).run(EVERY)
    assert signal.shape == (len(EVERY), BLOCK, ANTENNAS, 2)
    assert np.array_equal(signal, run_plan(read_bundle(NETWORK.read_bytes()), [EVERY])["signal"])
    assert np.isfinite(signal).all()
    assert np.array_equal(signal[0::2], signal[1::2])


def test_the_radio_units_are_what_the_compiler_makes() -> None:
    """Of the network the steps: its scales come from a run in float, which machines round apart."""
    built, kept = ru_plans(BLOCK, BITS, BITS, 6, ANTENNAS), read_bundle(TABLE.read_bytes())
    assert kept.steps == built["table"].steps
    assert np.array_equal(kept.weights, built["table"].weights)
    steps = [step.op for step in read_bundle(NETWORK.read_bytes()).steps]
    assert steps == [Op.UNPACK_BITS, Op.QLINEAR, Op.QLINEAR, Op.DEQUANTIZE]
    assert steps == [step.op for step in built["network"].steps]


@pytest.fixture(scope="module")
def decoder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Part:
    """The zoo's decoder, compiled as a user would."""
    from csideploy.bundles import compile_file

    path = tmp_path_factory.mktemp("zoo") / "bs.csib"
    model = repository / "zoo" / "bacrnet10x" / "bs.onnx"
    compile_file(model, path, side="bs", part="decoder", vectors=0)
    return Part(path)


def test_any_payload_decodes_to_finite_numbers(decoder: Part) -> None:
    """1,000 random payloads, and 256 in which every byte takes every value."""
    assert decoder.payload is not None
    size = decoder.payload.nbytes
    random = np.random.default_rng(1).integers(0, 256, (1000, size)).astype(np.uint8)
    latin = (np.arange(256)[:, None] + 37 * np.arange(size)).astype(np.uint8)
    assert all(len(set(column)) == 256 for column in latin.T)
    for payload in (random, latin):
        (csi,) = decoder.run(payload)
        assert csi.shape == (len(payload), 2, 32, 32)
        assert np.isfinite(csi).all()
        # Different payloads are different images, inside what the training data spans.
        assert len(np.unique(csi.reshape(len(csi), -1), axis=0)) == len(csi)
        assert np.abs(csi).max() < 10
