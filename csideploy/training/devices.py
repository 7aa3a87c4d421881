"""Where training runs: one device, or several under torchrun."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from csideploy.errors import InputError

_M_MMAP_THRESHOLD = -3
_M_TRIM_THRESHOLD = -1


@dataclass(frozen=True)
class Place:
    """A process's device and its place among `world` processes."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0


@contextmanager
def open_place(device: str | None) -> Iterator[Place]:
    """The device of this process; joins the process group where torchrun started several.

    Args:
        device: "cpu", "cuda", or None for CUDA where there is one.

    Raises:
        InputError: unknown device, or CUDA asked for where there is none.
    """
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if chosen not in ("cpu", "cuda"):
        raise InputError(f"--device {chosen!r}: must be cpu or cuda")
    if chosen == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this torch sees no CUDA device; use --device cpu")
    _keep_freed_memory()
    if chosen == "cuda":
        # Shapes stay as they are for a whole stage, so a search for the fastest kernel pays. TF32
        # keeps 11 bits of x = 0.5 + small values: too few for what float32 is asked for here.
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = False
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Place(torch.device(chosen))
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if chosen == "cuda":
        torch.cuda.set_device(local)
        place = Place(torch.device("cuda", local), rank, world)
    else:
        place = Place(torch.device("cpu"), rank, world)
    dist.init_process_group("nccl" if chosen == "cuda" else "gloo")
    try:
        yield place
    finally:
        dist.destroy_process_group()


def _keep_freed_memory() -> None:
    """Let glibc keep freed activations instead of returning them to the system.

    Otherwise every tensor of some megabytes is mapped and faulted in anew: a fifth of the time of
    a step of ACRNet-10x on two cores.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
