"""Training of transceivers on a file of the public predecessor's layout, to the measured link."""

import json

import numpy as np
import pytest
import torch
from scipy.io import savemat
from typer.testing import CliRunner

from csideploy.baselines.zero_forcing import zf
from csideploy.cli import app
from csideploy.errors import InputError
from csideploy.systems.rvq_egat import Widths
from csideploy.training import train_transceiver, transceiver_learner
from csideploy.training.checkpoint import read_checkpoint
from csideploy.training.draws import Powers
from csideploy.training.transceiver_learner import Learner
from csideploy.training.transceiver_recipe import TransceiverRecipe
from csideploy.training.transceiver_settings import assemble, parse_users
from csideploy.transceiver import Setup
from csideploy.transceiver.codebooks import encode
from csideploy.transceiver.evaluate import Trained, evaluate_transceivers, of_weights
from csideploy.transceiver.splits import split_users
from csideploy.transceiver.weights import load_weights

SMALL = (
    "tiers=4+3",
    "extractor=24+16",
    "start-widths=16+12",
    "layers=1",
    "end=16",
)


@pytest.fixture(scope="module")
def mat(tmp_path_factory):
    """A few paths a user on a line of antennas, power spread over 20 dB: complex128 (N, K, M)."""
    rng = np.random.default_rng(5)
    sine = rng.uniform(-1, 1, (200, 3, 3, 1))
    gain = rng.standard_normal((200, 3, 3, 1)) + 1j * rng.standard_normal((200, 3, 3, 1))
    gain = gain * np.array([1, 0.4, 0.2])[:, None] * 10 ** rng.uniform(-1, 0, (200, 3, 1, 1))
    h = (gain * np.exp(1j * np.pi * sine * np.arange(8))).sum(2)
    path = tmp_path_factory.mktemp("users") / "DATA_H_mu_train.mat"
    savemat(path, {"H_mu_train": h})
    return path


def _train(mat, out, **options):
    chosen = {"steps": 24, "batch": 48, "settings": SMALL, "threads": 1, "quiet": True, **options}
    return train_transceiver(data=mat, out=out, validations=4, **chosen)


