"""The methods of paper 001: their stages, their loss, and runs of all of them to the end."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from csideploy import registry, systems
from csideploy.errors import InputError
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.uniform import UniformQuantizer
from csideploy.quantizers.vector import VectorQuantizer
from csideploy.registry import Feature
from csideploy.training import load_checkpoint, train
from csideploy.training.data import order, read
from csideploy.training.devices import open_place
from csideploy.training.loop import Options, Run
from csideploy.training.methods import METHODS, SCRATCH, STRAIGHT, stages_of
from csideploy.training.objective import loss_of, prepare
from csideploy.training.progress import Progress
from csideploy.training.recipes import Stage, recipe

CR = 64
TINY: dict[str, Any] = {
    **{"cr": CR, "recipe": "paper-001", "epochs": 0.15, "batch": 16, "seed": 3},
    **{"threads": 1, "device": "cpu", "quiet": True},
}


def find(name: str, system: str = "csinet", *, from_weights: bool = False) -> tuple[Stage, ...]:
    spec = registry.get(system)
    return stages_of(name, spec, binarize=spec.default_binarize, from_weights=from_weights)[1]


# Method: quantizer, loss, whether the last stage sees the quantizer, beta, adaptive, allocated.
EXPECTED = {
    "proposed": ("codebook", "log", True, 0.01, True, True),
    "equal-bits": ("codebook", "log", True, 0.01, True, False),
    "fixed-beta": ("codebook", "log", True, 0.01, False, True),
    "var1": ("codebook", "log", True, 0.01, False, False),
    "var2": ("codebook", "mse", True, 0.001, True, True),
    "lloyd": ("codebook", "mse", False, 0.0, False, False),
    "lloyd-log": ("codebook", "log", False, 0.0, False, False),
    "lloyd-allocated": ("codebook", "log", False, 0.0, False, True),
    "round": ("round", "mse", True, 0.0, False, False),
    "vector": ("vector", "mse", True, 0.001, False, False),
    "float": ("uniform", "log", False, 0.0, False, False),
}


def test_every_method_is_expected() -> None:
    assert METHODS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_stages(name: str) -> None:
    quantizer, loss, through, beta, adaptive, allocated = EXPECTED[name]
    for from_weights in (False, True):
        spec = registry.get("csinet")
        kind, stages = stages_of(name, spec, binarize="none", from_weights=from_weights)
        assert kind == quantizer
        assert len(stages) == (1 if from_weights or name == "float" else 2)
        last = stages[-1]
        if not from_weights:
            first = stages[0]
            assert (first.name, first.feature, first.loss) == ("float", "float", "log")
            assert (first.start, first.allocated) == ("components", allocated)
            assert first.refits == first.beta == 0
        if name == "float" and not from_weights:
            continue
        assert last.start == ("weights" if from_weights else "scratch")
        assert (last.name, last.loss, last.beta) == (name, loss, beta)
        assert (last.adaptive, last.allocated) == (adaptive, allocated)
        assert last.feature == ("quantized" if through else "float")
        assert last.frozen_norm


def test_methods_share_all_else() -> None:
    """So that methods can be compared, their second stages differ in what the table says alone.

    But for the encoder's rate, which is lower where the gradient is a straight one.
    """
    for name, (_, _, through, *_) in EXPECTED.items():
        assert find(name, from_weights=True)[-1].encoder == (0.1 if through else 1.0)
    fields = ("name", "loss", "feature", "beta", "adaptive", "allocated", "encoder")
    plain = {
        dataclasses.replace(find(name)[-1], **{f: getattr(STRAIGHT, f) for f in fields})
        for name in EXPECTED
        if name != "float"
    }
    assert len(plain) == 1


def test_stages_of_other_families() -> None:
    (only,) = find("proposed", "pca")
    assert (only.start, only.steps(100_000), only.allocated) == ("components", 1, True)
    assert not find("equal-bits", "pca")[0].allocated
    for system, start in (("acrnet1x", "components"), ("csinetpro", "components")):
        assert find("proposed", system)[0].start == start
    for system in ("transnet", "crnet", "bacrnet1x"):
        first, second = find("proposed", system)
        assert (first.start, first.rates, first.decay) == ("scratch", SCRATCH.rates, "exponential")
        assert second.start == "scratch", "it goes on with the link of the first stage"


def test_unknown_and_misplaced_methods() -> None:
    with pytest.raises(InputError, match=r"there are proposed, equal-bits, .*float") as caught:
        find("propose")
    assert all(name in str(caught.value) for name in METHODS)
    spec = registry.get("acrnet1x")
    for name in ("paper-002", "zoo-cpu"):
        for changes in ({"method": "lloyd"}, {"from_weights": True}):
            with pytest.raises(InputError, match=f"paper-001.*, not {name}"):
                recipe(name, spec, binarize="none", epochs=None, batch=None, **changes)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="1-bit layers"):
        stages_of("round", registry.get("bacrnet1x"), binarize="encoder", from_weights=False)
    for rate in (0.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="--rate"):
            recipe("paper-002", spec, binarize="none", epochs=None, batch=None, rate=rate)


def test_rate_changes_the_last_stage() -> None:
    spec = registry.get("csinet")
    about = {"binarize": "none", "epochs": 2.0, "batch": None, "method": "proposed"}
    plain = recipe("paper-001", spec, **about)  # type: ignore[arg-type]
    changed = recipe("paper-001", spec, rate=1e-4, **about)  # type: ignore[arg-type]
    assert plain.stages[0] == changed.stages[0]
    highest, lowest = plain.stages[1].rates
    assert changed.stages[1].rates == (1e-4, pytest.approx(lowest * 1e-4 / highest))
    assert (plain.name, plain.quantizer) == ("paper-001 proposed", "codebook")
    assert sum(stage.epochs for stage in plain.stages) == pytest.approx(2)


def test_exponential_decay() -> None:
    stage = Stage("s", 1, 10, (1e-2, 1e-4), warmup=0.1, decay="exponential")
    rates = np.array([stage.rate(step, 1000) for step in range(1000)])
    np.testing.assert_allclose(rates[:100], 1e-2 * np.arange(1, 101) / 100)
    # A constant factor a step, and at the end the lowest rate.
    np.testing.assert_allclose(rates[101:] / rates[100:-1], 0.01 ** (1 / 900), rtol=1e-9)
    assert stage.rate(1000, 1000) == pytest.approx(1e-4)


def csi(count: int) -> torch.Tensor:
    """Samples of very different energy."""
    generator = torch.Generator().manual_seed(7)
    scale = torch.logspace(-2, -0.5, count).view(-1, 1, 1, 1)
    return 0.5 + scale * torch.randn(count, 2, 32, 32, generator=generator).clamp(-1.5, 1.5)


def penalised(kind: str) -> systems.link.Link:
    feature = Feature("vector", length=2) if kind == "vector" else Feature(kind)  # type: ignore[arg-type]
    torch.manual_seed(2)
    link = systems.build("csinet", cr=CR, bits=3, feature=feature).train()
    if isinstance(link.quantizer, VectorQuantizer):
        link.quantizer.vectors.data.normal_()
    elif isinstance(link.quantizer, CodebookQuantizer):
        link.quantizer.widths(3).fill_(3)
        link.quantizer.values(3)[:, :8] = torch.linspace(-1, 1, 8)
    if not isinstance(link.quantizer, UniformQuantizer):
        link.quantizer.spread.fill_(0.5)
    return link


@pytest.mark.parametrize("kind", ["uniform", "codebook", "vector"])
@pytest.mark.parametrize("loss", ["log", "mse", "nmse"])
@pytest.mark.parametrize("through", ["quantized", "float"])
def test_loss(kind: str, loss: str, through: str) -> None:
    link, x, beta = penalised(kind), csi(12), 0.25
    stage = Stage("s", 1, 4, (1e-3, 1e-5), loss=loss, feature=through, beta=beta, adaptive=False)  # type: ignore[arg-type]
    prepare(link, stage, 0)
    out = link(x)
    found = float(loss_of(link, stage, out, x).detach())

    reference = x.double().numpy()
    error = ((out.detach().double().numpy() - reference) ** 2).sum((1, 2, 3))
    energy = ((reference - 0.5) ** 2).sum((1, 2, 3))
    penalised_here = kind != "uniform" and through == "quantized"
    if loss == "nmse":
        expected = (error / energy).mean()
    elif loss == "log":
        expected = np.log(error.mean())
    else:
        expected = error.mean() / energy.mean() if penalised_here else error.mean() / 2048
    if penalised_here:
        with torch.no_grad():
            z = link.encoder(x)
            assert link.quantizer is not None
            distance = (link.quantizer(z) - z).double().square().sum(1).mean() / 0.25
        # Eq. (4) and (8); the shared vectors have the loss itself beside it.
        expected += float(distance) * (beta if kind == "codebook" else 1 + beta)
    # Batch norms have run twice, float32 sums over 2048 and 32 terms: some 1e-6 of the value.
    assert found == pytest.approx(expected, rel=2e-5)


def test_budgets_take_turns() -> None:
    link = systems.build("csinet", cr=CR, bits=4, feature=Feature("codebook", budgets=(2, 3, 4)))
    stage = Stage("s", 1, 4, (1e-3, 1e-5), beta=0.5, adaptive=False)
    assert isinstance(link.quantizer, CodebookQuantizer)
    turns = []
    for step in range(5):
        prepare(link, stage, step)
        turns.append(link.quantizer.active)
    assert turns == [2, 3, 4, 2, 3]
    assert (link.quantizer.beta, link.quantizer.adaptive, link.bypass) == (0.5, False, False)


STILL = 1e-6
"""A highest rate at which a few steps leave a link where it started: Adam's first steps are of the
rate's size in all weights at once, which a real run's warm-up avoids and a run of 4 steps feels."""


@pytest.fixture(scope="module")
def weights(csi_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float csinet from principal components."""
    out = tmp_path_factory.mktemp("float") / "run"
    return train("csinet", data=csi_file, out=out, method="float", rate=STILL, **TINY).weights


