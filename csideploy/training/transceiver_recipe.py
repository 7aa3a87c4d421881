"""How a transceiver is trained: lengths, rates, what a batch holds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from csideploy.errors import InputError
from csideploy.training.draws import Powers
from csideploy.transceiver.setup import MOST_USERS

CHOICES = {
    "method": ("end-to-end", "progressive"),
    "budgets": ("mixed", "full"),
    "precision": ("bf16", "fp32"),
}


@dataclass(frozen=True)
class TransceiverRecipe:
    """The defaults train in about half an hour of one core at M = 16.

    Attributes:
        method: "end-to-end": all tiers at once; "progressive": one after another, those before
            frozen, in stages of equal length (paper 000, Algorithm 1).
        steps: of Adam, over all stages.
        batch: users a step; a step has `batch // K` groups of K.
        rate: Adam's highest; a linear warm-up, then half a cosine to a hundredth of it (Section
            VI-C), in every stage.
        users: K is drawn from these, anew for every step.
        powers: P / sigma^2 of the groups.
        budgets: of end-to-end training: "mixed", every user with a number of tiers of its own;
            "full", all tiers always.
        quantization: lambda of eq. 22; the quantization loss is the mean over users of eq. 23.
        start: share of the steps, of the first stage where there are stages, before any
            quantization. The extractor then also fits the anchor's channel, where there is an
            anchor, and at their end the tiers start from k-means.
        clip: of the gradient's norm.
        precision: of the precoder's products in training; all else is float32.

    Raises:
        InputError: a value out of range.
    """

    method: str = "end-to-end"
    steps: int = 8000
    batch: int = 600
    rate: float = 1e-3
    users: tuple[int, ...] = (3, 4, 5, 6, 7, 8)
    powers: Powers = field(default_factory=Powers)
    budgets: str = "mixed"
    quantization: float = 1.0
    start: float = 0.1
    clip: float = 5.0
    precision: str = "bf16"

    def __post_init__(self) -> None:
        object.__setattr__(self, "users", tuple(self.users))
        for name, legal in CHOICES.items():
            if getattr(self, name) not in legal:
                raise InputError(f"{name} {getattr(self, name)!r}: {' or '.join(legal)}")
        if self.steps < 1:
            raise InputError(f"steps {self.steps}: at least 1")
        if not self.users or not all(1 <= k <= MOST_USERS for k in self.users):
            raise InputError(f"users {self.users}: numbers from 1 to {MOST_USERS}")
        if self.batch < max(self.users):
            raise InputError(f"batch {self.batch}: at least the {max(self.users)} users of a group")
        for name in ("rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} {getattr(self, name)}: a number above 0")
        if not 0 <= self.quantization < math.inf:
            raise InputError(f"quantization {self.quantization}: a number from 0")
        if not 0 <= self.start < 1:
            raise InputError(f"start {self.start}: a share of the steps, from 0 to below 1")

    def describe(self) -> dict[str, Any]:
        """Plain values, for checkpoints and metadata."""
        return {**asdict(self), "users": list(self.users)}

    def stage(self, step: int, tiers: int) -> int:
        """The tier that a step trains, of progressive training."""
        return min(step * tiers // self.steps, tiers - 1)

    def rate_at(self, step: int, tiers: int) -> float:
        """Learning rate of a step."""
        stages = tiers if self.method == "progressive" else 1
        place = step * stages / self.steps
        inside = place - min(int(place), stages - 1)
        warm = min(1.0, (inside * self.steps / stages + 1) / _WARM_UP)
        return self.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * inside)))

    def free_steps(self, tiers: int) -> int:
        """Steps before any quantization."""
        stages = tiers if self.method == "progressive" else 1
        return int(self.start * self.steps / stages)


_WARM_UP = 100
"""Steps."""
