"""Weights that look trained, small enough for any test: of a torch transceiver with a fixed seed."""

from __future__ import annotations

import numpy as np
import torch

from csideploy.systems.rvq_egat import Transceiver, Widths
from csideploy.transceiver.codebooks import fit_tiers, usage
from csideploy.transceiver.setup import Setup
from csideploy.transceiver.weights import Weights

WIDTHS = Widths(extractor=(24, 16), start=(20, 16), layers=2, end=24, anchor="rzf")
SETUP = Setup(antennas=4, pilots=2, feature=8, tiers=(4, 4))


def small_weights(setup: Setup = SETUP, widths: Widths = WIDTHS, *, seed: int = 3) -> Weights:
    """Networks of random numbers, statistics of the batch norm from channels, fitted codebooks."""
    torch.manual_seed(seed)
    net = Transceiver(setup, widths)
    rng = np.random.default_rng(seed)
    count = 1024
    parts = rng.standard_normal((count, 1, setup.antennas + setup.pilots, 2), np.float32)
    both = torch.view_as_complex(torch.from_numpy(parts * np.float32(0.5**0.5)))
    h, noise = both[..., : setup.antennas], both[..., setup.antennas :]
    snr_db = torch.from_numpy(rng.uniform(0, 20, (count, 1)).astype(np.float32))
    with torch.no_grad():
        for parameter in net.graph.parameters():
            # No bias is zero, as after training.
            parameter.add_(0.05 * torch.randn_like(parameter))
        y = net.hear(h, noise, snr_db)
        net.train()
        for _ in range(30):
            net.extractor(y)
        net.eval()
        features = net.extractor(y).numpy()
    regions = (np.arange(count) % setup.regions).astype(np.uint8)
    books = [fit_tiers(features[regions == r], setup.tiers, seed=r) for r in range(setup.regions)]
    counts = [usage(features[regions == r], books[r]) for r in range(setup.regions)]
    state = {
        name: value.detach().float().numpy()
        for name, value in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    for tier in range(len(setup.tiers)):
        state[f"tiers.books.{tier}"] = np.stack([own[tier] for own in books])
    used = tuple(
        np.stack([own[tier] for own in counts]).astype(np.float32)
        for tier in range(len(setup.tiers))
    )
    return Weights(setup, widths.describe(), state, used, features, regions, {"seed": seed})
