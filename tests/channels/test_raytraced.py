"""Ray-traced users: straight paths by formula, places, seeds, and what is missing."""

import itertools
import os
from typing import Any

import numpy as np
import pytest

from csideploy.channels import raytraced
from csideploy.channels.heard import panel
from csideploy.channels.raytraced import (
    BS_HEIGHT_M,
    SIDE_M,
    USER_HEIGHT_M,
    City,
    found_twice,
    raytraced_users,
)
from csideploy.errors import InputError, MissingDependencyError

WAVELENGTH = 299_792_458 / 3.5e9


@pytest.fixture(scope="module")
def city() -> City:
    try:
        return City("etoile", 4)
    except MissingDependencyError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def few_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raytraced, "RAYS", 5000)
    monkeypatch.setattr(raytraced, "_BATCH", 12)


def test_a_straight_path(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raytraced, "MAX_DEPTH", 0)
    site = city.sites(1, 0)[0]
    xy, z, _ = city._open_places(np.array(site[:2]))
    sees = city._sees(site, xy, z)
    rows = np.concatenate([np.flatnonzero(sees)[::700], np.flatnonzero(~sees)[::700]])
    h = city._trace(site, xy[rows], z[rows]).astype(np.complex128)
    seen = sees[rows]
    assert 5 < seen.sum() < len(rows)
    assert not h[~seen].any()
    way = np.column_stack([xy, z + USER_HEIGHT_M])[rows[seen]] - [
        *site[:2],
        site[2] + BS_HEIGHT_M,
    ]
    reach = np.linalg.norm(way, axis=1)
    # Friis, between vertical antennas without directivity; float32 in the tracer.
    np.testing.assert_allclose(np.abs(h[seen, 0]), WAVELENGTH / (4 * np.pi * reach), rtol=1e-4)
    # A plane wave along a row in y, half a wavelength apart.
    turn = np.exp(1j * np.pi * way[:, 1] / reach)
    steps = h[seen, 1:] / h[seen, :-1]
    np.testing.assert_allclose(steps, np.tile(turn[:, None], 3), atol=1e-3)


def test_sites(city: City) -> None:
    places = city.sites(4, 5)
    assert places == city.sites(4, 5)
    assert places[:2] == city.sites(2, 5)
    assert places != city.sites(4, 6)
    for one, two in itertools.combinations(np.array(places), 2):
        assert np.abs(one - two)[:2].max() >= SIDE_M
    for site in places:
        xy, z, share = city._open_places(np.array(site[:2]))
        assert 0.3 <= share <= 0.9
        assert share == len(xy) / SIDE_M**2
        assert city._sees(site, xy, z).mean() >= 0.5


@pytest.mark.usefixtures("few_rays")
def test_users(city: City) -> None:
    site = city.sites(1, 0)[0]
    many = city.users(site, 20, 3, environment=7)
    assert many.h.dtype == np.complex64
    assert many.h.shape == (20, 4)
    assert set(many.environment.tolist()) == {7}
    np.testing.assert_array_equal(many.bs, [[site[0], site[1], site[2] + 25]])
    offsets = many.xy - np.array(site[:2])
    assert np.abs(offsets).max() < SIDE_M / 2
    assert (offsets % 1 == 0.5).all()
    assert len(np.unique(many.xy, axis=0)) == 20
    gain_db = 10 * np.log10(np.mean(np.abs(many.h) ** 2, axis=1))
    assert gain_db.min() > -140
    # Nobody is nearer than 23.5 m: free space has -70.8 dB there, and reflections add 6 dB or so.
    assert gain_db.max() < -64
    few = city.users(site, 9, 3, environment=7)
    np.testing.assert_array_equal(few.h, many.h[:9])
    assert few.outage <= many.outage
    assert not np.array_equal(city.users(site, 9, 4, environment=7).xy, few.xy)


@pytest.mark.usefixtures("few_rays", "city")
def test_places_do_not_depend_on_how_many_there_are() -> None:
    done: list[tuple[int, int]] = []
    two = raytraced_users("etoile", 2, 2, 6, 1, progress=lambda *step: done.append(step))
    one = raytraced_users("etoile", 2, 1, 6, 1)
    np.testing.assert_array_equal(two.h[:6], one.h)
    assert two.environment.tolist() == [0] * 6 + [1] * 6
    assert done[-1] == (12, 12)


