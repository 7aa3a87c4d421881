"""The decoder block as one operation: torch's own operations in float64 are the truth."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from csideploy import registry, systems
from csideploy.runtime.isa import instruction_sets
from csideploy.systems.acrnet import ConvolutionBlock, decoder_block, encoder_block
from csideploy.training import block_operation, train
from csideploy.training.block_operation import fast_blocks, instruction_set
from csideploy.training.integers import IntegerConvolution

pytestmark = pytest.mark.skipif(instruction_set() is None, reason="built without wide vectors")

# Sums in float32 of up to 1,440 products (a pixel of y) or 1,024 n (a weight's gradient), of terms
# of both signs: rounding errors of 6e-8 of a term grow with the root of their number, to 5e-6 of
# the largest; the rest is for sums whose terms cancel.
TOLERANCE = 1e-4

LOWEST, HIGHEST = -32, 223

# p is a multiple of 2^-10 at or above 0, of 2^-13 below: with this step none is within 1e-4 of the
# middle between two codes or of a limit, so that no other rounding gives another code.
STEP = 4377 / 2**19


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def sets() -> list[str]:
    if instruction_set() is None:
        return []
    return [name for name in block_operation._block.isas() if name in instruction_sets()]


class Codes(torch.autograd.Function):
    """step * clamp(rint(p / step)) with the gradients of LSQ, written out."""

    @staticmethod
    def forward(ctx, p: Tensor, step: Tensor) -> Tensor:
        q = p / step[:, None, None]
        ctx.save_for_backward(q)
        return torch.clamp(torch.round(q), LOWEST, HIGHEST) * step[:, None, None]

    @staticmethod
    def backward(ctx, back: Tensor) -> tuple[Tensor, Tensor]:
        (q,) = ctx.saved_tensors
        inside = (q >= LOWEST) & (q <= HIGHEST)
        of_step = torch.where(inside, torch.round(q) - q, torch.clamp(q, LOWEST, HIGHEST))
        return back * inside, (back * of_step).sum((0, 2, 3))


def parameters(wide: int, seed: int) -> list[Tensor]:
    """Weight, bias and slope of expand, middle and project, then the step; slopes of both signs."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    return [
        normal(wide, 2, 1, 9) / 4,
        normal(wide) / 4,
        normal(wide) / 2,
        normal(wide, 2, 7, 7) / 10,
        normal(wide) / 4,
        normal(wide) / 2,
        normal(2, wide, 9, 1) / 10,
        normal(2),
        normal(2) / 2,
        # Coarse enough that some p are beyond both limits.
        0.004 + 0.004 * torch.rand(wide, generator=draw),
    ]