def test_train_and_evaluate_from_the_command_line(mat, tmp_path):
    run, figures = tmp_path / "run", tmp_path / "figures.json"
    arguments = ["train", "rvq-egat", "--data", str(mat), "--users", "2:3", "--out", str(run)]
    arguments += ["--iterations", "24", "--batch", "48", "--threads", "1", "--json"]
    for pair in SMALL:
        arguments += ["--set", pair]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["training"]["steps"] == 24
    assert told["data"]["taken_for"].startswith("200 groups of 3 users")
    weights = load_weights(run)
    assert weights.setup == Setup(antennas=8, pilots=2, feature=16, tiers=(4, 3))
    assert "--users 2:3" in weights.about["command"]
    arguments = ["evaluate", str(run), "--channel", str(mat), "--users", "2,3", "--bits", "3,7"]
    arguments += ["--samples", "40", "--out", str(figures), "--chart", str(tmp_path / "c.svg")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(figures.read_text())
    own = [row for row in result["rows"] if row["trained"]]
    assert {(row["users"], row["bits"]) for row in own} == {(2, 3), (2, 7), (3, 3), (3, 7)}
    systems = {row["system"] for row in result["rows"]}
    assert {"zf", "rzf", "wmmse", "zf-lmmse", "zf-lloyd"} < systems
    zf = {(r["users"], r["at_bits"]): r["sum_rate"] for r in result["rows"] if r["system"] == "zf"}
    # What knows all channels does not depend on bits.
    assert zf[2, 3] == zf[2, 7]
    assert {check["check"] for check in result["checks"]} == {
        "above zf-lmmse",
        "above zf-lloyd",
        "not falling with bits",
    }


@pytest.mark.parametrize("method", ["end-to-end", "progressive"])
def test_a_stopped_run_goes_on_exactly(mat, tmp_path, monkeypatch, method):
    """In the middle of a stage, after tiers were made smaller and dead words moved."""
    monkeypatch.setattr(transceiver_learner, "COARSE_EVERY", 4)
    monkeypatch.setattr(transceiver_learner, "REVIVE_EVERY", 5)
    whole = load_weights(_train(mat, tmp_path / "whole", method=method).weights)
    step, seen = Learner.step, []

    def stops(self, number):
        if number == 17 and not seen:
            seen.append(number)
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(Learner, "step", stops)
    with pytest.raises(KeyboardInterrupt):
        _train(mat, tmp_path / "parts", checkpoint_seconds=0.0, method=method)
    result = _train(mat, tmp_path / "parts", resume=True, checkpoint_seconds=0.0, method=method)
    again = load_weights(result.weights)
    assert all(np.array_equal(whole.state[name], again.state[name]) for name in whole.state)
    assert np.array_equal(whole.features, again.features)
    # Not the best weights alone, which may be older than the stop: the last ones, too.
    ends = [read_checkpoint(tmp_path / run / "checkpoint.pt") for run in ("whole", "parts")]
    last, other = (end["learner"]["net"] for end in ends)
    assert all(torch.equal(last[name], other[name]) for name in last)


def test_a_run_goes_on_from_weights(mat, tmp_path):
    first = _train(mat, tmp_path / "first")
    # So small a step moves no weight of float32 but those near 0.
    second = _train(mat, tmp_path / "second", start_from=first.weights, rate=1e-12, steps=4)
    before, after = load_weights(first.weights), load_weights(second.weights)
    for name, array in before.state.items():
        if "running" not in name:
            assert np.abs(array - after.state[name]).max() < 1e-6
    assert after.about["data"]["started_from"]["sha256"]
    other = ("tiers=4+3", *SMALL[1:], "alpha=0.5")
    with pytest.raises(InputError, match="--start-from"):
        _train(mat, tmp_path / "third", start_from=first.weights, settings=other)


def test_some_users_have_a_smaller_tier(mat, monkeypatch):
    """Words made of features, fewer than the first tier has, in what the precoder reads."""
    monkeypatch.setattr(transceiver_learner, "COARSE_SHARE", 1.0)
    learner = _learner(mat)
    for number in range(3):
        learner.step(number)
    learner._make_coarse(3)
    (words,) = learner.coarse
    assert 2 <= len(words) < 8
    v = torch.from_numpy(learner.sample(50, [9])[0])
    wanted = encode(v.numpy(), [words.numpy()])[:, 0]
    assert torch.equal(learner._coarsely(v, None), words[torch.from_numpy(wanted).long()])
    read = []
    graph = learner.net.graph.forward

    def listens(features, snr_db):
        read.append(features)
        return graph(features, snr_db)

    monkeypatch.setattr(learner.net.graph, "forward", listens)
    monkeypatch.setattr(learner.net, "tiers", _Refuses(learner.net.tiers))
    learner.step(3)
    assert read[0].isfinite().all()


class _Refuses(torch.nn.Module):
    """Tiers whose own codewords are no numbers: a user that read them would show."""

    def __init__(self, tiers):
        super().__init__()
        self.books = tiers.books

    def forward(self, v, *_):
        return torch.full_like(v, torch.nan), torch.zeros(len(v)), None


def test_regions_are_trained_and_measured(tmp_path):
    rng = np.random.default_rng(8)
    h = rng.standard_normal((400, 8)) + 1j * rng.standard_normal((400, 8))
    region = np.arange(400) % 2
    users = tmp_path / "u.npz"
    np.savez(users, H=h.astype(np.complex64), region=region.astype(np.uint8))
    _train(users, tmp_path / "run", settings=(*SMALL, "regions=2"))
    weights = load_weights(tmp_path / "run")
    assert not np.array_equal(weights.codebooks(0)[0], weights.codebooks(1)[0])
    one = of_weights(tmp_path / "run", "run", most_users=2, bits=[3])
    result = evaluate_transceivers([one], users, users=[2], bits=[3], samples=20)
    assert all(np.isfinite(row["sum_rate"]) for row in result["rows"])
    # One B: nothing to compare it with.
    assert {check["check"] for check in result["checks"]} == {"above zf-lmmse", "above zf-lloyd"}


def _trained(name, candidate, **more):
    return Trained(name, candidate, 2, 8, None, None, 8, {}, **more)


def test_checks_fail_where_they_must(mat):
    """Rates that fall with B, below every baseline; and what knows more than those."""

    def poor(h, noise, snr, bits):
        w = np.full(h.shape, 1e-3 + 0j)
        return w / np.sqrt(bits)

    def rich(h, noise, snr, bits):
        return zf(h)

    both = [_trained("poor", poor), _trained("rich", rich)]
    result = evaluate_transceivers(both, mat, users=[2, 5], bits=[3, 6], samples=50)
    checks = {(check["system"], check["check"]): check for check in result["checks"]}
    assert len(checks["poor", "above zf-lmmse"]["fails"]) == 4
    assert len(checks["poor", "above zf-lloyd"]["fails"]) == 4
    assert len(checks["poor", "not falling with bits"]["fails"]) == 2
    assert checks["rich", "above zf-lloyd"]["fails"] == []
    assert checks["rich", "not falling with bits"]["fails"] == []
    own = [row for row in result["rows"] if row["system"] == "rich"]
    assert all(abs(row["margins"]["zf"]["mean"]) < 1e-9 for row in own)


@pytest.mark.parametrize(
    ("trained", "options", "says"),
    [
        (["zf"], {}, "name of a baseline"),
        (["a", "a"], {}, "given twice"),
        (["a"], {"users": [9]}, "at most 8 users"),
        (["a"], {"bits": [9]}, "codebooks of 9 bits need 512"),
        (["b"], {"bits": [4]}, "has budgets of 3 bits, not 4"),
    ],
)
def test_wrong_measurements_are_refused(mat, trained, options, says):
    made = [_trained(name, zf, budgets=(3,) if name == "b" else ()) for name in trained]
    with pytest.raises(InputError, match=says):
        evaluate_transceivers(made, mat, **{"users": [2], "bits": [3], "samples": 20, **options})


def test_another_run_is_not_resumed(mat, tmp_path):
    _train(mat, tmp_path / "run")
    (tmp_path / "run" / "weights.safetensors").unlink()
    with pytest.raises(InputError, match="another recipe"):
        _train(mat, tmp_path / "run", resume=True, batch=60)


def _learner(mat, **recipe):
    setup = Setup(antennas=8, pilots=2, feature=16, tiers=(3, 2))
    widths = Widths(extractor=(24, 16), start=(16, 12), layers=1, end=16)
    chosen = TransceiverRecipe(
        **{"steps": 20, "batch": 48, "users": (2, 3), "start": 0.1, **recipe}
    )
    parts = split_users(mat)
    return Learner(setup, widths, chosen, parts[0], 0, torch.device("cpu"))


def _books(learner):
    return [book.detach().clone() for book in learner.net.tiers.books]


def test_progressive_training_freezes_the_tiers_before(mat):
    """Algorithm 1: a stage moves its own tier alone, and all else."""
    learner = _learner(mat, method="progressive")
    for number in range(10):
        learner.step(number)
    first, others = _books(learner)[0], learner.net.graph.start[0].weight.detach().clone()
    before = _books(learner)[1]
    for number in range(10, 20):
        learner.step(number)
    assert torch.equal(_books(learner)[0], first)
    assert not torch.equal(_books(learner)[1], before)
    assert not torch.equal(learner.net.graph.start[0].weight, others)


def test_a_tier_that_is_not_trained_yet_does_not_move(mat):
    learner = _learner(mat, method="progressive")
    before = _books(learner)[1]
    for number in range(10):
        learner.step(number)
    assert torch.equal(_books(learner)[1], before)


def test_dead_words_of_frozen_tiers_stay(mat, monkeypatch):
    monkeypatch.setattr(transceiver_learner, "REVIVE_EVERY", 2)
    monkeypatch.setattr(transceiver_learner, "REVIVE_SHARE", 10.0)
    learner = _learner(mat, method="progressive")
    for number in range(10):
        learner.step(number)
    first, second = _books(learner)
    for number in range(10, 15):
        learner.step(number)
    assert torch.equal(_books(learner)[0], first)
    assert not torch.equal(_books(learner)[1], second)


def test_tiers_start_where_features_are(mat):
    learner = _learner(mat, budgets="full")
    for number in range(3):
        learner.step(number)
    features, _ = learner.sample(300, [1, 2])
    q = learner.net.tiers.quantize(torch.from_numpy(features))[0].detach().numpy()
    # 32 sums of k-means codewords leave less than half of what no codebook leaves.
    assert np.square(features - q).sum() < 0.5 * np.square(features - features.mean(0)).sum()


def test_the_sum_rate_rises(mat):
    learner = _learner(mat, steps=150, start=0.1)
    first = np.mean([float(learner.step(number)) for number in range(16, 26)])
    last = np.mean([float(learner.step(number)) for number in range(26, 150)][-20:])
    assert last < first - 0.3  # bit/s/Hz; it moves by more than 1 in this time


def test_mixed_snrs_and_users_are_drawn():
    recipe = TransceiverRecipe(powers=Powers.parse("-5:20"), users=(1, 4))
    assert recipe.powers.even
    assert recipe.rate_at(0, 3) < recipe.rate_at(500, 3)
    assert recipe.rate_at(recipe.steps - 1, 3) == pytest.approx(0.01 * recipe.rate, rel=0.01)


def test_every_stage_warms_up_and_cools_down():
    recipe = TransceiverRecipe(method="progressive", steps=3000)
    assert [recipe.stage(step, 3) for step in (0, 999, 1000, 2999)] == [0, 0, 1, 2]
    for begin in (0, 1000, 2000):
        assert recipe.rate_at(begin, 3) < 0.05 * recipe.rate
        assert recipe.rate_at(begin + 150, 3) > 0.9 * recipe.rate
        assert recipe.rate_at(begin + 999, 3) < 0.02 * recipe.rate


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["tiers=10,10"], "tiers=10+10+10"),
        (["tiers=17"], "1 to 16"),
        (["feature=15"], "multiple of the 8"),
        (["size=3"], "NAME one of"),
        (["form=ring"], "edge or node"),
        (["start=2"], "below 1"),
        (["layers=1", "layers=2"], "given twice"),
        (["alpha=nan"], "a number"),
    ],
)
def test_wrong_settings_are_refused(given, says):
    with pytest.raises(InputError, match=says.replace("+", r"\+")):
        assemble(given, antennas=8, recipe={})


