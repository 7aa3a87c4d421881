"""Seeds, workers, files that go on where they were stopped, and bad orders."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from csideploy.channels.generate import generate, generate_file
from csideploy.errors import InputError, OutputError


def same(first, second):
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("H", "sample_absmax", "ue_xy", "bs_xy")
    )


# Enough samples for several parts, the last one short.
@pytest.mark.parametrize(("scenario", "samples"), [("indoor", 2030), ("outdoor", 1102)])
def test_workers_do_not_change_the_samples(scenario, samples):
    alone = generate(scenario, samples, seed=3)
    assert same(alone, generate(scenario, samples, seed=3, workers=2))


def test_seeds_and_prefixes():
    many, few = generate("indoor", 90, seed=4), generate("indoor", 47, seed=4)
    np.testing.assert_array_equal(many.H[:47], few.H)
    assert not np.array_equal(many.H[:47], generate("indoor", 47, seed=5).H)
    # No environment and no UE is drawn twice.
    assert len(np.unique(many.ue_xy, axis=0)) == 90


@pytest.mark.parametrize(("scenario", "half_side"), [("indoor", 20.0), ("outdoor", 200.0)])
def test_arrays(scenario, half_side):
    made = generate(scenario, 41, seed=1)
    assert made.H.dtype == np.float16
    assert made.H.shape == (41, 2, 32, 32)
    assert np.abs(made.ue_xy).max() <= half_side
    assert np.abs(made.ue_xy).max() > half_side / 2
    planes = made.H.astype(np.float64)
    largest = np.sqrt((planes**2).sum(axis=1)).max(axis=(1, 2))
    np.testing.assert_allclose(largest, made.sample_absmax, rtol=1e-3)


def test_rayleigh_entries_are_independent_with_unit_variance():
    made = generate("rayleigh", 500, seed=1).H.astype(np.float64)
    h = made[:, 0] + 1j * made[:, 1]
    # 512,000 entries: standard errors of 0.0014
    assert np.mean(np.abs(h) ** 2) == pytest.approx(1.0, abs=0.01)
    assert abs(np.mean(h**2)) < 0.01
    assert abs(np.mean(h[:, 1:] * h[:, :-1].conj())) < 0.01
    assert abs(np.mean(h[1:] * h[:-1].conj())) < 0.01


def test_file_is_what_generate_gives(tmp_path):
    path = tmp_path / "csi.npz"
    seen = []
    generate_file(
        path, "indoor", 1010, seed=6, progress=lambda done, all_: seen.append((done, all_))
    )
    made = generate("indoor", 1010, seed=6)
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["H"], made.H)
        np.testing.assert_array_equal(archive["sample_absmax"], made.sample_absmax)
        np.testing.assert_array_equal(archive["ue_xy"], made.ue_xy)
        assert archive["bs_xy"].tolist() == [0.0, 0.0]
        assert archive["seed"] == 6
        parameters = json.loads(str(archive["parameters"]))
    assert parameters["scenario"] == "indoor"
    assert parameters["samples_per_environment"] == 20
    assert parameters["parameters"]["ue_half_side"] == 20.0
    assert seen == [(0, 1010), (1000, 1010), (1010, 1010)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["csi.npz"]


def test_equal_orders_make_equal_files(tmp_path):
    for name in ("a.npz", "b.npz"):
        generate_file(tmp_path / name, "rayleigh", 20, seed=1)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


class StopError(Exception):
    pass


def test_a_stopped_run_goes_on(tmp_path):
    path = tmp_path / "csi.npz"

    def stop(done, total):
        if done == 2000:
            raise StopError

    with pytest.raises(StopError):
        generate_file(path, "indoor", 3000, seed=7, progress=stop)
    assert not path.exists()
    seen = []
    generate_file(path, "indoor", 3000, seed=7, progress=lambda done, total: seen.append(done))
    assert seen == [2000, 3000]
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["H"], generate("indoor", 3000, seed=7).H)
    assert [entry.name for entry in tmp_path.iterdir()] == ["csi.npz"]


KILLED = """
import sys
from csideploy.channels.generate import generate_file
if __name__ == "__main__":
    generate_file(sys.argv[1], "indoor", 40_000, seed=8, workers=2)
"""


@pytest.mark.parametrize("how", ["kill the parent", "interrupt all"])
def test_a_killed_run_leaves_whole_parts_and_no_process(tmp_path, how):
    script, path = tmp_path / "make.py", tmp_path / "csi.npz"
    script.write_text(KILLED)
    parts = tmp_path / ".csi.npz.parts"
    process = subprocess.Popen(
        [sys.executable, script, path],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # A shell starts what runs in the background with interrupts ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: len(list(parts.glob("*.npz"))) >= 2)
    if how == "kill the parent":
        process.kill()
    else:
        # As a terminal does on ctrl-C, to the whole group.
        os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    wait_until(lambda: not group_exists(process.pid))
    assert not path.exists()
    finished = sorted(entry.name for entry in parts.glob("[0-9]*.npz"))
    assert len(finished) >= 2
    for name in finished:
        with np.load(parts / name) as archive:
            assert archive["H"].shape == (1000, 2, 32, 32)


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def group_exists(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_finished_file_stays(tmp_path):
    path = tmp_path / "csi.npz"
    generate_file(path, "rayleigh", 20, seed=1)
    before = path.stat().st_mtime_ns
    generate_file(path, "rayleigh", 20, seed=1)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="holds something else"):
        generate_file(path, "rayleigh", 20, seed=2)


def test_an_unfinished_run_of_another_kind_is_not_mixed_in(tmp_path):
    path = tmp_path / "csi.npz"

    def stop(done, total):
        if done:
            raise StopError

    with pytest.raises(StopError):
        generate_file(path, "rayleigh", 2000, seed=1, progress=stop)
    with pytest.raises(OutputError, match="other settings"):
        generate_file(path, "rayleigh", 2000, seed=2)


BAD_ORDERS = {
    "umi": ({"scenario": "umi"}, "no CSI samples; of those there are indoor, outdoor, rayleigh"),
    "raytraced": ({"scenario": "raytraced"}, "makes users"),
    "unknown": ({"scenario": "in"}, "unknown scenario 'in'"),
    "no samples": ({"samples": 0}, "samples is 0"),
    "seed": ({"seed": -1}, "seed is -1"),
    "workers": ({"workers": 0}, "workers is 0"),
}


@pytest.mark.parametrize("name", BAD_ORDERS)
def test_bad_orders(tmp_path, name):
    changed, message = BAD_ORDERS[name]
    order = {"scenario": "indoor", "samples": 20, "seed": 1, "workers": 1} | changed
    with pytest.raises(InputError, match=message):
        generate(**order)
    with pytest.raises(InputError, match=message):
        generate_file(tmp_path / "csi.npz", **order)
    assert not list(tmp_path.iterdir())


def test_bad_places(tmp_path):
    with pytest.raises(InputError, match=r"\.npz"):
        generate_file(tmp_path / "csi.mat", "indoor", 20, seed=1)
    with pytest.raises(OutputError, match="cannot write"):
        generate_file(tmp_path / "none" / "csi.npz", "indoor", 20, seed=1)
