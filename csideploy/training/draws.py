"""Channels, noise and P of a training step, drawn when it needs them.

Everything drawn is a function of (seed, iteration), so a resumed run sees what one never stopped
would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from csideploy.downlink import Setup
from csideploy.errors import InputError

_LIMIT_DB = 60.0
_VALIDATION = 0x5EED
"""Mixed into the validation set's seed; that set is the same for every run."""


@dataclass(frozen=True)
class Powers:
    """P of the samples in dB: one value, a list to draw from, or a range to draw from evenly.

    Attributes:
        values: dB; the two ends where `even`.
        even: uniform in dB between the two.
    """

    values: tuple[float, ...] = (10.0,)
    even: bool = False

    @staticmethod
    def parse(text: str) -> Powers:
        """Read "10", "0,10,20,30" or "0:30".

        Raises:
            InputError: anything else, or beyond 60 dB.
        """
        even = ":" in text
        try:
            values = tuple(float(part) for part in text.split(":" if even else ","))
        except ValueError:
            values = ()
        right = all(abs(value) <= _LIMIT_DB for value in values)
        if not values or not right or (even and not (len(values) == 2 and values[0] < values[1])):
            raise InputError(
                f"--snr {text!r}: dB, one number, a list 0,10,20,30, or a range 0:30, each at most "
                f"{_LIMIT_DB:g} in size"
            )
        return Powers(values, even)

    @property
    def several(self) -> bool:
        """Whether samples differ in P, so that the transmitter has to be told."""
        return len(self.values) > 1

    def spread(self, samples: int) -> Tensor:
        """P in dB of a fixed set, (n, 1): all values equally often, or evenly over the range."""
        if self.even:
            lowest, highest = self.values
            return torch.linspace(lowest, highest, samples).unsqueeze(1)
        return torch.tensor(self.values)[torch.arange(samples) % len(self.values)].unsqueeze(1)


@dataclass
class Batch:
    """One batch: h (n, K, N, M, 2), noise (n, K, L, N, 2), P in dB (n, 1)."""

    h: Tensor
    noise: Tensor
    snr_db: Tensor


def empty(setup: Setup, samples: int, device: torch.device) -> Batch:
    """A batch without content, to be filled again and again."""
    h = torch.empty(samples, setup.users, setup.streams, setup.antennas, 2, device=device)
    noise = torch.empty(samples, setup.users, setup.pilots, setup.streams, 2, device=device)
    return Batch(h, noise, torch.empty(samples, 1, device=device))


def fill(batch: Batch, powers: Powers, generator: torch.Generator, place: tuple[int, ...]) -> None:
    """Draw a batch, in place.

    Args:
        batch: to fill.
        powers: of the samples.
        generator: on the batch's device; seeded here.
        place: (seed, iteration), or what else says which draw it is.
    """
    mixed = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])
    # torch's generator on the CPU reads the low 32 bits of its seed, that on CUDA all 64.
    generator.manual_seed(mixed >> 1)
    half = 0.5**0.5
    batch.h.normal_(0, half, generator=generator)
    batch.noise.normal_(0, half, generator=generator)
    if powers.even:
        batch.snr_db.uniform_(*powers.values, generator=generator)
    elif powers.several:
        known = torch.tensor(powers.values, device=batch.snr_db.device)
        chosen = torch.randint(
            len(known), batch.snr_db.shape, generator=generator, device=known.device
        )
        batch.snr_db.copy_(known[chosen])
    else:
        batch.snr_db.fill_(powers.values[0])


def validation(setup: Setup, powers: Powers, samples: int, device: torch.device) -> Batch:
    """The fixed set that runs are compared and the best weights chosen on; drawn on the CPU."""
    batch = empty(setup, samples, torch.device("cpu"))
    fill(batch, Powers(), torch.Generator(), (_VALIDATION, samples))
    snr_db = powers.spread(samples)
    return Batch(batch.h.to(device), batch.noise.to(device), snr_db.to(device))
