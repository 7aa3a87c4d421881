"""Precoder, receivers, effective interference and quality against formulas written out."""

from math import erfc, sqrt
from typing import Any

import numpy as np
import pytest

from csideploy.errors import InputError
from csideploy.fronthaul.link import (
    WHITENING,
    Links,
    Receiver,
    antenna_powers,
    mmse_precoder,
    own_step,
    per_antenna,
    power_gains,
    prepare,
    whitener,
)
from csideploy.fronthaul.quality import gaussian_symbols, measure, qam16_symbols, symbol_errors
from csideploy.fronthaul.setup import Setup

Array = Any
SEVERAL = Setup(
    antennas=(2, 5, 3), bits=(4, 8, 6), users=3, receive_antennas=3, streams=2, snr_db=12.0
)
SINGLE = Setup(
    antennas=(1, 3, 2), bits=(2, 4, 3), users=4, receive_antennas=1, streams=1, snr_db=9.0
)


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def channels(setup: Setup, count: int = 4, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return normal(rng, count, setup.users, setup.receive_antennas, setup.total_antennas)


def links_of(setup: Setup, receiver: Receiver = "localized", seed: int = 0) -> Links:
    return prepare(setup, channels(setup, seed=seed), receiver)


def streams_of(setup: Setup, user: int) -> slice:
    return slice(user * setup.streams, (user + 1) * setup.streams)


@pytest.mark.parametrize("setup", [SEVERAL, SINGLE, Setup()])
def test_the_precoder_keeps_the_power_of_every_ru(setup: Setup) -> None:
    w = links_of(setup).w
    assert w.shape == (4, setup.total_antennas, setup.total_streams)
    for block in w:
        powers = [np.linalg.norm(block[span]) ** 2 for span in setup.spans]
        assert max(powers) == pytest.approx(1)
        assert min(powers) < 1 + 1e-9


def test_the_precoder_against_its_formula() -> None:
    setup, h = SEVERAL, channels(SEVERAL)
    w = mmse_precoder(setup, h)
    for block, found in zip(h, w, strict=True):
        rows = []
        for channel in block:
            values, vectors = np.linalg.eigh(channel @ channel.conj().T)
            strongest = vectors[:, np.argsort(values)[::-1][: setup.streams]]
            rows.append(strongest.conj().T @ channel)
        g = np.concatenate(rows)
        # (G^H G + a I)^-1 G^H, the other side of the matrix inversion lemma.
        load = setup.total_streams * setup.noise / setup.rus * np.eye(setup.total_antennas)
        expected = np.linalg.inv(g.conj().T @ g + load) @ g.conj().T
        # An eigenvector is known up to its phase.
        likeness = np.abs((expected.conj() * found).sum(axis=0))
        ratio = likeness / (np.linalg.norm(expected, axis=0) * np.linalg.norm(found, axis=0))
        np.testing.assert_allclose(ratio, 1, atol=1e-9)
        scale = np.linalg.norm(found, axis=0) / np.linalg.norm(expected, axis=0)
        np.testing.assert_allclose(scale, scale[0], rtol=1e-9)


@pytest.mark.parametrize("receiver", ["localized", "full"])
@pytest.mark.parametrize("setup", [SEVERAL, SINGLE])
def test_receivers_against_their_formulas(setup: Setup, receiver: Receiver) -> None:
    links = links_of(setup, receiver)
    for c in range(len(links)):
        for n in range(setup.users):
            h = links.h[c, n]
            heard = range(setup.users) if receiver == "full" else [n]
            covariance = setup.noise * np.eye(setup.receive_antennas, dtype=complex)
            for other in heard:
                part = h @ links.w[c][:, streams_of(setup, other)]
                covariance += part @ part.conj().T
            own = h @ links.w[c][:, streams_of(setup, n)]
            expected = np.linalg.inv(covariance) @ own
            np.testing.assert_allclose(links.f[c, n], expected, atol=1e-10)
            rows = links.a[c, streams_of(setup, n)]
            np.testing.assert_allclose(rows, expected.conj().T @ h, atol=1e-10)


def draws(setup: Setup, links: Links, uses: int = 3, seed: int = 1) -> tuple[Array, Array, Array]:
    """Gamma, signals of RUs before it, symbols."""
    rng = np.random.default_rng(seed)
    gamma = rng.uniform(0.3, 1, (len(links), setup.rus))
    x = normal(rng, len(links), uses, setup.total_antennas)
    return gamma, x, gaussian_symbols(len(links), uses, setup.total_streams, rng)


def interference(f: Array, h: Array, sent: Array, s: Array) -> float:
    """Eq. (42) as the paper has it: one user, one channel use."""
    got = (f.conj().T @ h @ sent)[:, None]
    return float(np.trace(got @ (got - 2 * s[:, None]).conj().T).real)


def test_residual_is_the_effective_interference_of_all_users() -> None:
    setup, links = SEVERAL, links_of(SEVERAL)
    gamma, x, s = draws(setup, links)
    c, d = links.gained(gamma), links.wanted(s)
    for i in range(len(links)):
        matrix = np.diag(np.repeat(gamma[i], setup.antennas))
        for r in range(s.shape[1]):
            expected = sum(
                interference(
                    links.f[i, n], links.h[i, n], matrix @ x[i, r], s[i, r, streams_of(setup, n)]
                )
                for n in range(setup.users)
            )
            residual = np.linalg.norm(c[i] @ x[i, r] - d[i, r]) ** 2
            assert residual - np.linalg.norm(s[i, r]) ** 2 == pytest.approx(expected)


def test_residual_of_single_antennas_is_eq_22_and_weighted_eq_42() -> None:
    setup, links = SINGLE, links_of(SINGLE)
    assert links.scalar
    gamma, x, s = draws(setup, links)
    c, d = links.gained(gamma), links.wanted(s)
    for i in range(len(links)):
        matrix = np.diag(np.repeat(gamma[i], setup.antennas))
        for r in range(s.shape[1]):
            residual = np.abs(c[i] @ x[i, r] - d[i, r]) ** 2
            for n in range(setup.users):
                h = links.h[i, n]
                own = h @ links.w[i][:, n]
                missed = h @ (matrix @ x[i, r] - links.w[i][:, n] * s[i, r, n])
                assert residual[n] == pytest.approx(np.abs(missed[0]) ** 2)
                # With F_n = ((H_n W_n)^H)^-1, up to |s_n|^2, which no bit changes.
                f = np.linalg.inv(own.reshape(1, 1).conj().T)
                weighted = interference(f, h, matrix @ x[i, r], s[i, r, n : n + 1])
                weighted += float(np.abs(s[i, r, n]) ** 2)
                assert residual[n] == pytest.approx(np.abs(own[0]) ** 2 * weighted)


def test_powers_and_gains_of_unequal_rus() -> None:
    setup = SEVERAL
    size = np.array([0.1] * 2 + [2] * 8)
    x = size * normal(np.random.default_rng(3), 2, 50, setup.total_antennas)
    gamma = power_gains(setup, x)
    powers = antenna_powers(setup, np.mean(np.abs(per_antenna(setup, gamma)[:, None] * x) ** 2, 1))
    np.testing.assert_array_equal(gamma[:, 0], 1)
    assert (powers[:, 0] < 1).all()
    np.testing.assert_allclose(powers[:, 1:], 1)
    np.testing.assert_array_equal(power_gains(setup, np.zeros_like(x)), 1)


def test_whitener_flattens_the_strong_directions() -> None:
    a = links_of(SEVERAL).a
    t = whitener(a)
    np.testing.assert_allclose(t, np.conj(np.swapaxes(t, 1, 2)), atol=1e-12)
    values = np.linalg.eigvalsh(a @ np.conj(np.swapaxes(a, 1, 2)))
    found = np.linalg.eigvalsh(t @ a @ np.conj(np.swapaxes(t @ a, 1, 2)))
    np.testing.assert_allclose(found, values / (values + WHITENING * values[:, -1:]), atol=1e-9)


def test_the_step_is_that_of_the_largest_ru() -> None:
    assert own_step(SEVERAL, 0.5) == 5


@pytest.mark.parametrize("receiver", ["localized", "full"])
@pytest.mark.parametrize("setup", [SEVERAL, SINGLE])
def test_measure_against_explicit_noise(setup: Setup, receiver: Receiver) -> None:
    links = links_of(setup, receiver)
    _, _, s = draws(setup, links, uses=40)
    rng = np.random.default_rng(5)
    # Precoded signals with an error, as a quantizer leaves it.
    sent = np.einsum("ctl,crl->crt", links.w, s) + 0.1 * normal(rng, 4, 40, setup.total_antennas)
    found = measure(links, sent, s)
    repeats = 1000
    for i in range(len(links)):
        plain = above = sinr = 0.0
        for n in range(setup.users):
            shape = (repeats, 40, setup.receive_antennas)
            heard = sent[i] @ links.h[i, n].T + normal(rng, *shape) * np.sqrt(setup.noise)
            own = s[i, :, streams_of(setup, n)]
            error = (heard @ links.f[i, n].conj() - own).reshape(-1, setup.streams)
            covariance = error.T @ error.conj() / len(error)
            plain -= np.log2(np.linalg.det(covariance).real)
            above += np.log2(np.linalg.det(np.eye(setup.streams) + covariance).real)
            if links.scalar:
                gain = (links.h[i, n] @ links.w[i][:, n])[0]
                rest = np.mean(np.abs(heard[..., 0] - gain * own[:, 0]) ** 2)
                sinr += np.log2(1 + np.abs(gain) ** 2 / rest)
        assert found.plain[i] == pytest.approx(plain, abs=0.05)
        assert found.efficiency[i] == pytest.approx(plain + above, abs=0.05)
        if found.sinr_efficiency is not None:
            assert found.sinr_efficiency[i] == pytest.approx(sinr, abs=0.05)
    assert (found.sinr_efficiency is not None) == links.scalar


def test_silence_says_one_bit_a_stream_and_none_in_plain() -> None:
    """With receivers so deaf that E = I."""
    links = links_of(SEVERAL)
    deaf = Links(links.setup, links.h, links.w, 1e-9 * links.f, 1e-9 * links.a)
    rng = np.random.default_rng(0)
    # QAM symbols whose sample covariance is exactly the unit matrix are not drawn, but made.
    uses = SEVERAL.total_streams
    s = np.broadcast_to(np.linalg.qr(normal(rng, uses, uses))[0] * np.sqrt(uses), (4, uses, uses))
    quality = measure(deaf, np.zeros((4, uses, SEVERAL.total_antennas)), s)
    np.testing.assert_allclose(quality.efficiency, SEVERAL.total_streams)
    np.testing.assert_allclose(quality.plain, 0, atol=1e-6)


def test_symbols_have_unit_power() -> None:
    rng = np.random.default_rng(0)
    qam = qam16_symbols(1, 4000, 2, rng)
    assert len(np.unique(np.round(qam, 6))) == 16
    assert np.mean(np.abs(qam) ** 2) == pytest.approx(1, abs=0.03)
    assert np.mean(np.abs(gaussian_symbols(1, 4000, 2, rng)) ** 2) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("snr_db", [6.0, 12.0, 16.0])
@pytest.mark.parametrize("streams", [1, 2])
def test_symbol_errors_of_an_ideal_link(snr_db: float, streams: int) -> None:
    """No interference, equal gains: 16-QAM over white noise."""
    setup = Setup(
        antennas=(2 * streams,), bits=(1,), users=2, receive_antennas=streams, streams=streams,
        snr_db=snr_db,
    )  # fmt: skip
    size = 2 * streams
    h = np.eye(size, dtype=complex).reshape(1, 2, streams, size)
    links = prepare(setup, h)
    rng = np.random.default_rng(7)
    uses = 40_000
    s = qam16_symbols(1, uses, size, rng)
    sent = s @ links.w[0].T
    # The one RU shares its power of 1 among all streams.
    snr = 1 / (size * setup.noise)
    tail = 0.5 * erfc(sqrt(snr / 5) / sqrt(2))
    expected = 1 - (1 - 1.5 * tail) ** 2
    sigma = sqrt(expected * (1 - expected) / (uses * size))
    assert abs(symbol_errors(links, sent, s, rng)[0] - expected) < 3 * sigma


def test_without_noise_no_symbol_is_wrong() -> None:
    setup = Setup(antennas=(4, 8), bits=(1, 1), users=2, receive_antennas=2, streams=2, snr_db=60.0)
    links = prepare(setup, channels(setup))
    rng = np.random.default_rng(0)
    s = qam16_symbols(4, 200, 4, rng)
    sent = np.einsum("ctl,crl->crt", links.w, s)
    np.testing.assert_array_equal(symbol_errors(links, sent, s, rng), 0)
    np.testing.assert_allclose(symbol_errors(links, 0 * sent, s, rng).mean(), 15 / 16, atol=0.05)


def test_more_streams_than_antennas_are_refused() -> None:
    with pytest.raises(InputError, match="2 streams of a user from 1 antennas"):
        Setup(antennas=(1,), bits=(4,), users=1, receive_antennas=2, streams=2)
