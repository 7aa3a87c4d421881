"""Training of kd-precoder: the rate, the two turns, resume, and the verb."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from csideploy import downlink
from csideploy.cli import app
from csideploy.downlink import Setup
from csideploy.errors import CsideployError, FormatError, InputError, OutputError
from csideploy.systems.kd_precoder import KdPrecoder, Options
from csideploy.training import checkpoint, load_precoder, train_precoder
from csideploy.training.distillation import Learner, Recipe, constant_bits, sum_rates
from csideploy.training.draws import Batch, Powers, empty, fill, validation
from csideploy.training.rates import user_rates

CPU = torch.device("cpu")
TINY = Setup(antennas=4, streams=1, users=2, bits=4, pilots=4)
FEW: dict[str, Any] = {
    **{"users": 2, "bits": 3, "settings": ["antennas=4", "streams=1", "pilots=4"]},
    **{"iterations": 40, "batch": 50, "threads": 1, "device": "cpu"},
    **{"validations": 4, "validation_samples": 200, "quiet": True},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def complex_of(parts: torch.Tensor) -> np.ndarray[Any, Any]:
    """(n, K, N, M, 2) -> complex (n, K, M, N), as the NumPy side has it."""
    return np.ascontiguousarray(parts.detach()).view(np.complex64)[..., 0].swapaxes(2, 3)


@pytest.mark.parametrize(("streams", "users"), [(1, 8), (2, 4), (3, 2), (4, 2)])
@pytest.mark.parametrize("power", [1.0, 10.0, 1000.0])
def test_rate_is_that_of_the_numpy_side(streams: int, users: int, power: float) -> None:
    setup = Setup(streams=streams, users=users)
    batch = validation(setup, Powers(), 50, CPU)
    torch.manual_seed(1)
    v = KdPrecoder(setup)(torch.randn(50, users, 8, streams, 2)).detach()
    v[::2, :, 1:] = v[::2, :, :1]  # Rank 1, as trained networks make it.
    expected = downlink.user_rates(complex_of(batch.h), complex_of(v), power)
    found = user_rates(batch.h, v, torch.full((50,), power))
    # The products are float32, of 8 terms: 1e-6 of a rate near 10.
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-5)


def test_gradient_of_the_rate() -> None:
    batch = validation(TINY, Powers(), 3, CPU)
    v = torch.randn(batch.h.shape, generator=torch.Generator().manual_seed(2)).requires_grad_()
    power = torch.tensor([1.0, 10.0, 100.0])
    user_rates(batch.h, v, power).sum().backward()  # type: ignore[no-untyped-call]
    assert v.grad is not None
    step, at = 1e-3, (1, 1, 0, 2, 1)
    ends = []
    for sign in (1, -1):
        moved = v.detach().clone()
        moved[at] += sign * step
        ends.append(float(user_rates(batch.h, moved, power).sum()))
    # Central difference of float32 products: 1e-6 / 1e-3.
    assert float(v.grad[at]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=3e-3)


def learner(setup: Setup = TINY, options: Options | None = None, **recipe: Any) -> Learner:
    small = {"iterations": 200, "batch": 100, "rate": 1e-3, "precision": "fp32", **recipe}
    return Learner(setup, options or Options(), Recipe(**small), 0, CPU)


def drawn(made: Learner, iteration: int = 0) -> None:
    fill(made.batch, made.recipe.powers, torch.Generator(), (0, iteration))


def test_both_turns_reach_the_receiver() -> None:
    made = learner()
    assert made.teacher is not None
    drawn(made)
    first = made.precoder.receivers[0].net[0].weight
    for loss, own, other in (
        (made._teacher_loss(), made.teacher, made.precoder.transmitter),
        (made._student_loss(), made.precoder.transmitter, made.teacher),
    ):
        for module in (made.precoder, made.teacher):
            module.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert first.grad is not None
        assert first.grad.abs().max() > 0
        assert all(p.grad is not None and p.grad.any() for p in own.parameters())
        assert all(p.grad is None for p in other.parameters())


def test_the_teachers_gradient_is_the_true_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = learner(options=Options(order="given"))
    assert made.teacher is not None
    drawn(made)
    # In float64: with the kinks of ReLU, a difference is a derivative only over a tiny step.
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    made.precoder.double()
    made.teacher.double()
    batch = made.batch
    made.batch = Batch(batch.h.double(), batch.noise.double(), batch.snr_db.double())
    last = made.precoder.receivers[0].net[-1].bias
    made._teacher_loss().backward()  # type: ignore[no-untyped-call]
    step, ends = 1e-6, []
    for sign in (1, -1):
        with torch.no_grad():
            last[1] += sign * step
            ends.append(float(made._teacher_loss()))
            last[1] -= sign * step
    assert float(last.grad[1]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)
    assert abs(float(last.grad[1])) > 0.01


@pytest.mark.parametrize("update", ["teacher-first", "student-first"])
def test_order_of_the_turns(update: str) -> None:
    made = learner(update=update)
    turns: list[str] = []
    original = made._update

    def spy(which: str, loss_of: Any) -> torch.Tensor:
        turns.append(which)
        return original(which, loss_of)

    made._update = spy  # type: ignore[method-assign]
    loss = made.step(0)
    first, second = ("teacher", "student") if update == "teacher-first" else ("student", "teacher")
    assert turns == [first, second]
    # The loss that is reported is the student's: minus the rate through the bits.
    again = learner(update="student-first")
    drawn(again)
    before = float(sum_rates(again.precoder, again.batch).mean())
    if update == "student-first":
        assert float(loss) == pytest.approx(-before, abs=1e-4)
    else:
        assert float(loss) != pytest.approx(-before, abs=1e-4)


@pytest.mark.parametrize("method", ["plain", "distilled"])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_learns(method: str, precision: str) -> None:
    made = learner(method=method, precision=precision)
    fixed = validation(TINY, Powers(), 2000, CPU)
    before = float(sum_rates(made.precoder, fixed).mean())
    for iteration in range(200):
        made.step(iteration)
    after = float(sum_rates(made.precoder, fixed).mean())
    # 2000 samples know the mean to 0.03.
    assert after > before + 0.7
    assert constant_bits(made.precoder, fixed) == 0
    assert (made.teacher is None) == (method == "plain")


@pytest.mark.parametrize(
    ("setup", "options", "recipe"),
    [
        (Setup(streams=1, users=8, bits=3), Options(), {}),
        (Setup(streams=2, users=4, bits=6), Options(), {}),
        (Setup(streams=4, users=2, bits=12), Options(), {}),
        (TINY, Options("own"), {}),
        (TINY, Options(pilot="learned"), {}),
        (TINY, Options(power_input=True), {"powers": Powers((0.0, 30.0), even=True)}),
        (TINY, Options(power_input=True), {"powers": Powers((0.0, 10.0, 20.0))}),
        (TINY, Options(), {"estimator": "sigmoid"}),
        (TINY, Options(order="given"), {"powers": Powers((30.0,)), "anneal": 0.5}),
    ],
)
def test_every_set_up_takes_a_step(setup: Setup, options: Options, recipe: dict[str, Any]) -> None:
    made = learner(setup, options, batch=20, **recipe)
    before = {name: p.detach().clone() for name, p in made.precoder.named_parameters()}
    for iteration in range(2):
        assert torch.isfinite(made.step(iteration))
    for name, parameter in made.precoder.named_parameters():
        assert torch.isfinite(parameter).all()
        assert not torch.equal(parameter, before[name]), name
    db = made.batch.snr_db
    if made.recipe.powers.even:
        assert 0 <= db.min() < 8 < 22 < db.max() <= 30
    elif made.recipe.powers.several:
        assert set(db.flatten().tolist()) == {0.0, 10.0, 20.0}
    elif made.recipe.anneal:
        # The second of 100 steps from 10 to 30 dB.
        assert float(db[0]) == pytest.approx(10.2)


@pytest.mark.parametrize("steps", [0, 3])
def test_warm_up_of_a_graph_leaves_no_trace(steps: int) -> None:
    """What `_capture` does around the recording, on the CPU: iterate, then take the state back."""
    made, straight = learner(), learner()
    for iteration in range(steps):
        made.step(iteration)
        straight.step(iteration)
    drawn(made, iteration=99)
    before = copy.deepcopy(made.state())
    for _ in range(3):
        made._iterate()
    made.restore(before)
    for iteration in range(steps, steps + 3):
        assert torch.equal(made.step(iteration), straight.step(iteration))


def test_rates_and_powers_of_the_recipe() -> None:
    paper = Recipe()
    assert [paper.rate_at(i) for i in (0, 29_999, 30_000, 39_999, 40_000, 49_999)] == pytest.approx(
        [2e-4, 2e-4, 2e-5, 2e-5, 2e-6, 2e-6]
    )
    rising = Recipe(iterations=100, powers=Powers((30.0,)), anneal=0.5)
    assert [rising.powers_at(i).values[0] for i in (0, 25, 50, 99)] == [10.0, 20.0, 30.0, 30.0]
    assert Recipe(iterations=100, anneal=0.5).powers_at(0).values == (10.0,)
    assert paper.slope_at(0) == 1
    assert paper.slope_at(25_000) == pytest.approx(5**0.5)


def test_draws_are_a_function_of_their_place() -> None:
    batch, generator = empty(TINY, 4000, CPU), torch.Generator()
    fill(batch, Powers(), generator, (3, 7))
    h, noise = batch.h.clone(), batch.noise.clone()
    for place in ((3, 8), (4, 7)):
        fill(batch, Powers(), generator, place)
        assert not torch.equal(batch.h, h)
    fill(batch, Powers(), generator, (3, 7))
    assert torch.equal(batch.h, h)
    assert torch.equal(batch.noise, noise)
    for drawn_values in (h, noise):
        # Complex variance 1: 32,000 complex numbers, deviation of the mean of squares 0.0056.
        assert float(drawn_values.square().sum(-1).mean()) == pytest.approx(1, abs=0.03)
        assert abs(float(drawn_values.mean())) < 0.02


PROGRAM = """
import sys
from pathlib import Path
from csideploy.training import train_precoder
train_precoder(out=Path(sys.argv[1]), checkpoint_seconds=0.0, **{options})
"""


def test_killed_run_goes_on_exactly(tmp_path: Path) -> None:
    whole = train_precoder(out=tmp_path / "whole", **FEW)
    expected = load_file(whole.weights)
    out = tmp_path / "killed"
    program = PROGRAM.replace("{options}", repr(FEW))
    process = subprocess.Popen([sys.executable, "-c", program, str(out)])
    state = out / checkpoint.CHECKPOINT
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        # Past the second validation, so that there is a best one to keep.
        if state.is_file() and torch.load(state, weights_only=True)["position"]["step"] >= 23:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run must not have ended by itself"
    resumed = train_precoder(out=out, resume=True, **FEW)
    found = load_file(resumed.weights)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    for key in ("setup", "options", "recipe", "seed"):
        assert whole.metadata[key] == resumed.metadata[key]
    both = [r.metadata["training"]["validation_sum_rate"] for r in (whole, resumed)]
    assert both[0] == both[1]
    # What was kept is what was measured.
    precoder, metadata = load_precoder(out)
    rate = float(sum_rates(precoder, validation(precoder.setup, Powers(), 200, CPU)).mean())
    assert round(rate, 4) == metadata["training"]["validation_sum_rate"]

    with pytest.raises(InputError, match="another seed"):
        train_precoder(out=out, resume=True, seed=1, **FEW)
    with pytest.raises(InputError, match="another recipe"):
        train_precoder(out=out, resume=True, **{**FEW, "iterations": 41})
    with pytest.raises(OutputError, match="--resume"):
        train_precoder(out=out, **FEW)
    state.write_bytes(b"no checkpoint")
    with pytest.raises(FormatError, match="not a training checkpoint"):
        train_precoder(out=out, resume=True, **FEW)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"snr": "ten"}, "--snr"),
        ({"snr": "30:0"}, "range 0:30"),
        ({"snr": "0:10:20"}, "range 0:30"),
        ({"snr": "nan"}, "--snr"),
        ({"snr": ""}, "--snr"),
        ({"snr": "90"}, "60"),
        ({"users": 5}, "K <= M / N"),
        ({"bits": 17}, "1 to 16"),
        ({"iterations": 0}, "iterations 0"),
        ({"batch": 0}, "batch 0"),
        ({"rate": -1.0}, "rate -1"),
        ({"method": "paper"}, "distilled or plain"),
        ({"device": "tpu"}, "cpu or cuda"),
        ({"threads": 0}, "--threads"),
        ({"resume": True}, "no run in"),
        ({"settings": ["antenas=8"]}, "one of antennas, streams, pilots"),
        ({"settings": ["antennas"]}, "NAME=VALUE"),
        ({"settings": ["antennas=eight"]}, "whole number"),
        ({"settings": ["pilot-power=inf"]}, "a number"),
        ({"settings": ["pilot-power=-1"]}, "above 0"),
        ({"settings": ["update=both"]}, "teacher-first or student-first"),
        ({"settings": ["order=given", "order=given"]}, "twice"),
        ({"settings": ["receivers=own", "order=sorted"]}, "order given"),
        ({"settings": ["anneal=2"]}, "0 to 1"),
        ({"settings": ["anneal=0.5"], "snr": "0:30"}, "one P"),
    ],
)
def test_bad_use(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    given = {"iterations": 1, "batch": 2, "quiet": True, **changes}
    with pytest.raises(CsideployError, match=says) as caught:
        train_precoder(out=tmp_path / "run", **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_bad_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights"):
        load_precoder(tmp_path)
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"not safetensors at all")
    with pytest.raises(FormatError, match="safetensors"):
        load_precoder(tmp_path)
    for described in (None, {"system": "csinet"}):
        save_file({"a": torch.ones(2)}, file, metadata={"csideploy": json.dumps(described)})
        with pytest.raises(FormatError, match="not the weights of a kd-precoder"):
            load_precoder(file)
    good = {"system": "kd-precoder", "setup": TINY.describe(), "options": Options().describe()}
    for changes in ({}, {"setup": {"antennas": 0}}, {"options": {"x": 1}}, {"setup": 3}):
        text = json.dumps({**good, **changes})
        save_file({"a": torch.ones(2)}, file, metadata={"csideploy": text})
        with pytest.raises(FormatError, match="do not fit"):
            load_precoder(file)


def verb(*words: str) -> Any:
    return CliRunner().invoke(app, ["train", *words])


def test_the_verb(tmp_path: Path) -> None:
    out = tmp_path / "run"
    sizes = ["--set", "antennas=4", "--set", "receivers=own", "--users", "2", "--iterations", "3"]
    short = [*sizes, "--batch", "10", "--snr", "0:30", "--method", "plain", "--threads", "1"]
    done = verb("kd-precoder", "--out", str(out), *short, "--seed", "4", "--json")
    assert done.exit_code == 0, done.output
    precoder, metadata = load_precoder(out)
    result = json.loads(done.stdout)
    assert result.pop("weights") == str(out / "weights.safetensors")
    assert result == metadata
    assert precoder.setup == Setup(antennas=4, users=2)
    assert precoder.options == Options("own", power_input=True)
    assert (metadata["seed"], metadata["recipe"]["method"]) == (4, "plain")
    assert metadata["recipe"]["powers"] == {"values": [0.0, 30.0], "even": True}
    assert list((out / "log").glob("events*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["kd-precoder", "--data", "x.npz", "--cr", "8"], "--data, --cr go with CSI feedback"),
        (["kd-precoder", "--epochs", "3"], "--epochs goes with"),
        (["kd-precoder", "--recipe", "paper-002"], "--recipe goes with"),
        (["kd-precoder", "--bits", "2,3"], "whole number of bits"),
        (["kd-precoder", "--set", "x=1"], "antennas, streams"),
        (["bd"], "nothing to train"),
        (["rbd"], "nothing to train"),
        (["csinet", "--users", "4"], "--users goes with precoders and fronthaul systems"),
        (["csinet", "--set", "antennas=4"], "--set goes with precoders and fronthaul systems"),
    ],
)
def test_options_of_the_other_family(tmp_path: Path, words: list[str], says: str) -> None:
    done = verb(*words, "--out", str(tmp_path / "run"))
    assert done.exit_code == 2
    assert says in done.output
    assert done.output.count("\n") == 1
    assert not (tmp_path / "run").exists()
