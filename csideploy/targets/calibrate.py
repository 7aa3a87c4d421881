"""This host's target file: figures of the model, fitted to synthetic layers in our own runtime.

1. Overhead c: the least time of a layer of four elements.
2. A layer's rate is r = work / (t - c), with its multiply-accumulates, or its element-wise
   operations, as work. The peaks are the best rates of any layer; the share of a kind is the
   geometric mean of its layers' rates over the peak, so that as many are slower as are faster.
   What a layer that multiplies does element by element is taken off its time first.
3. Bandwidths: the weights of a fully connected layer, read once a call, that fill about half of
   each cache (8 MB of a large one), and more than the last one.

So the peaks are of our kernels, not of the units: those of a Zen 4 core do 57 GMAC/s in fp32 and
228 in int8. Every time is the least of all rounds: neighbours on the machine only ever add. No
network of this repository is looked at; `csideploy.targets.check` judges the result by those.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.bundles import random_input
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.macs import costs
from csideploy.progress import Advance, quiet
from csideploy.report.footprint import host, layer_figures
from csideploy.runtime import Part
from csideploy.runtime.isa import choose
from csideploy.targets import synthetic
from csideploy.targets.files import DEFAULT_UTILISATION, ESTIMATED, SHARE_KEYS
from csideploy.targets.kinds import ELEMENTS, MULTIPLYING
from csideploy.targets.model import operations, share_key

SOURCE = "measured by csideploy bench --calibrate"
SMALLEST = 4
"""Times of a call: what takes less says little about a rate."""


@dataclass(frozen=True)
class Timed:
    """A layer as a report describes it, and the least seconds that it took."""

    network: str
    layer: dict[str, Any]
    seconds: float


class _Candidate:
    """A synthetic network, compiled."""

    def __init__(self, made: synthetic.Synthetic) -> None:
        plan = compile_model(made.model, part="layer", side="ue")
        self.name = made.name
        self.layers = [
            layer_figures(cost, step, plan)
            for step, cost in zip(plan.steps, costs(plan), strict=True)
        ]
        self._part = Part(write_bundle(plan))
        random = np.random.default_rng(0)
        self._x: list[NDArray[Any]] = [random_input(info, 1, random) for info in self._part.inputs]
        self._part.run(*self._x)
        self.best = [float("inf")] * len(self.layers)

    def measure(self, rounds: int) -> None:
        times = self._part.profile(*self._x, rounds=rounds)
        self.best = [min(a, b.minimum) for a, b in zip(self.best, times, strict=True)]

    def timed(self) -> list[Timed]:
        return [
            Timed(self.name, layer, seconds)
            for layer, seconds in zip(self.layers, self.best, strict=True)
        ]


def calibrate(
    *,
    rounds: int = 40,
    layers: Sequence[synthetic.Synthetic] | None = None,
    caches: Sequence[tuple[str, int]] | None = None,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Measure this host.

    Args:
        rounds: passes over all layers, three runs each.
        layers: what to measure; all synthetic layers, if left out.
        caches: name and bytes of each level, nearest first; this core's, if left out.
        progress: called with passes done and passes in all.

    Returns:
        The tables of a target file; `csideploy.targets.files.Target` takes them.
    """
    candidates = [_Candidate(made) for made in layers or synthetic.all_layers()]
    caches = caches or cache_sizes()
    streams = [(size, _Candidate(synthetic.stream(size))) for size in stream_sizes(caches)]
    for done in range(rounds):
        progress(done, rounds)
        for candidate in candidates:
            candidate.measure(3)
        for size, candidate in streams:
            # Several runs in a row: the first only brings the weights into their cache again. What
            # is read from afar takes long, and its least time is soon found.
            if size < 1 << 23 or done % 4 == 0:
                candidate.measure(10)
    progress(rounds, rounds)
    timed = [row for candidate in candidates for row in candidate.timed()]
    overhead = min(row.seconds for row in timed)
    bandwidths = [_bandwidth(size, own.timed()[0].seconds, overhead) for size, own in streams]
    return _tables(timed, caches, bandwidths, rounds)


def _bandwidth(size: int, seconds: float, overhead: float) -> float:
    # The model adds the overhead of a call itself.
    return size / (seconds - overhead if seconds > overhead else seconds)


def cache_sizes() -> list[tuple[str, int]]:
    """Name and bytes of this core's data caches, nearest first, then the machine's memory."""
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, what, size = (
                (folder / name).read_text().strip() for name in ("level", "type", "size")
            )
            if what != "Instruction":
                found.append((f"L{level}", int(size.removesuffix("K")) * 1024))
        except (OSError, ValueError):
            continue
    if not found:
        # What almost every core of today has, where the system does not say.
        found = [("L1", 32 << 10), ("L2", 512 << 10)]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [*found, ("memory", memory)]