def by_torch(x: Tensor, given: list[Tensor], *, kind: str) -> Tensor:
    w1, b1, a1, w2, b2, a2, w3, b3, a3, step = given
    m = functional.prelu(functional.conv2d(x, w1, b1, padding=(0, 4)), a1)
    if kind == "coded":
        m = Codes.apply(m, step)
    if kind != "pair":
        m = functional.prelu(functional.conv2d(m, w2, b2, padding=3, groups=len(w1) // 2), a2)
    return functional.prelu(x + functional.conv2d(m, w3, b3, padding=(4, 0)), a3)


def by_block(x: Tensor, given: list[Tensor], *, kind: str, isa: str | None = None) -> Tensor:
    expand, middle, project = (block_operation.Layer(*given[i : i + 3]) for i in (0, 3, 6))
    return block_operation.block(
        x,
        expand,
        None if kind == "pair" else middle,
        project,
        step=given[9] if kind == "coded" else None,
        isa=isa,
    )


def with_gradients(function, x: Tensor, given: list[Tensor], dy: Tensor, **options) -> list[Tensor]:
    leaves = [t.clone().requires_grad_() for t in (x, *given)]
    y = function(leaves[0], leaves[1:], **options)
    y.backward(dy)
    return [y.detach(), *(t.grad for t in leaves if t.grad is not None)]


def assert_close(ours: list[Tensor], exact: list[Tensor]) -> None:
    assert len(ours) == len(exact)
    for got, right in zip(ours, exact, strict=True):
        assert got.shape == right.shape
        assert (got - right).abs().max() <= TOLERANCE * right.abs().max()


@pytest.mark.parametrize("isa", sets())
@pytest.mark.parametrize(
    ("wide", "samples", "kind"),
    [
        (8, 1, "block"),
        (80, 3, "block"),
        (8, 7, "coded"),
        (80, 1, "coded"),
        (2, 3, "pair"),
        (4, 1, "pair"),
    ],
)
def test_equals_torch_in_float64(isa: str, wide: int, samples: int, kind: str) -> None:
    given = parameters(wide, seed=wide + samples)
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(samples, 2, 32, 32, generator=draw)
    dy = torch.randn(samples, 2, 32, 32, generator=draw)
    if kind == "coded":
        # A number that rounds to another code in float32 is no error of arithmetic: of multiples
        # of small powers of two, all before the codes is exact in both.
        x = torch.round(x * 16) / 16
        given[0] = torch.round(given[0] * 64) / 64
        given[1] = torch.round(given[1] * 64) / 64
        given[2] = torch.round(given[2] * 8) / 8
        given[9] = torch.full((wide,), STEP)
    exact = with_gradients(
        by_torch, x.double(), [t.double() for t in given], dy.double(), kind=kind
    )
    ours = with_gradients(by_block, x, given, dy, kind=kind, isa=isa)
    assert len(exact) == {"block": 11, "coded": 12, "pair": 8}[kind]
    assert_close(ours, exact)


@pytest.mark.parametrize("isa", sets())
def test_heads_equal_torch_in_float64(isa: str) -> None:
    draw = torch.Generator().manual_seed(6)
    x, dy = (torch.randn(3, 2, 32, 32, generator=draw) for _ in range(2))
    given = [torch.randn(*shape, generator=draw) for shape in ((2, 2, 5, 5), (2,), (2,))]

    def exactly(x: Tensor, given: list[Tensor]) -> Tensor:
        return functional.prelu(functional.conv2d(x, given[0], given[1], padding=2), given[2])

    def ours(x: Tensor, given: list[Tensor]) -> Tensor:
        return block_operation.head(x, block_operation.Layer(*given), isa=isa)

    exact = with_gradients(exactly, x.double(), [t.double() for t in given], dy.double())
    assert_close(with_gradients(ours, x, given, dy), exact)


def test_every_number_of_threads_gives_the_same_bits() -> None:
    given = parameters(8, seed=1)
    x = torch.randn(37, 2, 32, 32, generator=torch.Generator().manual_seed(2))
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(with_gradients(by_block, x, given, x, kind="coded"))
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            assert torch.equal(first, second)


def frozen(module: nn.Module, seed: int) -> nn.Module:
    """The same in training mode with frozen norms whose statistics are not those of the start."""
    draw = torch.Generator().manual_seed(seed)
    module.train()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
            size = part.num_features
            part.running_mean.copy_(torch.randn(size, generator=draw) / 10)
            part.running_var.copy_(0.5 + torch.rand(size, generator=draw))
            with torch.no_grad():
                part.weight.copy_(0.5 + torch.rand(size, generator=draw))
                part.bias.copy_(torch.randn(size, generator=draw) / 10)
    return module


def gradients(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    module.zero_grad()
    module(x).square().sum().backward()
    return {name: p.grad.clone() for name, p in module.named_parameters()}


@pytest.mark.parametrize("activation", [nn.PReLU(2 * 8), nn.PReLU(1), nn.LeakyReLU(0.3)])
def test_blocks_in_a_network_have_gradients_of_all_parameters(activation: nn.Module) -> None:
    torch.manual_seed(3)
    last = decoder_block(2)
    last.body[1][2] = activation
    network = frozen(nn.Sequential(ConvolutionBlock(2, 2, (5, 5)), encoder_block(), last), seed=4)
    x = torch.randn(5, 2, 32, 32).to(memory_format=torch.channels_last)
    exact = gradients(copy.deepcopy(network).double(), x.double())
    assert count_calls(network, x) == 3
    with fast_blocks(network):
        ours = gradients(network, x)
    assert list(ours) == list(exact)
    assert_close(list(ours.values()), list(exact.values()))


def test_integers_in_training_have_gradients_of_all_parameters() -> None:
    torch.manual_seed(8)
    block = frozen(decoder_block(2), seed=9)
    (expand, norm, activation), (middle, _, _) = block.body
    with torch.no_grad():
        norm.eps, norm.running_mean[:], norm.running_var[:], norm.weight[:] = 0.0, 0, 1, 1
        norm.bias.copy_(torch.round(norm.bias * 64) / 64)
        expand.weight.copy_(torch.round(torch.randn_like(expand.weight) * 16) / 64)
        activation.weight.copy_(torch.round(torch.randn(16) * 4) / 8)
    block.body[1][0] = IntegerConvolution(middle, torch.full((16,), STEP))
    x = torch.round(torch.randn(3, 2, 32, 32) * 16) / 16
    exact = gradients(copy.deepcopy(block).double(), x.double())
    assert count_calls(block, x) == 1
    with fast_blocks(block):
        ours = gradients(block, x)
    assert "body.1.0.log_step" in exact
    assert list(ours) == list(exact)
    assert_close(list(ours.values()), list(exact.values()))


def count_calls(network: nn.Module, x: Tensor) -> int:
    """How many blocks and heads run as one operation."""
    calls = 0
    with fast_blocks(network):
        for module in network.modules():
            if getattr(module, "whole", None) is not None:

                def counted(module, x: Tensor, inner=module.whole) -> Tensor | None:
                    nonlocal calls
                    whole = inner(module, x)
                    calls += whole is not None
                    return whole

                module.whole = counted
        network(x)
    return calls


def test_everything_else_stays_torchs() -> None:
    link = systems.build(registry.get("acrnet1x"), cr=4, bits=None)
    x = torch.rand(2, 2, 32, 32)
    link.train()
    assert count_calls(link, x) == 0  # norms of the batch
    link.eval()
    assert count_calls(link, x) == 6  # two heads, four blocks
    assert count_calls(link.double(), x.double()) == 0
    block = decoder_block(1).eval()
    assert count_calls(block, torch.rand(2, 2, 16, 32)) == 0
    for inside in (block.body, block.body[0], block.body[1][0], block.last):
        for register in (
            inside.register_forward_hook,
            inside.register_forward_pre_hook,
            inside.register_full_backward_hook,
            inside.register_full_backward_pre_hook,
        ):
            handle = register(lambda *_: None)
            assert count_calls(block, x) == 0  # the hook would not be called
            handle.remove()
    heard: list[object] = []
    for register in (block.register_forward_hook, block.register_full_backward_hook):
        register(lambda *_: heard.append(1))
    assert count_calls(block, x) == 1
    with fast_blocks(block):
        block(x.clone().requires_grad_()).sum().backward()
    assert len(heard) == 3
    block = decoder_block(1).eval()
    block.body[0][2] = nn.ReLU()
    assert count_calls(block, x) == 0


def test_who_traces_or_counts_sees_torchs_operations() -> None:
    block = decoder_block(1).eval()
    x = torch.rand(1, 2, 32, 32)
    with fast_blocks(block):
        program = torch.export.export(block, (x,))
        with FlopCounterMode(display=False) as counter:
            block(x)
    assert "conv2d" in str(program.graph)
    # Two a MAC; 8 channels of 18, 98 and 18 products a pixel.
    assert counter.get_total_flops() == 2 * 8 * (18 + 98 + 18) * 32 * 32


def test_networks_are_torchs_again_afterwards() -> None:
    block = decoder_block(1).eval()
    with fast_blocks(block):
        with pytest.raises(KeyError), fast_blocks(block):
            raise KeyError
        assert block.whole is not None
    assert block.whole is None


def test_a_number_that_is_none_stays_visible() -> None:
    x = torch.zeros(1, 2, 32, 32)
    x[0, 0, 16, 16] = np.nan
    for kind in ("block", "coded"):
        assert by_block(x, parameters(8, seed=6), kind=kind).isnan().any()


def test_training_runs_with_it_and_differs_in_rounding(
    csi_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    backward = block_operation._block.backward

    def counted(*arguments: object) -> None:
        calls.append(arguments[1])
        backward(*arguments)

    monkeypatch.setattr(block_operation._block, "backward", counted)

    def trained(out: str) -> dict[str, Tensor]:
        options = {"cr": 64, "recipe": "zoo-cpu", "epochs": 0.2, "batch": 50, "seed": 5}
        options |= {"data": csi_file, "out": tmp_path / out, "threads": 1, "quiet": True}
        result = train("acrnet2x", **options)
        return load_file(result.weights)

    ours = trained("blocks")
    # In each step two heads, the encoder's two blocks and the decoder's two.
    assert len(calls) > 0
    assert [calls.count(kind) * 3 for kind in (0, 2, 3)] == [len(calls)] * 3
    del calls[:]
    monkeypatch.setattr(block_operation, "instruction_set", lambda: None)
    torchs = trained("torch")
    assert not calls
    assert set(ours) == set(torchs)
    for name, right in torchs.items():
        # Adam divides by the root of the second moment, so that a gradient near 0 of the other sign
        # moves a weight by a rate: a thousandth of its tensor's largest is less than ten steps.
        difference = (ours[name] - right).abs().max()
        assert difference <= 1e-3 * right.abs().max() + 1e-6, name