def test_the_float_method(weights: Path) -> None:
    link, about = load_checkpoint(weights)
    assert (link.bits, link.quantizer, link.feature) == (None, None, Feature())
    assert about["recipe"]["name"] == "paper-001 float"
    assert list(about["training"]["validation_nmse_db"]) == ["float"]
    # It has kept the components: random weights give more than 0 dB.
    assert about["training"]["validation_nmse_db"]["float"] < -0.5


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "float"])
def test_every_method_runs(name: str, csi_file: Path, weights: Path, tmp_path: Path) -> None:
    more: dict[str, Any] = {"bits": 2}
    if name == "vector":
        more["length"] = 2
    if name == "proposed":
        more["budgets"] = (1, 2)
    options = {**TINY, **more, "start_from": weights, "rate": STILL}
    result = train("csinet", data=csi_file, out=tmp_path / "run", method=name, **options)
    link, about = load_checkpoint(result.weights)
    quantizer = link.quantizer
    assert link.feature.quantizer == EXPECTED[name][0]
    assert about["feature"]["quantizer"] == EXPECTED[name][0]
    assert len(about["start_from"]) == 64
    # All of them are better than nothing, which has 0 dB.
    for value in about["training"]["validation_nmse_db"].values():
        assert value < -0.4
    data = read(csi_file, torch.device("cpu"))
    with torch.no_grad():
        z = link.encoder(data.first(400))
    if name == "vector":
        assert isinstance(quantizer, VectorQuantizer)
        assert quantizer.book().shape == (16, 2)
        assert len(torch.unique(quantizer.codes(z))) == 16
    elif name == "round":
        assert isinstance(quantizer, UniformQuantizer)
        assert quantizer.smooth
        assert float(((z < 0) | (z > 1)).double().mean()) < 0.1
    else:
        assert isinstance(quantizer, CodebookQuantizer)
        for budget in (1, 2) if name == "proposed" else (2,):
            book = quantizer.book(budget)
            assert book.bits == budget * 32
            assert EXPECTED[name][5] or (book.widths == budget).all()
            np.testing.assert_array_equal(book.values, book.rounded().values)
    if not EXPECTED[name][2]:
        # What goes around the quantizer fits it at the end, to the encoder as it is then.
        assert isinstance(quantizer, CodebookQuantizer)
        before = quantizer.book()
        from csideploy.training import codebooks

        codebooks.fit(link, data, allocated=EXPECTED[name][5], seed=0)
        np.testing.assert_array_equal(quantizer.book().values, before.values)
        np.testing.assert_array_equal(quantizer.book().widths, before.widths)


