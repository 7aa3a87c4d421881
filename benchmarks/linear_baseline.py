"""The linear coder to beat: principal components with optimised bit allocation, no training.

    python benchmarks/linear_baseline.py --fit indoor.npz --test held-back.npz --bits 2048
    python benchmarks/linear_baseline.py --fit indoor.npz --test held-back.npz --row

The components are those of x - 0.5 with the mean over samples removed, x the network's input (each
sample scaled to its own maximum), every sample of the same weight. Coefficient m has a codebook of
2^b_m values of its own (`csideploy.quantizers.scalar`), fitted on the samples of --fit. `--row`
prints the row of paper 001, Table I, "PCA": M components of B bits on average, and equal bits
beside them. The UE has to store the components in float.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from csideploy import metrics
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import read_csi
from csideploy.progress import Advance
from csideploy.quantizers.scalar import Tables, allocate, distortions, uniform_widths

ROW = ((512, 2), (512, 3), (512, 4), (512, 5), (256, 4), (128, 4))
EQUAL = (512, 2)
CHUNK = 5000
Features = NDArray[np.float32]


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", type=Path, required=True, help="CSI for components and codebooks")
    parser.add_argument("--test", type=Path, required=True, help="CSI to measure on")
    parser.add_argument("--rows", type=int, default=40_000, help="samples of --fit to use")
    parser.add_argument("--components", type=int, default=512)
    parser.add_argument("--bits", type=int, default=2048, help="a sample")
    parser.add_argument("--row", action="store_true", help="the row of paper 001, Table I")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


@dataclass(frozen=True)
class Components:
    """mean float32 (D,) and vectors float32 (D, M), the strongest first."""

    mean: Features
    vectors: Features

    @staticmethod
    def of(h: NDArray[np.complex64], count: int, progress: Advance) -> Components:
        """Of samples (n, angle, delay); the products are summed in float64, chunk by chunk."""
        size = 2 * h[0].size
        total, products = np.zeros(size), np.zeros((size, size))
        for start in range(0, len(h), CHUNK):
            x = flat(h[start : start + CHUNK])
            total += x.sum(axis=0, dtype=np.float64)
            products += x.T @ x
            progress(min(start + CHUNK, len(h)), len(h))
        mean = total / len(h)
        _, vectors = np.linalg.eigh(products / len(h) - np.outer(mean, mean))
        strongest = vectors[:, : -count - 1 : -1]
        return Components(mean.astype(np.float32), strongest.astype(np.float32))

    def features(self, h: NDArray[np.complex64]) -> Features:
        """Samples (n, angle, delay) -> coefficients (n, M)."""
        parts = [
            (flat(h[start : start + CHUNK]) - self.mean) @ self.vectors
            for start in range(0, len(h), CHUNK)
        ]
        return np.concatenate(parts)

    def nmse_db(self, h: NDArray[np.complex64], features: Features) -> float:
        """Of what coefficients (n, the first of M) give back."""
        total = 0.0
        for start in range(0, len(h), CHUNK):
            own = h[start : start + CHUNK]
            back = features[start : start + CHUNK] @ self.vectors[:, : features.shape[1]].T
            x = (back + self.mean).reshape(-1, 2, *h.shape[1:]) + np.float32(0.5)
            total += metrics.nmse(from_input(to_input(own)[0]), from_input(x)) * len(own)
        return metrics.to_db(total / len(h))


def flat(h: NDArray[np.complex64]) -> Features:
    """Samples x - 0.5 as rows (n, 2 angle delay)."""
    x, _ = to_input(h)
    return x.reshape(len(x), -1) - np.float32(0.5)


def measured(
    h: NDArray[np.complex64],
    components: Components,
    features: Features,
    tables: Tables,
    cell: tuple[int, int, bool],
) -> dict[str, int | float | bool]:
    """One cell: components, bits a sample, and whether all have equally many."""
    count, bits, equal = cell
    table = Tables(tables.table[:count], tables.values[:count])
    widths = uniform_widths(count, bits // count) if equal else allocate(table.table, bits)
    book = table.codebook(widths).rounded()
    back = book.dequantize(book.quantize(features[:, :count]))
    return {
        "components": count,
        "bits": int(widths.sum()),
        "equal": equal,
        "used": int((widths > 0).sum()),
        "most_bits": int(widths.max()),
        "ue_matrix_bytes": 4 * count * len(components.mean),
        "nmse_db": round(components.nmse_db(h, back), 2),
        "samples": len(h),
    }


def main() -> None:
    """Fit, allocate, measure, print."""
    options = arguments()
    cells = [(options.components, options.bits, False)]
    if options.row:
        cells = [(count, count * bits, False) for count, bits in ROW]
        cells.append((EQUAL[0], EQUAL[0] * EQUAL[1], True))
    most = max(count for count, _, _ in cells)
    with Progress(console=Console(stderr=True)) as bars:

        def bar(name: str) -> Advance:
            task = bars.add_task(name, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        fit = read_csi(options.fit).h[: options.rows]
        components = Components.of(fit, most, bar(f"components of {options.fit}"))
        tables = distortions(components.features(fit), progress=bar("codebooks"))
        del fit
        reference = read_csi(options.test).h
        features = components.features(reference)
        tell = bar("measured")
        results = []
        for cell in cells:
            results.append(measured(reference, components, features, tables, cell))
            tell(len(results), len(cells))
    shown = Table(title="Principal components, bits allocated, no training")
    for name in results[0]:
        shown.add_column(name.replace("_", "\n"), justify="right")
    for result in results:
        shown.add_row(*(str(value) for value in result.values()))
    Console().print(shown)
    if options.json:
        options.json.write_text(json.dumps(results if options.row else results[0], indent=2))


if __name__ == "__main__":
    main()
