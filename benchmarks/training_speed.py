"""How fast training steps are, beside what the memory of the device allows.

    python benchmarks/training_speed.py [--device cuda] [--widths 1,10] [--ways eager,graph,compile]

The last stage of recipe zoo-gpu, BACRNet of each width at 1/4 with 4 bits, on random data of the
right size: a step gathers its batch, runs forward and backward, moves weights and their average.

    eager    a kernel after the other, launched by Python
    graph    the same, recorded once as a CUDA graph (CUDA alone)
    compile  the network fused by torch.compile; on CUDA recorded as well (needs a C compiler)

Bytes are counted, not estimated: every operation of a step reads its inputs and writes its outputs;
of those, all tensors with a row a sample (activations and their gradients) count. What is kept for
the backward pass is counted apart: fused, each of these is still written and read once, and so is
its gradient, which is the least that `compile` can move, and what its share is computed with.
The limit is the speed of a large copy on the same device, measured in the same run. All that is of
CUDA alone: on a CPU, ACRNet's blocks run as one operation each (`training.block_operation`), whose
bytes stay in the caches; `training_step.py` has them beside torch's.

Seconds are the clock's; on one thread of the CPU the processor's, so that neighbours count less.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from csideploy import registry, systems
from csideploy.systems.link import Link
from csideploy.training.data import TrainingData
from csideploy.training.devices import Place, open_place
from csideploy.training.recipes import Stage, recipe
from csideploy.training.stepper import Stepper

EPOCH = 100_000
WAYS = ("eager", "graph", "compile")


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--widths", default="1,10")
    parser.add_argument("--ways", help="eager,graph,compile; on the CPU eager, if left out")
    parser.add_argument("--batch", type=int, help="the recipe's; on the CPU 50, if left out")
    parser.add_argument("--precisions", default="mixed", help="bf16,mixed,fp32; of CUDA alone")
    parser.add_argument("--samples", type=int, default=20_000, help="to gather batches from")
    parser.add_argument("--seconds", type=float, default=2.0, help="a measurement")
    parser.add_argument("--threads", type=int, default=1, help="on the CPU")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


class Moved(TorchDispatchMode):
    """Bytes that operations read and write in tensors with `rows` rows."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows, self.bytes = rows, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation; views move nothing."""
        out = func(*args, **(kwargs or {}))
        if not func.is_view and "detach" not in func.__name__:
            leaves = torch.utils._pytree.tree_leaves((args, kwargs, out))
            self.bytes += sum(self._of(leaf) for leaf in leaves if isinstance(leaf, Tensor))
        return out

    def _of(self, tensor: Tensor) -> int:
        own = tensor.dim() > 1 and tensor.shape[0] == self.rows
        return tensor.numel() * tensor.element_size() if own else 0


