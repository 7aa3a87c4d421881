"""Users' channels: the layouts of files, parts without a common channel, groups without repeats."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from csideploy.channels.generate import generate_file
from csideploy.channels.transform import to_frequency
from csideploy.errors import InputError, OutputError
from csideploy.transceiver.users import (
    Users,
    holds_users,
    load_users,
    save_users,
    users_from_array,
)


def gaussian(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    parts = np.random.default_rng(seed).standard_normal((2, *shape))
    h: np.ndarray[Any, Any] = parts[0] + 1j * parts[1]
    return h


def some(sizes: tuple[int, ...], antennas: int = 4) -> Users:
    environment = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    n = len(environment)
    h = gaussian(n, antennas).astype(np.complex64)
    return Users(h, environment, (environment % 2).astype(np.uint8), np.ones((n, 2), np.float32))


def write_matlab73(path: Path, name: str, h: np.ndarray[Any, Any]) -> None:
    """As MATLAB writes it: axes backwards, compound values, its class as an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        values = np.empty(h.T.shape, [("real", "<f8"), ("imag", "<f8")])
        values["real"], values["imag"] = h.T.real, h.T.imag
        data = file.create_dataset(name, data=values)
        data.attrs["MATLAB_class"] = np.bytes_("double")


@pytest.mark.parametrize("key", ["H_mu_train", "H_mu_val", "H_mu_test", "H_mu_other"])
def test_the_predecessors_files(key: str, tmp_path: Path) -> None:
    h = gaussian(5, 3, 16)
    old, new = tmp_path / "old.mat", tmp_path / "new.mat"
    scipy.io.savemat(old, {key: h, "note": np.arange(3.0)})
    write_matlab73(new, key, h)
    for path in (old, new):
        assert holds_users(path)
        users = load_users(path, antennas=16)
        np.testing.assert_array_equal(users.h[users.groups], h.astype(np.complex64))
        assert users.groups is not None
        assert users.groups.shape == (5, 3)
        assert not users.environment.any()
        assert users.about["taken_for"] == "5 groups of 3 users, 16 antennas"


def test_plain_arrays(tmp_path: Path) -> None:
    rows, grouped = gaussian(7, 6), gaussian(4, 2, 6)
    np.save(tmp_path / "rows.npy", rows)
    np.savez(tmp_path / "grouped.npz", H=grouped)
    assert holds_users(tmp_path / "rows.npy")
    # (n, angle, delay) looks the same: the caller has to know.
    assert not holds_users(tmp_path / "grouped.npz")
    users = load_users(tmp_path / "rows.npy")
    np.testing.assert_array_equal(users.h, rows.astype(np.complex64))
    assert users.groups is None
    groups = load_users(tmp_path / "grouped.npz").groups
    assert groups is not None
    assert groups.shape == (4, 2)


def test_cost2100_at_its_centre_subcarrier(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    generate_file(path, "indoor", 45, seed=2)
    assert not holds_users(path)
    users = load_users(path)
    with np.load(path) as archive:
        planes = archive["H"].astype(np.float64)
        places = archive["ue_xy"]
    # The response of a line of antennas, by its definition: over antennas n and the taps' sum.
    angle = np.arange(32) - 16
    antenna = np.exp(2j * np.pi * np.outer(np.arange(32), angle) / 32) / np.sqrt(32)
    taps = np.exp(-2j * np.pi * 128 * np.arange(32) / 257)
    want = (planes[:, 0] + 1j * planes[:, 1]) @ taps @ antenna.T
    # float32 on the way; the transform's own test has the same bound.
    np.testing.assert_allclose(users.h, want, atol=1e-5 * np.abs(want).max())
    assert users.environment.tolist() == [0] * 20 + [1] * 20 + [2] * 5
    assert users.xy is not None
    np.testing.assert_array_equal(users.xy, places)
    # The complex form of the same samples.
    h = (planes[:, 0] + 1j * planes[:, 1]).astype(np.complex64)
    np.testing.assert_allclose(users_from_array(h).h, to_frequency(h)[:, 128], rtol=1e-6)


def test_saved_and_loaded(tmp_path: Path) -> None:
    users = some((3, 5))
    users.about.update(parameters={"scenario": "raytraced", "seed": 4}, outage=2)
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    save_users(first, users)
    save_users(second, users)
    assert first.read_bytes() == second.read_bytes()
    assert holds_users(first)
    back = load_users(first)
    for name in ("h", "environment", "region", "xy"):
        np.testing.assert_array_equal(getattr(back, name), getattr(users, name))
    assert back.about["parameters"]["seed"] == 4
    assert back.about["outage"] == 2
    with pytest.raises(OutputError, match=r"\.npz"):
        save_users(tmp_path / "a.mat", users)


def test_users_in_outage_are_left_out_with_their_groups(tmp_path: Path) -> None:
    h = gaussian(4, 3, 5)
    h[1, 2] = 0
    h[3, 0] = 0
    path = tmp_path / "h.mat"
    scipy.io.savemat(path, {"H_mu_val": h})
    users = load_users(path)
    assert len(users) == 10
    assert users.about["outage"] == 2
    assert "2 users in outage left out" in users.about["taken_for"]
    assert users.groups is not None
    np.testing.assert_array_equal(users.h[users.groups], h[[0, 2]].astype(np.complex64))


def test_normalized_keeps_ratios() -> None:
    users = some((6,))
    h = users.h * np.array([[1e-5], [1e-4], [1e-7], [1e-6], [1e-5], [1e-5]], np.complex64)
    scaled = Users(h.astype(np.complex64), users.environment, users.region).normalized()
    # complex64 has 24 bits.
    assert np.mean(np.abs(scaled.h) ** 2) == pytest.approx(1, rel=1e-6)
    ratio = scaled.h / h
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)


