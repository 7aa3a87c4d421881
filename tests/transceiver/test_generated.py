"""Files of generated users: shares, going on after a stop, what the verbs say of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from csideploy.channels import umi_parameters
from csideploy.channels import umi_users as street
from csideploy.channels.umi_users import DROP, umi_users
from csideploy.cli import app
from csideploy.errors import InputError, MissingDependencyError, OutputError
from csideploy.transceiver import generated
from csideploy.transceiver.generated import UserPlan, generate_users, sectors
from csideploy.transceiver.users import load_users

LIGHT = UserPlan("umi-light", 4, 2130, seed=3)


def test_stopped_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, stopped = tmp_path / "whole.npz", tmp_path / "stopped.npz"
    generate_users(whole, LIGHT)
    real = generated.umi_users

    def stop(model: str, antennas: int, first: int, last: int, seed: int) -> Any:
        if first == 10:
            raise KeyboardInterrupt
        return real(model, antennas, first, last, seed)

    monkeypatch.setattr(generated, "umi_users", stop)
    with pytest.raises(KeyboardInterrupt):
        generate_users(stopped, LIGHT)
    assert not stopped.exists()
    with pytest.raises(OutputError, match="other settings"):
        generate_users(stopped, UserPlan("umi-light", 4, 2130, seed=4))
    made = []

    def count(*order: Any) -> Any:
        made.append(order[2:4])
        return real(*order)

    monkeypatch.setattr(generated, "umi_users", count)
    steps: list[tuple[int, int]] = []
    generate_users(stopped, LIGHT, progress=lambda *step: steps.append(step))
    assert made == [(10, 20), (20, 22)]
    assert steps == [(1000, 2130), (2000, 2130), (2130, 2130)]
    assert stopped.read_bytes() == whole.read_bytes()
    generate_users(stopped, LIGHT)
    assert len(made) == 2
    with pytest.raises(OutputError, match="something else"):
        generate_users(stopped, UserPlan("umi-light", 4, 2131, seed=3))
    users = load_users(whole)
    assert users.environment.tolist() == [row // DROP for row in range(2130)]
    assert users.about["parameters"]["antennas"] == 4


def test_fewer_users_are_the_first_of_more() -> None:
    many, few = umi_users("umi-light", 8, 0, 3, 5), umi_users("umi-light", 8, 1, 2, 5)
    np.testing.assert_array_equal(many.h[DROP : 2 * DROP], few.h)
    assert not np.array_equal(many.h[:DROP], few.h)
    assert not np.array_equal(umi_users("umi-light", 8, 1, 2, 6).h, few.h)


@pytest.mark.parametrize("model", ["umi-light", "umi"])
def test_gains_follow_the_path_loss(model: str) -> None:
    if model == "umi":
        pytest.importorskip("sionna.phy")
    users = umi_users(model, 8, 0, 8, 1)
    flat = np.maximum(np.linalg.norm(users.xy, axis=1), umi_parameters.NEAREST_M)
    gain_db = 10 * np.log10(np.mean(np.abs(users.h) ** 2, axis=1))
    near, far = np.flatnonzero(flat < 30), np.flatnonzero(flat > 60)
    # In sight within 30 m more often than not: table 7.4.1-1 has 32.4 + 21 log10(d) + 20 log10(3.5)
    # dB, 70 dB at 20 m; beyond 60 m half are blocked, 22.4 + 35.3 log10(d) + 21.3 log10(3.5).
    assert np.median(gain_db[near]) == pytest.approx(-70, abs=5)
    sight = -(32.4 + 21 * np.log10(flat[far]) + 20 * np.log10(3.5))
    blocked = -(22.4 + 35.3 * np.log10(flat[far]) + 21.3 * np.log10(3.5))
    assert np.mean(blocked) < np.mean(gain_db[far]) < np.mean(sight)
    # Shadowing of 4 and 7.8 dB around two lines 20 dB apart.
    assert 6 < np.std(gain_db[far]) < 20


def test_sionna_with_two_polarisations() -> None:
    pytest.importorskip("sionna.phy")
    users = umi_users("umi", 64, 0, 1, 2)
    assert users.h.shape == (DROP, 64)
    np.testing.assert_array_equal(users.h, umi_users("umi", 64, 0, 1, 2).h)
    # Both slants hear as much, on the mean over users: within 2 dB for 100 of them.
    power = np.abs(users.h.astype(np.complex128)) ** 2
    share = (power / power.sum(axis=1, keepdims=True)).mean(axis=0)
    halves = sorted([share[:32].sum(), share[32:].sum(), share[::2].sum(), share[1::2].sum()])
    assert halves[-1] < 0.61


def test_without_sionna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sionna.phy.channel", None)
    with pytest.raises(MissingDependencyError, match=r"needs (sionna|torch): pip install '"):
        umi_users("umi", 8, 0, 1, 1)


def test_shares_of_sites() -> None:
    plan = UserPlan("raytraced", 16, 25, scenes=("munich", "etoile"), sites=3)
    assert plan.shares == [5, 4, 4, 4, 4, 4]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scenario": "indoor"}, "there are raytraced, umi, umi-light"),
        ({"antennas": 48}, "64 or 128"),
        ({"samples": 0}, "samples is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"sites": 0}, "sites is 0"),
        ({"scenes": ("munich", "rome")}, "unknown scene 'rome'"),
        ({"scenes": ("munich", "munich")}, "each once"),
        ({"scenes": ()}, "at least one"),
        ({"samples": 9}, "at least one at each of 10"),
    ],
)
def test_bad_plans(change: dict[str, Any], says: str) -> None:
    asked: dict[str, Any] = {"scenario": "raytraced", "antennas": 16, "samples": 50}
    with pytest.raises(InputError, match=says):
        UserPlan(**{**asked, **change})


def test_bad_orders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.npz"):
        generate_users(tmp_path / "u.npy", LIGHT)
    with pytest.raises(InputError, match="umi-light has 1 to 32"):
        umi_users("umi-light", 64, 0, 1, 1)
    with pytest.raises(InputError, match="unknown model"):
        umi_users("uma", 8, 0, 1, 1)
    assert street.MODELS == ("umi", "umi-light")


def test_the_verbs(tmp_path: Path) -> None:
    runner = CliRunner()
    out = str(tmp_path / "u.npz")
    order = ["data", "generate", "--scenario", "umi-light", "--samples", "250", "--out", out]
    done = runner.invoke(app, [*order, "--antennas", "8", "--seed", "2", "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["environments"] == 3
    done = runner.invoke(app, ["data", "info", out, "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["users"], found["distinct"], found["antennas"]) == (250, 250, 8)
    assert found["users_of_environment"] == [50, 100]
    users = load_users(out)
    h = users.h.astype(np.complex128)
    unit = h / np.linalg.norm(h, axis=1, keepdims=True)
    # The singular values of the channels are another way to the covariance's eigenvalues.
    want = np.linalg.svd(unit, compute_uv=False) ** 2 / len(h)
    np.testing.assert_allclose(found["eigenvalues"], want, atol=1e-12)
    assert sum(found["eigenvalues"]) == pytest.approx(1)
    running = np.cumsum(want)
    assert found["directions"] == [int(np.sum(running < share)) + 1 for share in (0.9, 0.99)]
    power_db = 10 * np.log10(np.mean(np.abs(h) ** 2, axis=1))
    # Percentiles of the power and of its logarithm lie between the same two users.
    np.testing.assert_allclose(
        found["gain_db"], np.percentile(power_db, found["gain_percentiles"]), atol=0.5
    )
    shown = runner.invoke(app, ["data", "info", out])
    assert shown.exit_code == 0
    assert "250 users, 250 different channels" in shown.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--scenario raytraced", "add --antennas"),
        ("--scenario umi-light", "add --antennas"),
        ("--scenario umi --antennas 8 --sites 3", "--sites goes with --scenario raytraced"),
        ("--scenario umi-light --antennas 8 --scene etoile", "--scene goes with"),
        ("--scenario raytraced --antennas 8 --workers 2", "--workers goes with CSI samples"),
        ("--scenario raytraced --antennas 8 --set block=4", "--set goes with blocks"),
        ("--scenario raytraced --antennas 8 --scene rome", "unknown scene 'rome'"),
        ("--scenario indoor --antennas 8", "--antennas goes with users of a transceiver"),
        ("--scenario sionna-umi --scene etoile", "--scene goes with users of a transceiver"),
    ],
)
def test_options_of_other_scenarios(options: str, says: str, tmp_path: Path) -> None:
    order = ["data", "generate", "--samples", "20", "--out", str(tmp_path / "u.npz")]
    done = CliRunner().invoke(app, [*order, *options.split()])
    assert done.exit_code == 2
    assert says in done.stderr
    assert not list(tmp_path.iterdir())


def test_sectors_are_seen_from_the_bs() -> None:
    bs = np.array([[10.0, -4.0, 25.0]]).repeat(6, 0)
    way = np.array([[1, 0.1], [-0.1, 1], [-1, -0.1], [0.1, -1], [1, -0.1], [5, 5]])
    assert sectors(bs[:, :2] + way, bs, 4).tolist() == [0, 1, 2, 3, 3, 0]
    assert sectors(bs[:, :2] + way, bs, 1).tolist() == [0] * 6


def test_regions_stand_in_the_file(tmp_path: Path) -> None:
    plan = UserPlan("umi-light", 4, 300, seed=3, regions=3)
    generate_users(tmp_path / "u.npz", plan)
    with np.load(tmp_path / "u.npz") as file:
        bs = file["bs"][file["environment"]]
        wanted = sectors(file["ue_xy"], bs, 3)
        assert np.array_equal(file["region"], wanted)
        assert np.bincount(wanted, minlength=3).min() > 5
    with pytest.raises(InputError, match="regions is 17"):
        UserPlan("umi-light", 4, 300, regions=17)
