"""Kinds of samples that encoder outputs have, and oracles that share no code with the package."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]


def kinds(n: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Samples float32 (n,) by name."""
    rng = np.random.default_rng(seed)
    modes = rng.choice([-5, 0, 1, 9, 30.0], n, p=[0.4, 0.1, 0.3, 0.1999, 0.0001])
    made = {
        "gaussian": rng.standard_normal(n),
        "laplace": rng.laplace(size=n),
        "uniform": rng.uniform(size=n),
        # A principal component of CSI: most samples near 0, rare large ones.
        "sparse": rng.standard_normal(n) * np.exp(1.5 * rng.standard_normal(n)),
        "no fourth moment": rng.standard_t(2, size=n),
        "modes": modes + rng.standard_normal(n) * rng.choice([0.01, 0.3], n),
        "narrow modes": rng.choice(10 * rng.standard_normal(45), n) + rng.normal(0, 1e-3, n),
        "rectified": np.maximum(rng.standard_normal(n) - 1, 0),
        "few values": np.round(20 * rng.standard_normal(n)),
        "some values": rng.choice(rng.standard_normal(600), n),
        "three values": rng.choice([-1.0, 0.25, 7.0], n),
        "constant": np.full(n, 0.3),
    }
    return {name: values.astype(np.float32) for name, values in made.items()}


def cell(values: Real) -> float:
    """Squared error of one cell, from its own differences."""
    return float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0


def quadratic(values: Real, most: int) -> list[float]:
    """Least sum of squared errors for 1..most cells of ascending values, in O(most n^2)."""
    n = len(values)
    cost = np.full((n + 1, n + 1), np.inf)
    for i in range(n + 1):
        for j in range(i, n + 1):
            cost[i, j] = cell(values[i:j])
    least = cost[0]
    found = [float(least[n])]
    for _ in range(1, most):
        least = (least[:, None] + cost).min(axis=0)
        found.append(float(least[n]))
    return found


def exhaustive(values: Real, cells: int) -> float:
    """The same for one number of cells, over all partitions."""
    n = len(values)
    return min(
        sum(cell(part) for part in np.split(values, cuts))
        for cuts in combinations(range(1, n), min(cells, n) - 1)
    )
