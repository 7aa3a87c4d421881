"""`data info`: known matrices in, known figures out."""

import json

import numpy as np
import pytest

from csideploy.channels.describe import circular_angle_spread, describe


def test_figures_of_known_matrices(tmp_path):
    h = np.zeros((4, 32, 32), dtype=np.complex64)
    h[:, 3, 2], h[:, 3, 6] = 4.0, 4.0j
    h[:2] *= 2
    path = tmp_path / "csi.npy"
    np.save(path, h)
    result = describe(path)
    assert result["samples"] == 4
    assert (result["angles"], result["delays"]) == (32, 32)
    assert result["absmax"] == [4.0, 6.0, 8.0]
    assert result["energy_to_peak"] == pytest.approx(2.0)
    assert result["coefficients"]["for_90_percent_of_energy"] == [2.0] * 3
    assert result["coefficients"]["within_20_db_of_peak"] == [2.0] * 3
    assert result["rms_delay_spread_taps"] == pytest.approx([2.0] * 3)
    # taps of 256 / 257 / 20 MHz
    assert result["rms_delay_spread_ns"] == pytest.approx([2 * 49.805] * 3, rel=1e-4)
    assert result["circular_angle_spread_bins"] == pytest.approx([0.0] * 3, abs=1e-3)
    assert result["delay_profile"][6] == pytest.approx(0.5)
    assert result["angle_profile"][3] == pytest.approx(1.0)
    assert "complex" in result["taken_for"]
    json.dumps(result)


def test_angle_spread_is_circular():
    profile = np.zeros((2, 32))
    profile[0, [31, 1]] = 0.5
    profile[1, [15, 17]] = 0.5
    spread = circular_angle_spread(profile)
    # R = cos(2 pi / 32): nearly the one bin to either side
    assert spread == pytest.approx([1.0] * 2, rel=0.01)


def test_every_row_of_a_small_file_counts(tmp_path):
    rng = np.random.default_rng(1)
    h = rng.standard_normal((30, 8, 16)) + 1j * rng.standard_normal((30, 8, 16))
    np.save(tmp_path / "csi.npy", h)
    result = describe(tmp_path / "csi.npy")
    assert result["samples_described"] == 30
    assert len(result["angle_profile"]) == 8
    assert sum(result["delay_profile"]) == pytest.approx(1.0)