@pytest.mark.usefixtures("city")
def test_two_polarisations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raytraced, "MAX_DEPTH", 0)
    city = City("etoile", 64)
    site = city.sites(1, 0)[0]
    xy, z, _ = city._open_places(np.array(site[:2]))
    rows = np.flatnonzero(city._sees(site, xy, z))[:3]
    h = city._trace(site, xy[rows], z[rows])
    assert h.shape == (3, 64)
    # +-45 degrees: half the power of a vertical antenna, to within its tilt out of the plane.
    reach = np.linalg.norm(np.column_stack([xy, z - 23.5])[rows] - [*site[:3]], axis=1)
    power = np.mean(np.abs(h) ** 2, axis=1) / (WAVELENGTH / (4 * np.pi * reach)) ** 2
    np.testing.assert_allclose(power, 0.5, atol=0.15)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scene": "paris"}, "unknown scene 'paris'; there are munich"),
        ({"antennas": 33}, "1 to 32 in a row, or 64 or 128"),
        ({"antennas": 0}, "antennas 0"),
    ],
)
def test_bad_input(change: dict[str, Any], says: str) -> None:
    asked: dict[str, Any] = {"scene": "munich", "antennas": 16, "sites": 1, "seed": 0}
    with pytest.raises(InputError, match=says):
        raytraced_users(**{**asked, "users_per_site": 3, **change})


def test_no_room(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="sites 0"):
        city.sites(0, 0)
    monkeypatch.setattr(raytraced, "_TRIES", 30)
    with pytest.raises(InputError, match="etoile has room for"):
        city.sites(99, 0)


def test_more_users_than_places(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    site = city.sites(1, 0)[0]
    whole = city._open_places

    def few(middle: Any) -> Any:
        xy, z, share = whole(middle)
        return xy[:4], z[:4], share

    monkeypatch.setattr(city, "_open_places", few)
    with pytest.raises(InputError, match="of the 4 open places"):
        city.users(site, 5, 0)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    raytraced._check_tracer.cache_clear()
    monkeypatch.setattr(raytraced, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'csideploy\[rt\]'"):
        City("munich", 16)
    raytraced._check_tracer.cache_clear()


@pytest.mark.usefixtures("city")
def test_without_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    raytraced._check_tracer.cache_clear()
    monkeypatch.setitem(os.environ, "DRJIT_LIBLLVM_PATH", "/nonexistent")
    with pytest.raises(MissingDependencyError, match="libllvm19") as caught:
        City("munich", 16)
    assert "\n" not in str(caught.value)
    raytraced._check_tracer.cache_clear()


def test_paths_that_are_found_twice() -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([[50.0, 90.0, 50.0004, 50.0008, 70.0, -1.0], [80.0, 60.0, 80.0, 60.5, 1, 2]])
    ways = rng.standard_normal((2, 6, 6))
    # The first user's path 0 comes three times; the second's 0 and 2 are as long, but not one.
    ways[0, 2] = ways[0, 0] + 1e-4
    ways[0, 3] = ways[0, 0]
    twice = found_twice(lengths, ways)
    assert twice.tolist() == [[False, False, True, True, False, False], [False] * 6]
    assert not found_twice(np.empty((3, 0)), np.empty((3, 0, 6))).any()


def test_a_wall_is_counted_once(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """Etoile has a wall that the tracer finds three times over at this place."""
    monkeypatch.setattr(raytraced, "RAYS", 5000)
    site = city.sites(1, 0)[0]
    place = np.array([[site[0] + 22.5, site[1] - 7.5]])
    reach = np.hypot(np.hypot(22.5, 7.5), 23.5)
    free = WAVELENGTH / (4 * np.pi * reach)
    h = np.abs(city._trace(site, place, np.zeros(1)))
    monkeypatch.setattr(
        raytraced, "found_twice", lambda lengths, ways: np.zeros(lengths.shape, bool)
    )
    all_h = np.abs(city._trace(site, place, np.zeros(1)))
    # The straight path and one of nearly its strength: at most twice free space, and a few percent.
    assert h.max() < 2.4 * free
    assert all_h.max() > 3 * free


def test_panels() -> None:
    assert str(panel(16)) == "1 x 16 x 1"
    for antennas in (1, 32, 64, 128):
        array = panel(antennas)
        assert array.rows * array.columns * array.polarisations == antennas
