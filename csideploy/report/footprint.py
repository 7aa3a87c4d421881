"""Footprint of a link: memory, operations and latency, by layer and by side.

Memory is what is stored (the bundle's bytes) plus the arena; the caller's input and output buffers
and the code of the runtime are given apart. Operations are counted from the plan that runs, after
batch norm was folded, not from the network that was trained.
"""

from __future__ import annotations

import platform
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from csideploy.bundles import random_input
from csideploy.export.bundle_read import read_whole
from csideploy.export.macs import StepCost, costs
from csideploy.export.memory_bound import fullest_step
from csideploy.export.plan import Dim
from csideploy.package import SIDES, LinkPackage
from csideploy.report.code_size import runtime_code_bytes
from csideploy.runtime import Part
from csideploy.runtime.isa import choose

NOTES = (
    "FLOPs = 2 x MACs + element-wise operations (bias, residual, activation, scale, quantizer).",
    "Parameters are the numbers stored, a 1-bit weight counts as one; batch norm is folded.",
    "Memory = bundle (weights, plan) + arena; buffers of the caller and code are apart.",
    "kB = 1000 bytes, KiB = 1024 bytes.",
)
ADDITIVE = (
    "binary_bytes",
    "int8_bytes",
    "fp32_bytes",
    "stored_bytes",
    "parameters",
    "macs",
    "binary_macs",
    "elementwise",
    "flops",
)
"""Figures of a side that are the sums of its layers'."""


def of_bundles(bundles: dict[str, bytes]) -> dict[str, Any]:
    """The footprint without latency: what a package's report.json holds.

    Args:
        bundles: side -> bytes of its bundle.
    """
    return {"sides": {side: _side(data) for side, data in bundles.items()}, "notes": list(NOTES)}


def report(package: LinkPackage, *, rounds: int) -> dict[str, Any]:
    """The footprint with the latency measured on this host, one sample at a time, one thread.

    Args:
        package: the link.
        rounds: timed runs; the minimum and the median over them are given.
    """
    bundles = {}
    for side in SIDES:
        package.open_part(side)
        bundles[side] = package.read(package.name_of(side, "csib"))
    result: dict[str, Any] = {
        "package": str(package.path),
        "name": package.name,
        "pairing_id": package.pairing_id.hex(),
        "payload": package.manifest["payload"],
        **of_bundles(bundles),
        "runtime_code_bytes": runtime_code_bytes(),
        "latency": {
            "where": f"measured on this host ({host()}), 1 thread, n = 1",
            "isa": choose(),
            "rounds": rounds,
        },
    }
    for side, data in bundles.items():
        _add_latency(result["sides"][side], Part(data), rounds)
    return result


def _side(bundle: bytes) -> dict[str, Any]:
    whole = read_whole(bundle)
    plan = whole.plan
    vectors = sum(s.length for s in whole.sections if s.name in ("vectors", "vector_data"))
    layers = [
        _layer(cost, plan.tensors[step.outputs[0]].shape)
        for step, cost in zip(plan.steps, costs(plan), strict=True)
    ]
    side: dict[str, Any] = {"part": plan.part, "layers": layers}
    side |= {key: sum(layer[key] for layer in layers) for key in ADDITIVE}
    return side | {
        "padding_bytes": len(plan.weights) - side["stored_bytes"],
        "vectors_bytes": vectors,
        "tables_bytes": len(bundle) - len(plan.weights) - vectors,
        "bundle_bytes": len(bundle),
        "arena_bytes": plan.arena_bytes,
        "arena_bound_bytes": fullest_step(plan)[1],
        "memory_bytes": len(bundle) + plan.arena_bytes,
        "input_bytes": sum(plan.tensors[i].nbytes for i in plan.inputs),
        "output_bytes": sum(plan.tensors[i].nbytes for i in plan.outputs),
    }


def _layer(cost: StepCost, shape: tuple[Dim, ...]) -> dict[str, Any]:
    return {
        "name": cost.name,
        "op": cost.op,
        "output_shape": list(shape),
        "binary_bytes": cost.binary_bytes,
        "int8_bytes": cost.int8_bytes,
        "fp32_bytes": cost.weight_bytes,
        "stored_bytes": cost.stored_bytes,
        "parameters": cost.parameters,
        "macs": cost.macs,
        "binary_macs": cost.binary_macs,
        "elementwise": cost.elementwise,
        "flops": 2 * cost.macs + cost.elementwise,
    }


def host() -> str:
    """The processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _add_latency(side: dict[str, Any], part: Part, rounds: int) -> None:
    """Each layer by the runtime's own clock, then whole runs; both after a warm-up."""
    # Noise: zeros might take a faster path through the processor.
    random = np.random.default_rng(0)
    arrays = [random_input(info, 1, random) for info in part.inputs]
    for _ in range(3):
        part.run(*arrays)
    times = part.profile(*arrays, rounds=rounds)
    for layer, time in zip(side["layers"], times, strict=True):
        layer["latency_s"] = {"min": time.minimum, "median": time.median}
    side["latency_s"] = {
        key: sum(layer["latency_s"][key] for layer in side["layers"]) for key in ("min", "median")
    }
    runs = []
    for _ in range(rounds):
        start = perf_counter()
        part.run(*arrays)
        runs.append(perf_counter() - start)
    side["run_latency_s"] = {"min": min(runs), "median": median(runs)}
