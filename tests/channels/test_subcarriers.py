"""Other numbers of subcarriers: same spacing, another bandwidth, the same environments."""

import hashlib
import json
import time

import numpy as np
import pytest

from csideploy.channels import synthesis
from csideploy.channels.blocks import scenario_on
from csideploy.channels.describe import describe
from csideploy.channels.generate import generate, generate_file
from csideploy.channels.parameters import SCENARIOS
from csideploy.channels.parts import describe_run
from csideploy.channels.synthesis import SPACING, angular_delay
from csideploy.errors import InputError, OutputError

GRIDS = (64, 257, 512, 1024, 2048, 4096)


def direct_sum(azimuth, delay, amplitude, frequency):
    """(n, angle, delay) by the definition: ifft over these frequencies, DFT over 32 antennas."""
    in_frequency = np.exp(-2j * np.pi * frequency[:, None] * delay[:, None, :])
    in_space = np.exp(-1j * np.pi * np.cos(azimuth)[..., None] * np.arange(32))
    response = (amplitude[:, None, :] * in_frequency) @ in_space
    points, taps, bins = np.arange(len(frequency)), np.arange(32), np.arange(32) - 16
    by_tap = np.exp(2j * np.pi * np.outer(taps, points) / len(points)) / len(points)
    by_angle = np.exp(-2j * np.pi * np.outer(np.arange(32), bins) / 32) / np.sqrt(32)
    return (by_tap @ response @ by_angle).swapaxes(1, 2)


@pytest.mark.parametrize("name", ["indoor", "outdoor"])
@pytest.mark.parametrize("subcarriers", GRIDS)
def test_closed_form_equals_the_direct_sum(name, subcarriers):
    scenario = SCENARIOS[name]
    centre = (scenario.frequency_low + scenario.frequency_high) / 2
    frequency = centre + 20e6 / 256 * (np.arange(subcarriers) - (subcarriers - 1) / 2)
    rng = np.random.default_rng(subcarriers)
    azimuth = rng.uniform(-np.pi, np.pi, (3, 40))
    # Most paths within the kept taps, whatever their length; some beyond, on and beside the grid.
    delay = rng.uniform(0, 40, (3, 40)) / (subcarriers * SPACING)
    delay[0, :4] = np.array([0, 3, 31 + 1e-9, subcarriers]) / (subcarriers * SPACING)
    delay[1, :4] = 3e-6
    amplitude = rng.standard_normal((3, 40)) + 1j * rng.standard_normal((3, 40))
    low = scenario_on(name, subcarriers).frequency_low
    h = angular_delay(azimuth, delay, amplitude, low, subcarriers)
    direct = direct_sum(azimuth, delay, amplitude, frequency)
    # float32 products of kernels that are computed in float64
    assert np.abs(h - direct).max() <= 2e-6 * np.abs(direct).max()


def angular_delay_257(azimuth, delay, amplitude, frequency_low):
    """The synthesis as it stood when there was one grid, in the same order of operations."""
    v = 257 * (20e6 / 256) * delay
    w = 16 * np.cos(azimuth)
    cycles = frequency_low * delay
    phase = -np.pi * (2.0 * (cycles - np.rint(cycles)) + 256 / 257 * v + 31 / 32 * w)
    weight = (amplitude * np.exp(1j * phase)).astype(np.complex64)
    tap = np.exp(1j * np.pi * 256 / 257 * np.arange(32)) / 257
    row = np.exp(-1j * np.pi * 31 / 32 * (np.arange(32) - 16)) / np.sqrt(32)
    h = np.empty((len(azimuth), 32, 32), dtype=np.complex64)
    for i in range(len(h)):
        at = slice(i, i + 1)
        rows = synthesis._kernel(w[at], np.arange(32) - 16, 32).swapaxes(-1, -2)
        taps = synthesis._kernel(-v[at], np.arange(32), 257)
        h.real[at] = synthesis._product(rows * weight.real[at, None, :], taps)
        h.imag[at] = synthesis._product(rows * weight.imag[at, None, :], taps)
    h *= (row[:, None] * tap).astype(np.complex64)
    return h


