"""Single steps: averages, clipping, decay, and the path of a CUDA graph, played on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from csideploy import systems
from csideploy.registry import Feature
from csideploy.systems.acrnet import GroupedConvolution, Residual
from csideploy.systems.link import Link
from csideploy.training import grouping
from csideploy.training.average import Average
from csideploy.training.data import TrainingData, read
from csideploy.training.devices import Place
from csideploy.training.objective import DECAY, optimizer
from csideploy.training.recipes import Stage
from csideploy.training.stepper import Stepper, recordable

CPU = torch.device("cpu")
STAGE = Stage("s", 1, 16, (1e-3, 1e-5), encoder_fc=0.1, frozen_norm=True, loss="nmse")
RATES = (1e-3, 8e-4, 5e-4, 1e-4)


@pytest.fixture(scope="module")
def data(csi_file: Path) -> TrainingData:
    return read(csi_file, CPU)


@pytest.fixture(scope="module")
def built() -> Link:
    torch.manual_seed(3)
    return systems.build("bacrnet1x", cr=64)


def play(stepper: Stepper, first: int = 0) -> list[float]:
    """Four steps; their losses."""
    torch.manual_seed(5)
    losses = []
    for number, rate in enumerate(RATES, first):
        rows = torch.randint(stepper.data.training_rows, (16,))
        losses.append(float(stepper.step(number, rate, rows)))
    return losses


def assert_same(one: Stepper, other: Stepper, rtol: float = 0.0, atol: float = 0.0) -> None:
    for name, tensor in one.link.state_dict().items():
        torch.testing.assert_close(other.link.state_dict()[name], tensor, rtol=rtol, atol=atol)
    if one.average is not None:
        assert other.average is not None
        for left, right in zip(one.average.values, other.average.values, strict=True):
            torch.testing.assert_close(left, right, rtol=rtol, atol=atol)


def test_average_is_the_recursion() -> None:
    module = nn.Linear(1, 1, bias=False)
    weights = [4.0, -2.0, 1.0, 8.0]
    module.weight.data.fill_(2.0)
    average = Average(module, 0.3)
    expected = 2.0
    for step, weight in enumerate(weights):
        module.weight.data.fill_(weight)
        average.at(step)
        average.follow()
        # (1 + t) / (10 + t) is 0.1, 0.18, 0.25; then the decay itself, 0.3.
        decay = (0.1, 2 / 11, 0.25, 0.3)[step]
        expected = decay * expected + (1 - decay) * weight
    assert average.values[0].item() == pytest.approx(expected, rel=1e-6)
    with average.in_place():
        assert module.weight.item() == pytest.approx(expected, rel=1e-6)
    assert module.weight.item() == 8.0
    average.hand_over()
    assert module.weight.item() == pytest.approx(expected, rel=1e-6)


def test_clipping_limits_the_gradient(built: Link, data: TrainingData) -> None:
    norms = {}
    for clip in (0.0, 1e-3):
        link = copy.deepcopy(built)
        Stepper(replace(STAGE, clip=clip), link, link, data, Place(CPU)).step(
            0, 1e-3, torch.arange(16)
        )
        grads = [p.grad for p in link.parameters() if p.grad is not None]
        norms[clip] = float(torch.stack([grad.norm() for grad in grads]).norm())
    assert norms[0.0] > 2e-3
    assert norms[1e-3] == pytest.approx(1e-3, rel=1e-3)


def test_adamw_lets_one_bit_layers_and_vectors_be(built: Link) -> None:
    adam = optimizer(replace(STAGE, optimizer="adamw"), built)
    decay = {id(p): g["weight_decay"] for g in adam.param_groups for p in g["params"]}
    factor = {id(p): g["factor"] for g in adam.param_groups for p in g["params"]}
    assert sum(len(g["params"]) for g in adam.param_groups) == len(list(built.parameters()))
    for name, parameter in built.named_parameters():
        floats = parameter.dim() > 1 and name != "encoder.fc.weight"
        assert decay[id(parameter)] == (DECAY if floats else 0.0), name
        assert factor[id(parameter)] == (0.1 if name.startswith("encoder.fc") else 1.0), name


@pytest.mark.parametrize("stage", [STAGE, replace(STAGE, clip=0.1, average=0.9, optimizer="adamw")])
def test_rates_on_the_device_change_nothing(built: Link, data: TrainingData, stage: Stage) -> None:
    pair = []
    for resident in (False, True):
        link = copy.deepcopy(built)
        pair.append(Stepper(stage, link, link, data, Place(CPU), resident=resident))
    assert play(pair[0]) == pytest.approx(play(pair[1]), rel=1e-6)
    # A rate on the device is a float32, on the host a float64: 1e-7 of steps that sum up to 2e-3. A
    # gradient near 0 is a sum that cancels: there the rounding of the weights before it is more,
    # and Adam divides it by the gradient itself. A wrong rate would move weights by 1e-4 and more.
    assert_same(*pair, rtol=1e-6, atol=1e-7)


class FakeCuda:
    """CUDA's streams and graphs as far as `Stepper` uses them: what is captured does not run."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails
        self.capturing = False
        self.played = 0
        self.work: Callable[[], None] | None = None

    def replay(self) -> None:
        assert self.work is not None
        self.played += 1
        self.work()

    @contextmanager
    def capture(self, graph: object) -> Iterator[None]:
        self.capturing = True
        yield
        self.capturing = False
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")


class Stream:
    def wait_stream(self, other: object) -> None:
        """Nothing runs at the same time here."""


