"""Generated samples against the reference model's, and whether the comparison has teeth.

`csideploy.channels.agreement` says how the bands are made: a bootstrap over environments, 99 %
simultaneously over the points of a curve.
"""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from reference_samples import complex_csi, reference_file

from csideploy.channels import blocks
from csideploy.channels.agreement import compare, pixel_variance, rms_delay_spread
from csideploy.channels.generate import generate
from csideploy.errors import InputError

STATISTICS = ["delay profile", "angle profile", "pixel variance", "rms delay spread", "PCA energy"]


def reference(folder, scenario):
    with np.load(reference_file(folder, scenario)) as archive:
        return complex_csi(archive["H"])


@pytest.mark.parametrize("scenario", ["indoor", "outdoor"])
def test_generated_samples_agree_with_the_reference(reference_dir, repository, tmp_path, scenario):
    out = tmp_path / "agreement.json"
    command = [sys.executable, repository / "benchmarks" / "channel_agreement.py"]
    options = ["--reference", reference_dir, "--scenario", scenario, "--json", out]
    # Threads of the linear algebra make the decompositions ten times slower on busy cores.
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    subprocess.run([*command, *options], env={**os.environ, **single}, check=True)
    (report,) = json.loads(out.read_text())["results"]
    assert report["samples"] == {"indoor": 20_000, "outdoor": 12_000}[scenario]
    assert [entry["name"] for entry in report["statistics"]] == STATISTICS
    outside = {
        entry["name"]: round(entry["worst_in_bands"], 2)
        for entry in report["statistics"]
        if not entry["inside"]
    }
    assert not outside, f"deviations in units of the 99 % band: {outside}"


WRONG = {
    "half the area": {"ue_half_side": 10.0},
    "slow decay with delay": {"decay_per_second": 8e6},
    "twice the clusters": {"mean_clusters": 7.6},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_model_is_told_from_the_reference(reference_dir, monkeypatch, change):
    wrong = dataclasses.replace(blocks.SCENARIOS["indoor"], **change)
    monkeypatch.setitem(blocks.SCENARIOS, "indoor", wrong)
    generated = complex_csi(generate("indoor", 3000, seed=2).H)
    given = reference(reference_dir, "indoor")
    results = compare(given, generated, 20, replicates=300, energy_curve=False)
    assert max(result.worst for result in results) > 1.5


def test_statistics_of_a_known_matrix():
    h = np.zeros((1, 32, 32), dtype=np.complex64)
    h[0, 3, 2], h[0, 9, 6] = 2.0, 2.0j
    assert rms_delay_spread(h)[0] == pytest.approx(2.0)
    assert pixel_variance(h)[0] == pytest.approx(2 * 0.25 / 2048)


def test_a_candidate_must_fit():
    h = np.ones((40, 32, 32), dtype=np.complex64)
    with pytest.raises(InputError, match="no fewer"):
        compare(h, h[:20], 20)
