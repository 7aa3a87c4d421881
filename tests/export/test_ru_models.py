"""What an RU runs: decoders by table and by network, against NumPy, ONNX Runtime and themselves.

The independent decoder is `numpy.unpackbits` and one line of algebra in float64.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest

from csideploy.errors import FormatError, InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.integer.run import run_plan
from csideploy.export.macs import costs, total
from csideploy.export.plan import Op, Plan
from csideploy.export.ru_models import network_decoder_model, table_decoder_model
from csideploy.onnx_oracle import Oracle
from csideploy.quantize import quantize_part
from csideploy.runtime import Part, instruction_sets

Array = Any
F32 = np.float32
TABLES = [
    # bits, block, antennas
    (1, 1, 1), (1, 14, 3), (2, 14, 2), (3, 1, 2), (3, 14, 4), (7, 5, 1), (8, 14, 2), (9, 14, 1),
    (10, 1, 4), (10, 14, 4), (11, 14, 2), (12, 168, 2),
]  # fmt: skip
NETWORKS = [
    # bits, block, hidden, antennas
    (1, 14, (), 1), (2, 168, (5,), 3), (3, 14, (8, 7), 2), (8, 1, (), 4), (10, 14, (12,), 2),
    (12, 5, (40,), 4), (64, 14, (64,), 16), (64, 168, (48, 40), 16), (300, 14, (300,), 16),
    (300, 168, (32,), 16),
]  # fmt: skip


def table_of(bits: int, antennas: int) -> Array:
    rng = np.random.default_rng([bits, antennas])
    parts = rng.standard_normal((2, 1 << bits, antennas))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def layers_of(bits: int, hidden: tuple[int, ...], antennas: int) -> list[tuple[Array, Array]]:
    rng = np.random.default_rng([bits, antennas, *hidden])
    sizes = [bits, *hidden, 2 * antennas]
    return [
        (
            (rng.standard_normal((o, i)) * (2 / i) ** 0.5).astype(F32),
            (0.1 * rng.standard_normal(o)).astype(F32),
        )
        for i, o in pairwise(sizes)
    ]


def payloads(bits: int, block: int, count: int = 20) -> Array:
    """Random ones, all 0, all 1, and for every byte of the block all of its values."""
    size = -(-block * bits // 8)
    random = np.random.default_rng(1).integers(0, 256, (count, size))
    latin = np.arange(256)[:, None] + 37 * np.arange(size) + np.arange(size) // 256
    ends = np.repeat([[0], [255]], size, axis=1)
    return np.concatenate([ends, random, latin % 256]).astype(np.uint8)


def messages(payload: Array, bits: int, block: int) -> Array:
    """(n, R, B) of 0 and 1."""
    rows = np.unpackbits(payload, axis=1, bitorder="big")
    return rows[:, : block * bits].reshape(len(payload), block, bits)


def by_network(layers: list[tuple[Array, Array]], bits: Array) -> Array:
    """(n, R, N, 2) in float64."""
    x = bits.astype(np.float64)
    for number, (weight, bias) in enumerate(layers, 1):
        x = x @ weight.T.astype(np.float64) + bias
        x = np.maximum(x, 0) if number < len(layers) else x
    return np.stack(np.split(x, 2, axis=-1), axis=-1)


def compiled(model: onnx.ModelProto) -> tuple[Plan, bytes]:
    onnx.checker.check_model(model, full_check=True)
    plan = compile_model(model, part="ru", side="ru")
    return plan, write_bundle(plan)


@pytest.mark.parametrize(("bits", "block", "antennas"), TABLES)
def test_table(bits: int, block: int, antennas: int) -> None:
    """The table's numbers as they are: to the bit, in ONNX Runtime and on every instruction set."""
    table = table_of(bits, antennas)
    model = table_decoder_model(table, block=block, bits=bits)
    plan, bundle = compiled(model)
    given = payloads(bits, block)
    index = messages(given, bits, block).astype(int) @ (1 << np.arange(bits - 1, -1, -1))
    expected = np.stack([table.real[index], table.imag[index]], axis=-1)
    oracle = Oracle(model.SerializeToString(), name="ru").run(given)["signal"]
    np.testing.assert_array_equal(oracle, expected)
    for isa in instruction_sets():
        (signal,) = Part(bundle, isa=isa).run(given)
        assert signal.shape == (len(given), block, antennas, 2)
        np.testing.assert_array_equal(signal, expected)
    long = [Op.UNPACK_BITS, Op.CAST, Op.LINEAR, Op.CAST, Op.GATHER]
    short = [Op.UNPACK_BITS, Op.CAST, Op.GATHER]
    assert [step.op for step in plan.steps] == (long if bits > 8 else short)
    assert len(bundle) <= table.nbytes + 1800