def stream_sizes(caches: Sequence[tuple[str, int]]) -> list[int]:
    """Bytes of weights that are read from each level: over half of it, and beyond the one before.

    A shared last cache is never ours alone: 8 MB of it, and of the memory at most 96 MB.
    """
    sizes = []
    for place, (_, size) in enumerate(caches):
        before = caches[place - 1][1] if place else 0
        last = place == len(caches) - 1
        wanted = min(2 * before, 96 << 20) if last else min(max(size * 6 // 10, before), 8 << 20)
        sizes.append(max(wanted, 4096))
    return sizes


def _rate(row: Timed, overhead: float, elements: float | None) -> float | None:
    """Work a second; None for what is too short to tell, or has no work."""
    work = row.layer["macs"]
    seconds = row.seconds - overhead
    if work and elements is not None:
        seconds -= row.layer["elementwise"] / elements
    if not work:
        work = operations(row.layer)
    if not work or row.seconds < SMALLEST * overhead or seconds <= 0:
        return None
    return float(work / seconds)


def _mean(rates: Iterable[float]) -> float:
    logs = [log(rate) for rate in rates]
    return exp(sum(logs) / len(logs))


def _fitted(timed: Sequence[Timed], overhead: float) -> dict[str, list[float]]:
    """Rates by key: first of what does not multiply, which the others' times are corrected by."""
    plain = [row for row in timed if not row.layer["macs"]]
    found: dict[str, list[float]] = {}
    for row in plain:
        rate = _rate(row, overhead, None)
        if rate is not None:
            found.setdefault(share_key(row.layer), []).append(rate)
    elements = max(found.get("elements.elementwise", [float("inf")]))
    for row in timed:
        rate = _rate(row, overhead, elements) if row.layer["macs"] else None
        if rate is not None:
            found.setdefault(share_key(row.layer), []).append(rate)
    return found


def _tables(
    timed: Sequence[Timed],
    caches: Sequence[tuple[str, int]],
    bandwidths: Sequence[float],
    rounds: int,
) -> dict[str, Any]:
    from datetime import UTC, datetime

    clock, clock_source, clock_tag = clock_hz()
    overhead = min(row.seconds for row in timed)
    rates = _fitted(timed, overhead)
    flat = {key: _mean(own) for key, own in rates.items()}
    best = {
        group: max(
            (r for key, own in rates.items() if key.startswith(group) for r in own), default=1e9
        )
        for group in ("fp32.", "int8.", "binary", "elements.elementwise")
    }

    def share(key: str, peak: float) -> float:
        if key in flat:
            return float(f"{flat[key] / peak:.4g}")
        # These peaks are of our kernels, as are those that the float estimates are parts of.
        return DEFAULT_UTILISATION.of(key.replace("int8.", "fp32."))

    missing = [key for key in SHARE_KEYS if key not in flat]
    peaks = {
        group: _measured(rate / clock, "the best rate of a layer") for group, rate in best.items()
    }
    return {
        "title": f"{host()}, {choose()}",
        "side": "bs",
        "cores": os.cpu_count() or 1,
        "clock_hz": {
            "value": clock,
            "source": clock_source,
            "confidence": clock_tag,
        },
        "mac_per_cycle": {
            key: peaks[group]
            for key, group in (("fp32", "fp32."), ("int8", "int8."), ("binary", "binary"))
        },
        "elementwise_per_cycle": peaks["elements.elementwise"],
        "overhead_cycles": _measured(overhead * clock, "a layer of 4 elements"),
        "memories": [
            {"name": name, "bytes": size, **_measured(rate, "weights read once", "bandwidth")}
            for (name, size), rate in zip(caches, bandwidths, strict=True)
        ],
        "utilisation": {
            "source": f"{SOURCE}; estimated for want of a layer: {', '.join(missing) or 'none'}",
            "confidence": "P",
            "estimated": missing,
            **{
                p: {k: share(f"{p}.{k}", best[f"{p}."]) for k in MULTIPLYING}
                for p in ("fp32", "int8")
            },
            "binary": share("binary", best["binary"]),
            "binary_int8": share("binary_int8", best["binary"]),
            "elements": {k: share(f"elements.{k}", best["elements.elementwise"]) for k in ELEMENTS},
        },
        "calibration": {
            "date": datetime.now(UTC).date().isoformat(),
            "cpu": host(),
            "isa": choose(),
            "rounds": rounds,
            "layers": len(timed),
        },
    }


def _measured(value: float, what: str, key: str = "value") -> dict[str, Any]:
    return {key: float(f"{value:.4g}"), "source": f"{SOURCE}: {what}", "confidence": "P"}


def clock_hz() -> tuple[float, str, str]:
    """The clock, its source and its tag: as the system says it, or 1 GHz where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    except (OSError, ValueError):
        found = []
    if found and max(found) > 0:
        return round(max(found) * 1e6), "as the system says; cycles are of this clock", "P"
    return 1e9, "assumed: the system names no clock; cycles are a unit of time here", ESTIMATED
