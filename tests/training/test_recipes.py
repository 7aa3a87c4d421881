"""Learning rates and budgets."""

import math

import pytest

from csideploy import registry
from csideploy.errors import InputError
from csideploy.training.recipes import Recipe, recipe


def find(name: str, system: str = "bacrnet10x", **changes: float | None) -> Recipe:
    given = {"epochs": None, "batch": None, **changes}
    return recipe(name, registry.get(system), binarize="encoder", **given)  # type: ignore[arg-type]


def test_paper_schedule() -> None:
    (stage,) = find("paper-002").stages
    steps = stage.steps(100_000)
    assert (stage.batch, steps) == (200, 2500 * 500)
    epoch = 500
    rates = [stage.rate(step, steps) for step in range(0, steps, epoch)]
    # Warm-up over 30 epochs to 4e-3, then eq. (14) with T = 2500 and T_w = 30.
    assert rates[29] < rates[30] == pytest.approx(4e-3)
    assert stage.rate(15 * epoch - 1, steps) == pytest.approx(2e-3)
    t = 1000
    expected = 5e-5 + 0.5 * (4e-3 - 5e-5) * (1 + math.cos((t - 30) / (2500 - 30) * math.pi))
    assert rates[t] == pytest.approx(expected, rel=1e-9)
    assert stage.rate(steps - 1, steps) == pytest.approx(5e-5, rel=1e-3)


def test_epochs_scale_the_whole_schedule() -> None:
    (long,), (short,) = find("paper-002").stages, find("paper-002", epochs=10).stages
    assert short.steps(1000) == 50
    assert short.rate(25, 50) == pytest.approx(long.rate(6250, 12500), rel=0.03)
    stages = find("zoo-cpu", epochs=2).stages
    assert sum(stage.epochs for stage in stages) == pytest.approx(2)


def test_wide_recipe() -> None:
    narrow, wide = find("zoo-wide").stages
    assert (narrow.epochs, wide.epochs) == (2, 4)
    assert (narrow.width, wide.start) == (1, "widen")
    assert len(find("zoo-wide", "bacrnet1x").stages) == 1


def test_direct_recipe() -> None:
    for system in ("bacrnet1x", "bacrnet10x"):
        (stage,) = find("zoo-direct", system).stages
        assert (stage.start, stage.width, stage.name) == (
            "closed-form",
            0,
            system.removeprefix("bacrnet"),
        )
        assert stage.clip > 0
        assert stage.frozen_norm
        assert stage.precision == "mixed"
    # The FC layers move as fast as under zoo-cpu, whose convolutions are slower.
    slow = find("zoo-cpu").stages[1]
    assert stage.rates[0] > 2 * slow.rates[0]
    assert stage.rates[0] * stage.decoder_fc < 2 * slow.rates[0] * slow.decoder_fc


def test_zoo_stages_are_shared() -> None:
    # bacrnet1x's own run must be the first stage of bacrnet10x's, weights and all.
    assert find("zoo-cpu", "bacrnet1x").stages == find("zoo-cpu", "bacrnet10x").stages[:1]


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("paper-2", {}, "there are paper-001, paper-002, zoo-cpu, zoo-wide, zoo-direct"),
        ("paper-002", {"epochs": 0}, "above 0"),
        ("paper-002", {"epochs": float("nan")}, "above 0"),
        ("paper-002", {"epochs": float("inf")}, "above 0"),
        ("paper-002", {"batch": 0}, "at least 1"),
        ("zoo-cpu", {"system": "crnet"}, "not crnet"),
    ],
)
def test_bad_recipes(name: str, changes: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        find(name, **changes)  # type: ignore[arg-type]
