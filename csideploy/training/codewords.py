"""Training the codewords of `rank1-rzf` for the sum rate.

Lloyd's codebook places directions where they are near to the users' channels. What counts is the
rate behind `baselines.rank1_rzf`, W = A (A^H A + c I)^-1 with unit columns, A the codewords that
the K users chose. So codewords (kept at unit norm) and log c follow the gradient of the mean sum
rate over channels drawn on the fly, by Adam.

Which codeword a user chooses is a constant for the gradient. That leaves out what moved codewords
do to the choices, whose score (`baselines.feedback.choose`) knows nothing of the other users: where
it jumps from one codeword to another, so does the rate. The rate therefore does not settle: at
30 dB it rises by 0.05 within 300 iterations and then goes up and down by 0.02, also as Adam's rate
falls to 0. Of what is measured on a fixed validation set the best is kept, and more iterations than
the default give more chances and little else.

Both sides keep what they do: the UE's receiver and the BS's native part, with other numbers.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding

from csideploy.baselines.feedback import DISTANCES, Distance, weights
from csideploy.downlink import Setup
from csideploy.downlink.channels import dft_pilots, estimator
from csideploy.downlink.schemes import Baselines
from csideploy.downlink.trained_codewords import MOST_BITS, SYSTEM, save_codewords
from csideploy.errors import InputError
from csideploy.training.draws import Batch, Powers, empty, fill, validation
from csideploy.training.progress import Progress
from csideploy.training.rates import log_det
from csideploy.training.session import Result, prepare_folder
from csideploy.weights_header import WEIGHTS

_CPU = torch.device("cpu")
_LOADING_RATE = 3.0
"""Learning rate of log c over that of the codewords' entries."""
_LARGEST_DB = 60.0
_RELATIVE = 1e-12
"""Added to a Gram matrix of double precision, over its trace: an estimate of lower rank."""


