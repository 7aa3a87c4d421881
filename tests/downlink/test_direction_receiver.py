"""The receiver of conventional precoders as ONNX and as a part, against float64 and `choose`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from csideploy.baselines.feedback import Distance, choose, weights
from csideploy.downlink.channels import dft_pilots, estimate, estimator, observe, rayleigh
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.direction_receiver import direction_receiver
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part

Array = NDArray[Any]
SETUPS = [
    Setup(antennas=8, streams=1, users=8),
    Setup(antennas=8, streams=2, users=4),
    Setup(antennas=8, streams=4, users=2, bits=8),
    Setup(antennas=4, streams=2, users=2, bits=1, pilots=3),
]
CASES: list[tuple[Setup, int, Distance, float]] = [
    case
    for setup in SETUPS
    for case in (
        (setup, 1, "chordal", 10.0),
        (setup, setup.streams, "chordal", 10.0),
        (setup, 1, "sinr", 1.0),
        (setup, 1, "sinr", 1000.0),
    )
]


def codewords(setup: Setup, rank: int) -> Array:
    shape = (1 << setup.bits, setup.antennas, rank, 2)
    parts = np.random.default_rng(rank).standard_normal(shape)
    return np.linalg.qr(parts[..., 0] + 1j * parts[..., 1])[0].astype(np.complex64)


@cache
def pilots_of(setup: Setup, n: int = 60) -> Array:
    """What all users hear: (n K, L, N, 2)."""
    rng = np.random.default_rng(7)
    h = rayleigh(setup, n, rng)
    return observe(setup, h, dft_pilots(setup), rng).reshape(-1, setup.pilots, setup.streams, 2)


def loading_of(setup: Setup, distance: Distance, power: float) -> float:
    if distance == "chordal":
        return 0.0
    noise, around = weights(setup, power, 1)
    return noise / around


def run_both(setup: Setup, codebook: Array, loading: float | None, y: Array) -> tuple[Array, Array]:
    """Codes by ONNX Runtime and by the compiled part; the payload is that of the codes."""
    model = direction_receiver(
        codebook, estimator(setup, dft_pilots(setup)), streams=setup.streams, loading=loading
    )
    found = Oracle(model.SerializeToString(), name="ue.onnx").run(y)
    codes, payload = Part(write_bundle(compile_model(model, part="quantizer", side="ue"))).run(y)
    for ones, messages in ((found["codes"], found["payload"]), (codes, payload)):
        assert ones.dtype == np.uint8
        assert ones.shape == messages.shape == (len(y), 1)
        np.testing.assert_array_equal(messages, ones << (8 - setup.bits))
        assert ones.max() < 1 << setup.bits
    return found["codes"][:, 0], codes[:, 0]


def scores(setup: Setup, codebook: Array, loading: float | None, y: Array) -> Array:
    """What the index shall maximise, from the definitions in complex128: (n, 2^B).

    tr(A^H H (H^H H + rho I)^-1 H^H A); without end of rho, rho times it, tr(A^H H H^H A).
    """
    s = np.sqrt(setup.pilot_power) * dft_pilots(setup).T
    heard = y[..., 0].astype(np.float64) + 1j * y[..., 1]
    h = (s.conj().T @ np.linalg.inv(s @ s.conj().T + np.eye(setup.pilots)) @ heard).conj()
    inner = np.broadcast_to(np.eye(setup.streams), (len(y), setup.streams, setup.streams))
    if loading is not None:
        inner = np.linalg.inv(h.conj().swapaxes(1, 2) @ h + loading * np.eye(setup.streams))
    words = codebook.astype(np.complex128)
    g = h.conj().swapaxes(1, 2)[:, None] @ words
    return np.einsum("njar,nab,njbr->nj", g.conj(), inner, g).real


def assert_best(codes: Array, wanted: Array, exact: Array) -> None:
    """The wanted index, or one whose exact score is as good but for rounding.

    Scores are sums of at most 4 x 4 squares of float32 products over 16 numbers, of a basis whose
    condition number is below 100: 1e-4 of them is far above their rounding and below their gaps.
    """
    places = np.arange(len(codes))
    best = exact.max(axis=1)
    assert (best - exact[places, codes] <= 1e-4 * best).all()
    assert (codes == wanted).mean() >= 0.99


@pytest.mark.parametrize(("setup", "rank", "distance", "power"), CASES, ids=str)
def test_index_of_choose(setup: Setup, rank: int, distance: Distance, power: float) -> None:
    y, codebook = pilots_of(setup), codewords(setup, rank)
    loading = loading_of(setup, distance, power)
    exact = scores(setup, codebook, loading, y)
    h = estimate(setup, y, dft_pilots(setup))
    wanted = choose(setup, h, codebook, power, distance)
    assert_best(wanted, exact.argmax(axis=1), exact)
    for codes in run_both(setup, codebook, loading, y):
        assert_best(codes, wanted, exact)
    assert len(np.unique(wanted)) > 1


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_without_loading_the_received_energy(setup: Setup, rank: int) -> None:
    rank = min(rank, setup.streams)
    y, codebook = pilots_of(setup), codewords(setup, rank)
    exact = scores(setup, codebook, None, y)
    for codes in run_both(setup, codebook, None, y):
        assert_best(codes, exact.argmax(axis=1), exact)
    # It is the limit of large loadings.
    for codes in run_both(setup, codebook, 1e6, y):
        assert_best(codes, exact.argmax(axis=1), exact)


@pytest.mark.parametrize("loading", [0.0, 1.7, None])
@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_silence_still_has_an_index(setup: Setup, loading: float | None) -> None:
    """Zeros, and numbers whose squares are zero in float32; one such user beside others."""
    y = pilots_of(setup).copy()
    y[1] = 0
    y[3] *= np.float32(1e-30)
    y[5, :, 0] = 0
    codebook = codewords(setup, 1)
    others = [i for i in range(len(y)) if i not in (1, 3, 5)]
    whole = run_both(setup, codebook, loading, pilots_of(setup))
    for codes, before in zip(run_both(setup, codebook, loading, y), whole, strict=True):
        # All scores are 0: the first index. A score that is no number would be another one.
        assert codes[1] == 0
        assert codes[3] < 1 << setup.bits
        np.testing.assert_array_equal(codes[others], before[others])


def test_ties_go_to_the_lowest_index() -> None:
    """One antenna, an identity for an estimator, powers of two: scores equal to the last bit."""
    y = np.zeros((3, 4, 1, 2), np.float32)
    y[0, :, 0, 0] = 0.5
    y[1, [1, 3], 0, 1] = -2
    y[2, 2, 0] = 1
    units = np.eye(4, dtype=np.complex64)[:, :, None]
    for loading in (0.0, None):
        model = direction_receiver(units, np.eye(4, dtype=complex), streams=1, loading=loading)
        part = Part(write_bundle(compile_model(model, part="quantizer", side="ue")))
        for codes in (Oracle(model.SerializeToString(), name="ue").run(y)["codes"], part.run(y)[0]):
            assert codes[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("words", [1, 3, 63, 65, 512])
def test_codebooks_of_other_lengths(words: int) -> None:
    codebook = np.ones((words, 8, 1), np.complex64)
    with pytest.raises(InputError, match=rf"^{words} codewords; 2\^B with B from 1 to 8"):
        direction_receiver(codebook, np.ones((8, 8), complex), streams=2, loading=0.0)


def test_other_refusals() -> None:
    codebook = np.ones((4, 8, 1), np.complex64)
    with pytest.raises(InputError, match=r"estimator \(4, 8\) for codewords of 8 antennas"):
        direction_receiver(codebook, np.ones((4, 8), complex), streams=2, loading=0.0)
    for loading in (-1.0, np.inf, np.nan):
        with pytest.raises(InputError, match=r"loading .*; a number from 0, or None"):
            direction_receiver(codebook, np.ones((8, 8), complex), streams=2, loading=loading)
