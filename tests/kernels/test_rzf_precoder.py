"""Regularised zero forcing against numpy.linalg.solve in complex128."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from one_step import EPS, same_bits
from precoder_oracles import messages, rzf_precoder

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.runtime import Part

Array = Any


def codebook_of(bits: int, antennas: int, seed: int = 0) -> Array:
    """Codewords of length 1."""
    book = np.random.default_rng(seed).standard_normal((2**bits, antennas, 2))
    return (book / np.linalg.norm(book, axis=(1, 2), keepdims=True)).astype(np.float32)


def run(payload: Array, codebook: Array, streams: int, bits: int, loading: float) -> Array:
    hand = HandPlan(n_max=2)
    x = hand.input("payload", ("n", *payload.shape[1:]), np.uint8)
    v = hand.output("v", ("n", payload.shape[1], streams, codebook.shape[1], 2))
    operands = [x, hand.constant("codebook", codebook)]
    hand.step(Op.RZF_PRECODER, operands, [v], bits=bits, loading=loading)
    bundle = write_bundle(hand.plan())
    y = Part(bundle).run(payload)[0]
    assert same_bits(y, Part(bundle, isa="reference").run(payload)[0])
    return y


@pytest.mark.parametrize("loading", [1e-3, 0.1, 3.0])
@pytest.mark.parametrize(
    ("bits", "users", "streams", "antennas"),
    [(6, 4, 1, 8), (6, 2, 2, 8), (1, 8, 1, 4), (10, 3, 2, 5), (12, 1, 2, 2), (3, 16, 1, 16),
     (12, 16, 1, 32), (1, 16, 3, 1)],
)  # fmt: skip
def test_against_numpy(bits: int, users: int, streams: int, antennas: int, loading: float) -> None:
    book = codebook_of(bits, antennas, seed=bits)
    payload = messages(np.random.default_rng(1).integers(0, 2**bits, (300, users)), bits, seed=2)
    v = run(payload, book, streams, bits, loading)
    wanted = rzf_precoder(payload, book, streams, bits, loading)
    assert np.abs(v - wanted).max() <= bound(users, loading)
    assert not v.flags.writeable or np.isfinite(v).all()
    assert all(np.array_equal(v[:, :, 0], v[:, :, j]) for j in range(streams))


def bound(users: int, loading: float) -> float:
    """Two roundings times the condition of A^H A + loading I, at most (K + loading) / loading."""
    return 2 * EPS * (users + loading) / loading + 4 * EPS


def test_a_codeword_alone_is_its_own_precoder() -> None:
    book = codebook_of(4, 8)
    payload = messages(np.arange(16)[:, None], 4)
    np.testing.assert_allclose(run(payload, book, 1, 4, 0.5)[:, 0, 0], book, atol=4 * EPS)


def test_every_byte() -> None:
    for bits in (3, 11):
        size = -(-bits // 8)
        book = codebook_of(bits, 4, seed=bits)
        payload = np.random.default_rng(3).integers(0, 256, (512 * size, 2, size)).astype(np.uint8)
        for place in range(2 * size):
            payload[256 * place : 256 * (place + 1)].reshape(256, -1)[:, place] = np.arange(256)
        v = run(payload, book, 1, bits, 0.1)
        assert np.abs(v - rzf_precoder(payload, book, 1, bits, 0.1)).max() <= bound(2, 0.1)


@pytest.mark.parametrize("size", [3.4e38, 1e30, 1e19, 1e-19, 1e-30, 1e-45])
@pytest.mark.parametrize("loading", [1e-45, 1e-3, 3.4e38])
def test_no_codebook_and_no_loading_makes_a_nan(size: float, loading: float) -> None:
    """Overflow and underflow: finite everywhere, columns of length 1 or 0."""
    book = codebook_of(2, 4).astype(np.float64)
    book = (book / np.abs(book).max() * size).astype(np.float32)
    book[3] = book[2]  # two users of one direction
    payload = messages(np.array(np.unravel_index(np.arange(64), (4, 4, 4))).T, 2)
    v = run(payload, book, 2, 2, loading).astype(np.float64)
    assert np.isfinite(v).all()
    lengths = (v**2).sum(axis=(3, 4))
    assert ((lengths == 0) | (np.abs(lengths - 1) < 1e-5)).all()


def test_zero_codewords_stay_zero() -> None:
    book = codebook_of(1, 4)
    book[0] = 0
    v = run(messages(np.array([[0, 1], [0, 0]]), 1), book, 1, 1, 0.1)
    assert not v[0, 0].any()
    assert not v[1].any()
    np.testing.assert_allclose(v[0, 1, 0], book[1], atol=4 * EPS)
