"""Small weights that look trained: of a torch transceiver with a fixed seed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from csideploy.systems.rvq_egat import Transceiver, Widths
from csideploy.transceiver.codebooks import fit_tiers, usage
from csideploy.transceiver.setup import Setup
from csideploy.transceiver.user_set import Users
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
    about = {"seed": seed, "data": {"users": [1, 1, 1]}, "command": "csideploy train rvq-egat"}
    return Weights(setup, widths.describe(), state, used, features, regions, about)


def torch_net(weights: Weights) -> Transceiver:
    """The network that weights are of."""
    net = Transceiver(weights.setup, Widths(**weights.widths))
    state = {name: torch.from_numpy(np.array(values)) for name, values in weights.state.items()}
    net.load_state_dict(state, strict=False)
    return net.eval()


def small_users(count: int = 400, antennas: int = 4, *, seed: int = 0) -> Users:
    """Users of ten environments, every other one in region 1."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((count, antennas, 2)).view(np.complex128)[..., 0]
    # Far from unit power, as path losses are.
    h = (1e-4 * h).astype(np.complex64)
    place = (np.arange(count) * 10 // count).astype(np.int32)
    return Users(h, place, (np.arange(count) % 2).astype(np.uint8))


def gaussian(seed: int, *shape: int) -> np.ndarray:
    """Complex numbers of variance 1."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*shape, 2)).view(np.complex128)[..., 0] * 0.5**0.5


def replaced(folder: Path, name: str, data: bytes) -> None:
    """Another file in a package, as if the manifest had always listed it."""
    (folder / name).write_bytes(data)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    path.write_text(json.dumps(manifest))
