"""Training the neural codebooks of neural-MQ and neural-VQ (paper 003, eq. 45): Adam on hard bits.

Every step draws blocks of the training channels and fresh Gaussian symbols, runs the DU's descent
with the networks of the moment, takes its bits as constants, and follows the gradient of the
effective interference of what the RUs then send. What they send is Gamma x_hat with gamma_m from
the mean power of the block, differentiated as well: without it the networks grow, since a stronger
signal always fits better, and Gamma cuts them back.

The interference is weighted as in the search, ||T (A Gamma x_hat - s)||^2, T of `link.whitener`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.fronthaul.channels import carrier, draw
from csideploy.fronthaul.codebooks import GAMMA_ROUNDS, NEURAL_METHODS, Codebooks
from csideploy.fronthaul.link import Complex, Links, prepare, whitener
from csideploy.fronthaul.parts import du_inputs, du_plan, payload_spans
from csideploy.fronthaul.quality import gaussian_symbols
from csideploy.fronthaul.searches import precoded
from csideploy.fronthaul.setup import Setup
from csideploy.progress import Advance, quiet
from csideploy.runtime import Part
from csideploy.training.fronthaul_decoder import Decoder, real_channel, real_signal

CHANNELS = 1000
"""Of the training set. The 100 of paper 003, Section VI, overfit: more steps then cost efficiency
on other channels."""
STEPS = 600
BLOCKS, USES = 8, 24
"""Of a step: blocks, and channel uses of each."""
RATE = 3e-3
ITERATIONS = 100
ETA = 0.3
_FOLLOWED_ROUNDS = 12
_GAMMA_ROUNDS = 3
"""Of the fixed point for gamma in a batch, from 1: more cost time and bring nothing."""


def train_networks(
    method: str,
    setups: Setup | Sequence[Setup],
    *,
    channel: str,
    layers: int = 1,
    hidden: int | None = None,
    iterations: int = ITERATIONS,
    steps: int = STEPS,
    rate: float = RATE,
    eta: float = ETA,
    follow: bool = False,
    channels: int = CHANNELS,
    seed: int = 0,
    progress: Advance = quiet,
) -> Codebooks:
    """Networks for one method on one kind of channel.

    Args:
        method: neural-mq or neural-vq.
        setups: sizes; several that differ in users and SNR alone: a step draws one of them
            (heterogeneous training, paper 003, Section VI-D). The first one is the result's.
        channel: kind, of `fronthaul.channels.KINDS`.
        layers: K, hidden layers, 0 to 2.
        hidden: D_m; None: B_m.
        iterations: I, of the descent in training and after.
        steps: of Adam.
        rate: of Adam at the start; a half cosine to 0.
        eta: of the descent's step, see `Codebooks`.
        follow: gamma of each channel goes on from where it was when the channel was last drawn, so
            that it settles while the networks change; else it starts from 1 for every batch.
        channels: in the training set.
        seed: of everything.
        progress: called with steps done and steps in all.

    Raises:
        InputError: sizes that do not go together, or training that does not converge.
    """
    every = [setups] if isinstance(setups, Setup) else list(setups)
    _check(method, every, layers, iterations, steps)
    began = time.perf_counter()
    setup = every[0]
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 2])
    decoders = [
        Decoder(bits, antennas, layers, hidden or bits)
        for bits, antennas in zip(setup.bits, setup.antennas, strict=True)
    ]
    training = [prepare(one, carrier(draw(channel, one, channels, rng))) for one in every]
    learner = torch.optim.Adam([p for d in decoders for p in d.parameters()], lr=rate)
    held = np.ones((len(training), channels, setup.rus))
    for done in range(steps):
        for group in learner.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * done / steps))
        which = int(rng.integers(len(training)))
        links = training[which]
        chosen = rng.choice(channels, min(BLOCKS, channels), replace=False)
        block = Links(
            links.setup, links.h[chosen], links.w[chosen], links.f[chosen], links.a[chosen]
        )
        s = gaussian_symbols(len(chosen), USES, links.setup.total_streams, rng)
        gamma = held[which, chosen] if follow else np.ones((len(chosen), setup.rus))
        rounds = 1 if follow else _GAMMA_ROUNDS
        loss = _loss(method, decoders, block, s, iterations, eta, gamma, rounds)
        held[which, chosen] = gamma
        if not torch.isfinite(loss):
            raise InputError(f"training diverges at step {done}: a smaller --rate than {rate:g}")
        learner.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        learner.step()
        progress(done + 1, steps)
    about: dict[str, Any] = {
        "channel": channel,
        "steps": steps,
        "rate": rate,
        "channels": channels,
        "seed": seed,
        "layers": layers,
        "users": [one.users for one in every],
        "seconds": round(time.perf_counter() - began, 1),
    }
    return Codebooks(
        method,
        setup,
        networks=tuple(decoder.numbers() for decoder in decoders),
        iterations=iterations,
        eta=eta,
        gamma_rounds=_FOLLOWED_ROUNDS if follow else GAMMA_ROUNDS,
        about=about,
    )


def _check(method: str, setups: list[Setup], layers: int, iterations: int, steps: int) -> None:
    if method not in NEURAL_METHODS:
        raise InputError(f"{method} has no networks")
    if not 0 <= layers <= 2:
        raise InputError(f"{layers} hidden layers: 0 to 2")
    if iterations < 1 or steps < 1:
        raise InputError(f"{iterations} iterations, {steps} steps: at least 1")
    if len({(one.antennas, one.bits) for one in setups}) != 1:
        raise InputError("set-ups of one training differ in users and SNR alone")


def _loss(
    method: str,
    decoders: list[Decoder],
    links: Links,
    s: Complex,
    iterations: int,
    eta: float,
    gamma: NDArray[np.float64],
    rounds: int,
) -> Tensor:
    """Of one batch; gamma (c, M) is where its rounds start, and what they find."""
    codebooks = Codebooks(
        method,
        links.setup,
        networks=tuple(decoder.numbers() for decoder in decoders),
        iterations=iterations,
        eta=eta,
    )
    part = Part(write_bundle(du_plan(codebooks, block=s.shape[1])))
    for _ in range(rounds if codebooks.joint else 1):
        read = du_inputs(codebooks, links, s, gamma)
        (payload,) = part.run(*(read[one.name] for one in part.inputs))
        bits = _unpacked(payload, links.setup, s.shape[1])
        signals = [decoder(b) for decoder, b in zip(decoders, bits, strict=True)]
        held = [_held(signal) for signal in signals]
        gamma[:] = torch.stack(held, dim=1).detach().numpy()
    if not codebooks.joint:
        x = precoded(links, s)
        own = [real_signal(x[..., span]) for span in links.setup.spans]
        parts = [(a - b).square().sum(dim=-1) for a, b in zip(signals, own, strict=True)]
        return torch.stack(parts).sum(dim=0).mean()
    weights = whitener(links.a)
    wanted = real_signal(s @ np.swapaxes(weights, 1, 2))
    matrices = real_channel(links.setup, weights @ links.a)
    parts = [
        (signal * g[:, None, None]) @ matrix
        for signal, g, matrix in zip(signals, held, matrices, strict=True)
    ]
    return (torch.stack(parts).sum(dim=0) - wanted).square().sum(dim=-1).mean()


def _unpacked(payload: NDArray[np.uint8], setup: Setup, uses: int) -> list[Tensor]:
    """The bits of each RU, (c, R, B_m) of 0 and 1."""
    found = []
    for span, bits in zip(payload_spans(setup, uses), setup.bits, strict=True):
        flat = np.unpackbits(payload[:, span], axis=1)[:, : uses * bits]
        found.append(torch.from_numpy(flat.reshape(len(payload), uses, bits)).float())
    return found


def _held(signal: Tensor) -> Tensor:
    """gamma_m of each block from (c, R, 2 N_m)."""
    power = signal.square().sum(dim=-1).mean(dim=1)
    # Of a tiny network all units may be off: no power, and no gradient of it.
    return power.clamp(min=1e-12).rsqrt().clamp(max=1)