def test_round_in_two_stages_folds_its_range(csi_file: Path, tmp_path: Path) -> None:
    """The first stage knows no range: without the fold, most outputs would sit in the end cells."""
    options = {**TINY, "bits": 3, "rate": STILL}
    result = train("crnet", data=csi_file, out=tmp_path / "run", method="round", **options)
    link, about = load_checkpoint(result.weights)
    assert list(about["training"]["validation_nmse_db"]) == ["float", "round"]
    data = read(csi_file, torch.device("cpu"))
    with torch.no_grad():
        z = link.encoder(data.first(400))
    assert float(((z < 0) | (z > 1)).double().mean()) < 0.05
    torch.testing.assert_close(z.mean(0), torch.full((32,), 0.5), rtol=0, atol=0.05)


def test_floats_need_no_codebook(csi_file: Path, tmp_path: Path) -> None:
    options = {**TINY, "bits": None, "batch": 64}
    result = train("crnet", data=csi_file, out=tmp_path / "run", **options)
    link, _ = load_checkpoint(result.weights)
    assert (link.quantizer, link.feature.quantizer) == (None, "uniform")


class Stopping(Progress):
    """Stops the run as Ctrl-C would: at a step of a stage, or as the stage begins (step 0)."""

    stage, at = "", 0

    def begin(self, stage: str, steps: int, done: int) -> None:
        super().begin(stage, steps, done)
        self._running = stage
        if (stage, 0) == (self.stage, self.at):
            raise KeyboardInterrupt

    def step(self, step: int, loss: torch.Tensor, rate: float) -> None:
        super().step(step, loss, rate)
        if (self._running, step) == (self.stage, self.at):
            raise KeyboardInterrupt


