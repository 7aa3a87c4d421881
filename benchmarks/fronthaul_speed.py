"""How long a fronthaul quantizer takes a channel use: the compiled part and PyTorch, side by side.

    python benchmarks/fronthaul_speed.py [--rounds 7] [--json FILE]

neural-MQ of paper 003 (M = 4 units of 16 antennas, 8 streams, one hidden layer as wide as the bits,
I = 100), at random networks. One process and one thread; the two run in turn, the order reversed
every round. Ratios: of the shortest times, and the median over the rounds. `of peak` counts every
multiply-accumulate, also those that the kernel leaves out, against --peak: what a loop of sixteen
independent 512-bit multiply-adds gave in C on an AMD EPYC at 4.0 GHz, two of them a cycle.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from csideploy.export.bundle_write import write_bundle
from csideploy.export.gradient_models import gradient_plan
from csideploy.export.macs import costs
from csideploy.fronthaul.gradient import _Codebooks, search
from csideploy.fronthaul.networks import Network
from csideploy.runtime import Part

UNITS, ANTENNAS, STREAMS, ITERATIONS = 4, 16, 8, 100
CASES = [(64, 100), (64, 1), (300, 100), (300, 1)]
"""Bits of a unit, channel uses of a block. Parts of other methods join in `rows`."""


def network(rng: np.random.Generator, bits: int) -> Network:
    """One hidden layer, about half of whose units are at work."""
    w = rng.normal(size=(bits, bits)) * (2 / bits) ** 0.5
    out = rng.normal(size=(2 * ANTENNAS, bits)) * 2 / bits**0.5
    bias = 0.1 * rng.normal(size=bits) - 0.5 * w.sum(1)
    return Network((w, out), (bias, 0.1 * rng.normal(size=2 * ANTENNAS)))


def neural_mq(bits: int, uses: int) -> tuple[Callable[[], object], Callable[[], object], int]:
    """The part's run, PyTorch's, and multiply-accumulates of a channel use."""
    rng = np.random.default_rng(bits + uses)
    networks = [network(rng, bits) for _ in range(UNITS)]
    antennas = UNITS * ANTENNAS
    c = rng.normal(size=(1, STREAMS, antennas, 2)).astype(np.float32) / (2 * antennas) ** 0.5
    d = rng.normal(size=(1, uses, STREAMS, 2)).astype(np.float32) / 2**0.5
    effective = torch.view_as_complex(torch.tensor(c[0]))
    targets = torch.view_as_complex(torch.tensor(d[0]))
    step = np.float32(1 / np.linalg.norm(effective.numpy(), 2) ** 2)
    plan = gradient_plan(
        networks, streams=STREAMS, block=uses, iterations=ITERATIONS, method="neural-mq"
    )
    part, inputs = Part(write_bundle(plan)), (c, d, step[None])
    model = _Codebooks(networks, torch.float32)
    macs = costs(plan)[0].macs // uses
    return (
        lambda: part.run(*inputs),
        lambda: search(model, effective, targets, float(step), ITERATIONS),
        macs,
    )


def seconds(job: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    job()
    return time.process_time() - start


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int
) -> list[list[float]]:
    """Seconds of each round, [ours, theirs]; of ours the best of three, since they are short."""
    ours(), theirs()
    out = []
    for i in range(rounds):
        times = [0.0, 0.0]
        for which in (0, 1) if i % 2 else (1, 0):
            times[which] = seconds(theirs) if which else min(seconds(ours) for _ in range(3))
        out.append(times)
    return out


def rows(rounds: int, peak: float) -> list[dict[str, float | str]]:
    """One row a case, times in microseconds a channel use."""
    out: list[dict[str, float | str]] = []
    for bits, uses in CASES:
        ours, theirs, macs = neural_mq(bits, uses)
        times = compare(ours, theirs, rounds)
        a, b = ([row[i] for row in times] for i in (0, 1))
        out.append({
            "method": "neural-mq", "bits": bits, "uses": uses,
            "part_us": 1e6 * min(a) / uses, "torch_us": 1e6 * min(b) / uses,
            "ratio_min": min(b) / min(a),
            "ratio_median": statistics.median(y / x for x, y in times),
            "of_peak": macs * uses / min(a) / 1e9 / peak, "mmacs": macs / 1e6,
        })  # fmt: skip
    return out


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peak", type=float, default=129.0, help="GMAC/s of one core")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = rows(arguments.rounds, arguments.peak)
    print("| method | B | R | part (us) | PyTorch (us) | ratio, min | ratio, median | of peak |")
    print("|---|---|---|---|---|---|---|---|")
    for r in table:
        print(
            f"| {r['method']} | {r['bits']} | {r['uses']} | {r['part_us']:.1f} | "
            f"{r['torch_us']:.0f} | {r['ratio_min']:.1f} | {r['ratio_median']:.1f} | "
            f"{100 * float(r['of_peak']):.0f} % |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