def test_split_by_row_keeps_twins_together() -> None:
    base = some((40, 40))
    twice = base.take(np.concatenate([np.arange(80), np.arange(0, 80, 3)]))
    assert twice.distinct == 80
    parts = twice.split((0.5, 0.25, 0.25), 7)
    kinds = [{row.tobytes() for row in part.h} for part in parts]
    assert [len(kind) for kind in kinds] == [40, 20, 20]
    assert len(set().union(*kinds)) == 80
    assert sum(map(len, parts)) == len(twice)
    again = twice.split((0.5, 0.25, 0.25), 7)
    assert all(np.array_equal(one.h, two.h) for one, two in zip(parts, again, strict=True))
    assert not np.array_equal(twice.split((0.5, 0.5), 8)[0].h, twice.split((0.5, 0.5), 9)[0].h)


def test_split_by_environment() -> None:
    parts = some((10, 20, 30, 40)).split((0.5, 0.25), 1, by="environment")
    numbers = [set(part.environment.tolist()) for part in parts]
    assert [len(number) for number in numbers] == [2, 1]
    assert not numbers[0] & numbers[1]
    for part in parts:
        for number in set(part.environment.tolist()):
            assert np.sum(part.environment == number) == 10 * (number + 1)


def test_draw() -> None:
    # Of 3 users, of 5 with one row twice (4 of them), of 40.
    base = some((3, 4, 40))
    users = base.take(np.concatenate([np.arange(7), [4], np.arange(7, 47)]))
    rng = np.random.default_rng(3)
    rows = users.draw_rows(rng, 4400, 4)
    environment = users.environment[rows]
    assert (environment == environment[:, :1]).all()
    # None twice in a group, and never a group of the environment of three.
    assert all(len(set(users.identity[group])) == 4 for group in rows)
    share = np.mean(environment[:, 0] == 1)
    # 4 of 44 users: 400 of 4400 groups, standard deviation 19; five of them.
    assert share == pytest.approx(4 / 44, abs=95 / 4400)
    assert not (environment == 0).any()
    # Every user of an environment comes as often, and at every place of a group.
    large = rows[environment[:, 0] == 2]
    for place in range(4):
        counts = np.bincount(large[:, place])[8:]
        # 100 expected of each, standard deviation 10; five of them.
        assert counts.min() > 50
        assert counts.max() < 150
    h = users.draw(np.random.default_rng(3), 4400, 4)
    assert h.dtype == np.complex64
    np.testing.assert_array_equal(h, users.h[rows])
    with pytest.raises(InputError, match="largest environment has 40"):
        users.draw(rng, 1, 41)


def test_all_users_of_an_environment() -> None:
    rows = some((6,)).draw_rows(np.random.default_rng(0), 50, 6)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(6), (50, 1)))
    assert len(np.unique(rows, axis=0)) > 40