def test_the_pad_is_ignored() -> None:
    """42 bits in 6 bytes: the last 6 bits say nothing."""
    parts = [
        table_decoder_model(table_of(3, 2), block=14, bits=3),
        network_decoder_model(layers_of(3, (4,), 2), block=14, bits=3),
    ]
    for model in parts:
        part, given = Part(compiled(model)[1]), payloads(3, 14)
        assert given.shape[1] == 6
        kept = given.copy()
        kept[:, -1] &= 0b11000000
        assert len(np.unique(given[:, -1])) == 256
        np.testing.assert_array_equal(part.run(given)[0], part.run(kept)[0])


@pytest.mark.parametrize(("bits", "block", "hidden", "antennas"), NETWORKS)
def test_network(bits: int, block: int, hidden: tuple[int, ...], antennas: int) -> None:
    """Sums of up to 300 float32 products, two or three in a row: a few hundred times 2^-24 at most,
    relative to the largest value; in practice 1e-6."""
    layers = layers_of(bits, hidden, antennas)
    model = network_decoder_model(layers, block=block, bits=bits)
    plan, bundle = compiled(model)
    given = payloads(bits, block)
    given = given[:: max(1, len(given) * block * bits // 200_000)]
    expected = by_network(layers, messages(given, bits, block))
    limit = 1e-5 * np.abs(expected).max()
    oracle = Oracle(model.SerializeToString(), name="ru").run(given)["signal"]
    np.testing.assert_allclose(oracle, expected, rtol=0, atol=limit)
    for isa in instruction_sets():
        (signal,) = Part(bundle, isa=isa).run(given)
        np.testing.assert_allclose(signal, expected, rtol=0, atol=limit)
    ops = [Op.UNPACK_BITS, Op.CAST, *[Op.LINEAR] * (len(hidden) + 1)]
    assert [step.op for step in plan.steps] == ops
    products = sum(weight.size for weight, _ in layers)
    assert total(costs(plan)).macs == block * products
    assert len(bundle) <= 4 * sum(w.size + b.size + 8 for w, b in layers) + 1500


@pytest.mark.parametrize(("bits", "block", "hidden", "antennas"), NETWORKS)
def test_network_in_integers(bits: int, block: int, hidden: tuple[int, ...], antennas: int) -> None:
    """The bits go into the first product as they are; C is the specification, to the bit.

    From float to codes of 8 bits at the output: an error of step^2 / 12 with a step of about a
    40th of the standard deviation is -43 dB; weights and hidden layers add as much again. With
    scale 1 at the input a bias is a whole number of weight steps, which one bit alone shows.
    """
    layers = layers_of(bits, hidden, antennas)
    model = network_decoder_model(layers, block=block, bits=bits)
    size = -(-block * bits // 8)
    samples = max(16, min(192, 2000 // block))
    x = np.random.default_rng(2).integers(0, 256, (samples, size)).astype(np.uint8)
    quantized = quantize_part(model, np.array_split(x, 4), precision="int8", seed=0)
    network = onnx.load_model_from_string(quantized.models[""])
    plan, bundle = compiled(network)
    ops = [Op.UNPACK_BITS, *[Op.QLINEAR] * (len(hidden) + 1), Op.DEQUANTIZE]
    if len(hidden) == 1 and bits >= 8:
        ops = [Op.BITS_NETWORK]
    assert [step.op for step in plan.steps] == ops
    given = payloads(bits, block)[:: max(1, bits * block // 2000)]
    expected = run_plan(plan, [given])["signal"]
    for isa in instruction_sets():
        np.testing.assert_array_equal(Part(bundle, isa=isa).run(given)[0], expected)
    last = plan.steps[-1]
    step = last.params["y_scale" if last.op is Op.BITS_NETWORK else "scale"]
    oracle = Oracle(network.SerializeToString(), name="ru").run(given)["signal"]
    # ONNX Runtime multiplies floats where it has no integer kernel: a tie may round otherwise.
    assert np.abs(oracle - expected).max() <= 1.01 * step
    exact = by_network(layers, messages(x, bits, block))
    (made,) = Part(bundle).run(x)
    loss = 10 * np.log10(np.sum((made - exact) ** 2) / np.sum(exact**2))
    print(f"\nB {bits}, R {block}, hidden {hidden}, N {antennas}: int8 to float64 {loss:.1f} dB")
    assert loss < -33


def test_auto_spends_bits_where_the_level_demands() -> None:
    layers = layers_of(64, (64,), 4)
    model = network_decoder_model(layers, block=14, bits=64)
    x = np.random.default_rng(3).integers(0, 256, (64, 112)).astype(np.uint8)
    exact = by_network(layers, messages(x, 64, 14))
    losses = []
    for level in (-10.0, -50.0):
        quantized = quantize_part(model, [x[:32], x[32:]], precision="auto", seed=0, level_db=level)
        plan, bundle = compiled(onnx.load_model_from_string(quantized.models[""]))
        (made,) = Part(bundle).run(x)
        np.testing.assert_array_equal(made, run_plan(plan, [x])["signal"])
        losses.append(10 * np.log10(np.sum((made - exact) ** 2) / np.sum(exact**2)))
        # The bits are exact: more than a code each would buy nothing.
        rows = [row for row in quantized.rows if row.layer == "bits.node"]
        assert [row.bits for row in rows] == [8]
    print(f"\nauto at -10 dB: {losses[0]:.1f} dB; at -50 dB: {losses[1]:.1f} dB")
    assert losses[0] < -33
    assert losses[1] < -55


def test_wrong_lengths() -> None:
    """42 bits are 6 bytes, whatever else comes."""
    for model in (
        table_decoder_model(table_of(3, 2), block=14, bits=3),
        network_decoder_model(layers_of(3, (4,), 2), block=14, bits=3),
    ):
        _, bundle = compiled(model)
        part = Part(bundle)
        for size in (0, 5, 7, 12):
            with pytest.raises(InputError, match=rf"input payload: shape \(2, {size}\) given, .*6"):
                part.run(np.zeros((2, size), np.uint8))
        with pytest.raises(InputError, match="int8 given, the part takes uint8"):
            part.run(np.zeros((2, 6), np.int8))
        (none,) = part.run(np.zeros((0, 6), np.uint8))
        assert none.shape == (0, 14, 2, 2)


def test_what_a_decoder_must_be() -> None:
    table, nan = table_of(3, 2), table_of(3, 2)
    nan[7, 1] = np.nan
    how: dict[str, int] = {"block": 14, "bits": 3}
    for given, sizes, why in (
        (table, {"bits": 0}, "0 bits a channel use; 1 to 12"),
        (table, {"bits": 13}, "13 bits a channel use; 1 to 12"),
        (table, {"bits": 4}, r"table complex64 \(8, 2\); complex64 \(16, antennas\)"),
        (table, {"block": 0}, "block of 0 channel uses"),
        (table, {"block": 1 << 23}, "16777216 bits at most"),
        (table.real, {}, r"table float32 \(8, 2\)"),
        (table[:, :0], {}, r"table complex64 \(8, 0\)"),
        (table[0], {}, "antennas"),
        (nan, {}, "not finite"),
        (np.full((8, 1), 1e300 + 0j), {}, "not finite"),
    ):
        with pytest.raises(InputError, match=why):
            table_decoder_model(given, **{**how, **sizes})
    first, second = layers_of(3, (4,), 2)
    for layers, sizes, why in (
        ([first, second], {"bits": 513}, "513 bits a channel use; 1 to 512"),
        ([first, second], {"bits": 4}, r"layer 1: weight \(4, 3\), bias \(4,\); \(outputs, 4\)"),
        ([first, first], {}, "layer 2"),
        ([(first[0], first[1][:3]), second], {}, "layer 1"),
        ([(first[0][0], first[1]), second], {}, "layer 1"),
        ([], {}, "0 layers; 1 to 3"),
        ([first] * 4, {}, "4 layers"),
        ([first, (second[0][:3], second[1][:3])], {}, "3 outputs; 2N"),
        ([first, (second[0], second[1] * F32(np.inf))], {}, "layer 2: a number is not finite"),
    ):
        with pytest.raises(InputError, match=why):
            network_decoder_model(layers, **{**how, **sizes})


def test_a_bundle_with_another_length_is_refused() -> None:
    """The verifier's own arithmetic: a payload tensor that is a byte longer fits no block."""
    plan, _ = compiled(table_decoder_model(table_of(3, 2), block=14, bits=3))
    tensors = [replace(t, shape=("n", 7)) if t.name == "payload" else t for t in plan.tensors]
    with pytest.raises(FormatError, match="BAD_SHAPE"):
        Part(write_bundle(replace(plan, tensors=tuple(tensors), payload=None)))
