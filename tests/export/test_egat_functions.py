"""EdgeAttention and the tiers of a residual quantizer: bodies in ONNX Runtime and in onnx's own
evaluator against NumPy, the compiled parts against both."""

from typing import Any

import numpy as np
import onnx
import pytest
from egat_model import features, precoder
from numpy.typing import NDArray
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator
from small_models import call, floats, model

from csideploy.band import band_of
from csideploy.errors import InputError, UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.inline import inline_functions
from csideploy.export.macs import costs, total
from csideploy.export.plan import Op, PayloadLayout
from csideploy.export.residual_models import dequantizer_model, quantizer_model, residual_layout
from csideploy.onnx_oracle import Oracle
from csideploy.quantizers.residual import (
    bits_to_indices,
    decode,
    encode,
    indices_to_bits,
    tier_bits,
)
from csideploy.runtime import Part

Array = NDArray[Any]
F32, U8 = np.float32, np.uint8
NAMES = ("values", "queries", "keys")
LAYOUT = 0x0301


def attention(average: int, shape: tuple[Any, ...] = ("n", "k", 3, 20)) -> ModelProto:
    return model([call("EdgeAttention", list(NAMES), ["y"], average=average)],
                 dict.fromkeys(NAMES, shape), ["y"])  # fmt: skip


def expected(x: dict[str, Array], average: int) -> Array:
    """Paper 000, eq. 20 and 21, pair by pair in float64."""
    v, q, k = (x[name].astype(np.float64) for name in NAMES)
    y = np.zeros_like(v)
    users, antennas = v.shape[1:3]
    for i in range(users):
        for j in range(users):
            if j != i:
                score = (q[:, i] * k[:, j]).sum(axis=1) / antennas
                y[:, i] += score[:, None] * v[:, j]
    return y / max(users - 1, 1) if average else y


@pytest.mark.parametrize("average", [0, 1])
def test_attention_in_three_runtimes(average: int) -> None:
    proto = attention(average)
    part = Part(write_bundle(compile_model(proto, part="a", side="bs", n_max=2, k_max=5)))
    oracle, reference = Oracle(proto.SerializeToString(), name="a"), ReferenceEvaluator(proto)
    inlined = Oracle(inline_functions(proto).SerializeToString(), name="inlined")
    for users in range(1, 6):
        x = {name: floats(3, users, 3, 20, seed=i) for i, name in enumerate(NAMES)}
        right = expected(x, average)
        (ours,) = part.run(*x.values())
        for made in (ours, oracle.run(x)["y"], inlined.run(x)["y"], reference.run(None, x)[0]):
            assert made.shape == right.shape
            # float32 sums of a few products of numbers below 1.
            np.testing.assert_allclose(made, right, rtol=0, atol=2e-6)


def test_attention_of_a_known_number_of_users() -> None:
    proto = attention(1, ("n", 4, 3, 20))
    plan = compile_model(proto, part="a", side="bs")
    assert [step.op for step in plan.steps] == [Op.EDGE_ATTENTION]
    assert plan.k_max == 1
    x = {name: floats(2, 4, 3, 20, seed=i) for i, name in enumerate(NAMES)}
    (ours,) = Part(write_bundle(plan)).run(*x.values())
    np.testing.assert_allclose(ours, expected(x, 1), rtol=0, atol=2e-6)


def test_attention_counts_for_the_most_users() -> None:
    plan = compile_model(attention(0), part="a", side="bs", k_max=7)
    (row,) = costs(plan)
    assert row.macs == 2 * 7 * 6 * 3 * 20  # a score and what it weighs, for each ordered pair


