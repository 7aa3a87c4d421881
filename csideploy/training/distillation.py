"""Algorithm 1 of paper 004: student and teacher in turns, both training the receivers.

The student is what gets deployed: receivers, bits, transmitter. The teacher is a second
transmitter that sees the receivers' real outputs, so that its gradient reaches them without loss.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from csideploy.downlink import Setup
from csideploy.errors import InputError
from csideploy.quantizers.sign import ESTIMATORS, sign, straight_through
from csideploy.systems.kd_precoder import KdPrecoder, Options, Transmitter
from csideploy.training.draws import Batch, Powers, empty, fill
from csideploy.training.rates import user_rates

CHOICES = {
    "method": ("distilled", "plain"),
    "update": ("teacher-first", "student-first"),
    "estimator": ESTIMATORS,
    "precision": ("bf16", "fp32"),
}
EASY_DB = 10.0
"""Where `anneal` begins. At 30 dB, interference alone decides, and a beam that serves its own user
better gains little; 400 iterations end at 6.87 bit/s/Hz with anneal 0.5 and at 6.61 without."""
SLOPES = (1.0, 5.0)
"""First and last slope of the sigmoid-adjusted estimator; it rises by equal factors."""
_WARM_UPS = 3
_CHUNK = 2000


@dataclass(frozen=True)
class Recipe:
    """How a precoder is trained. The defaults are the paper's, where it says.

    Attributes:
        iterations: updates of the student; each on a batch of its own.
        batch: samples an iteration.
        rate: Adam's; a tenth of it after 60 % of the iterations, a hundredth after 80 % (30,000
            and 40,000 of the paper's 50,000).
        method: "distilled", or "plain": no teacher.
        update: "teacher-first" (paper) or "student-first" (public code).
        estimator: of the bits' gradient, see `quantizers.sign`.
        precision: of the layers' products; the rate, the loss and the weights are float32 always.
        powers: P of the samples.
        anneal: share of the iterations in which P rises from 10 dB, in equal steps of dB, to what
            was asked; only for one P above 10 dB.

    Raises:
        InputError: a value out of range.
    """

    iterations: int = 50_000
    batch: int = 1000
    rate: float = 2e-4
    method: str = "distilled"
    update: str = "teacher-first"
    estimator: str = "tanh"
    precision: str = "bf16"
    powers: Powers = field(default_factory=Powers)
    anneal: float = 0.0

    def __post_init__(self) -> None:
        for name, legal in CHOICES.items():
            if getattr(self, name) not in legal:
                raise InputError(f"{name} {getattr(self, name)!r}: {' or '.join(legal)}")
        for name in ("iterations", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: at least 1")
        if not 0 < self.rate < math.inf:
            raise InputError(f"rate {self.rate}: a number above 0")
        if not 0 <= self.anneal <= 1:
            raise InputError(f"anneal {self.anneal}: a share of the iterations, 0 to 1")
        if self.anneal and self.powers.several:
            raise InputError("anneal goes with one P; with several, the easy ones are there always")

    def describe(self) -> dict[str, Any]:
        """Plain values, for checkpoints and metadata."""
        return asdict(self)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        done = step / self.iterations
        return self.rate * (1.0 if done < 0.6 else 0.1 if done < 0.8 else 0.01)

    def powers_at(self, step: int) -> Powers:
        """P of a step's samples."""
        span = self.anneal * self.iterations
        target = self.powers.values[0]
        if self.powers.several or step >= span or target <= EASY_DB:
            return self.powers
        return Powers((EASY_DB + (target - EASY_DB) * step / span,))

    def slope_at(self, step: int) -> float:
        """Slope of the sigmoid-adjusted estimator."""
        first, last = SLOPES
        return float(first * (last / first) ** (step / self.iterations))


