"""Channels of the fronthaul study: Rayleigh, the light street canyon, and Sionna's."""

import sys
from typing import Any

import numpy as np
import pytest

from csideploy.channels import umi_parameters
from csideploy.errors import InputError, MissingDependencyError
from csideploy.fronthaul import umi
from csideploy.fronthaul.channels import KINDS, carrier, draw, link_gains
from csideploy.fronthaul.setup import Setup

Array = Any
UNEQUAL = Setup(antennas=(1, 4, 2), bits=(2, 8, 4), users=3, receive_antennas=2, streams=1)
OFFSETS = np.array([0.0, 1e6, -2.5e6])
SIGHT_PATHS = 12 * umi.RAYS + 1


def channels(kind: str, count: int, seed: int = 0, setup: Setup = UNEQUAL) -> Array:
    return carrier(draw(kind, setup, count, np.random.default_rng(seed)))


def delay_spread(power: Array, delay: Array) -> Array:
    share = power / power.sum(axis=-1, keepdims=True)
    mean = (share * delay).sum(axis=-1)
    return np.sqrt((share * delay**2).sum(axis=-1) - mean**2)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "sionna-umi":
        pytest.importorskip("sionna.phy")
    return str(request.param)


def test_shapes_with_unequal_antennas(kind: str) -> None:
    drop = draw(kind, UNEQUAL, 5, np.random.default_rng(1))
    h = drop.at(OFFSETS)
    assert h.shape == (5, 3, 3, 2, 7)
    assert h.dtype == np.complex64
    assert np.isfinite(h).all()
    np.testing.assert_array_equal(h[:, 0], carrier(drop))
    assert (link_gains(UNEQUAL, carrier(drop)) > 0).all()


def test_one_antenna_and_one_channel(kind: str) -> None:
    setup = Setup(antennas=(1,), bits=(1,), users=1, receive_antennas=1, streams=1)
    assert channels(kind, 1, setup=setup).shape == (1, 1, 1, 1)


