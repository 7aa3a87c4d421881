"""The linear coder to beat: principal components with optimised bit allocation, no training.

    python benchmarks/linear_baseline.py --fit indoor.npz --test held-back.npz --bits 2048

Coefficient m gets b_m bits and a Lloyd-Max codebook of 2^b_m values of its own. Bits go one by one
to the coefficient whose expected distortion falls most (greedy, which is optimal where the
distortion tables are convex), at most 8 a coefficient. The UE has to store the components in float.
"""

from __future__ import annotations

import argparse
import heapq
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from csideploy import metrics
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import read_csi

MOST_BITS = 8
LLOYD_ROUNDS = 30
Real = NDArray[np.float64]


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", type=Path, required=True, help="CSI for components and codebooks")
    parser.add_argument("--test", type=Path, required=True, help="CSI to measure on")
    parser.add_argument("--rows", type=int, default=20_000, help="samples of --fit to use")
    parser.add_argument("--components", type=int, default=512)
    parser.add_argument("--bits", type=int, default=2048, help="a sample")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def flat(h: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Samples x - 0.5 as rows (n, 2048)."""
    x, _ = to_input(h)
    return x.reshape(len(x), -1) - np.float32(0.5)


def lloyd_max(values: Real, bits: int) -> tuple[Real, float]:
    """Codebook (2^bits,) of sorted values (n,), and its mean squared error.

    On sorted values a cell is a slice, so that sums over a cell are differences of prefix sums.
    The start has the point density of fine quantization, the cube root of the values' density:
    on a gap between quantiles the density is 1 / gap, so a gap weighs gap^(2/3).
    """
    count = 1 << bits
    sums = np.concatenate([[0.0], np.cumsum(values)])
    quantiles = values[np.linspace(0, len(values) - 1, 1001).astype(int)]
    weights = np.concatenate([[0.0], np.cumsum(np.diff(quantiles) ** (2 / 3))])
    book = np.interp((np.arange(count) + 0.5) / count * weights[-1], weights, quantiles)
    for _ in range(LLOYD_ROUNDS):
        cuts = np.searchsorted(values, (book[1:] + book[:-1]) / 2, side="right")
        edges = np.concatenate([[0], cuts, [len(values)]])
        sizes = np.diff(edges)
        means = np.diff(sums[edges]) / np.maximum(sizes, 1)
        book = np.sort(np.where(sizes > 0, means, book))
    code = np.searchsorted((book[1:] + book[:-1]) / 2, values)
    return book, float(np.mean((values - book[code]) ** 2))


def allocate(table: Real, bits: int) -> NDArray[np.int_]:
    """Bits of each coefficient (M,), from distortions (M, MOST_BITS + 1)."""
    gains = table[:, :-1] - table[:, 1:]
    given = np.zeros(len(table), dtype=int)
    queue = [(-gain, m) for m, gain in enumerate(gains[:, 0])]
    heapq.heapify(queue)
    for _ in range(min(bits, MOST_BITS * len(table))):
        _, m = heapq.heappop(queue)
        given[m] += 1
        if given[m] < MOST_BITS:
            heapq.heappush(queue, (-gains[m, given[m]], m))
    return given


def main() -> None:
    """Fit, allocate, measure, print."""
    options = arguments()
    console = Console(stderr=True)
    console.print(f"components of {options.fit}")
    x = flat(read_csi(options.fit).h[: options.rows])
    mean = x.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(x, rowvar=False))
    components = vectors[:, : -options.components - 1 : -1].astype(np.float32)
    features = np.sort(((x - mean) @ components).astype(np.float64), axis=0)

    table = np.empty((options.components, MOST_BITS + 1))
    books: list[list[Real]] = []
    for m in track(range(options.components), description="codebooks", console=console):
        fitted = [lloyd_max(features[:, m], bits) for bits in range(MOST_BITS + 1)]
        books.append([book for book, _ in fitted])
        table[m] = [error for _, error in fitted]
    given = allocate(table, options.bits)

    reference = read_csi(options.test).h
    features = (flat(reference) - mean) @ components
    for m, bits in enumerate(given):
        book = books[m][bits]
        code = np.searchsorted((book[1:] + book[:-1]) / 2, features[:, m])
        features[:, m] = book[code]
    decoded = (features @ components.T + mean).reshape(-1, 2, *reference.shape[1:]) + 0.5
    estimate = from_input(decoded.astype(np.float32))
    truth = from_input(to_input(reference)[0])
    result = {
        "bits": int(given.sum()),
        "components": options.components,
        "used": int((given > 0).sum()),
        "most_bits": int(given.max()),
        "ue_matrix_bytes": components.nbytes,
        "nmse_db": round(metrics.to_db(metrics.nmse(truth, estimate)), 2),
        "samples": len(reference),
    }
    shown = Table(title="Principal components, bits allocated, no training")
    for name in result:
        shown.add_column(name.replace("_", " "), justify="right")
    shown.add_row(*(f"{value:,}" for value in result.values()))
    Console().print(shown)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