class Learner:
    """Student and teacher, their optimizers, and one iteration.

    Attributes:
        precoder: the student.
        teacher: None where the method is plain.
        batch: what the next iteration sees, at the same place in memory always.
    """

    def __init__(
        self, setup: Setup, options: Options, recipe: Recipe, seed: int, device: torch.device
    ) -> None:
        self.recipe, self.seed, self.device = recipe, seed, device
        torch.manual_seed(seed)
        self.precoder = KdPrecoder(setup, options).to(device)
        self.teacher: Transmitter | None = None
        if recipe.method == "distilled":
            self.teacher = Transmitter(setup, options).to(device)
        self.batch = empty(setup, recipe.batch, device)
        self._generator = torch.Generator(device)
        self._slope = torch.ones((), device=device)
        self._rate = torch.zeros((), device=device)
        self._adams = {"student": self._adam([*self.precoder.parameters()])}
        if self.teacher is not None:
            shared = [p for n, p in self.precoder.named_parameters() if "transmitter" not in n]
            self._adams["teacher"] = self._adam([*shared, *self.teacher.parameters()])
        self._graph: torch.cuda.CUDAGraph | None = None
        self._loss = torch.zeros((), device=device)
        # A graph is only a faster way to do the same: without one, the run goes on.
        self._capturable = device.type == "cuda"

    def _adam(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Adam:
        cuda = self.device.type == "cuda"
        return torch.optim.Adam(
            parameters, lr=self._rate if cuda else self.recipe.rate, capturable=cuda, fused=True
        )

    def step(self, iteration: int) -> Tensor:
        """One iteration; the student's loss, minus its mean sum rate, as it was before."""
        recipe = self.recipe
        fill(self.batch, recipe.powers_at(iteration), self._generator, (self.seed, iteration))
        self._slope.fill_(recipe.slope_at(iteration))
        self._rate.fill_(recipe.rate_at(iteration))
        for adam in self._adams.values():
            for group in adam.param_groups:
                group["lr"] = self._rate if self._capturable else recipe.rate_at(iteration)
        if self._capturable and self._graph is None:
            self._capture()
        if self._graph is None:
            self._loss = self._iterate()
        else:
            self._graph.replay()
        return self._loss

    def _iterate(self) -> Tensor:
        """Both updates, on the batch that is there."""
        if self.teacher is None:
            return self._update("student", self._student_loss)
        if self.recipe.update == "teacher-first":
            self._update("teacher", self._teacher_loss)
            return self._update("student", self._student_loss)
        loss = self._update("student", self._student_loss)
        self._update("teacher", self._teacher_loss)
        return loss

    def _update(self, which: str, loss_of: Callable[[], Tensor]) -> Tensor:
        adam = self._adams[which]
        adam.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        return loss.detach()

    def _features(self) -> Tensor:
        y = self.precoder.hear(self.batch.h, self.batch.noise)
        return self.precoder.feedback(y).float()

    def _autocast(self) -> torch.autocast:
        lower = self.recipe.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=lower)

    def _student_loss(self) -> Tensor:
        """L_main, eq. (7)."""
        with self._autocast():
            bits = straight_through(self._features(), self.recipe.estimator, self._slope)
            v = self.precoder.transmitter(bits, self.batch.snr_db)
        return self._minus_rate(v)

    def _teacher_loss(self) -> Tensor:
        """L_aux, eq. (11): no tanh and no binarization in front of the teacher."""
        assert self.teacher is not None
        with self._autocast():
            u = self._features()
            v = self.teacher.soft(u, sign(u.detach()), self.batch.snr_db)
        return self._minus_rate(v)

    def _minus_rate(self, v: Tensor) -> Tensor:
        power = 10 ** (self.batch.snr_db[:, 0] / 10)
        return -user_rates(self.batch.h, v, power).sum(1).mean().float()

    def _capture(self) -> None:
        """Record an iteration as a CUDA graph; where that fails, go on without."""
        before = copy.deepcopy(self.state())
        try:
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    self._iterate()
            torch.cuda.current_stream().wait_stream(stream)
            self.restore(before)
            graph = torch.cuda.CUDAGraph()
            for adam in self._adams.values():
                adam.zero_grad(set_to_none=True)
            with torch.cuda.graph(graph):
                self._loss = self._iterate()
            self._graph = graph
        except RuntimeError:
            self._capturable = False
            self.restore(before)

    def state(self) -> dict[str, Any]:
        """All that the iterations change."""
        return {
            "precoder": self.precoder.state_dict(),
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
            "adams": {name: adam.state_dict() for name, adam in self._adams.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; parameters and, where there are some, moments stay where they are."""
        self.precoder.load_state_dict(state["precoder"])
        if self.teacher is not None:
            self.teacher.load_state_dict(state["teacher"])
        for name, adam in self._adams.items():
            if state["adams"][name]["state"]:
                adam.load_state_dict(state["adams"][name])
            else:
                # Of before the first step: zeros, which a graph must find allocated.
                for moments in adam.state.values():
                    for moment in moments.values():
                        moment.zero_()
            for group in adam.param_groups:
                group["lr"] = self._rate if self._capturable else self.recipe.rate
                # The state may come from another kind of device.
                group["capturable"] = self.device.type == "cuda"


def sum_rates(precoder: KdPrecoder, batch: Batch) -> Tensor:
    """Sum rate of each sample, through the bits, in float32: float64 (n,) on the CPU."""
    rates = []
    with torch.no_grad():
        for start in range(0, len(batch.h), _CHUNK):
            at = slice(start, start + _CHUNK)
            v = precoder(precoder.hear(batch.h[at], batch.noise[at]), batch.snr_db[at])
            power = 10 ** (batch.snr_db[at, 0] / 10)
            rates.append(user_rates(batch.h[at], v, power).sum(1).cpu())
    return torch.cat(rates)


def constant_bits(precoder: KdPrecoder, batch: Batch) -> int:
    """Bits, of the B of a user (and K of receivers of their own), that nearly never change.

    A bit that is the same in 99.9 % of the samples tells the BS nothing: the mark of a collapse.
    """
    with torch.no_grad():
        y = precoder.hear(batch.h[:_CHUNK], batch.noise[:_CHUNK])
        mean = sign(precoder.feedback(y).float()).mean(0)
    if len(precoder.receivers) == 1:
        mean = mean.mean(0)
    return int((mean.abs() > 0.998).sum())
