"""Training a transceiver from start to end: validation, checkpoints, resume, the weights file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csideploy.errors import InputError
from csideploy.systems.rvq_egat import Widths, sum_rates
from csideploy.training import checkpoint
from csideploy.training.devices import Place, open_place
from csideploy.training.kept_run import KeptRun
from csideploy.training.progress import Progress
from csideploy.training.session import prepare_folder
from csideploy.training.transceiver_learner import Learner
from csideploy.training.transceiver_recipe import TransceiverRecipe
from csideploy.transceiver.setup import Setup
from csideploy.transceiver.splits import split_users
from csideploy.transceiver.user_set import Users
from csideploy.transceiver.users import load_users
from csideploy.transceiver.weights import SAMPLE, SYSTEM, Weights, load_weights, save_weights

VERSION = 1
"""Of the steps: goes up when the same seed gives other weights."""
_GROUPS = 400
_VALIDATION = 0x5EED


@dataclass(frozen=True)
class TransceiverResult:
    """A finished run: its weights file and what stands in it."""

    weights: Path
    metadata: dict[str, Any]


@dataclass(frozen=True)
class _Held:
    """Validation groups with one number of users."""

    h: Tensor
    region: Tensor | None
    noise: Tensor


class Run(KeptRun):
    """One training run in one folder."""

    def __init__(
        self,
        setup: Setup,
        widths: Widths,
        recipe: TransceiverRecipe,
        parts: tuple[Users, Users, Users],
        about_data: dict[str, Any],
        seed: int,
        place: Place,
        out: Path,
        *,
        checkpoint_seconds: float,
        validations: int,
    ) -> None:
        self.setup, self.widths, self.recipe, self.seed = setup, widths, recipe, seed
        self.place, self.about_data = place, about_data
        self.learner = Learner(setup, widths, recipe, parts[0], seed, place.device)
        self.held = [self._hold(parts[1], k) for k in _some(recipe.users)]
        super().__init__(
            self.learner,
            out,
            steps=recipe.steps,
            validations=validations,
            checkpoint_seconds=checkpoint_seconds,
        )

    def _hold(self, users: Users, k: int) -> _Held:
        rng = np.random.default_rng([_VALIDATION, k])
        rows = users.draw_rows(rng, _GROUPS, k)
        device = self.place.device
        parts = rng.standard_normal((*rows.shape, self.setup.pilots, 2), np.float32)
        noise = torch.view_as_complex(torch.from_numpy(parts * np.float32(0.5**0.5)))
        regions = torch.from_numpy(users.region[rows].astype(np.int64)).flatten().to(device)
        return _Held(
            torch.from_numpy(users.h[rows]).to(device),
            None if self.setup.regions == 1 else regions,
            noise.to(device),
        )

    def described(self) -> dict[str, Any]:
        """What a resumed run must share with the one that stopped."""
        described: dict[str, Any] = checkpoint.plain(
            {
                "system": SYSTEM,
                "version": VERSION,
                "setup": self.setup.describe(),
                "widths": self.widths.describe(),
                "recipe": self.recipe.describe(),
                "data": self.about_data,
                "seed": self.seed,
                "validation every": self.every,
            }
        )
        return described

    def train(self, progress: Progress) -> Weights:
        """The steps that are left; the weights are those of the best validation."""
        self.go_on(self.recipe.method, progress)
        if self.best:
            self.learner.net.load_state_dict(self.best)
        return self._weights()

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        return self.recipe.rate_at(step, len(self.setup.tiers))

    def validate(self, progress: Progress) -> None:
        """Mean sum rate over users, and over tiers alone and all tiers, through the codebooks."""
        position, recipe = self.position, self.recipe
        tiers = len(self.setup.tiers)
        quantized = position.step > self.learner.free_steps
        trained = recipe.stage(position.step - 1, tiers) + 1
        whole = trained if recipe.method == "progressive" else tiers
        counts = sorted({1, whole}) if quantized else [0]
        rate = float(np.mean([self.rate(one, count) for one in self.held for count in counts]))
        position.validation.append((position.step, rate))
        # Before all tiers have been trained, there is nothing to be kept.
        ready = quantized and whole == tiers
        seen = dict(position.validation)
        if ready and rate >= seen.get(position.best_step, -1.0):
            position.best_step = position.step
            net = self.learner.net
            self.best = {k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
        note = f"validation {rate:.3f} bit/s/Hz, tiers {counts[-1] or 'none'}"
        progress.measured(position.step, "validation_sum_rate", rate, note)

    @torch.no_grad()
    def rate(self, held: _Held, count: int) -> float:
        """Mean sum rate of groups with so many tiers; 0: features as they are."""
        net = self.learner.net.eval()
        powers = self.recipe.powers
        snr_db = powers.spread(len(held.h)).to(self.place.device)
        v = net.extractor(net.hear(held.h, held.noise, snr_db))
        read = net.tiers.quantize(v, count, held.region)[0] if count else v
        w = net.graph(read.view(*held.h.shape[:2], -1), snr_db)
        return float(sum_rates(held.h, w, snr_db).mean())

    def _weights(self) -> Weights:
        """The networks as numbers, with how often codewords are used and a sample of features."""
        net, setup = self.learner.net.eval(), self.setup
        features, regions = self.learner.sample(4 * SAMPLE, [self.seed, 3, 0])
        where = torch.from_numpy(regions.astype(np.int64)).to(self.place.device)
        region = None if setup.regions == 1 else where
        with torch.no_grad():
            v = torch.from_numpy(features).to(self.place.device)
            chosen = net.tiers.quantize(v, None, region)[1].cpu().numpy()
        usage = []
        for tier, bits in enumerate(setup.tiers):
            counts = np.zeros((setup.regions, 1 << bits), np.float32)
            rows = (
                regions.astype(np.int64) if region is not None else np.zeros(len(regions), np.int64)
            )
            np.add.at(counts, (rows, chosen[:, tier]), 1)
            usage.append(counts)
        state = {
            name: value.detach().cpu().float().numpy()
            for name, value in net.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        return Weights(
            setup,
            checkpoint.plain(self.widths.describe()),
            state,
            tuple(usage),
            features[:SAMPLE],
            regions[:SAMPLE],
            self.metadata(),
        )

    def metadata(self) -> dict[str, Any]:
        """What goes with the weights."""
        position = self.position
        kept = dict(position.validation).get(position.best_step)
        device = self.place.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        return {
            "recipe": checkpoint.plain(self.recipe.describe()),
            "data": self.about_data,
            "seed": self.seed,
            "training": {
                "steps": position.step,
                "best_step": position.best_step,
                "validation_sum_rate": None if kept is None else round(kept, 4),
                "minutes": round(position.seconds / 60, 1),
                "device": name,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            },
        }


def _some(users: tuple[int, ...]) -> list[int]:
    """Fewest, middle and most."""
    ordered = sorted(set(users))
    return sorted({ordered[0], ordered[len(ordered) // 2], ordered[-1]})


def train_transceiver(
    setup: Setup,
    widths: Widths,
    recipe: TransceiverRecipe,
    *,
    data: Path,
    out: Path,
    seed: int = 0,
    device: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
    validations: int = 20,
    quiet: bool = False,
    command: str | None = None,
    start_from: Path | None = None,
) -> TransceiverResult:
    """Train a transceiver; see `csideploy.training.train_transceiver`."""
    if threads is not None:
        torch.set_num_threads(threads)
    users = load_users(data)
    parts = split_users(data)
    if users.antennas != setup.antennas:
        raise InputError(
            f"{data}: channels of {users.antennas} antennas; the set-up has {setup.antennas}"
        )
    if int(users.region.max()) >= setup.regions > 1:
        raise InputError(
            f"{data}: regions up to {users.region.max()}; --set regions={setup.regions} has "
            f"0 to {setup.regions - 1}"
        )
    earlier = None if start_from is None else load_weights(start_from)
    if earlier is not None and start_from is not None:
        own = checkpoint.plain(widths.describe())
        if earlier.setup != setup or earlier.widths != own:
            raise InputError(
                f"--start-from {start_from}: {earlier.setup}, {earlier.widths}; this run has "
                f"{setup}, {own}: --set what differs"
            )
        # Its tiers are trained: without steps free of quantization, they do not start anew.
        recipe = replace(recipe, start=0.0)
    about_data = {
        "sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
        "taken_for": users.about.get("taken_for"),
        "users": [len(part) for part in parts],
        "parameters": users.about.get("parameters", {}),
    }
    if earlier is not None and start_from is not None:
        about_data["started_from"] = {
            "sha256": checkpoint.digest(start_from),
            **{key: earlier.about.get(key) for key in ("command", "training", "seed")},
        }
    with open_place(device) as place:
        if place.world > 1:
            raise InputError(f"{SYSTEM} trains on one device: start it without torchrun")
        going_on = prepare_folder(out, resume=resume)
        run = Run(
            setup,
            widths,
            recipe,
            parts,
            about_data,
            seed,
            place,
            out,
            checkpoint_seconds=checkpoint_seconds,
            validations=validations,
        )
        if going_on:
            run.resume()
        elif earlier is not None:
            run.learner.start_from(
                {name: torch.from_numpy(array) for name, array in earlier.state.items()}
            )
        with Progress(out / "log", quiet=quiet) as progress:
            progress.say(f"{data}: {users.about.get('taken_for')}; users {about_data['users']}")
            weights = run.train(progress)
    if command is not None:
        weights.about["command"] = command
    save_weights(out / checkpoint.WEIGHTS, weights)
    return TransceiverResult(out / checkpoint.WEIGHTS, weights.about)