class Learner:
    """Codewords and loading, and the rate behind them."""

    def __init__(
        self,
        setup: Setup,
        power: float,
        distance: Distance,
        start: NDArray[np.complex64],
        loading: float,
    ) -> None:
        """Sizes, P, the users' rule; codewords (2^B, M) and the loading to start from."""
        self.setup, self.power = setup, power
        # The score is ||C^-1 H^H a||^2, C C^H = s I + e H^H H; with s = 0 the projection.
        self.noise, self.around = (0.0, 1.0) if distance == "chordal" else weights(setup, power, 1)
        pairs = np.ascontiguousarray(start, np.complex64)[..., None].view(np.float32)
        self.pairs = torch.from_numpy(pairs.copy()).requires_grad_()
        self.log_loading = torch.tensor(math.log(loading), requires_grad=True)
        pilots = dft_pilots(setup)
        sent = np.sqrt(setup.pilot_power) * pilots
        self._sent = torch.from_numpy(sent.astype(np.complex64))
        self._estimator = torch.from_numpy(estimator(setup, pilots)).T.contiguous()

    def words(self) -> Tensor:
        """Unit codewords as pairs (2^B, M, 2)."""
        return self.pairs / self.pairs.square().sum((1, 2), keepdim=True).sqrt()

    @torch.no_grad()
    def hear(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What a batch needs once.

        Returns:
            H^H, and C^-1 times the estimate's H^H: complex64 (n, K, N, M) each.
        """
        heard_by = torch.view_as_complex(batch.h).conj().resolve_conj()
        noise = torch.view_as_complex(batch.noise).transpose(2, 3)
        estimate = (heard_by @ self._sent + noise) @ self._estimator
        wide = estimate.to(torch.complex128)
        gram = wide @ wide.mH
        trace = torch.diagonal(gram, dim1=-2, dim2=-1).real.sum(-1)[..., None, None]
        load = self.noise + _RELATIVE * trace
        matrix = self.around * gram + load * torch.eye(self.setup.streams, dtype=gram.dtype)
        root = torch.linalg.cholesky(matrix)
        whitened = torch.linalg.solve_triangular(root, wide, upper=False)
        return heard_by, whitened.to(torch.complex64)

    @torch.no_grad()
    def choose(self, whitened: Tensor) -> Tensor:
        """Index of the codeword of the best score, (n, K), of `hear`'s second."""
        # (n K N, M) times (M, 2^B): one large product.
        words = torch.view_as_complex(self.words()).T
        heard = torch.view_as_real(whitened.reshape(-1, self.setup.antennas) @ words)
        power = heard.square().sum(-1)
        return power.reshape(*whitened.shape[:3], -1).sum(2).argmax(-1)

    def sum_rates(self, heard_by: Tensor, whitened: Tensor) -> Tensor:
        """Sum rate of each sample, float64 (n,); differentiable in codewords and loading.

        User k hears g_l = H_k^H w_l with power P / K, N streams on one beam. With G_k = [g_1 ...]
        and G_k' the same without its own, the rate is log2 |I + G G^H| - log2 |I + G' G'^H|.
        """
        users, antennas = self.setup.users, self.setup.antennas
        chosen = embedding(self.choose(whitened), self.words().flatten(1))
        a_h = torch.view_as_complex(chosen.reshape(-1, users, antennas, 2)).conj()
        gram = a_h @ a_h.mH + self.log_loading.exp() * torch.eye(users)
        # W^H = (A^H A + c I)^-1 A^H, a user a row.
        beams = torch.linalg.solve(gram, a_h)
        beams = beams / torch.linalg.vector_norm(beams, dim=2, keepdim=True)
        heard = heard_by.flatten(1, 2) @ beams.mH * math.sqrt(self.power / users)
        parts = torch.view_as_real(heard).double().reshape(len(heard), users, -1, users, 2)
        re, im = parts[..., 0], parts[..., 1]
        others = (1 - torch.eye(users, dtype=torch.float64))[:, None]
        rates = log_det(re, im) - log_det(re * others, im * others)
        return rates.sum(1) / math.log(2)


def train_codewords(
    setup: Setup,
    *,
    out: Path,
    snr_db: float,
    distance: Distance | None = None,
    iterations: int = 1500,
    batch: int = 2000,
    rate: float = 0.003,
    seed: int = 0,
    threads: int | None = None,
    validations: int = 20,
    validation_samples: int = 10_000,
    quiet: bool = False,
) -> Result:
    """Train into a folder; see `csideploy.training.train_codewords`."""
    _check(setup, snr_db, distance, iterations, batch, rate, validations, validation_samples)
    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads {threads}: must be at least 1")
        torch.set_num_threads(threads)
    prepare_folder(out, resume=False, resumable=False)
    clock = time.monotonic()
    power = float(10 ** (snr_db / 10))
    baselines = Baselines(setup, seed=seed)
    chosen: Distance = distance or baselines.better_distance(power)
    scheme = baselines.scheme(SYSTEM, power, chosen)
    assert scheme.loading is not None
    learner = Learner(setup, power, chosen, baselines.codebook(1)[:, :, 0], scheme.loading)
    powers = Powers((snr_db,))
    fixed = _parts(validation(setup, powers, validation_samples, _CPU), batch, learner)
    optimizer = torch.optim.Adam([{"params": [learner.pairs]}, {"params": [learner.log_loading]}])
    drawn, generator = empty(setup, batch, _CPU), torch.Generator()
    start = reached = _measure(learner, fixed)
    kept, best = 0, _values(learner)
    every = max(1, iterations // validations)
    with Progress(None, quiet=quiet, alone=True) as progress:
        progress.begin("codewords", iterations, 0)
        progress.measured(0, "validation_sum_rate", start, f"validation {start:.3f} bit/s/Hz")
        for step in range(iterations):
            # Constant for the first half, then linear to 0.
            now = rate * min(1.0, 2 * (iterations - step) / iterations)
            for group, factor in zip(optimizer.param_groups, (1.0, _LOADING_RATE), strict=True):
                group["lr"] = factor * now
            fill(drawn, powers, generator, (seed, step))
            loss = -learner.sum_rates(*learner.hear(drawn)).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            progress.step(step + 1, loss, now)
            if (step + 1) % every == 0 or step + 1 == iterations:
                value = _measure(learner, fixed)
                if value > reached:
                    kept, reached, best = step + 1, value, _values(learner)
                note = f"validation {value:.3f} bit/s/Hz"
                progress.measured(step + 1, "validation_sum_rate", value, note)
    known, loading = best
    about: dict[str, Any] = {
        "system": SYSTEM,
        "setup": setup.describe(),
        "snr_db": float(snr_db),
        "distance": chosen,
        "seed": seed,
        "recipe": {"iterations": iterations, "batch": batch, "rate": rate},
        "training": {
            "iterations": iterations,
            "best_iteration": kept,
            "validation_sum_rate": round(reached, 4),
            "validation_sum_rate_start": round(start, 4),
            "validation_samples": validation_samples,
            "loading": loading,
            "loading_start": scheme.loading,
            "minutes": round((time.monotonic() - clock) / 60, 1),
            "device": "cpu",
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
    }
    save_codewords(out / WEIGHTS, known, loading, about)
    return Result(out / WEIGHTS, about)


def _check(
    setup: Setup,
    snr_db: float,
    distance: str | None,
    iterations: int,
    batch: int,
    rate: float,
    validations: int,
    validation_samples: int,
) -> None:
    if setup.bits > MOST_BITS:
        raise InputError(f"{SYSTEM} with {setup.bits} bits: codebooks have at most {MOST_BITS}")
    if not abs(snr_db) <= _LARGEST_DB:
        raise InputError(f"--snr {snr_db:g}: dB, at most {_LARGEST_DB:g} in size")
    if distance not in (None, *DISTANCES):
        raise InputError(f"distance {distance!r}: {' or '.join(DISTANCES)}")
    for name, value in (("--iterations", iterations), ("--batch", batch)):
        if value < 1:
            raise InputError(f"{name} {value}: must be at least 1")
    if not 0 < rate <= 1:
        raise InputError(f"--rate {rate:g}: above 0, at most 1")
    if validations < 1 or validation_samples < 1:
        raise InputError("validations and their samples: at least 1")


def _parts(batch: Batch, size: int, learner: Learner) -> list[tuple[Tensor, Tensor]]:
    """A fixed set in pieces of a training batch, as `Learner.hear` gives them."""
    cut = (torch.split(part, size) for part in (batch.h, batch.noise, batch.snr_db))
    return [learner.hear(Batch(*piece)) for piece in zip(*cut, strict=True)]


@torch.no_grad()
def _measure(learner: Learner, fixed: list[tuple[Tensor, Tensor]]) -> float:
    return float(torch.cat([learner.sum_rates(*part) for part in fixed]).mean())


def _values(learner: Learner) -> tuple[NDArray[np.complex64], float]:
    """Codewords (2^B, M) and the loading as float32, as a file holds them."""
    words = learner.words().detach().contiguous().numpy().view(np.complex64)[..., 0].copy()
    return words, float(np.float32(learner.log_loading.detach().exp().item()))