def stop(options: Options, data: Path, out: Path, stage: str, step: int) -> None:
    out.mkdir()
    with open_place("cpu") as place:
        run = Run(
            options,
            read(data, place.device),
            place,
            out,
            checkpoint_seconds=0.0,
            validations=20,
        )
        with Stopping(None, quiet=True) as progress:
            progress.stage, progress.at = stage, step
            with pytest.raises(KeyboardInterrupt):
                run.train(progress)


@pytest.mark.parametrize(
    ("system", "method", "feature", "bits", "places"),
    [
        # 22 steps, codebooks fitted anew after 12: before that, and right behind it.
        ("csinet", "proposed", Feature("codebook", 1, (1, 2)), 2, [5, 13]),
        ("csinet", "vector", Feature("vector", 2), 2, [13]),
    ],
)
def test_a_stopped_run_goes_on_exactly(
    system: str,
    method: str,
    feature: Feature,
    bits: int,
    places: list[int],
    csi_file: Path,
    weights: Path,
    tmp_path: Path,
) -> None:
    given = {**TINY, "epochs": 0.92, "bits": bits, "length": feature.length}
    given |= {"budgets": feature.budgets, "method": method, "start_from": weights}
    whole = train(system, data=csi_file, out=tmp_path / "whole", **given)
    expected = load_file(whole.weights)
    spec = registry.get(system)
    own = recipe(
        "paper-001", spec, binarize="none", epochs=0.92, batch=16, method=method, from_weights=True
    )
    options = Options(spec, CR, bits, "none", own, 3, feature, weights)
    for place in places:
        out = tmp_path / f"stopped-{place}"
        stop(options, csi_file, out, method, place)
        state = torch.load(out / "checkpoint.pt", weights_only=True)
        assert state["position"]["step"] == place - 1
        resumed = train(system, data=csi_file, out=out, resume=True, **given)
        found = load_file(resumed.weights)
        assert expected.keys() == found.keys()
        for name, tensor in expected.items():
            assert torch.equal(tensor, found[name]), (place, name)
    values = [name for name in expected if name.startswith("quantizer.")]
    assert len(values) >= 2, "the codebooks are among what is compared"
    other = {**given, **({"budgets": (1, 2, 3)} if feature.budgets else {"length": 1})}
    with pytest.raises(InputError, match="another feature"):
        train(system, data=csi_file, out=out, resume=True, **other)


