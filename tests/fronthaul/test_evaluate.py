"""`evaluate` of fronthaul systems: its references, and rows that must hold by definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csideploy.errors import InputError
from csideploy.fronthaul import schemes
from csideploy.fronthaul.evaluate import (
    compress_precode_rows,
    deployed_row,
    evaluate_fronthaul,
    floating_point_rows,
    modulation_rows,
    reference_rows,
    scene,
    sweep,
)
from csideploy.fronthaul.link import antenna_powers
from csideploy.fronthaul.quality import gaussian_symbols, measure
from csideploy.fronthaul.searches import oracle, send, settle
from csideploy.fronthaul.setup import Setup
from csideploy.training.fronthaul_tables import train_tables

SMALL = Setup((2,) * 4, (2,) * 4, users=3, receive_antennas=2, streams=1)


def test_closed_form_is_the_mean_over_symbols() -> None:
    place = scene("rayleigh", SMALL, blocks=3, seed=1)
    s = gaussian_symbols(3, 40_000, SMALL.total_streams, np.random.default_rng(2))
    w = schemes.best_linear(place.links)
    closed = schemes.of_precoder(place.links, w)
    drawn = measure(place.links, s @ np.swapaxes(w, 1, 2), s)
    # 40,000 symbols: a covariance within 1 / sqrt(40,000) of itself, three sigma.
    np.testing.assert_allclose(drawn.efficiency, closed.efficiency, rtol=0.015)


@pytest.mark.parametrize("kind", ["rayleigh", "umi", "umi-links"])
def test_least_interference_is_least_and_keeps_every_power(kind: str) -> None:
    place = scene(kind, SMALL, blocks=6, seed=3)
    links = place.links
    best = schemes.best_linear(links)
    powers = antenna_powers(SMALL, np.sum(np.abs(best) ** 2, axis=-1))
    assert (powers <= 1 + 1e-9).all()

    def interference(w: np.ndarray) -> np.ndarray:
        return np.sum(np.abs(links.a @ w - np.eye(SMALL.total_streams)) ** 2, axis=(1, 2))

    least = interference(best)
    assert (least <= interference(links.w) + 1e-9).all()
    rng = np.random.default_rng(4)
    for _ in range(20):
        step = 0.02 * (rng.normal(size=best.shape) + 1j * rng.normal(size=best.shape))
        other = schemes._within_power(SMALL, best + step)
        # 300 rounds leave the multipliers within 1e-3 of the optimum.
        assert (least <= interference(other) * (1 + 1e-3)).all()


def test_bundles_send_what_the_oracle_sends() -> None:
    tables = train_tables("pmq", SMALL, channel="rayleigh", rounds=2, channels=10, symbols=40)
    place = scene("rayleigh", SMALL, blocks=4, seed=5)
    row = deployed_row(place, tables)
    search = oracle(tables)
    gamma = settle(search, place.links, place.gaussian, tables.rounds)
    sent = send(search, place.links, place.gaussian, gamma)
    expected = measure(place.links, sent, place.gaussian).efficiency.mean()
    # The bundle reads float32 channels: of its near-ties a few fall the other way.
    assert row["efficiency"] == pytest.approx(float(expected), rel=2e-3)


def test_joint_search_beats_each_ru_by_itself() -> None:
    common = {"channel": "rayleigh", "rounds": 5, "channels": 30, "symbols": 60}
    made = {name: train_tables(name, SMALL, **common) for name in ("vq", "smq", "mq")}
    place = scene("rayleigh", SMALL, blocks=20, seed=6)
    found = {name: deployed_row(place, one, errors=False) for name, one in made.items()}
    assert found["vq"]["efficiency"] < found["smq"]["efficiency"] < found["mq"]["efficiency"]


def test_linear_precoding_has_no_margin_over_itself_and_bfp_comes_near() -> None:
    place = scene("umi-links", SMALL, blocks=5, seed=7)
    linear, least = reference_rows(place)
    assert linear["margin"] == 0
    assert least["bits"] is None
    rows = floating_point_rows(place, errors=False)
    values = [row["efficiency"] for row in rows]
    assert values == sorted(values)
    assert 0 < linear["efficiency"] - values[-1] < 0.02 * linear["efficiency"]
    assert rows[-1]["bits"] == pytest.approx(2 * (8 + 24 * 9) / 12)


def test_cp_is_limited_by_its_links_until_it_is_not() -> None:
    place = scene("umi-links", SMALL, blocks=5, seed=8)
    rows = compress_precode_rows(place, [2.0, 6.0, 12.0, 200.0])
    assert [row["link_limited"] for row in rows] == [True, True, True, False]
    for row in rows[:3]:
        load = SMALL.antennas[0] * SMALL.total_streams * row["precoder_bits"] / row["reuse"]
        assert row["efficiency"] <= 0.5 * (row["bits"] - load) + 1e-9
    assert rows[-1]["efficiency"] < reference_rows(place, errors=False)[0]["efficiency"]


def test_modulation_compression_carries_its_bits_and_no_more() -> None:
    place = scene("umi-links", SMALL, blocks=5, seed=8)
    rows = modulation_rows(place)
    assert [row["order"] for row in rows] == [2, 4, 6, 8]
    streams, antennas = SMALL.total_streams, SMALL.antennas[0]
    for row in rows:
        weights = streams * (8 + 2 * 9 * antennas) / row["reuse"]
        assert row["bits"] == pytest.approx(row["order"] * streams + weights)
        # The best code rate, not CP's 0.5: what the constellation holds, or what the radio takes.
        most = 948 / 1024 * row["order"] * streams
        assert row["efficiency"] <= most + 1e-9
        assert row["link_limited"] == ("plain" not in row)
    assert rows[0]["efficiency"] == pytest.approx(948 / 1024 * 2 * streams)
    assert rows[0]["link_limited"]
    assert not rows[-1]["link_limited"]
    assert ["symbol_errors" in row for row in rows] == [False, True, False, False]
    # Weights of 9 bits are as good as those of the finest uniform quantizer, to a thousandth.
    h = schemes.band(place.drop)
    fine, own = (
        schemes.compress_precode(
            SMALL, h, shared, "localized", place.qam, np.random.default_rng(1)
        ).efficiency.mean()
        for shared in (schemes.SharedPrecoder(64), schemes.MODULATION_PRECODERS[-1])
    )
    assert own == pytest.approx(fine, rel=1e-3)


def test_evaluate_and_sweeps_have_a_row_for_everything() -> None:
    tables = train_tables("smq", SMALL, channel="rayleigh", rounds=1, channels=5, symbols=20)
    result = evaluate_fronthaul({"rayleigh": [("mine", tables)]}, SMALL, blocks=2, seed=1)
    assert {row["system"] for row in result["rows"]} == {
        "mine", "cp", "cp-mod", "bfp", "linear-infinite", "least-interference",
    }  # fmt: skip
    found = sweep([("mine", tables)], SMALL, "users", [1, 2], channel="rayleigh", blocks=2, seed=1)
    assert [(row["users"], row["system"]) for row in found["rows"]] == [
        (1, "mine"), (1, "linear-infinite"), (2, "mine"), (2, "linear-infinite"),
    ]  # fmt: skip


def test_bad_input() -> None:
    tables = train_tables("vq", SMALL, channel="rayleigh", channels=5, symbols=20)
    with pytest.raises(InputError, match="at least 2 channels"):
        scene("rayleigh", SMALL, blocks=1, seed=1)
    other = scene("rayleigh", replace(SMALL, antennas=(1, 2, 2, 2)), blocks=2, seed=1)
    with pytest.raises(InputError, match="antennas"):
        deployed_row(other, tables)
    with pytest.raises(InputError, match="sweep over"):
        sweep([], SMALL, "weather", [1], channel="rayleigh", blocks=2, seed=1)
