"""One training step of a transceiver: draw users, run the link, follow sum rate and quantizer.

Everything drawn is a function of (seed, step), so a resumed run sees what one never stopped would
have seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from csideploy.errors import InputError
from csideploy.quantizers.tiers import nearest, substituted
from csideploy.systems.rvq_egat import Transceiver, Widths, sum_rates
from csideploy.training.draws import Powers
from csideploy.training.transceiver_recipe import TransceiverRecipe
from csideploy.transceiver.setup import Setup
from csideploy.transceiver.tiers import fit_tiers
from csideploy.transceiver.user_set import Users

REVIVE_EVERY = 300
REVIVE_SHARE, REVIVE_UNTIL = 0.05, 0.85
"""Codewords chosen less than this share of the mean move, and until when in a stage."""
FIT_USERS = 20_000
FIT_ROUNDS = 10
"""Of k-means, where a tier starts."""
COARSE_EVERY = 100
COARSE_SHARE = 0.2
"""Of the users of a step whose one tier is a first tier made smaller, and how often it is made."""
COARSE_USERS, COARSE_ROUNDS = 4000, 5
_CHANNEL_WEIGHT = 8.0
"""Of the anchor's channel error, relative, against bit/s/Hz, before any quantization."""
_MOST_SKIPPED = 50