def _file(name: str, **arrays: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        if name.endswith(".mat"):
            scipy.io.savemat(path, arrays)
        elif name.endswith(".npy"):
            np.save(path, arrays["H"])
        else:
            np.savez(path, **arrays)
        return path

    return make


NAN = gaussian(4, 3)
NAN[2, 1] = np.nan
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no file": (lambda folder: folder / "no.npz", "no such file"),
    "suffix": (_file("h.npz", H=gaussian(2, 2)), "h.csv"),
    "key": (_file("h.mat", G=gaussian(4, 3)), "H_mu_train or H_mu_val"),
    "rank 1": (_file("h.npy", H=gaussian(5)), "shape (5,)"),
    "rank 4": (_file("h.npy", H=gaussian(2, 2, 2, 2)), "complex (N, M) or (N, K, M)"),
    "integers": (_file("h.npy", H=np.ones((3, 4), np.int32)), "int32"),
    "real": (_file("h.npy", H=np.ones((3, 4))), "real array of shape (3, 4)"),
    "empty": (_file("h.npy", H=np.zeros((0, 4), complex)), "shape (0, 4)"),
    "nan": (_file("h.npy", H=NAN), "user 2"),
    "too large": (_file("h.npy", H=gaussian(3, 2) * 1e60), "NaN or infinity"),
    "all in outage": (_file("h.npy", H=np.zeros((3, 2), complex)), "all 3 users hear nothing"),
    "antennas": (_file("h.npy", H=gaussian(3, 5)), "5 antennas; 16 are needed"),
    "environment's length": (
        _file("h.npz", H=gaussian(3, 16), environment=np.zeros(2, int)),
        "environment of shape (2,)",
    ),
    "environment's type": (
        _file("h.npz", H=gaussian(3, 16), environment=np.zeros(3)),
        "environment of shape (3,) and float64",
    ),
    "environment below 0": (
        _file("h.npz", H=gaussian(3, 16), environment=np.array([0, -1, 0])),
        "numbers from 0",
    ),
    "region": (
        _file("h.npz", H=gaussian(3, 16), region=np.array([0, 256, 0])),
        "regions from 0 to 255",
    ),
    "places": (
        _file("h.npz", H=gaussian(3, 16), environment=np.zeros(3, int), ue_xy=np.zeros(3)),
        "ue_xy of shape (3,)",
    ),
    "parameters": (
        _file("h.npz", H=gaussian(3, 16), parameters=np.array("[1]")),
        "a JSON object",
    ),
    "parameters' text": (
        _file("h.npz", H=gaussian(3, 16), parameters=np.array("{")),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str, tmp_path: Path) -> None:
    make, says = BAD[name]
    path = make(tmp_path)
    if name == "suffix":
        path = path.rename(tmp_path / "h.csv")
    with pytest.raises(InputError) as caught:
        load_users(path, antennas=16)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("shares", "by", "says"),
    [
        ((), "row", "shares"),
        ((0.5, 0.6), "row", "shares"),
        ((0.5, 0.0), "row", "shares"),
        ((0.5, 0.5), "scene", "by row or environment"),
        ((0.9, 0.01), "row", "do not make parts"),
        ((0.4, 0.3, 0.3), "environment", "2 environments do not make parts"),
    ],
)
def test_bad_splits(shares: tuple[float, ...], by: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        some((4, 4)).split(shares, 0, by=by)


def test_bad_users() -> None:
    good = some((3,))
    rows: list[tuple[dict[str, Any], str]] = [
        ({"h": good.h[0]}, "complex"),
        ({"h": good.h.real}, "complex"),
        ({"environment": good.environment[:2]}, "environment of shape"),
        ({"region": good.region[:2]}, "region of shape"),
        ({"xy": np.zeros((3, 3), np.float32)}, "xy of shape"),
        ({"groups": np.array([[0, 3]], np.int32)}, "groups"),
        ({"groups": np.array([0, 1], np.int32)}, "groups"),
        ({"h": good.h * np.array([[1], [0], [1]])}, "user 1 hears nothing"),
    ]
    for change, says in rows:
        arrays = {"h": good.h, "environment": good.environment, "region": good.region}
        with pytest.raises(InputError, match=says):
            Users(**{**arrays, **change})


def test_parameters_of_other_grids_are_used(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    generate_file(path, "indoor", 3, seed=2, subcarriers=512)
    with np.load(path) as archive:
        planes = archive["H"].astype(np.float32)
        assert json.loads(str(archive["parameters"]))["subcarriers"] == 512
    h = (planes[:, 0] + 1j * planes[:, 1]).astype(np.complex64)
    users = load_users(path)
    np.testing.assert_allclose(users.h, to_frequency(h, 512)[:, 255], rtol=1e-5)
    assert "512 subcarriers" in users.about["taken_for"]
