"""The decoder block as one operation: torch's own operations in float64 are the truth."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from csideploy import registry, systems
from csideploy.systems.acrnet import Residual, decoder_block, encoder_block
from csideploy.training import block_operation
from csideploy.training.block_operation import fast_blocks, instruction_set

pytestmark = pytest.mark.skipif(instruction_set() is None, reason="built without wide vectors")

# Sums of up to 1,568 products a pixel (forward) or 1,024 n pixels (gradients of weights) in float32:
# random rounding grows by their root, below 100 units of 6e-8; the rest is for cancellation.
TOLERANCE = 1e-4

LOWEST, HIGHEST = -32, 223


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def sets() -> list[str]:
    from csideploy.runtime.isa import instruction_sets

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
    """Of all layers, in the order of `decoder_block`'s arguments, then the step; slopes of both
    signs."""
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
        # Coarse enough that some p are beyond both limits.
        0.004 + 0.004 * torch.rand(wide, generator=draw),
    ]


def by_torch(x: Tensor, given: list[Tensor], *, coded: bool) -> Tensor:
    w1, b1, a1, w2, b2, a2, w3, b3, step = given
    p = functional.prelu(functional.conv2d(x, w1, b1, padding=(0, 4)), a1)
    v = Codes.apply(p, step) if coded else p
    m = functional.prelu(functional.conv2d(v, w2, b2, padding=3, groups=len(w1) // 2), a2)
    return x + functional.conv2d(m, w3, b3, padding=(4, 0))


def by_block(x: Tensor, given: list[Tensor], *, coded: bool, isa: str | None = None) -> Tensor:
    w1, b1, a1, w2, b2, a2, w3, b3, step = given
    return block_operation.decoder_block(
        x, (w1, b1, a1), (w2, b2, a2), (w3, b3), step=step if coded else None, isa=isa
    )


def with_gradients(function, x: Tensor, given: list[Tensor], dy: Tensor, **options) -> list[Tensor]:
    leaves = [t.clone().requires_grad_() for t in (x, *given)]
    y = function(leaves[0], leaves[1:], **options)
    y.backward(dy)
    return [y.detach(), *(t.grad for t in leaves if t.grad is not None)]


@pytest.mark.parametrize("isa", sets() if instruction_set() else [])
@pytest.mark.parametrize(
    ("wide", "samples", "coded"), [(8, 1, False), (80, 3, False), (8, 7, True), (80, 1, True)]
)
def test_equals_torch_in_float64(isa: str, wide: int, samples: int, coded: bool) -> None:
    given = parameters(wide, seed=wide + samples)
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(samples, 2, 32, 32, generator=draw)
    dy = torch.randn(samples, 2, 32, 32, generator=draw)
    if coded:
        # A number that rounds to another code in float32 is no error of arithmetic: with codes of
        # v, all before them in multiples of 2^-10 is exact in both.
        x = torch.round(x * 16) / 16
        given[0] = torch.round(given[0] * 64) / 64
        given[1] = torch.round(given[1] * 64) / 64
        given[2] = torch.round(given[2] * 8) / 8
        given[8] = torch.full((wide,), 1 / 128)
    exact = with_gradients(
        by_torch, x.double(), [t.double() for t in given], dy.double(), coded=coded
    )
    ours = with_gradients(by_block, x, given, dy, coded=coded, isa=isa)
    assert len(ours) == len(exact) == 10 + coded
    for got, right in zip(ours, exact, strict=True):
        assert got.shape == right.shape
        assert (got - right).abs().max() <= TOLERANCE * right.abs().max()


def test_every_number_of_threads_gives_the_same_bits() -> None:
    given = parameters(8, seed=1)
    x = torch.randn(37, 2, 32, 32, generator=torch.Generator().manual_seed(2))
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(with_gradients(by_block, x, given, x, coded=True))
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


def test_blocks_in_a_network_have_gradients_of_all_parameters() -> None:
    torch.manual_seed(3)
    block = frozen(decoder_block(2), seed=4)
    x = torch.randn(5, 2, 32, 32).to(memory_format=torch.channels_last)
    exact = gradients(copy.deepcopy(block).double(), x.double())
    calls = count_calls(block, x)
    assert calls == 1
    with fast_blocks(block):
        ours = gradients(block, x)
    assert set(ours) == set(exact)
    for name, right in exact.items():
        assert (ours[name] - right).abs().max() <= TOLERANCE * right.abs().max(), name


def count_calls(module: nn.Module, x: Tensor) -> int:
    """How many blocks run as one operation."""
    calls = 0
    with fast_blocks(module):
        for block in module.modules():
            if isinstance(block, Residual) and block.whole is not None:

                def counted(block: Residual, x: Tensor, inner=block.whole) -> Tensor | None:
                    nonlocal calls
                    whole = inner(block, x)
                    calls += whole is not None
                    return whole

                block.whole = counted
        module(x)
    return calls


def test_everything_else_stays_torchs() -> None:
    link = systems.build(registry.get("acrnet1x"), cr=4, bits=None)
    x = torch.rand(2, 2, 32, 32)
    link.train()
    assert count_calls(link, x) == 0  # norms of the batch
    link.eval()
    assert count_calls(link, x) == 2  # not the encoder's two
    assert count_calls(link.double(), x.double()) == 0
    block = decoder_block(1).eval()
    assert count_calls(block, torch.rand(2, 2, 16, 32)) == 0
    assert count_calls(encoder_block().eval(), x) == 0
    assert block.whole is None
    with pytest.raises(KeyError), fast_blocks(block):
        raise KeyError
    assert block.whole is None


def test_a_number_that_is_none_stays_visible() -> None:
    given = parameters(8, seed=6)
    x = torch.zeros(1, 2, 32, 32)
    x[0, 0, 16, 16] = np.nan
    for coded in (False, True):
        assert by_block(x, given, coded=coded).isnan().any()