REFUSED: dict[str, tuple[ModelProto, str]] = {
    "other shapes": (
        model([call("EdgeAttention", list(NAMES), ["y"], average=0)],
              {"values": ("n", 2, 3, 4), "queries": ("n", 2, 3, 4), "keys": ("n", 2, 3, 5)}, ["y"]),
        r"input 'keys' is float32 \(1, 2, 3, 5\)"),
    "rank 3": (attention(0, ("n", 3, 4)), r"float32 \(n, users, antennas, channels\)"),
    "average": (attention(2), "average 2; 0 or 1"),
    "constant keys": (
        model([call("EdgeAttention", list(NAMES), ["y"], average=0)],
              dict.fromkeys(NAMES[:2], ("n", 2, 3, 4)), ["y"], {"keys": floats(1, 2, 3, 4)}),
        "but no batch of them"),
    "codebook": (
        model([call("ResidualQuantize", ["x", "b"], ["y", "z"], bits=3)], {"x": ("n", 4)},
              ["z"], {"b": floats(7, 4)}), r"codebook float32 \(7, 4\).*\(8, D\) fits 3 bits"),
    "infinite codebook": (
        model([call("ResidualQuantize", ["x", "b"], ["y", "z"], bits=1)], {"x": ("n", 2)},
              ["z"], {"b": np.array([[1, 2], [3, np.inf]], F32)}), "not finite"),
    "bits": (
        model([call("ResidualQuantize", ["x", "b"], ["y", "z"], bits=17)], {"x": ("n", 4)},
              ["z"], {"b": floats(8, 4)}), "17 bits a tier; 1 to 16"),
    "width": (
        model([call("ResidualQuantize", ["x", "b"], ["y", "z"], bits=3)], {"x": ("n", 5)},
              ["z"], {"b": floats(8, 4)}), r"input 'x' is float32 \(1, 5\); float32 \(n, 4\)"),
    "bits beyond the message": (
        model([call("ResidualDequantize", ["x", "b"], ["y"], start=4, bits=3)], {"x": ("n", 6)},
              ["y"], {"b": floats(8, 4)}, dtype="uint8"), "bits 4 to 6 of 6"),
    "codes of float": (
        model([call("ResidualDequantize", ["x", "b"], ["y"], start=0, bits=3)], {"x": ("n", 6)},
              ["y"], {"b": floats(8, 4)}), r"uint8 \(n, B\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    proto, why = REFUSED[name]
    with pytest.raises(UnsupportedError, match=why):
        compile_model(proto, part="a", side="bs")


TIERS: dict[str, list[int]] = {
    "one bit": [1],
    "one tier": [6],
    "two": [3, 5],
    "a byte": [4, 4],
    "three": [5, 1, 8],
    "many": [1] * 9,
    "wide": [10, 2],
}


def codebooks(bits: list[int], width: int = 6) -> list[Array]:
    """Each tier finer than the one before."""
    random = np.random.default_rng(bits)
    return [
        random.normal(scale=0.5**t, size=(1 << b, width)).astype(F32) for t, b in enumerate(bits)
    ]


@pytest.mark.parametrize("bits", TIERS.values(), ids=TIERS)
def test_both_ends_of_the_payload(bits: list[int]) -> None:
    books = codebooks(bits)
    total_bits = sum(bits)
    ends = [quantizer_model(books), dequantizer_model(books)]
    plans = [
        compile_model(proto, part="q", side="ue", n_max=2, payload=residual_layout(books, LAYOUT))
        for proto in ends
    ]
    assert all(plan.payload == PayloadLayout(LAYOUT, total_bits, 1) for plan in plans)
    parts = [Part(write_bundle(plan)) for plan in plans]
    x = np.random.default_rng(1).normal(size=(50, 6)).astype(F32)
    codes, payload = parts[0].run(x)
    assert codes.shape == (50, total_bits)
    np.testing.assert_array_equal(payload, np.packbits(codes, axis=1))
    # The exhaustive search in float64, but for what the band excuses.
    band = band_of(plans[0])
    assert band is not None
    assert band.tensor == "feature"
    clear = ~band.near(x).any(axis=1)
    assert clear.mean() > 0.9
    indices = bits_to_indices(codes, bits)
    np.testing.assert_array_equal(indices[clear], encode(x, books)[clear])
    np.testing.assert_array_equal(indices_to_bits(indices, bits), codes)
    theirs = Oracle(ends[0].SerializeToString(), name="q").run(x)
    np.testing.assert_array_equal(theirs["codes"][clear], codes[clear])
    np.testing.assert_array_equal(theirs["payload"][clear], payload[clear])
    (found,) = parts[1].run(payload)
    # In float32, tier after tier: the same sum, to the bit.
    right = np.zeros_like(x)
    for t, book in enumerate(books):
        right = book[indices[:, t]] if t == 0 else right + book[indices[:, t]]
    np.testing.assert_array_equal(found, right)
    np.testing.assert_array_equal(
        Oracle(ends[1].SerializeToString(), name="d").run(payload)["feature"], found
    )
    np.testing.assert_allclose(found, decode(indices, books), rtol=0, atol=1e-6)


def test_noise_from_the_air_is_some_feature() -> None:
    """The pad is not read."""
    books = codebooks([3, 4])
    part = Part(write_bundle(compile_model(dequantizer_model(books), part="d", side="bs")))
    noise = np.random.default_rng(2).integers(0, 256, (200, 1)).astype(U8)
    indices = np.stack([noise[:, 0] >> 5, noise[:, 0] >> 1 & 15], axis=1)
    np.testing.assert_allclose(
        part.run(noise)[0], decode(indices.astype(np.int64), books), rtol=0, atol=1e-6
    )


def test_a_sent_feature_comes_back() -> None:
    """Sums of codewords of exact numbers quantize to themselves."""
    random = np.random.default_rng(3)
    # Digits -4 to 3 of the hundreds, the tens and the ones: the rest is never half a unit.
    books = [((random.permutation(8)[:, None] - 4) * 10.0**t).astype(F32) for t in (2, 1, 0)]
    books = [np.repeat(book, 4, axis=1) for book in books]
    indices = random.integers(0, 8, (100, 3))
    feature = decode(indices, books)
    np.testing.assert_array_equal(decode(encode(feature, books), books), feature)
    part = Part(write_bundle(compile_model(quantizer_model(books), part="q", side="ue")))
    codes, _ = part.run(feature.astype(F32))
    np.testing.assert_array_equal(decode(bits_to_indices(codes, [3, 3, 3]), books), feature)


def test_the_quantizer_costs_its_distances() -> None:
    books = codebooks([3, 5])
    plan = compile_model(quantizer_model(books), part="q", side="ue")
    whole = total(costs(plan))
    assert whole.macs == (8 + 32) * 6
    assert whole.weight_bytes == 4 * (8 + 32) * 6
    assert [step.op for step in plan.steps] == [
        Op.RESIDUAL_QUANTIZE, Op.RESIDUAL_QUANTIZE, Op.CONCAT, Op.PACK_BITS
    ]  # fmt: skip


BAD_BOOKS: dict[str, tuple[list[Array], str]] = {
    "none": ([], "no tier"),
    "three codewords": ([floats(3, 2)], "3 codewords"),
    "one codeword": ([floats(4, 2), floats(1, 2)], "tier 2 has 1 codewords"),
    "too many": ([np.ones((1 << 17, 1), F32)], "131072 codewords"),
    "other widths": ([floats(4, 2), floats(4, 3)], r"tier 2 \(4, 3\)"),
    "rank 1": ([floats(4)], r"tier 1 \(4,\)"),
    "not finite": ([np.full((2, 2), np.nan, F32)], "not finite"),
}


@pytest.mark.parametrize("name", BAD_BOOKS)
def test_codebooks_that_are_none(name: str) -> None:
    books, why = BAD_BOOKS[name]
    for use in (tier_bits, quantizer_model, dequantizer_model):
        with pytest.raises(InputError, match=why):
            use(books)


def test_indices_that_are_none() -> None:
    books = codebooks([2, 3])
    for indices in (np.array([[4, 0]]), np.array([[0, -1]]), np.array([[0]]), np.array([0, 0])):
        with pytest.raises(InputError, match="ind"):
            decode(indices, books)
        with pytest.raises(InputError, match="ind"):
            indices_to_bits(indices, [2, 3])
    with pytest.raises(InputError, match=r"codes \(1, 4\)"):
        bits_to_indices(np.zeros((1, 4), U8), [2, 3])
    with pytest.raises(InputError, match=r"feature \(2, 5\)"):
        encode(np.ones((2, 5)), books)


def test_the_whole_precoder_for_every_number_of_users() -> None:
    proto = precoder(4, 8, 20, 2, function=True)
    plan = compile_model(proto, part="precoder", side="bs", n_max=3, k_max=5)
    assert sum(step.op is Op.EDGE_ATTENTION for step in plan.steps) == 2
    assert not any(step.op is Op.TRANSPOSE for step in plan.steps)
    part, oracle = Part(write_bundle(plan)), Oracle(proto.SerializeToString(), name="egat")
    for users in range(1, 6):
        x = features(4, users, 8, seed=users)
        (ours,) = part.run(*x.values())
        theirs = oracle.run(x)["W"]
        # Each of the layers' sums is float32 in another order; W has length 1.
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
        np.testing.assert_allclose((ours.astype(float) ** 2).sum((1, 2, 3)), 1, rtol=1e-5)


def test_the_file_is_valid_onnx() -> None:
    for proto in (attention(1), quantizer_model(codebooks([2, 3])), dequantizer_model(
        codebooks([2, 3])
    )):  # fmt: skip
        onnx.checker.check_model(proto, full_check=False)