@pytest.mark.parametrize(
    ("text", "users"), [(None, None), ("3", (3,)), ("2,5", (2, 5)), ("3:5", (3, 4, 5))]
)
def test_users_are_read(text, users):
    assert parse_users(text) == users


@pytest.mark.parametrize("text", ["5:3", "a", "1,", "-1", "2:3:4", ""])
def test_wrong_users_are_refused(text):
    with pytest.raises(InputError, match="--users"):
        parse_users(text)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--data F"),
        (["--data", "missing.mat"], "missing.mat"),
        (["--data", "MAT", "--cr", "8"], "--cr"),
        (["--data", "MAT", "--users", "40"], "at least the 40 users"),
        (["--data", "MAT", "--set", "tiers=4", "--method", "twice"], "progressive"),
        (["--data", "MAT", "--snr", "x"], "--snr"),
    ],
)
def test_bad_use_is_one_line(mat, tmp_path, arguments, says):
    filled = [str(mat) if one == "MAT" else one for one in arguments]
    extra = ["--batch", "30"] if "40" in arguments else []
    done = CliRunner().invoke(
        app, ["train", "rvq-egat", *filled, *extra, "--out", str(tmp_path / "x")]
    )
    assert done.exit_code == 2
    assert says in done.output.replace("\n", " ")
    assert not (tmp_path / "x").exists()
