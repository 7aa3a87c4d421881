"""NMSE and SGCS of a link on CSI that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from csideploy import metrics
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import read_csi
from csideploy.training.block_operation import fast_blocks

_BATCH = 200


@torch.no_grad()
def validation_nmse_db(link: nn.Module, x: Tensor) -> float:
    """NMSE in dB on x (n, 2, angle, delay), batch norms in evaluation mode; restores the mode."""
    modes = [(module, module.training) for module in link.modules()]
    link.eval()
    total = 0.0
    with fast_blocks(link):
        for part in torch.split(x, _BATCH):
            error = (link(part) - part).square().sum((1, 2, 3))
            total += float((error / (part - 0.5).square().sum((1, 2, 3))).sum())
    for module, training in modes:
        module.training = training
    return metrics.to_db(total / len(x))


@torch.no_grad()
def measure(link: nn.Module, path: Path) -> dict[str, float | int]:
    """Metrics of a link on a file of CSI: see `measure_reconstruction`."""
    link.eval()

    def reconstruct(x: NDArray[np.float32]) -> NDArray[np.float32]:
        out: NDArray[np.float32] = link(torch.from_numpy(x)).numpy()
        return out

    return measure_reconstruction(reconstruct, path)


def measure_reconstruction(
    reconstruct: Callable[[NDArray[np.float32]], NDArray[np.float32]], path: Path
) -> dict[str, float | int]:
    """Metrics on a file of CSI: `nmse_db`, `rho`, `sgcs`, `samples`.

    Args:
        reconstruct: x (n, 2, angle, delay) in [0, 1] -> its reconstruction.
        path: of the CSI.

    Raises:
        InputError: the file cannot be read as CSI.
    """
    h = read_csi(path).h
    nmse = rho = sgcs = 0.0
    for begin in range(0, len(h), _BATCH):
        reference = h[begin : begin + _BATCH]
        x, absmax = to_input(reference)
        estimate = from_input(reconstruct(x)) * absmax[:, None, None]
        share = len(reference) / len(h)
        nmse += share * metrics.nmse(reference, estimate)
        rho += share * metrics.rho(reference, estimate)
        sgcs += share * metrics.sgcs(reference, estimate)
    return {
        "nmse_db": round(metrics.to_db(nmse), 3),
        "rho": round(rho, 5),
        "sgcs": round(sgcs, 5),
        "samples": len(h),
    }
