"""Training of rank1-rzf's codewords: the rate, its gradient, the file, and the verbs after it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from csideploy import downlink
from csideploy.baselines.feedback import DISTANCES, Distance, choose
from csideploy.baselines.rank1_rzf import rzf
from csideploy.cli import app
from csideploy.downlink import Setup, dft_pilots, estimate, observe, rayleigh
from csideploy.downlink.trained_codewords import load_codewords
from csideploy.errors import FormatError, InputError, OutputError
from csideploy.training import train_codewords
from csideploy.training.codewords import Learner
from csideploy.training.draws import Batch

TINY = Setup(antennas=4, streams=2, users=2, bits=3, pilots=4)
SIZES = ["--users", "2", "--bits", "3", "--set", "antennas=4", "--set", "pilots=4"]
FEW: dict[str, Any] = {"batch": 500, "threads": 1, "validations": 5, "quiet": True}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("codewords") / "run"
    train_codewords(TINY, out=out, snr_db=20.0, iterations=300, seed=3, **FEW)
    return out


def verb(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def numpy_path(
    setup: Setup, known: np.ndarray[Any, Any], loading: float, distance: Distance, power: float
) -> tuple[Batch, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """500 channels as a batch of training, the choice on them, and the sum rates behind it."""
    rng = np.random.default_rng(7)
    h = rayleigh(setup, 500, rng)
    pilots = dft_pilots(setup)
    y = observe(setup, h, pilots, rng)
    sent = (np.sqrt(setup.pilot_power) * pilots).astype(np.complex64)
    noise = y - np.ascontiguousarray(sent.T @ h.conj())[..., None].view(np.float32)
    found = estimate(setup, y, pilots).reshape(-1, setup.antennas, setup.streams)
    index = choose(setup, found, known[..., None], power, distance).reshape(500, setup.users)
    v = rzf(known[index], loading, setup.streams)
    rates = downlink.user_rates(h, v, power).sum(1)
    turned = np.ascontiguousarray(h.swapaxes(2, 3))[..., None].view(np.float32)
    batch = Batch(torch.from_numpy(turned), torch.from_numpy(noise), torch.zeros(500, 1))
    return batch, index, rates


@pytest.mark.parametrize(("streams", "users"), [(1, 4), (1, 1), (2, 2), (4, 1), (3, 2)])
@pytest.mark.parametrize("distance", DISTANCES)
def test_choice_and_rate_are_those_of_the_numpy_side(
    streams: int, users: int, distance: Distance
) -> None:
    setup = Setup(antennas=6, streams=streams, users=users, bits=4, pilots=7)
    rng = np.random.default_rng(2)
    start = rng.standard_normal((16, 6, 2)).astype(np.float32).view(np.complex64)[..., 0]
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    for power in (1.0, 1000.0):
        batch, index, rates = numpy_path(setup, start, 0.3, distance, power)
        learner = Learner(setup, power, distance, start, 0.3)
        heard_by, whitened = learner.hear(batch)
        # float32 scores may tie differently in a sample; then its rate is another's too.
        same = (learner.choose(whitened).numpy() == index).all(1)
        assert same.mean() > 0.99
        found = learner.sum_rates(heard_by, whitened).detach().numpy()
        # float32 beams: 1e-6 of a rate near 20, and more where (A^H A + c I) is badly conditioned.
        np.testing.assert_allclose(found[same], rates[same], rtol=0, atol=2e-4)


def test_fewer_pilots_than_streams() -> None:
    """An estimate of lower rank: its Gram matrix is singular, the projection is not."""
    setup = Setup(antennas=4, streams=3, users=1, bits=2, pilots=2)
    rng = np.random.default_rng(2)
    start = rng.standard_normal((4, 4, 2)).astype(np.float32).view(np.complex64)[..., 0]
    batch, _, _ = numpy_path(setup, start, 0.3, "chordal", 10.0)
    learner = Learner(setup, 10.0, "chordal", start, 0.3)
    assert torch.isfinite(learner.sum_rates(*learner.hear(batch))).all()


def test_gradient_is_that_of_the_rate() -> None:
    """Against a difference quotient along a random direction, choices held by a small step."""
    rng = np.random.default_rng(5)
    start = rng.standard_normal((8, 4, 2)).astype(np.float32).view(np.complex64)[..., 0]
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    batch, _, _ = numpy_path(TINY, start, 0.3, "chordal", 100.0)
    learner = Learner(TINY, 100.0, "chordal", start, 0.3)
    heard_by, whitened = learner.hear(batch)
    index = learner.choose(whitened)
    learner.choose = lambda _: index  # type: ignore[method-assign]
    learner.sum_rates(heard_by, whitened).mean().backward()
    along = torch.from_numpy(rng.standard_normal((8, 4, 2)).astype(np.float32))
    assert learner.pairs.grad is not None
    assert learner.log_loading.grad is not None
    expected = float((learner.pairs.grad * along).sum() + 0.5 * learner.log_loading.grad)
    values, step = [], 3e-3
    with torch.no_grad():
        for sign in (1, -2):
            learner.pairs += sign * step * along
            learner.log_loading += sign * step * 0.5
            values.append(float(learner.sum_rates(heard_by, whitened).mean()))
    # The third derivative's part is step^2; float32 rates give 1e-6 / step.
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(expected, rel=5e-3, abs=1e-3)


def test_the_rate_grows(trained: Path) -> None:
    made = load_codewords(trained)
    about = made.about["training"]
    assert about["validation_sum_rate"] > about["validation_sum_rate_start"] + 0.02
    assert about["best_iteration"] > 0
    assert made.known.shape == (8, 4)
    np.testing.assert_allclose(np.linalg.norm(made.known, axis=1), 1, atol=1e-6)
    assert made.about["seed"] == 3
    assert (made.setup, made.snr_db) == (TINY, 20.0)
    # Nothing else: a run is there as a whole or not at all.
    assert [path.name for path in trained.iterdir()] == ["weights.safetensors"]


def test_other_channels_agree(trained: Path) -> None:
    """Not on its validation set alone: against the start, paired, on channels of its own."""
    made = load_codewords(trained)
    start = downlink.schemes.Baselines(TINY, seed=3)
    loading = made.about["training"]["loading_start"]
    lloyd = start.codebook(1)[:, :, 0]
    _, _, before = numpy_path(TINY, lloyd, loading, made.distance, 100.0)
    _, _, after = numpy_path(TINY, made.known, made.loading, made.distance, 100.0)
    assert (after - before).mean() > 0


def test_same_seed_same_weights(tmp_path: Path) -> None:
    results = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        made = train_codewords(
            TINY, out=tmp_path / name, snr_db=10.0, iterations=20, seed=seed, **FEW
        )
        results.append(load_file(made.weights))
    for key in ("codewords", "loading"):
        assert np.array_equal(results[0][key], results[1][key])
    assert not np.array_equal(results[0]["codewords"], results[2]["codewords"])


def test_one_antenna_a_user(tmp_path: Path) -> None:
    setup = Setup(antennas=4, streams=1, users=3, bits=3, pilots=4)
    made = train_codewords(setup, out=tmp_path / "run", snr_db=20.0, iterations=60, **FEW)
    training = made.metadata["training"]
    assert training["validation_sum_rate"] >= training["validation_sum_rate_start"]
    done = verb("export", "--checkpoint", tmp_path / "run", "--out", tmp_path / "P")
    assert done.exit_code == 0, done.output
    assert verb("validate", tmp_path / "P").exit_code == 0


@pytest.mark.parametrize("distance", DISTANCES)
def test_deployed_rate(tmp_path: Path, distance: Distance) -> None:
    """`evaluate run` sends bits through our runtime; the NumPy path gives the same rate."""
    from csideploy.downlink.evaluate import evaluate_precoders

    run, package = tmp_path / "run", tmp_path / "P"
    words = (*SIZES, "--set", f"distance={distance}", "--snr", 15, "--iterations", 40)
    done = verb(
        "train", "rank1-rzf", *words, "--batch", 200, "--threads", 1, "--out", run, "--json"
    )
    assert done.exit_code == 0, done.output
    made = load_codewords(run)
    assert json.loads(done.stdout) == {"weights": str(run / "weights.safetensors"), **made.about}
    assert made.distance == distance

    for more in ((), ("--model", "rank1-rzf", "--snr", 15, "--force")):
        done = verb("export", *more, "--checkpoint", run, "--out", package)
        assert done.exit_code == 0, done.output
    manifest = json.loads((package / "manifest.json").read_text())
    assert manifest["transmitter"] == "native"
    assert manifest["provenance"]["source"] == "checkpoint"
    assert manifest["distance"] == distance
    assert verb("validate", package).exit_code == 0
    table = ("--table", "sorted-rank1-int8", "--out", tmp_path / "T")
    assert verb("export", "--checkpoint", run, *table).exit_code == 0

    names = [str(run), str(package)]
    result = evaluate_precoders(names, made.setup, snrs=(15.0,), samples=400, seed=9)
    # The channels of that call, as it draws them.
    rng = np.random.default_rng([9, 6])
    h = rayleigh(TINY, 400, rng)
    y = observe(TINY, h, dft_pilots(TINY), np.random.default_rng(int(rng.integers(1 << 32))))
    power = 10**1.5
    found = estimate(TINY, y, dft_pilots(TINY)).reshape(-1, 4, 2)
    index = choose(TINY, found, made.known[..., None], power, distance).reshape(400, 2)
    v = rzf(made.known[index], made.loading, 2)
    expected = float(downlink.user_rates(h, v, power).sum(1).mean())
    rates = {row["system"]: row["sum_rate"] for row in result["rows"]}
    for name in names:
        # A float32 score that ties otherwise moves one sample of 400.
        assert rates[name] == pytest.approx(expected, abs=1e-3)


def test_evaluate_takes_the_run_s_sizes(trained: Path) -> None:
    done = verb("evaluate", trained, "--snr", "20", "--samples", "200", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["setup"] == TINY.describe()
    done = verb("evaluate", trained, "--snr", "10", "--samples", "200")
    assert done.exit_code == 2
    assert "nothing of these sizes" in done.output


def test_without_torch(trained: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None\nfrom csideploy.cli import main\nmain()"
    for words in (
        ("export", "--checkpoint", trained, "--out", tmp_path / "P"),
        ("evaluate", trained, "--snr", "20", "--samples", "100"),
    ):
        command = [sys.executable, "-c", code, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--data", "x.npz"], "--data goes with CSI feedback"),
        (["--epochs", "3"], "--epochs goes with"),
        (["--method", "plain"], "--method goes with kd-precoder"),
        (["--resume"], "--resume goes with kd-precoder"),
        (["--device", "cpu"], "--device goes with kd-precoder"),
        (["--snr", "0,10"], "one P"),
        (["--snr", "0:30"], "one P"),
        (["--snr", "nan"], "at most 60"),
        (["--snr", "61"], "at most 60"),
        (["--bits", "9"], "at most 8"),
        (["--bits", "2,3"], "whole number of bits"),
        (["--users", "5"], "K <= M / N"),
        (["--set", "order=sorted"], "pilot-power, distance"),
        (["--set", "distance=far"], "chordal or sinr"),
        (["--set", "distance=sinr", "--set", "distance=sinr"], "twice"),
        (["--iterations", "0"], "--iterations 0"),
        (["--rate", "0"], "--rate 0"),
        (["--rate", "nan"], "--rate nan"),
    ],
)
def test_bad_options(tmp_path: Path, words: list[str], says: str) -> None:
    done = verb("train", "rank1-rzf", *words, "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert says in done.output
    assert done.output.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_taken_folder(trained: Path) -> None:
    with pytest.raises(OutputError, match="name another --out"):
        train_codewords(TINY, out=trained, snr_db=10.0)


def test_weights_for_something_else(trained: Path, tmp_path: Path) -> None:
    for words, says in (
        (("--snr", "10"), "trained for 20 dB, not 10"),
        (("--bits", "4"), "these weights are for"),
        (("--distance", "sinr"), "computed precoders"),
        (("--model", "kd-precoder"), "holds rank1-rzf"),
    ):
        done = verb("export", "--checkpoint", trained, *words, "--out", tmp_path / "P")
        assert done.exit_code == 2, done.output
        assert says in done.output
        assert done.output.count("\n") == 1


def test_broken_weights(trained: Path, tmp_path: Path) -> None:
    good = load_file(trained / "weights.safetensors")
    about = load_codewords(trained).about
    file = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match="no weights"):
        load_codewords(tmp_path)
    file.write_bytes(b"text")
    with pytest.raises(FormatError, match="not the weights of a rank1-rzf"):
        load_codewords(file)
    changes: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"codewords": good["codewords"][:4]}, {}),
        ({"codewords": good["codewords"] * np.float32(2)}, {}),
        ({"codewords": good["codewords"] * np.float32(np.nan)}, {}),
        ({"codewords": good["codewords"].astype(np.float64)}, {}),
        ({"loading": np.zeros(1, np.float32)}, {}),
        ({"loading": np.ones(2, np.float32)}, {}),
        ({}, {"distance": "far"}),
        ({}, {"setup": {"antennas": 0}}),
        ({}, {"setup": 3}),
        ({}, {"snr_db": "loud"}),
        ({}, {"snr_db": float("nan")}),
    ]
    for tensors, words in changes:
        text = json.dumps({**about, **words})
        save_file({**good, **tensors}, file, metadata={"csideploy": text})
        with pytest.raises(FormatError, match="do not fit"):
            load_codewords(file)
    save_file({"codewords": good["codewords"]}, file, metadata={"csideploy": json.dumps(about)})
    with pytest.raises(FormatError, match="do not fit"):
        load_codewords(file)
    data = (trained / "weights.safetensors").read_bytes()
    file.write_bytes(data[:-3])
    with pytest.raises(FormatError, match="do not fit"):
        load_codewords(file)