def test_stopped_between_stages(csi_file: Path, tmp_path: Path) -> None:
    given = {**TINY, "bits": 2, "method": "proposed"}
    whole = train("crnet", data=csi_file, out=tmp_path / "whole", **given)
    expected = load_file(whole.weights)
    spec = registry.get("crnet")
    own = recipe("paper-001", spec, binarize="none", epochs=0.15, batch=16, method="proposed")
    options = Options(spec, CR, 2, "none", own, 3, Feature("codebook"))
    out = tmp_path / "stopped"
    stop(options, csi_file, out, "proposed", 0)
    assert torch.load(out / "checkpoint.pt", weights_only=True)["position"]["stage"] == 1
    found = load_file(train("crnet", data=csi_file, out=out, resume=True, **given).weights)
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def test_weights_that_cannot_be_started_from(csi_file: Path, weights: Path, tmp_path: Path) -> None:
    quantized = tmp_path / "quantized"
    train("csinet", data=csi_file, out=quantized, method="lloyd", start_from=weights, **TINY)
    for number, (system, changes, says) in enumerate(
        [
            ("csinetpro", {}, "its system is csinet, not csinetpro"),
            ("csinet", {"cr": 32}, "its cr is 64, not 32"),
            ("csinet", {"binarize": "encoder"}, "its binarize is none, not encoder"),
            ("csinet", {"start_from": quantized}, "a link with float features"),
            ("csinet", {"start_from": tmp_path / "absent"}, "no weights at"),
            ("csinet", {"recipe": "paper-002"}, "paper-001, further or int8, not paper-002"),
        ]
    ):
        options = {**TINY, "start_from": weights, **changes}
        with pytest.raises(InputError, match=says):
            train(system, data=csi_file, out=tmp_path / str(number), **options)
    with pytest.raises(InputError, match="there are proposed"):
        train("csinet", data=csi_file, out=tmp_path / "m", **TINY, method="lloyds")
    with pytest.raises(InputError, match="paper-001, not zoo-cpu"):
        train("acrnet1x", data=csi_file, out=tmp_path / "m", **{**TINY, "recipe": "zoo-cpu"},
              method="lloyd")  # fmt: skip
    budgets = {"bits": 3, "budgets": (2, 3)}
    for changes, says in (
        ({**budgets, "recipe": "paper-002"}, "go with codebooks; recipe paper-002"),
        ({**budgets, "method": "vector"}, "has the quantizer vector"),
        ({**budgets, "method": "float"}, "go with codebooks"),
        ({"length": 2, "method": "lloyd"}, "--length 2 goes with --method vector"),
    ):
        with pytest.raises(InputError, match=says):
            train("csinet", data=csi_file, out=tmp_path / "m", **{**TINY, **changes})
    assert not (tmp_path / "m").exists()


def test_the_older_recipes_train_as_before(csi_file: Path, tmp_path: Path) -> None:
    """Against a loop by hand: plain mean squared error, Adam at one rate, no codebook, no start."""
    options = {**TINY, "recipe": "paper-002", "bits": 3, "epochs": 0.2}
    found = load_file(train("csinet", data=csi_file, out=tmp_path / "run", **options).weights)
    data = read(csi_file, torch.device("cpu"))
    torch.manual_seed(3)
    link = systems.build("csinet", cr=CR, bits=3).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(link.parameters(), lr=1.0, fused=True)
    (stage,) = recipe(
        "paper-002", registry.get("csinet"), binarize="none", epochs=0.2, batch=16
    ).stages
    sequence = order(data.training_rows, seed=3, stage=0, epoch=0)
    steps = round(0.2 * data.training_rows / 16)
    for step in range(steps):
        x = data.batch(sequence[16 * step : 16 * (step + 1)])
        adam.param_groups[0]["lr"] = stage.rate(step, steps)
        adam.zero_grad()
        link.train()
        (link(x) - x).square().mean().backward()
        adam.step()
    for name, tensor in link.state_dict().items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("name", ["paper-002", "zoo-cpu"])
def test_the_older_recipes_know_nothing_of_codebooks(name: str) -> None:
    found = recipe(name, registry.get("acrnet4x"), binarize="none", epochs=None, batch=None)
    assert (found.name, found.quantizer) == (name, "uniform")
    for stage in found.stages:
        assert (stage.feature, stage.beta, stage.refits, stage.encoder) == ("quantized", 0, 0, 1)
        assert stage.decay == "cosine"
        assert stage.loss == ("mse" if name == "paper-002" else "nmse")