def test_a_seed_gives_the_same_channels(kind: str) -> None:
    first, again, other = (channels(kind, 4, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_kind() -> None:
    with pytest.raises(InputError, match="channel uma: rayleigh, "):
        channels("uma", 1)


def test_rayleigh_entries_have_unit_variance_and_are_independent() -> None:
    h = channels("rayleigh", 4000).reshape(4000, -1)
    np.testing.assert_allclose(np.mean(np.abs(h) ** 2, axis=0), 1, atol=0.08)
    np.testing.assert_allclose(np.mean(h.real**2), 0.5, atol=0.01)
    covariance = h.T @ h.conj() / len(h)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.08
    assert np.abs(np.mean(h**2)) < 0.02


def test_rayleigh_is_flat() -> None:
    h = draw("rayleigh", UNEQUAL, 2, np.random.default_rng(0)).at(OFFSETS)
    np.testing.assert_array_equal(h, np.repeat(h[:, :1], 3, axis=1))


def test_every_link_has_unit_mean_gain() -> None:
    gains = link_gains(UNEQUAL, channels("umi-links", 20))
    sizes = np.array(UNEQUAL.antennas)[:, None] * UNEQUAL.receive_antennas
    np.testing.assert_allclose(gains, np.broadcast_to(sizes, gains.shape), rtol=1e-5)


@pytest.mark.parametrize("name", ["umi", "sionna-umi"])
def test_every_channel_has_unit_mean_gain_and_keeps_path_losses(name: str) -> None:
    if name == "sionna-umi":
        pytest.importorskip("sionna.phy")
    h = channels(name, 20)
    np.testing.assert_allclose(np.mean(np.abs(h) ** 2, axis=(1, 2, 3)), 1, rtol=1e-5)
    gains = link_gains(UNEQUAL, h)
    assert np.median(gains.max(axis=(1, 2)) / gains.min(axis=(1, 2))) > 100


def test_the_two_scales_differ_by_a_factor_a_link() -> None:
    links, whole = channels("umi-links", 6), channels("umi", 6)
    for span in UNEQUAL.spans:
        factor = links[..., span] / whole[..., span]
        first = np.broadcast_to(factor[:, :, :1, :1], factor.shape)
        np.testing.assert_allclose(factor, first, rtol=2e-4)


@pytest.mark.parametrize("name", ["umi", "umi-links", "sionna-umi"])
def test_frequencies_correlate_less_the_farther_apart(name: str) -> None:
    if name == "sionna-umi":
        pytest.importorskip("sionna.phy")
    setup = Setup(antennas=(2,) * 4, bits=(4,) * 4, receive_antennas=2)
    offsets = np.array([0.0, 0.1e6, 0.5e6, 2e6, 8e6])
    h = draw(name, setup, 40, np.random.default_rng(5)).at(offsets)
    # Of every link by itself: the strongest would hide the others.
    likeness = []
    for span in setup.spans:
        part = h[..., span]
        product = np.abs((part[:, :1].conj() * part).sum(axis=(3, 4)))
        power = (np.abs(part) ** 2).sum(axis=(3, 4))
        likeness.append((product / np.sqrt(power[:, :1] * power)).mean(axis=(0, 2)))
    curve = np.mean(likeness, axis=0)
    assert curve[0] == pytest.approx(1)
    assert curve[1] > 0.97
    assert (np.diff(curve) < 0).all()
    assert curve[-1] < 0.85


@pytest.mark.parametrize(
    ("meters", "decibels"),
    [
        # d_3D = sqrt(100^2 + 8.5^2) = 100.3606; 32.4 + 21 log10(d_3D) + 20 log10(3.5).
        (100.0, 85.3142),
        (10.0, 66.7610),
        # Beyond the breakpoint 4 * 9 * 0.5 * 3.5e9 / c = 210.145 m, d_3D = 300.1204:
        # 32.4 + 40 log10(d_3D) + 20 log10(3.5) - 9.5 log10(210.145^2 + 8.5^2).
        (300.0, 98.2386),
    ],
)
def test_path_loss_in_sight(meters: float, decibels: float) -> None:
    assert umi._loss_sight_db(np.array(meters)) == pytest.approx(decibels, abs=1e-3)


def test_path_loss_is_continuous_at_the_breakpoint() -> None:
    near, far = umi._loss_sight_db(np.array([210.14, 210.15]))
    assert far - near == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("meters", "decibels"),
    # 35.3 log10(d_3D) + 22.4 + 21.3 log10(3.5); users at 1.5 m lose nothing for their height.
    [(100.0, 104.6438), (300.0, 121.4373)],
)
def test_path_loss_out_of_sight(meters: float, decibels: float) -> None:
    assert umi._loss_blocked_db(np.array(meters)) == pytest.approx(decibels, abs=1e-3)


def test_out_of_sight_never_loses_less() -> None:
    meters = np.linspace(umi_parameters.NEAREST_M, 400, 200)
    assert (umi._loss_blocked_db(meters) >= umi._loss_sight_db(meters)).all()


def test_probability_of_sight() -> None:
    # 18 / d + exp(-d / 36) (1 - 18 / d).
    meters = np.array([10.0, 18.0, 36.0, 100.0])
    expected = [1.0, 1.0, 0.5 + 0.5 * np.exp(-1), 0.230985]
    np.testing.assert_allclose(umi_parameters.sight_probability(meters), expected, atol=1e-5)


def test_links_are_in_sight_as_often_as_they_should() -> None:
    setup = Setup()
    drop = umi.drop(setup, 400, np.random.default_rng(8), unit_links=False)
    sight = (drop.gain[..., SIGHT_PATHS:] == 0).all(axis=-1)
    _, flat, _ = umi.place_users(setup, 400, np.random.default_rng(8))
    chance = umi_parameters.sight_probability(flat)
    sigma = np.sqrt((chance * (1 - chance)).sum())
    assert abs(sight.sum() - chance.sum()) < 3 * sigma


def test_delay_spreads_are_those_of_the_table() -> None:
    drop = umi.drop(Setup(), 300, np.random.default_rng(9), unit_links=False)
    spread = np.log10(delay_spread(np.abs(drop.gain) ** 2, drop.delay))
    sight = (drop.gain[..., SIGHT_PATHS:] == 0).all(axis=-1)
    # lgDS at 3.5 GHz: -0.24 log10(4.5) - 7.14 in sight, -0.24 log10(4.5) - 6.83 out of it.
    assert np.mean(spread[sight]) == pytest.approx(-7.297, abs=0.1)
    assert np.mean(spread[~sight]) == pytest.approx(-6.987, abs=0.1)


def test_rus_face_the_middle() -> None:
    towards = np.stack([np.cos(umi.facing(5)), np.sin(umi.facing(5))], axis=-1)
    places = umi.positions(5)
    reach = np.linalg.norm(places, axis=-1, keepdims=True)
    np.testing.assert_allclose(places + reach * towards, 0, atol=1e-9)


def test_users_stand_in_the_square() -> None:
    users, flat, _ = umi.place_users(UNEQUAL, 500, np.random.default_rng(0))
    assert users.shape == (500, 3, 2)
    assert np.abs(users).max() <= umi.SIDE_M / 2
    assert flat.min() == umi_parameters.NEAREST_M


def test_without_sionna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sionna.phy.channel", None)
    with pytest.raises(MissingDependencyError, match=r"needs (sionna|torch): pip install '"):
        channels("sionna-umi", 1)


def test_sionna_in_parts_and_its_generator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    phy = pytest.importorskip("sionna.phy")
    import torch

    from csideploy.fronthaul import sionna_umi

    monkeypatch.setattr(sionna_umi, "_RAYS_AT_ONCE", 1 << 14)
    before = phy.config.torch_rng("cpu").get_state(), torch.get_rng_state()
    h = channels("sionna-umi", 5)
    after = phy.config.torch_rng("cpu").get_state(), torch.get_rng_state()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert len({one.tobytes() for one in h}) == 5
    # Drawn one by one with one generator: no two alike up to a scale either.
    shapes = np.abs(h) / np.abs(h[:, :1, :1, :1])
    assert len({one.tobytes() for one in shapes}) == 5


@pytest.mark.parametrize("name", ["umi", "sionna-umi"])
def test_straight_paths_leave_the_ru_at_their_bearing(name: str) -> None:
    """Within 18 m all is in sight: the phase from antenna to antenna is that of the bearing."""
    if name == "sionna-umi":
        pytest.importorskip("sionna.phy")
    setup = Setup(antennas=(8,) * 4, bits=(8,) * 4, users=8, receive_antennas=1, streams=1)
    count = 150
    _, flat, bearing = umi.place_users(setup, count, np.random.default_rng(6))
    h = channels(name, count, 6, setup)[:, :, 0]
    seen, expected = [], []
    for m, span in enumerate(setup.spans):
        near = flat[:, :, m] < 18
        part = h[..., span][near]
        turn = (part[:, 1:] * part[:, :-1].conj()).sum(axis=-1)
        seen.append(turn / np.abs(turn))
        sine = np.sin(bearing[:, :, m] - umi.facing(4)[m])
        if name == "sionna-umi":
            # It numbers antennas the other way, and looks down at the user.
            sine *= -flat[:, :, m] / np.hypot(
                flat[:, :, m], umi_parameters.SITE_HEIGHT_M - umi_parameters.USER_HEIGHT_M
            )
        expected.append(np.exp(-1j * np.pi * sine[near]))
    likeness = np.concatenate(seen) * np.concatenate(expected).conj()
    assert len(likeness) > 100
    assert np.mean(likeness.real) > 0.95


def test_light_street_canyon_against_sionna() -> None:
    """Delay spread, spread of link gains and of singular values."""
    pytest.importorskip("sionna.phy")
    setup = Setup(antennas=(4,) * 4, bits=(8,) * 4)
    found = {}
    for name, count in (("umi", 200), ("sionna-umi", 80)):
        drop: Any = draw(name, setup, count, np.random.default_rng(2))
        if name == "umi":
            power, delay = np.abs(drop.gain) ** 2, drop.delay
        else:
            power = np.stack([(np.abs(g) ** 2).sum(axis=(2, 3)) for g in drop.gains], axis=2)
            delay = np.stack(drop.delays, axis=2)
        h = carrier(drop)
        values = [np.linalg.svd(h[..., span], compute_uv=False) for span in setup.spans]
        found[name] = {
            "delay spread": np.median(delay_spread(power, delay)) * 1e9,
            "link gains": 10 * np.std(np.log10(link_gains(setup, h))),
            "ratio": np.median([v[..., 0] / v[..., 1] for v in values]),
        }
    light, full = found["umi"], found["sionna-umi"]
    # From seed to seed the difference has sigmas of 4 %, 0.2 dB and 3 %.
    assert light["delay spread"] == pytest.approx(full["delay spread"], rel=0.15)
    assert light["link gains"] == pytest.approx(full["link gains"], abs=1)
    assert light["ratio"] == pytest.approx(full["ratio"], rel=0.15)
