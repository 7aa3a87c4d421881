"""How far the model is from what is measured here: predicted and measured time of whole parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from csideploy.bench import OURS, interleaved, our_call
from csideploy.bundles import random_input
from csideploy.export.bundle_read import read_bundle
from csideploy.export.macs import costs
from csideploy.export.plan import Plan
from csideploy.package import LinkPackage
from csideploy.progress import Advance, quiet
from csideploy.report.footprint import layer_figures
from csideploy.runtime import Part
from csideploy.targets.files import Target
from csideploy.targets.kinds import MULTIPLYING
from csideploy.targets.model import kind, predict


@dataclass(frozen=True)
class Check:
    """One part: seconds, and the error of the prediction over what was measured.

    unseen: operations of kinds that no calibration layer stands for.
    """

    name: str
    predicted_s: float
    measured_s: float
    unseen: tuple[str, ...]

    @property
    def error(self) -> float:
        """-0.2: a fifth too short."""
        return self.predicted_s / self.measured_s - 1

    def figures(self) -> dict[str, Any]:
        """For scripts."""
        return {**asdict(self), "unseen": list(self.unseen), "error": self.error}


def check(
    bundles: Mapping[str, bytes], target: Target, *, rounds: int, progress: Advance = quiet
) -> list[Check]:
    """Predict and measure parts, one sample, one thread; they take turns.

    Args:
        bundles: by the name that is shown.
        target: of this host.
        rounds: windows of about a millisecond for each; the least mean counts.
        progress: called with rounds done and rounds in all.
    """
    parts = {name: Part(data) for name, data in bundles.items()}
    random = np.random.default_rng(0)
    calls = {
        name: our_call([part], [random_input(info, 1, random, part.k_max) for info in part.inputs])
        for name, part in parts.items()
    }
    measured = interleaved(calls, rounds=rounds, progress=progress)
    found = []
    for name, data in bundles.items():
        plan = read_bundle(data)
        layers = _layers(plan)
        times = predict(layers, target, arena_bytes=plan.arena_bytes)
        found.append(
            Check(name, sum(t.latency_s for t in times), min(measured[name]), _unseen(layers))
        )
    return found


def check_package(
    package: LinkPackage, target: Target, measured: Mapping[str, Any]
) -> dict[str, Any]:
    """What the model says of both sides of a link that was benched.

    Args:
        package: the link.
        target: of this host.
        measured: what `csideploy.bench.bench` gave for it.
    """
    layout = package.layouts[-1] if package.layouts else None
    sides = {}
    for side, figures in measured["sides"].items():
        plans = [read_bundle(package.open_bundle(stem)) for stem in package.stems(side, layout)]
        layers = [layer for plan in plans for layer in _layers(plan)]
        arena = max(plan.arena_bytes for plan in plans)
        seconds = sum(t.latency_s for t in predict(layers, target, arena_bytes=arena))
        own = Check(side, seconds, figures["seconds"][OURS]["min"], _unseen(layers))
        sides[side] = own.figures()
    return {"target": target.title, "calibration": target.calibration, "sides": sides}


def _layers(plan: Plan) -> list[dict[str, Any]]:
    return [layer_figures(c, s, plan) for s, c in zip(plan.steps, costs(plan), strict=True)]


def _unseen(layers: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    ops = {
        layer["op"]
        for layer in layers
        if layer["macs"]
        and (kind(layer) == "search" or kind(layer) not in MULTIPLYING)
        and not layer["binary_macs"]
    }
    return tuple(sorted(ops))


def median_error(checks: Sequence[Check]) -> float:
    """Of the absolute errors."""
    return median(abs(one.error) for one in checks)