class Recording(Stepper):
    """A stepper that takes the CPU for a CUDA device."""

    fake: FakeCuda

    def _iterate(self, rows: Tensor) -> Tensor:
        if not self.fake.capturing:
            return super()._iterate(rows)
        loss = torch.zeros(())

        def work() -> None:
            loss.copy_(super(Recording, self)._iterate(rows))

        self.fake.work = work
        return loss


def recording(
    stage: Stage, link: Link, data: TrainingData, monkeypatch: pytest.MonkeyPatch, fake: FakeCuda
) -> Recording:
    def constant(value: Any) -> Callable[..., Any]:
        return lambda *_: value

    monkeypatch.setattr(torch.cuda, "Stream", constant(Stream()))
    monkeypatch.setattr(torch.cuda, "current_stream", constant(Stream()))
    monkeypatch.setattr(torch.cuda, "stream", constant(nullcontext()))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", constant(fake))
    monkeypatch.setattr(torch.cuda, "graph", fake.capture)
    monkeypatch.setattr(torch.cuda, "synchronize", constant(None))
    stepper = Recording(stage, link, link, data, Place(CPU), resident=True)
    stepper.fake = fake
    stepper._cuda = True
    return stepper


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("resumed", [False, True])
def test_recording_leaves_no_trace(
    built: Link, data: TrainingData, monkeypatch: pytest.MonkeyPatch, fails: bool, resumed: bool
) -> None:
    stage = replace(STAGE, clip=0.1, average=0.9, frozen_norm=False, precision="fp32")
    link = copy.deepcopy(built)
    plain = Stepper(stage, link, link, data, Place(CPU), resident=True)
    state = None
    if resumed:
        play(plain)
        state = copy.deepcopy(plain.state())
    link = copy.deepcopy(link)
    fake = FakeCuda(fails=fails)
    other = recording(stage, link, data, monkeypatch, fake)
    if state is not None:
        other.restore(state)
    first = 4 if resumed else 0
    expected = play(plain, first)
    # An optimizer on the CPU is not capturable.
    for group in other.optimizer.param_groups:
        group["capturable"] = False
    assert play(other, first) == expected
    assert other.recorded is not fails
    assert fake.played == (0 if fails else len(RATES))
    assert_same(plain, other)


def test_what_cannot_be_recorded() -> None:
    books = systems.build("acrnet1x", cr=64, bits=2, feature=Feature("codebook"))
    assert not recordable(STAGE, books)
    assert recordable(replace(STAGE, feature="float"), books)
    assert not recordable(
        STAGE, systems.build("acrnet1x", cr=64, bits=2, feature=Feature("vector"))
    )
    assert recordable(STAGE, systems.build("acrnet1x", cr=64, bits=None))
    assert recordable(STAGE, systems.build("acrnet1x", cr=64, bits=2))


def test_mixed_precision_spares_the_straight_path(built: Link, data: TrainingData) -> None:
    """bfloat16 of all of x loses what the metric counts; of the wide layers alone it does not."""
    link = copy.deepcopy(built).train()
    for module in link.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    x = data.first(32)

    def error(out: Tensor, exact: Tensor) -> float:
        """dB, beside the energy of x."""
        ratio = (out.float() - exact).square().sum() / (x - 0.5).square().sum()
        return float(10 * torch.log10(ratio))

    with torch.no_grad():
        exact = link(x)
        blocks = [part for part in link.decoder.modules() if isinstance(part, Residual)]
        assert len(blocks) == 2
        for block in blocks:
            block.bf16 = True
        mixed = link(x)
        assert float((mixed - exact).abs().max()) > 0
        # The figures of a link with random weights; the other way is the rounding of 0.5 alone.
        assert error(mixed, exact) < -30
        assert error(exact.bfloat16(), exact) > -30
        link.eval()
        assert torch.equal(link(x), exact)


def test_groups_put_together_compute_the_same(built: Link, data: TrainingData) -> None:
    link = copy.deepcopy(built).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    layers = [m for m in link.modules() if isinstance(m, GroupedConvolution)]
    assert [grouping.ways(layer) for layer in layers] == [[1, 4]] * 2
    x = data.first(16)
    found = []
    for merged in (1, 2, 4):
        for layer in layers:
            layer.merged = merged
        link.zero_grad()
        out = link.train()(x)
        out.square().mean().backward()
        gradients = [layer.weight.grad for layer in layers]
        assert all(gradient is not None for gradient in gradients)
        found.append([out.detach(), *gradients])
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert one is not None
            # Sums of 98 products in another order, and a batch norm's division behind them.
            torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6)
    for layer in layers:
        layer.merged = 3
    grouping.choose(link, 8, low=False, wait=lambda: None)
    assert layers[0].merged == layers[1].merged
    assert layers[0].merged in (1, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "mixed", "bf16"])
def test_graph_on_a_device(built: Link, csi_file: Path, precision: Any) -> None:
    place = Place(torch.device("cuda"))
    data = read(csi_file, place.device)
    stage = replace(STAGE, clip=1.0, average=0.9, precision=precision)
    pair = []
    for resident in (False, True):
        link = copy.deepcopy(built).to(place.device)
        stepper = Stepper(stage, link, link, data, place, resident=resident)
        torch.manual_seed(5)
        for number, rate in enumerate(RATES):
            rows = torch.randint(data.training_rows, (16,)).to(place.device)
            loss = stepper.step(number, rate, rows)
            assert torch.isfinite(loss)
        pair.append(stepper)
    assert pair[1].recorded
    # The same kernels in the same order; some add in an order of their own.
    for name, tensor in pair[0].link.state_dict().items():
        torch.testing.assert_close(pair[1].link.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)