def counted(stepper: Stepper, rows: Tensor) -> tuple[int, int]:
    """Bytes that a step moves, and those kept for its backward pass."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.dim() > 1 and tensor.shape[0] == len(rows):
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with Moved(len(rows)) as moved, torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        stepper.step(0, 1e-12, rows)
    return moved.bytes, sum(kept.values())


def best_of(call: Callable[[], object], place: Place, seconds: float) -> float:
    """Seconds of a call: the best window of several, each of a fifth of the time at least."""
    alone = place.device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    call()
    waited(place)
    size, best, until = 1, float("inf"), clock() + seconds
    while True:
        begun = clock()
        for _ in range(size):
            call()
        waited(place)
        spent = clock() - begun
        best = min(best, spent / size)
        if spent < seconds / 5:
            size *= 2
        elif clock() > until:
            return best


def bandwidth(place: Place, seconds: float) -> float:
    """Bytes a second of a copy that is much larger than any cache, read and written."""
    count = (1 << 28) if place.device.type == "cuda" else (1 << 26)
    source = torch.zeros(count, device=place.device)
    target = torch.empty_like(source)
    spent = best_of(lambda: target.copy_(source), place, seconds)
    return 2 * source.numel() * source.element_size() / spent


def waited(place: Place) -> None:
    """Until the device has done all."""
    if place.device.type == "cuda":
        torch.cuda.synchronize(place.device)


def built(width: int, place: Place) -> tuple[Stage, Link]:
    """The last stage of zoo-gpu for a width, and an untrained link."""
    spec = registry.get(f"bacrnet{width}x")
    stage = recipe("zoo-gpu", spec, binarize="encoder", epochs=1, batch=None).stages[-1]
    torch.manual_seed(0)
    link = systems.build(spec, cr=4, bits=4)
    return stage, link.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def random_data(samples: int, place: Place) -> TrainingData:
    """Noise of about the spread of CSI; nothing is learned here."""
    centred = 0.02 * torch.randn(samples, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    return TrainingData(centred.half().to(place.device), samples // 20, {})


def measured(width: int, way: str, precision: Any, given: argparse.Namespace, place: Place) -> Any:
    """A row of the table."""
    data = random_data(given.samples, place)
    stage, link = built(width, place)
    cuda = place.device.type == "cuda"
    batch = given.batch or (stage.batch if cuda else 50)
    stage = replace(stage, batch=min(batch, data.training_rows), precision=precision)
    drawn = torch.randperm(data.training_rows, generator=torch.Generator().manual_seed(1))
    rows = drawn[: stage.batch].to(place.device)
    moved = kept = 0
    if cuda:
        moved, kept = counted(Stepper(stage, link, link, data, place, resident=False), rows)
    model = torch.compile(link, dynamic=False) if way == "compile" else link
    resident = None if way != "eager" else False
    stepper = Stepper(stage, link, model, data, place, resident=resident)  # type: ignore[arg-type]
    count = iter(range(1 << 62))
    for _ in range(2):
        stepper.step(next(count), 1e-12, rows)
    spent = best_of(lambda: stepper.step(next(count), 1e-12, rows), place, given.seconds)
    least = 4 * kept
    row = {
        "width": width,
        "way": way if way != "graph" or stepper.recorded else "graph (not recorded)",
        "precision": precision if cuda else "fp32",
        "batch": stage.batch,
        "samples_per_second": stage.batch / spent,
        "epoch_seconds": EPOCH / stage.batch * spent,
    }
    if not cuda:
        return row
    return {
        **row,
        "bytes_per_sample": moved / stage.batch,
        "least_bytes_per_sample": least / stage.batch,
        "bytes_per_second": (least if way == "compile" else moved) / spent,
    }


def show(rows: list[dict[str, Any]], about: dict[str, Any]) -> None:
    """Print the table."""
    limit = about.get("bytes_per_second")
    copies = "" if limit is None else f"; copies at {limit / 1e9:.0f} GB/s"
    table = Table(title=f"Training steps on {about['device']}{copies}")
    for column in ("width", "way", "precision", "batch", "samples/s", "s an epoch"):
        table.add_column(column, justify="right")
    for column in ("kB a sample", "least", "GB/s", "share of the limit"):
        if limit is not None:
            table.add_column(column, justify="right")
    for row in rows:
        cells = [
            str(row["width"]),
            row["way"],
            row["precision"],
            str(row["batch"]),
            f"{row['samples_per_second']:,.0f}",
            f"{row['epoch_seconds']:.3g}",
        ]
        if limit is not None:
            cells += [
                f"{row['bytes_per_sample'] / 1e3:,.0f}",
                f"{row['least_bytes_per_sample'] / 1e3:,.0f}",
                f"{row['bytes_per_second'] / 1e9:,.1f}",
                f"{row['bytes_per_second'] / limit:.0%}",
            ]
        table.add_row(*cells)
    Console(width=130).print(table)


def main() -> None:
    """Measure and print."""
    given = arguments()
    torch.set_num_threads(given.threads)
    with open_place(given.device) as place:
        cuda = place.device.type == "cuda"
        ways = (given.ways or (",".join(WAYS) if cuda else "eager")).split(",")
        if not cuda and "graph" in ways:
            raise SystemExit("graph: on CUDA alone")
        name = torch.cuda.get_device_name() if cuda else f"cpu, {given.threads} threads"
        about: dict[str, Any] = {"device": name, "torch": torch.__version__}
        if cuda:
            about["bytes_per_second"] = bandwidth(place, given.seconds)
        rows: list[dict[str, Any]] = []
        for width in map(int, given.widths.split(",")):
            for precision in given.precisions.split(",") if cuda else ("fp32",):
                for way in ways:
                    row = measured(width, way, precision, given, place)
                    if cuda:
                        row["share"] = row["bytes_per_second"] / about["bytes_per_second"]
                    rows.append(row)
                    if given.json is not None:
                        text = json.dumps({**about, "epoch": EPOCH, "rows": rows}, indent=2)
                        given.json.write_text(text + "\n", encoding="utf-8")
    show(rows, about)


if __name__ == "__main__":
    main()
