"""Schedules that fit the minutes there are, and averages: both through an interrupted run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from csideploy import registry
from csideploy.errors import InputError
from csideploy.registry import Feature, Quantizer
from csideploy.training import checkpoint, closed_form, train
from csideploy.training.budget import Budget, Cost, epochs_within
from csideploy.training.data import read
from csideploy.training.devices import Place
from csideploy.training.loop import Options, Run
from csideploy.training.progress import Progress
from csideploy.training.recipes import Recipe, Stage, recipe

TINY: dict[str, Any] = {
    **{"cr": 64, "recipe": "zoo-gpu", "batch": 32, "seed": 5, "validations": 1},
    **{"threads": 1, "device": "cpu", "quiet": True},
}


def test_epochs_are_those_that_the_seconds_hold() -> None:
    # An epoch of the first stage is 10 steps of 0.1 s and 2 fits of 1 s, of the second 5 of 1 s.
    stages = (
        Stage("a", 4, 100, (1e-3, 1e-5), refits=2.0),
        Stage("b", 8, 200, (1e-3, 1e-5)),
    )
    costs = (Cost(around=6.0, step=0.1, fit=1.0), Cost(around=2.0, step=1.0, fit=0.0))
    both = Recipe("r", stages)
    whole = 8.0 + 4 * 3.0 + 8 * 5.0
    assert epochs_within(whole, both, costs, 1000) == pytest.approx(12)
    assert epochs_within(8.0 + (whole - 8.0) / 3, both, costs, 1000) == pytest.approx(4)
    # What stands in a command gives the same schedule: few digits.
    assert len(str(epochs_within(31.4159265, both, costs, 1000))) <= 6
    with pytest.raises(InputError, match="too few"):
        epochs_within(7.9, both, costs, 1000)


def test_recipe_for_accelerators() -> None:
    made = recipe("zoo-gpu", registry.get("bacrnet10x"), binarize="both", epochs=None, batch=None)
    narrow, wide = made.stages
    assert (narrow.start, narrow.width, wide.start, wide.width) == ("closed-form", 1, "widen", 0)
    assert all(s.average and s.clip and s.precision == "mixed" for s in made.stages)
    # The square root of how much larger the batch is than that of zoo-cpu, whose rate is 1e-3.
    assert narrow.rates[0] == pytest.approx(1e-3 * (narrow.batch / 50) ** 0.5)
    assert made.scaled(7.5).epochs == pytest.approx(7.5)


def test_what_does_nothing_is_not_described() -> None:
    """Cards and checkpoints of before stay what they are."""
    plain = Stage("s", 1, 16, (1e-3, 1e-5))
    assert plain.describe().keys().isdisjoint({"optimizer", "clip", "average", "precision"})
    changed = Stage("s", 1, 16, (1e-3, 1e-5), average=0.9, precision="fp32").describe()
    assert (changed["average"], changed["precision"]) == (0.9, "fp32")
    assert "clip" not in changed


def test_minutes_become_epochs_that_repeat_and_resume(
    csi_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def cost(self: Run, stage: Stage, seconds: float) -> Cost:
        # Random numbers that are drawn on the way must not reach the run.
        torch.rand(3)
        measured.append((stage.name, seconds))
        return Cost(around=0.0, step=60.0, fit=0.0)

    monkeypatch.setattr(Run, "_cost", cost)
    monkeypatch.setattr(closed_form, "start", lambda *_, **__: None)
    # 10 steps of a minute in all, less the seconds that the start takes.
    options = {**TINY, "minutes": 10.0}
    whole = train("bacrnet2x", data=csi_file, out=tmp_path / "whole", **options)
    assert measured == [("1x", 3.0), ("2x", 3.0)]
    budget = whole.metadata["training"]["budget"]
    assert budget["minutes"] == 10
    stages = whole.metadata["recipe"]["stages"]
    assert sum(stage["epochs"] for stage in stages) == pytest.approx(budget["epochs"])
    steps = sum(Stage(**stage).steps(380) for stage in stages)
    assert 8 <= steps <= 10
    assert f"--epochs {budget['epochs']}" in whole.metadata["command"]

    again = train(
        "bacrnet2x", data=csi_file, out=tmp_path / "again", epochs=budget["epochs"], **TINY
    )
    same(whole.weights, again.weights)

    # Stopped in the second stage, gone on with the same words: epochs are the checkpoint's.
    stop_after(monkeypatch, stage="2x", step=2)
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train("bacrnet2x", data=csi_file, out=out, checkpoint_seconds=0.0, **options)
    monkeypatch.setattr(Progress, "step", lambda *_: None)
    state = checkpoint.read_checkpoint(out / checkpoint.CHECKPOINT)
    kept = Budget.of(state)
    assert kept is not None
    assert state["average"] is not None
    with pytest.raises(InputError, match="has --minutes 10;"):
        train("bacrnet2x", data=csi_file, out=out, resume=True, **{**TINY, "minutes": 3.0})
    # A checkpoint may name fields that do nothing, or not know them.
    for stage in state["options"]["recipe"]["stages"]:
        stage["integers"] = False
    checkpoint.save_checkpoint(out / checkpoint.CHECKPOINT, state)
    measured.clear()
    resumed = train("bacrnet2x", data=csi_file, out=out, resume=True, **options)
    assert not measured
    assert resumed.metadata["training"]["budget"]["epochs"] == kept.epochs
    straight = train("bacrnet2x", data=csi_file, out=tmp_path / "s", epochs=kept.epochs, **TINY)
    same(straight.weights, resumed.weights)


def stop_after(monkeypatch: pytest.MonkeyPatch, *, stage: str, step: int) -> None:
    seen = [""]
    begin = Progress.begin

    def begins(self: Progress, name: str, steps: int, done: int) -> None:
        seen[0] = name
        begin(self, name, steps, done)

    def steps(self: Progress, done: int, loss: object, rate: float) -> None:
        if seen[0] == stage and done == step + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "begin", begins)
    monkeypatch.setattr(Progress, "step", steps)


def same(one: Path, other: Path) -> None:
    left, right = load_file(one), load_file(other)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


@pytest.mark.parametrize(
    ("quantizer", "changes"),
    [("uniform", {}), ("codebook", {"refits": 1.0}), ("uniform", {"integers": True})],
)
def test_a_cost_is_measured(
    csi_file: Path, tmp_path: Path, quantizer: Quantizer, changes: dict[str, Any]
) -> None:
    stage = Stage("s", 1, 16, (1e-3, 1e-5), frozen_norm=True, loss="nmse", average=0.9, **changes)
    options = Options(
        registry.get("acrnet1x"), 64, 2, "none", Recipe("r", (stage,), quantizer), 0,
        Feature(quantizer),
    )  # fmt: skip
    place = Place(torch.device("cpu"))
    data = read(csi_file, place.device)
    run = Run(options, data, place, tmp_path, checkpoint_seconds=1e9, validations=1)
    cost = run._cost(stage, 0.0)
    assert cost.step > 0
    assert cost.around > cost.step
    assert cost.fit > 0
    assert run.link is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"minutes": 1.0, "epochs": 1.0}, "give one of them"),
        ({"minutes": 0.0}, "above 0"),
        ({"minutes": float("nan")}, "above 0"),
        ({"results": Path("r.jsonl")}, "--test-data"),
        ({"reference": Path("absent.npz")}, "--reference absent.npz"),
    ],
)
def test_bad_options(csi_file: Path, tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        train("bacrnet1x", data=csi_file, out=tmp_path / "run", **{**TINY, **changes})
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_minutes_on_a_device(csi_file: Path, tmp_path: Path) -> None:
    options = {**TINY, "device": "cuda", "minutes": 0.5}
    made = train("bacrnet2x", data=csi_file, out=tmp_path / "run", test_data=csi_file, **options)
    assert made.metadata["metrics"]["nmse_db"] < 0
