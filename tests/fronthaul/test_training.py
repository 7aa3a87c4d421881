"""Training of tables and networks: what a step must do, and that a seed fixes it."""

from __future__ import annotations

import numpy as np
import pytest

from csideploy.errors import InputError
from csideploy.fronthaul.channels import carrier, draw
from csideploy.fronthaul.codebooks import Codebooks
from csideploy.fronthaul.evaluate import deployed_row, scene
from csideploy.fronthaul.link import prepare
from csideploy.fronthaul.quality import gaussian_symbols
from csideploy.fronthaul.searches import look_up, table_indices
from csideploy.fronthaul.setup import Setup
from csideploy.training.fronthaul_networks import train_networks
from csideploy.training.fronthaul_tables import _least_squares, train_tables

SMALL = Setup((1, 2, 3), (2, 1, 3), users=2, receive_antennas=2, streams=1)
NEURAL = Setup((4, 4), (12, 10), users=2, receive_antennas=2, streams=1)


def test_table_step_lowers_the_interference_and_holds_the_power() -> None:
    rng = np.random.default_rng(1)
    links = prepare(SMALL, carrier(draw("umi", SMALL, 8, rng)))
    s = gaussian_symbols(8, 50, SMALL.total_streams, rng)
    tables = tuple(
        (rng.normal(size=(1 << b, n, 2)) * 0.6).view(np.complex128)[..., 0].astype(np.complex64)
        for b, n in zip(SMALL.bits, SMALL.antennas, strict=True)
    )
    start = Codebooks("smq", SMALL, tables=tables)
    gamma = rng.uniform(0.7, 1, (8, SMALL.rus))
    indices = table_indices(start, links, s, gamma)

    def interference(held: tuple[np.ndarray, ...]) -> float:
        heard = look_up(held, indices) @ np.swapaxes(links.gained(gamma), 1, 2)
        return float(np.sum(np.abs(heard - links.wanted(s)) ** 2))

    found = _least_squares(start, links, s, gamma, indices)
    assert interference(found) < interference(tables)
    for m, table in enumerate(found):
        power = np.mean(np.sum(np.abs(table[indices[..., m]]) ** 2, axis=-1))
        assert power <= 1 + 1e-4  # bisection to 1e-6 of lambda, tables in float32
    # Of each RU, with the others held: no small step within the power is better.
    for m, table in enumerate(found):
        for _ in range(10):
            step = 0.01 * rng.normal(size=(*table.shape, 2)).view(np.complex128)[..., 0]
            other = table + step
            power = np.mean(np.sum(np.abs(other[indices[..., m]]) ** 2, axis=-1))
            changed = [*found]
            changed[m] = other / max(1, np.sqrt(power))
            # Three sweeps over the RUs come within 1 % of the joint minimum.
            assert interference(found) <= interference(tuple(changed)) * 1.01


def test_a_seed_fixes_tables_and_networks() -> None:
    options = {"channel": "rayleigh", "channels": 6, "symbols": 20, "rounds": 1}
    one, two = (train_tables("pmq", SMALL, seed=3, **options) for _ in range(2))
    for a, b in zip(one.tables, two.tables, strict=True):
        np.testing.assert_array_equal(a, b)
    options = {"channel": "rayleigh", "channels": 6, "steps": 3, "iterations": 10}
    first, second = (train_networks("neural-mq", NEURAL, seed=3, **options) for _ in range(2))
    for a, b in zip(first.networks, second.networks, strict=True):
        for x, y in zip(a.weights, b.weights, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("method", ["neural-mq", "neural-vq"])
def test_training_makes_networks_better(method: str) -> None:
    place = scene("umi-links", NEURAL, blocks=10, seed=5)
    options = {"channel": "umi-links", "channels": 40, "iterations": 40, "seed": 1}
    before, after = (
        deployed_row(place, train_networks(method, NEURAL, steps=n, **options), errors=False)
        for n in (1, 120)
    )
    assert after["efficiency"] > before["efficiency"] + 0.3


@pytest.mark.parametrize("layers", [0, 2])
def test_other_depths_and_mixed_users(layers: int) -> None:
    more = Setup((4, 4), (12, 10), users=3, receive_antennas=2, streams=1)
    made = train_networks(
        "neural-mq", [NEURAL, more], channel="rayleigh", layers=layers, steps=4, channels=5,
        iterations=5,
    )  # fmt: skip
    assert [one.layers for one in made.networks] == [layers, layers]
    assert made.about["users"] == [2, 3]


def test_networks_of_two_units_may_be_all_off() -> None:
    tiny = Setup((2,) * 8, (2,) * 8, users=3, receive_antennas=2, streams=1)
    made = train_networks("neural-mq", tiny, channel="umi", steps=30, channels=20, seed=1)
    assert all(np.isfinite(w).all() for one in made.networks for w in one.weights)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="mq searches all"):
        train_tables("mq", Setup((2,) * 4, (8,) * 4), channel="rayleigh")
    with pytest.raises(InputError, match="0 to 2"):
        train_networks("neural-mq", NEURAL, channel="rayleigh", layers=3)
    with pytest.raises(InputError, match="users and SNR alone"):
        train_networks("neural-mq", [NEURAL, Setup()], channel="rayleigh")
    with pytest.raises(InputError, match="are right"):
        train_tables("vq", SMALL, channel="moon")
