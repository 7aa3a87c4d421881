"""A training step on CPUs with ACRNet's blocks as one operation each, beside torch's operations.

    python benchmarks/training_step.py [--systems bacrnet1x,bacrnet10x] [--integers]

A step of the stages that `zoo-cpu` spends its time on: frozen norms, forward, backward, Adam. Both
ways take turns; process CPU time, the least of all rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from csideploy import registry, systems
from csideploy.training import integers
from csideploy.training.block_operation import fast_blocks, instruction_set
from csideploy.training.devices import open_place


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", default="bacrnet1x,bacrnet10x")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--integers", action="store_true", help="as a stage with integers")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def build(
    name: str, batch: int, rounded: bool
) -> tuple[nn.Module, Callable[[AbstractContextManager[None]], None]]:
    """A link, and what makes one step of it inside a context."""
    torch.manual_seed(1)
    link = systems.build(registry.get(name), cr=4, bits=4)
    link.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if rounded:
        integers.put(link, torch.rand(64, 2, 32, 32), seed=1)
    link.train()
    for module in link.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    adam = torch.optim.Adam(link.parameters(), lr=1e-5, fused=True)
    x = torch.rand(batch, 2, 32, 32).to(memory_format=torch.channels_last)

    def step(how: AbstractContextManager[None]) -> None:
        with how:
            loss = (link(x) - x).square().mean()
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()

    return link, step


def measure(name: str, batch: int, rounds: int, *, rounded: bool) -> dict[str, float]:
    """CPU milliseconds a sample: "torch", "blocks"."""
    link, step = build(name, batch, rounded)
    ways = {"torch": lambda: nullcontext(), "blocks": lambda: fast_blocks(link)}
    least = dict.fromkeys(ways, float("inf"))
    for turn in range(rounds + 1):
        for way, context in ways.items():
            start = time.process_time()
            step(context())
            if turn:  # the first one finds memory and kernels
                least[way] = min(least[way], time.process_time() - start)
    return {way: round(1e3 * seconds / batch, 3) for way, seconds in least.items()}


def main() -> None:
    """Measure and print."""
    given = arguments()
    torch.set_num_threads(given.threads)
    table = Table(title=f"CPU ms a sample, batch {given.batch}, {instruction_set()}")
    for column in ("system", "torch", "blocks", "ratio"):
        table.add_column(column, justify="left" if column == "system" else "right")
    results = {}
    with open_place("cpu"):
        for name in given.systems.split(","):
            result = measure(name, given.batch, given.rounds, rounded=given.integers)
            results[name] = result
            ratio = result["torch"] / result["blocks"]
            table.add_row(name, f"{result['torch']}", f"{result['blocks']}", f"{ratio:.1f}x")
    Console().print(table)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
