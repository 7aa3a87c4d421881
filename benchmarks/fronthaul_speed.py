"""How long a fronthaul quantizer takes a channel use: the compiled part and PyTorch, side by side.

    python benchmarks/fronthaul_speed.py [--rounds 7] [--json FILE]

neural-MQ of paper 003 (M = 4 units of 16 antennas, 8 streams, one hidden layer as wide as the bits,
I = 100), at random networks, and alpha-PMQ (M = 8 RUs of 2 antennas, 3 streams, B = 2, T = 16) at
random tables. One process and one thread; the two run in turn, the order reversed
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
from csideploy.export.fronthaul_tables import search_plan
from csideploy.export.gradient_models import gradient_plan
from csideploy.export.macs import costs
from csideploy.fronthaul.gradient import _Codebooks, search
from csideploy.fronthaul.networks import Network
from csideploy.fronthaul.search import interference_classes
from csideploy.runtime import Part

UNITS, ANTENNAS, STREAMS, ITERATIONS = 4, 16, 8, 100
CASES = [
    ("neural-mq", 64, 100), ("neural-mq", 64, 1), ("neural-mq", 300, 100), ("neural-mq", 300, 1),
    ("pmq", 2, 1000), ("pmq", 2, 1), ("pmq from C", 2, 1),
]  # fmt: skip
"""Method, bits of an RU, channel uses of a block. `from C`: many blocks a call of the part,
each with its channel and its schedule, so that the call from Python does not count."""
FROM_C_BLOCKS = 256
PMQ_RUS, PMQ_ANTENNAS, PMQ_STREAMS, PMQ_ITERATIONS = 8, 2, 3, 16
SHORTEST_S = 1e-3
"""Of what is timed: shorter calls are repeated."""

Pair = tuple[Callable[[], object], Callable[[], object], int]


def network(rng: np.random.Generator, bits: int) -> Network:
    """One hidden layer, about half of whose units are at work."""
    w = rng.normal(size=(bits, bits)) * (2 / bits) ** 0.5
    out = rng.normal(size=(2 * ANTENNAS, bits)) * 2 / bits**0.5
    bias = 0.1 * rng.normal(size=bits) - 0.5 * w.sum(1)
    numbers = (w, out, bias, 0.1 * rng.normal(size=2 * ANTENNAS))
    a, b, c, d = (np.asarray(one, np.float32) for one in numbers)
    return Network((a, b), (c, d))


def neural_mq(bits: int, uses: int) -> Pair:
    """The part's run, PyTorch's, and multiply-accumulates of a channel use."""
    rng = np.random.default_rng(bits + uses)
    networks = [network(rng, bits) for _ in range(UNITS)]
    antennas = UNITS * ANTENNAS
    c = rng.normal(size=(1, STREAMS, antennas, 2)).astype(np.float32) / (2 * antennas) ** 0.5
    d = rng.normal(size=(1, uses, STREAMS, 2)).astype(np.float32) / 2**0.5
    effective = torch.view_as_complex(torch.tensor(c[0]))
    targets = torch.view_as_complex(torch.tensor(d[0]))
    step = np.array([1 / np.linalg.norm(effective.numpy(), 2) ** 2], np.float32)
    plan = gradient_plan(
        networks, streams=STREAMS, block=uses, iterations=ITERATIONS, method="neural-mq"
    )
    part, inputs = Part(write_bundle(plan)), (c, d, step)
    model = _Codebooks(networks, torch.float32)
    macs = costs(plan)[0].macs // uses
    return (
        lambda: part.run(*inputs),
        lambda: search(model, effective, targets, float(step[0]), ITERATIONS),
        macs,
    )


def pmq(bits: int, uses: int, blocks: int = 1) -> Pair:
    """The same of alpha-PMQ, alpha = 0.5; both make the schedule of the channel as well."""
    rng = np.random.default_rng(bits + uses)
    tables = [
        (rng.normal(size=(1 << bits, PMQ_ANTENNAS, 2)) * 0.5).view(complex)[..., 0]
        for _ in range(PMQ_RUS)
    ]
    antennas = PMQ_RUS * PMQ_ANTENNAS
    c = rng.normal(size=(1, PMQ_STREAMS, antennas, 2)).astype(np.float32) / (2 * antennas) ** 0.5
    d = rng.normal(size=(1, uses, PMQ_STREAMS, 2)).astype(np.float32) / 2**0.5
    gains = rng.exponential(size=(1, PMQ_RUS, PMQ_STREAMS)).astype(np.float32)
    plan = search_plan(
        tables, method="pmq", block=uses, streams=PMQ_STREAMS, users=PMQ_STREAMS,
        iterations=PMQ_ITERATIONS,
    )  # fmt: skip
    part = Part(write_bundle(plan))
    effective = torch.view_as_complex(torch.tensor(c[0]))
    targets = torch.view_as_complex(torch.tensor(d[0]))
    words = [torch.tensor(table, dtype=torch.complex64) for table in tables]
    macs = costs(plan)[0].macs // uses
    read = [np.repeat(one, blocks, axis=0) for one in (c, d, gains)]
    return (
        lambda: part.run(*read),
        lambda: torch_pmq(effective, targets, words, interference_classes(gains[0], 0.5)),
        macs,
    )


def torch_pmq(
    effective: torch.Tensor,
    targets: torch.Tensor,
    tables: list[torch.Tensor],
    classes: list[list[int]],
) -> torch.Tensor:
    """Algorithm 1 of paper 003 as it stands there, over all channel uses of a block at once."""
    spans = range(0, effective.shape[1], PMQ_ANTENNAS)
    made = [
        table @ effective[:, a : a + PMQ_ANTENNAS].T for table, a in zip(tables, spans, strict=True)
    ]
    residual = -targets
    held = [torch.zeros_like(targets) for _ in tables]
    found = [torch.zeros(len(targets), dtype=torch.int64) for _ in tables]
    for t in range(PMQ_ITERATIONS):
        before = residual
        for m in classes[t % len(classes)]:
            others = before - held[m]
            costs_of = torch.view_as_real(others[:, None] + made[m]).square().sum(dim=(2, 3))
            found[m] = costs_of.argmin(dim=1)
            chosen = made[m][found[m]]
            residual = residual + chosen - held[m]
            held[m] = chosen
    return torch.stack(found, dim=1)


def seconds(job: Callable[[], object]) -> float:
    """Processor time of one call, the mean of as many as last SHORTEST_S."""
    calls, start = 0, time.process_time()
    while True:
        job()
        calls += 1
        spent = time.process_time() - start
        if spent >= SHORTEST_S:
            return spent / calls


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int
) -> list[list[float]]:
    """Seconds of each round, [ours, theirs]."""
    ours(), theirs()
    out: list[list[float]] = []
    for i in range(rounds):
        times = [0.0, 0.0]
        for which in (0, 1) if i % 2 else (1, 0):
            times[which] = seconds(theirs) if which else seconds(ours)
        out.append(times)
    return out


def rows(rounds: int, peak: float) -> list[dict[str, float | str]]:
    """One row a case, times in microseconds a channel use."""
    out: list[dict[str, float | str]] = []
    for method, bits, uses in CASES:
        blocks = FROM_C_BLOCKS if "from C" in method else 1
        if method.startswith("pmq"):
            ours, theirs, macs = pmq(bits, uses, blocks)
        else:
            ours, theirs, macs = neural_mq(bits, uses)
        times = compare(ours, theirs, rounds)
        times = [[ours_s / blocks, theirs_s] for ours_s, theirs_s in times]
        a, b = ([row[i] for row in times] for i in (0, 1))
        out.append({
            "method": method, "bits": bits, "uses": uses,
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
            f"| {r['method']} | {r['bits']} | {r['uses']} | {r['part_us']:.3g} | "
            f"{r['torch_us']:.0f} | {r['ratio_min']:.1f} | {r['ratio_median']:.1f} | "
            + (f"{100 * float(r['of_peak']):.0f} % |" if r["method"] == "neural-mq" else "|")
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