def test_the_default_is_what_it_was_bit_for_bit():
    rng = np.random.default_rng(5)
    azimuth, delay = rng.uniform(-3, 3, (4, 50)), rng.uniform(0, 2e-6, (4, 50))
    amplitude = rng.standard_normal((4, 50)) + 1j * rng.standard_normal((4, 50))
    expected = angular_delay_257(azimuth, delay, amplitude, 5.29e9)
    assert np.array_equal(angular_delay(azimuth, delay, amplitude, 5.29e9), expected)
    for name, scenario in SCENARIOS.items():
        assert scenario_on(name, 257) == scenario
    # What a file says of itself decides whether an older one, or half of one, is gone on with.
    # Text, so that the hash is the same on every machine; the samples are not, to the last bit.
    expected = {
        "indoor": "88111df7007d3126ee0e824268d92c84585755b74fbd1b13e9bebf3069ba8d8c",
        "outdoor": "76a39ad022b562761965f7dbdbda85aa569ab299c8cb9e88c3683660f25b7072",
        "rayleigh": "2b6901f314a4a4baa1434cb940e2f59e063b69331fe9b7f85065ecb4c00817a9",
    }
    for (name, digest), samples in zip(expected.items(), (1210, 410, 30), strict=True):
        assert hashlib.sha256(describe_run(name, samples, 3).encode()).hexdigest() == digest


@pytest.mark.parametrize("name", ["indoor", "outdoor"])
def test_environments_do_not_depend_on_the_grid(name):
    field, wide = generate(name, 41, seed=2), generate(name, 41, seed=2, subcarriers=1024)
    assert np.array_equal(field.ue_xy, wide.ue_xy)
    assert wide.H.shape == field.H.shape
    assert not np.array_equal(field.H, wide.H)
    assert wide.sample_absmax.min() > 0
    same = generate(name, 41, seed=2, subcarriers=257)
    assert np.array_equal(field.H, same.H)


def test_file_names_its_grid_and_is_its_own(tmp_path):
    path = tmp_path / "csi.npz"
    generate_file(path, "indoor", 40, seed=1, subcarriers=512)
    with np.load(path) as archive:
        parameters = json.loads(str(archive["parameters"]))
        assert np.array_equal(archive["H"], generate("indoor", 40, seed=1, subcarriers=512).H)
    assert parameters["subcarriers"] == 512
    band = parameters["parameters"]
    assert band["frequency_high"] - band["frequency_low"] == 511 * 20e6 / 256
    assert band["frequency_high"] + band["frequency_low"] == 2 * 5.3e9
    before = path.stat().st_mtime_ns
    generate_file(path, "indoor", 40, seed=1, subcarriers=512)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="holds something else"):
        generate_file(path, "indoor", 40, seed=1)
    with pytest.raises(OutputError, match="holds something else"):
        generate_file(path, "indoor", 40, seed=1, subcarriers=513)


def test_described_spread_knows_the_tap(tmp_path):
    found = {}
    for subcarriers in (257, 1024):
        path = tmp_path / f"{subcarriers}.npz"
        generate_file(path, "indoor", 200, seed=1, subcarriers=subcarriers)
        found[subcarriers] = describe(path)
        assert found[subcarriers]["subcarriers"] == subcarriers
        assert found[subcarriers]["tap_ns"] == pytest.approx(1e9 / (subcarriers * 78125))
    taps = [found[n]["rms_delay_spread_taps"][1] for n in (257, 1024)]
    spread = [found[n]["rms_delay_spread_ns"][1] for n in (257, 1024)]
    # Taps a quarter as long: many more of them are filled. What the wide ones smear is gone, and
    # what arrives after 32 short ones as well.
    assert taps[1] > 1.5 * taps[0]
    assert spread[1] < spread[0]
    generate_file(tmp_path / "r.npz", "rayleigh", 20, seed=1)
    assert describe(tmp_path / "r.npz")["subcarriers"] is None


@pytest.mark.parametrize(
    ("scenario", "subcarriers", "says"),
    [
        ("indoor", 63, "subcarriers is 63; it must be from 64 to 4096"),
        ("outdoor", 4097, "subcarriers is 4097"),
        ("rayleigh", 512, "'rayleigh' has no frequencies"),
        ("umi", 512, "makes users"),
    ],
)
def test_bad_grids(tmp_path, scenario, subcarriers, says):
    with pytest.raises(InputError, match=says):
        generate(scenario, 20, seed=1, subcarriers=subcarriers)
    with pytest.raises(InputError, match=says):
        generate_file(tmp_path / "csi.npz", scenario, 20, seed=1, subcarriers=subcarriers)
    assert not list(tmp_path.iterdir())


def test_more_subcarriers_take_no_more_time():
    rng = np.random.default_rng(6)
    azimuth, delay = rng.uniform(-3, 3, (60, 100)), rng.uniform(0, 2e-6, (60, 100))
    amplitude = np.ones((60, 100), dtype=complex)
    times = {64: [], 4096: []}
    for _ in range(7):
        for subcarriers, taken in times.items():
            begin = time.process_time()
            angular_delay(azimuth, delay, amplitude, 5.29e9, subcarriers)
            taken.append(time.process_time() - begin)
    # 64 times as many points; 3 is for a busy machine.
    assert min(times[4096]) < 3 * min(times[64])