class Learner:
    """The networks, their optimizer, and a step.

    Attributes:
        net: the transceiver.
        skipped: steps in a row whose gradient was not finite and was not followed.
    """

    def __init__(
        self,
        setup: Setup,
        widths: Widths,
        recipe: TransceiverRecipe,
        users: Users,
        seed: int,
        device: torch.device,
    ) -> None:
        self.setup, self.recipe, self.seed, self.device = setup, recipe, seed, device
        self.users = users
        self.h = torch.from_numpy(users.h).to(device)
        self.region = torch.from_numpy(users.region.astype(np.int64)).to(device)
        torch.manual_seed(_mixed(seed, -1))
        self.net = Transceiver(setup, widths).to(device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=recipe.rate)
        self.skipped = 0
        self.coarse: list[Tensor] = []
        self.free_steps = recipe.free_steps(len(setup.tiers))

    def start_from(self, state: dict[str, Tensor]) -> None:
        """Take up trained networks and codebooks, by the names of `state_dict`.

        Raises:
            InputError: of other sizes.
        """
        try:
            missing = self.net.load_state_dict(state, strict=False).missing_keys
        except RuntimeError as error:
            raise InputError("--start-from: weights of other sizes than these") from error
        if any(not name.endswith("num_batches_tracked") for name in missing):
            raise InputError(f"--start-from: weights without {missing[0]}")

    def step(self, step: int) -> Tensor:
        """One update; returns the loss.

        Raises:
            InputError: the loss is not finite again and again.
        """
        recipe, tiers = self.recipe, len(self.setup.tiers)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate_at(step, tiers)
        self._prepare(step)
        rng = np.random.default_rng([self.seed, 1, step])
        torch.manual_seed(_mixed(self.seed, step))
        users = int(rng.choice(recipe.users))
        groups = recipe.batch // users
        rows = torch.from_numpy(self.users.draw_rows(rng, groups, users)).to(self.device)
        snr_db = _drawn(recipe.powers, groups, rng).to(self.device)
        loss = self._loss(step, rows, snr_db, rng)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), recipe.clip)
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
            self.skipped = 0
        else:
            # A pair of users in one place makes the anchor's solve as good as singular.
            self.skipped += 1
            if self.skipped > _MOST_SKIPPED:
                raise InputError(
                    f"training diverges at step {step}: a smaller --rate than {recipe.rate:g}"
                )
        return loss.detach()

    def _loss(self, step: int, rows: Tensor, snr_db: Tensor, rng: np.random.Generator) -> Tensor:
        """-sum rate + lambda quantization loss (eq. 22), means over groups and users."""
        net, recipe = self.net.train(), self.recipe
        h, region = self.h[rows], self._regions(rows)
        groups, users = rows.shape
        noise = torch.randn(groups, users, self.setup.pilots, dtype=torch.complex64)
        v = net.extractor(net.hear(h, noise.to(self.device), snr_db))
        error = fit = torch.zeros((), device=self.device)
        read = v
        if step < self.free_steps:
            anchor = net.graph.anchor
            if anchor is not None:
                fit = anchor.misfit(v, h.flatten(0, 1)).mean()
        else:
            read, errors, _ = net.tiers(v, self._counts(step, len(v), rng), region)
            if self.coarse:
                few = torch.from_numpy(rng.random(len(v)) < COARSE_SHARE).to(self.device)
                words, few_errors = substituted(v, self._coarsely(v.detach(), region))
                read = torch.where(few[:, None], words, read)
                errors = torch.where(few, few_errors, errors)
            error = errors.mean()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            w = net.graph(read.view(groups, users, -1), snr_db)
        rate = sum_rates(h, w.float(), snr_db).mean()
        loss: Tensor = recipe.quantization * error + _CHANNEL_WEIGHT * fit - rate
        return loss

    def _counts(self, step: int, rows: int, rng: np.random.Generator) -> Tensor | int:
        """Tiers that each user has in this step."""
        tiers = len(self.setup.tiers)
        if self.recipe.method == "progressive":
            return self.recipe.stage(step, tiers) + 1
        if self.recipe.budgets == "full":
            return tiers
        return torch.from_numpy(rng.integers(1, tiers + 1, rows)).to(self.device)

    def _coarsely(self, v: Tensor, region: Tensor | None) -> Tensor:
        """The nearest words of the smaller first tiers."""
        if region is None:
            return self.coarse[0][nearest(v, self.coarse[0])]
        q = torch.zeros_like(v)
        for number, words in enumerate(self.coarse):
            own = region == number
            q[own] = words[nearest(v[own], words)]
        return q

    def _make_coarse(self, step: int) -> None:
        """First tiers of fewer bits, as a deployment with fewer bits makes them of features."""
        first = self.setup.tiers[0]
        rng = np.random.default_rng([self.seed, 5, step])
        # Half of the trained bits most of the time: what lies between is easier.
        bits = first // 2 if rng.random() < 0.5 else int(rng.integers(1, first))
        features, regions = self.sample(COARSE_USERS, [self.seed, 6, step])
        self.coarse = []
        for number in range(self.setup.regions):
            own = features if self.setup.regions == 1 else features[regions == number]
            if len(own) < 1 << bits:
                self.coarse = []
                return
            made = fit_tiers(own, [bits], seed=self.seed, iterations=COARSE_ROUNDS, start="sample")
            self.coarse.append(torch.from_numpy(made[0]).to(self.device))

    def _regions(self, rows: Tensor) -> Tensor | None:
        return None if self.setup.regions == 1 else self.region[rows.flatten()]

    def _prepare(self, step: int) -> None:
        """What happens before some steps: tiers start, freeze, and lose dead codewords."""
        recipe, tiers = self.recipe, len(self.setup.tiers)
        progressive = recipe.method == "progressive"
        stage = recipe.stage(step, tiers)
        begins = step == 0 or stage != recipe.stage(step - 1, tiers)
        own = [stage] if progressive else list(range(tiers))
        if progressive:
            # At every step, since a run may have been taken up in the middle of a stage.
            for number, book in enumerate(self.net.tiers.books):
                book.requires_grad_(number == stage)
        if (step == self.free_steps and self.free_steps) or (progressive and begins and stage):
            self._start_tiers(own, step)
        mixed = not progressive and recipe.budgets == "mixed" and self.setup.tiers[0] > 1
        if mixed and step >= self.free_steps and step % COARSE_EVERY == 0:
            self._make_coarse(step)
        stages = tiers if progressive else 1
        place = step * stages / recipe.steps % 1
        if step % REVIVE_EVERY == 0 and self.free_steps < step and place < REVIVE_UNTIL:
            torch.manual_seed(_mixed(self.seed, step, 1))
            self.net.tiers.revive(REVIVE_SHARE, own)

    @torch.no_grad()
    def _start_tiers(self, numbers: list[int], step: int) -> None:
        """Codewords by k-means on what the tiers before left of training features.

        Where no tier ever starts so (`start` 0), they begin as small random numbers.
        """
        features, regions = self.sample(FIT_USERS, [self.seed, 2, step])
        for region in range(self.setup.regions):
            own = features if self.setup.regions == 1 else features[regions == region]
            if not len(own):
                continue
            where = torch.full((len(own),), region, device=self.device)
            left = torch.from_numpy(own).to(self.device)
            first = numbers[0]
            if first:
                left = left - self.net.tiers.eval().quantize(left, first, where)[0]
            made = fit_tiers(
                left.cpu().numpy(),
                [self.setup.tiers[n] for n in numbers],
                seed=self.seed,
                iterations=FIT_ROUNDS,
            )
            for number, words in zip(numbers, made, strict=True):
                self.net.tiers.books[number][region] = torch.from_numpy(words).to(self.device)
        # Adam's averages belong to the codewords that were.
        for number in numbers:
            self.optimizer.state.pop(self.net.tiers.books[number], None)

    @torch.no_grad()
    def sample(
        self, count: int, place: list[int]
    ) -> tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.uint8]]]:
        """Features (n, D) of training users drawn at the recipe's SNRs, and their regions."""
        rng = np.random.default_rng(place)
        torch.manual_seed(_mixed(*place))
        # A small file gives every user several times, each time with noise of its own.
        times = -(-count // len(self.users))
        order = np.concatenate([rng.permutation(len(self.users)) for _ in range(times)])
        rows = torch.from_numpy(order[:count])
        h = self.h[rows.to(self.device)][:, None]
        snr_db = _drawn(self.recipe.powers, len(rows), rng).to(self.device)
        noise = torch.randn(len(rows), 1, self.setup.pilots, dtype=torch.complex64)
        net = self.net.eval()
        v = net.extractor(net.hear(h, noise.to(self.device), snr_db))
        return v.cpu().numpy(), self.users.region[rows.numpy()]

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "used": self.net.tiers.used,
            "coarse": self.coarse,
            "skipped": self.skipped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.net.tiers.used = state["used"]
        self.coarse = [words.to(self.device) for words in state["coarse"]]
        self.skipped = state["skipped"]


def _mixed(*place: int) -> int:
    """A seed for torch from where it is drawn."""
    parts = [part & 0xFFFF_FFFF for part in place]
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1


def _drawn(powers: Powers, count: int, rng: np.random.Generator) -> Tensor:
    """SNR in dB of `count` groups, (n, 1)."""
    if powers.even:
        lowest, highest = powers.values
        values = rng.uniform(lowest, highest, count)
    else:
        values = rng.choice(np.array(powers.values), count)
    return torch.from_numpy(values.astype(np.float32))[:, None]
