"""How fast channels are made: whole generator, and the sum over paths beside plain transforms.

    python benchmarks/channel_speed.py --samples 100000 --workers 2 --json F.json

The peer of the second table makes the same matrices from the same paths as the model's formula
stands: response at 257 frequencies and 32 antennas, inverse FFT, 32 taps, DFT over antennas.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from csideploy.channels.cost2100 import Paths, draw_environment
from csideploy.channels.generate import generate
from csideploy.channels.parameters import SCENARIOS
from csideploy.channels.synthesis import SPACING, SUBCARRIERS, angular_delay
from csideploy.channels.transform import to_angular_delay


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--environments", type=int, default=20, help="for the peer's table")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def time_generator(scenario: str, options: argparse.Namespace) -> dict[str, Any]:
    """Wall time of all samples, starting the workers included."""
    start = time.perf_counter()
    generate(scenario, options.samples, seed=options.seed, workers=options.workers)
    seconds = time.perf_counter() - start
    return {
        "scenario": scenario,
        "samples": options.samples,
        "workers": options.workers,
        "seconds": seconds,
        "samples_per_second": options.samples / seconds,
    }


def plain(paths: Paths, frequency_low: float) -> NDArray[np.complex64]:
    """The peer: (ues, angle, delay)."""
    frequency = frequency_low + SPACING * np.arange(SUBCARRIERS)
    antenna = np.arange(32)
    response = np.stack(
        [
            (amplitude * np.exp(-2j * np.pi * np.outer(frequency, delay)))
            @ np.exp(-1j * np.pi * np.outer(np.cos(azimuth), antenna))
            for azimuth, delay, amplitude in zip(
                paths.azimuth, paths.delay, paths.amplitude, strict=True
            )
        ]
    )
    return to_angular_delay(response)


def time_synthesis(scenario: str, options: argparse.Namespace) -> dict[str, Any]:
    """Both ways on the same environments, in turns; the median time of each."""
    parameters = SCENARIOS[scenario]
    rng = np.random.default_rng(options.seed)
    ours, peer, error = [], [], 0.0
    for _ in range(options.environments):
        paths = draw_environment(parameters, rng)
        start = time.perf_counter()
        fast = angular_delay(paths.azimuth, paths.delay, paths.amplitude, parameters.frequency_low)
        middle = time.perf_counter()
        slow = plain(paths, parameters.frequency_low)
        end = time.perf_counter()
        ours.append((middle - start) / len(fast))
        peer.append((end - middle) / len(fast))
        error = max(error, float(np.abs(fast - slow).max() / np.abs(slow).max()))
    return {
        "scenario": scenario,
        "environments": options.environments,
        "closed_form_microseconds": float(np.median(ours) * 1e6),
        "plain_microseconds": float(np.median(peer) * 1e6),
        "ratio": float(np.median(peer) / np.median(ours)),
        "largest_relative_difference": error,
    }


def main() -> int:
    """Measures and prints."""
    options = arguments()
    console = Console(stderr=True)
    scenarios = options.scenario or list(SCENARIOS)
    whole = Table(title=f"generate, {options.workers} workers on {os.cpu_count()} cores")
    for heading in ("scenario", "samples", "seconds", "samples a second"):
        whole.add_column(heading, justify="right")
    sums = Table(title="sum over paths, one process, microseconds a sample")
    for heading in ("scenario", "closed form", "plain transforms", "ratio", "difference"):
        sums.add_column(heading, justify="right")
    results: dict[str, Any] = {"benchmark": "channel_speed", "generate": [], "synthesis": []}
    for scenario in scenarios:
        with console.status(scenario):
            made, summed = time_generator(scenario, options), time_synthesis(scenario, options)
        results["generate"].append(made)
        results["synthesis"].append(summed)
        whole.add_row(
            scenario,
            str(made["samples"]),
            f"{made['seconds']:.1f}",
            f"{made['samples_per_second']:.0f}",
        )
        sums.add_row(
            scenario,
            f"{summed['closed_form_microseconds']:.0f}",
            f"{summed['plain_microseconds']:.0f}",
            f"{summed['ratio']:.1f}",
            f"{summed['largest_relative_difference']:.1e}",
        )
    console.print(whole)
    console.print(sums)
    text = json.dumps(results, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
