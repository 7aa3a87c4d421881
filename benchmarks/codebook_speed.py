"""How long codebooks and bit allocation take, and how far the fast mode is from the optimum.

    python benchmarks/codebook_speed.py

Tables of 0 to 8 bits for 512 outputs of 100,000 samples, the codebooks of a training epoch (256
outputs, 40,000 samples, 4 bits), the exchange, and for some outputs of every kind the distance of
the fast mode from exact k-means. All on one core; seconds are the processor's unless they say wall.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from csideploy.progress import Advance
from csideploy.quantizers.scalar import (
    allocate,
    distortions,
    exchange,
    fit_codebook,
    optimal,
    uniform_widths,
)


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outputs", type=int, default=512)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--compare", type=int, default=16, help="outputs to fit exactly as well")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def outputs(samples: int, count: int) -> NDArray[np.float32]:
    """Samples (n, count) in turn Gaussian, Laplace, sparse with rare large ones, and of modes."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((samples, count), dtype=np.float32)
    z[:, 1::4] *= np.sqrt(rng.standard_exponential((samples, z[:, 1::4].shape[1]), np.float32))
    z[:, 2::4] *= np.exp(1.5 * rng.standard_normal((samples, z[:, 2::4].shape[1]), np.float32))
    z[:, 3::4] = 0.3 * z[:, 3::4] + rng.integers(-2, 3, (samples, z[:, 3::4].shape[1])) ** 3
    scales: NDArray[np.float32] = np.exp(rng.standard_normal(count)).astype(np.float32)
    return z * scales


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and seconds; the processor's own, so that a busy machine counts less."""
    start = time.process_time()
    found = call()
    return found, time.process_time() - start


def main() -> None:
    """Measure and print."""
    options = arguments()
    z = outputs(options.samples, options.outputs)
    few = z[:, : options.compare]
    epoch = np.ascontiguousarray(z[:40_000, :256])
    with Progress(console=Console(stderr=True)) as bars:

        def bar(name: str) -> Advance:
            task = bars.add_task(name)
            return lambda done, total: bars.update(task, completed=done, total=total)

        start = time.perf_counter()
        tables, fast_s = timed(lambda: distortions(z, progress=bar("tables")))
        wall_s = time.perf_counter() - start
        widths = uniform_widths(epoch.shape[1], 4)
        _, epoch_s = timed(lambda: fit_codebook(epoch, widths, progress=bar("an epoch")))
        exact, exact_s = timed(lambda: distortions(few, exact=True, progress=bar("exact")))
    total = 4 * options.outputs
    given, exchange_s = timed(lambda: exchange(tables.table, total))
    _, allocate_s = timed(lambda: allocate(tables.table, total))
    best, optimal_s = timed(lambda: optimal(tables.table, total))
    every = np.arange(options.outputs)
    spent, least = tables.table[every, given].sum(), tables.table[every, best].sum()
    away = 10 * np.log10(tables.table[: options.compare] / exact.table)
    result = {
        "outputs": options.outputs,
        "samples": options.samples,
        "tables_s": round(fast_s, 2),
        "tables_wall_s": round(wall_s, 2),
        "epoch_codebooks_s": round(epoch_s, 2),
        "exact_s_an_output": round(exact_s / few.shape[1], 3),
        "exchange_s": round(exchange_s, 4),
        "allocate_s": round(allocate_s, 4),
        "optimal_s": round(optimal_s, 4),
        "exchange_over_optimum": float(spent / least - 1),
        "fast_over_exact_db": [round(float(worst), 4) for worst in away.max(axis=0)],
    }
    shown = Table(title="Codebooks and allocation", show_header=False)
    for name, value in result.items():
        shown.add_row(name.replace("_", " "), str(value))
    Console().print(shown)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
