"""Training the fixed network of Sohrabi et al., a baseline of `rvq-egat`: one run a K and a B.

    python -m csideploy.training.binary_dnn --data users.npz --users 6 --bits 30 --out run

Adam on the sum rate; the slope of the sign's gradient rises from 1 to 10 while it trains (the
public code of paper 000 means to, and holds it at 10 by mistake). The folder gets its weights at
the end, all at once; `csideploy evaluate run --users 6 --bits 30` measures it.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from csideploy.cli_shell import progress as progress_bar
from csideploy.errors import CsideployError, FormatError, InputError
from csideploy.outputs import check_folder_free, folder_aside
from csideploy.progress import Advance, quiet
from csideploy.systems.binary_dnn import BinaryDnn
from csideploy.systems.rvq_egat import sum_rates
from csideploy.tensor_file import from_bytes, to_bytes
from csideploy.training.devices import open_place
from csideploy.transceiver.evaluate import Trained
from csideploy.transceiver.rate import Complex
from csideploy.transceiver.request import DNN
from csideploy.transceiver.splits import split_users
from csideploy.weights_header import KEY, WEIGHTS

_SLOPES = (1.0, 10.0)
_WARM_UP = 100
_CLIP = 5.0
_LARGEST = 255
_CHECKS, _HELD = 10, 400
"""Measurements on validation users, of so many groups; the best weights are kept."""


def train(
    data: Path,
    out: Path,
    *,
    users: int,
    bits: int,
    snr_db: float = 10.0,
    pilots: int = 4,
    steps: int = 3000,
    batch: int = 600,
    rate: float = 1e-3,
    seed: int = 0,
    progress: Advance = quiet,
) -> BinaryDnn:
    """Train into a folder.

    Args:
        data: a file of users; its training users are taken.
        out: the folder, new or empty.
        users: K.
        bits: B.
        snr_db: of training.
        pilots: L.
        steps: of Adam.
        batch: users a step.
        rate: Adam's highest, warmed up and then falling by half a cosine.
        seed: of weights, groups and noise.
        progress: called with steps done and in all.

    Raises:
        InputError: sizes that do not go together. OutputError: the folder is taken.
    """
    sizes = (users, bits, pilots)
    if min(*sizes, steps) < 1 or max(sizes) > _LARGEST or batch < 2 * users or not 0 < rate < 1:
        raise InputError(
            f"{users} users, {bits} bits, {pilots} pilots, {steps} steps of {batch} users: numbers "
            f"from 1 to {_LARGEST}, and two groups a step at least"
        )
    if not -50 <= snr_db <= 80 or seed < 0:
        raise InputError(f"SNR {snr_db:g} dB, seed {seed}: -50 to 80 dB and a seed from 0")
    check_folder_free(out, force=False)
    training, validation, _ = split_users(data)
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 4])
    net = BinaryDnn(training.antennas, pilots, users, bits)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    h = torch.from_numpy(training.h)
    began = time.perf_counter()
    groups = batch // users
    level = torch.full((groups, 1), float(snr_db))
    held = torch.from_numpy(validation.draw(np.random.default_rng([seed, 7]), _HELD, users))
    heard = torch.randn(_HELD, users, pilots, dtype=torch.complex64)
    best, kept = -1.0, net.state_dict()
    with open_place("cpu"):
        for step in range(steps):
            done = step / steps
            for group in optimizer.param_groups:
                falling = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))
                group["lr"] = rate * min(1, (step + 1) / _WARM_UP) * falling
            rows = torch.from_numpy(training.draw_rows(rng, groups, users))
            noise = torch.randn(groups, users, pilots, dtype=torch.complex64)
            slope = torch.tensor(_SLOPES[0] * (_SLOPES[1] / _SLOPES[0]) ** done)
            loss = -sum_rates(h[rows], net(h[rows], noise, level, slope), level).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), _CLIP)
            optimizer.step()
            if (step + 1) % max(1, steps // _CHECKS) == 0 or step + 1 == steps:
                reached = _measured(net, held, heard, snr_db)
                if reached >= best:
                    best = reached
                    kept = {name: value.clone() for name, value in net.state_dict().items()}
            progress(step + 1, steps)
    net.load_state_dict(kept)
    about = {
        "system": DNN,
        "antennas": net.antennas,
        "pilots": pilots,
        "users": users,
        "bits": bits,
        "snr_db": snr_db,
        "seed": seed,
        "validation_sum_rate": round(best, 4),
        "training": {"steps": steps, "seconds": round(time.perf_counter() - began, 1)},
    }
    state = {
        name: value.detach().float().numpy()
        for name, value in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    with folder_aside(out) as aside:
        (aside / WEIGHTS).write_bytes(to_bytes(state, {KEY: json.dumps(about)}))
    return net.eval()


@torch.no_grad()
def _measured(net: BinaryDnn, h: torch.Tensor, noise: torch.Tensor, snr_db: float) -> float:
    """Mean sum rate of groups."""
    net.eval()
    level = torch.full((len(h), 1), float(snr_db))
    rate = float(sum_rates(h, net(h, noise, level, torch.tensor(1.0)), level).mean())
    net.train()
    return rate


def of_run(path: Path, name: str) -> Trained:
    """A finished run as what `evaluate` measures, in torch: it is no system that is deployed.

    Raises:
        FormatError: not such weights.
    """
    file = path / WEIGHTS if path.is_dir() else path
    try:
        tensors, metadata = from_bytes(file.read_bytes())
        about: dict[str, Any] = json.loads(metadata[KEY])
        net = BinaryDnn(*(about[key] for key in ("antennas", "pilots", "users", "bits")))
        state = {key: torch.from_numpy(value) for key, value in tensors.items()}
        missing = net.load_state_dict(state, strict=False).missing_keys
        if any(not key.endswith("num_batches_tracked") for key in missing):
            raise KeyError(missing[0])
    except (FormatError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise FormatError(f"{file}: not the weights of {DNN}: {error}") from error
    net.eval()

    def precode(h: Complex, noise: Complex, snr: float, _bits: int) -> NDArray[np.complex64]:
        level = torch.full((len(h), 1), 10 * math.log10(snr))
        with torch.no_grad():
            w = net(
                torch.from_numpy(h.astype(np.complex64)),
                torch.from_numpy(noise.astype(np.complex64)),
                level,
                torch.tensor(1.0),
            )
        made: NDArray[np.complex64] = torch.view_as_complex(w.contiguous()).numpy()
        return made

    return Trained(name, precode, net.pilots, net.antennas, net.bits, net.users, net.users, about)


def main(
    data: Annotated[Path, typer.Option(help="A file of users.")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    users: Annotated[int, typer.Option(help="K.")] = 6,
    bits: Annotated[int, typer.Option(help="B of a user.")] = 30,
    snr: Annotated[float, typer.Option(help="P / sigma^2 in dB.")] = 10.0,
    pilots: Annotated[int, typer.Option(help="L.")] = 4,
    iterations: Annotated[int, typer.Option(help="Steps of Adam.")] = 3000,
    batch: Annotated[int, typer.Option(help="Users a step.")] = 600,
    rate: Annotated[float, typer.Option(help="Adam's highest.")] = 1e-3,
    seed: int = 0,
) -> None:
    """Train the fixed network of Sohrabi et al. for one K and one B."""
    try:
        with progress_bar("train") as advance:
            train(
                data,
                out,
                users=users,
                bits=bits,
                snr_db=snr,
                pilots=pilots,
                steps=iterations,
                batch=batch,
                rate=rate,
                seed=seed,
                progress=advance,
            )
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    typer.echo(f"{out / WEIGHTS}: {DNN} for {users} users of {bits} bits", err=True)


if __name__ == "__main__":
    typer.run(main)
