"""Footprint of a link: memory, operations and latency, by layer and by side.

Memory is what is stored (the bundle's bytes) plus the arena; the caller's input and output buffers
and the code of the runtime are given apart. Operations are counted from the plan that runs, after
batch norm was folded, not from the network that was trained.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.bundles import random_input
from csideploy.chain import Chain
from csideploy.export.bundle_read import read_whole
from csideploy.export.macs import StepCost, costs
from csideploy.export.memory_bound import fullest_step
from csideploy.export.plan import OPS, Plan, Step
from csideploy.package import LinkPackage
from csideploy.profiles import exchange
from csideploy.report import network_count, ru_bandwidth
from csideploy.report.code_size import runtime_code_bytes
from csideploy.report.papers_count import papers_count
from csideploy.report.precoder_figures import precoder_figures
from csideploy.runtime import Part, TensorInfo
from csideploy.runtime.isa import choose
from csideploy.targets.steps import activation_bytes, kind_of

NOTES = (
    "FLOPs = 2 x MACs + element-wise operations (bias, residual, activation, scale, quantizer).",
    "Parameters are the numbers stored, a 1-bit weight counts as one; batch norm is folded.",
    "Memory = bundle (weights, plan) + arena; buffers of the caller and code are apart.",
    "kB = 1000 bytes, KiB = 1024 bytes.",
)
SEVERAL_NOTES = (
    "The bundles of a side run one after another: the largest arena and the largest buffers count.",
    "A run takes the quantizer of one bit budget; operations are added over all of them.",
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
    "bit_operations",
)
"""Figures of a side that are the sums of its layers'."""


SUMMED = (*ADDITIVE, "padding_bytes", "vectors_bytes", "tables_bytes", "bundle_bytes")
"""Figures of a side of several bundles that are the sums of theirs."""
CONSTANTS = ("thresholds", "book", "widths")
"""Constants of a codebook: what the UE compares with, what the BS looks up, and bits a code."""


def of_bundles(bundles: Sequence[bytes]) -> dict[str, Any]:
    """The footprint without latency: what a package's report.json holds.

    A side of several bundles, an encoder and the quantizers of its bit budgets, has their sums;
    they run one after another, so that they can share one arena.

    Args:
        bundles: of all sides; of a side in the order in which they are shown.
    """
    parts = [_part(data) for data in bundles]
    sides: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        sides.setdefault(part.pop("side"), []).append(part)
    return {
        "sides": {side: _side(own) for side, own in sides.items()},
        "notes": [*NOTES, *(SEVERAL_NOTES if len(parts) > len(sides) else ())],
    }


def of_named_bundles(bundles: Mapping[str, bytes]) -> dict[str, Any]:
    """The same where every bundle runs at a place of its own, such as a DU and its RUs.

    Args:
        bundles: by the name of their place, which is a side of the result.
    """
    parts = {name: _part(data) for name, data in bundles.items()}
    for part in parts.values():
        del part["side"]
    return {"sides": {name: _side([part]) for name, part in parts.items()}, "notes": [*NOTES]}


def report(package: LinkPackage, *, rounds: int) -> dict[str, Any]:
    """The footprint with the latency measured on this host, one sample at a time, one thread.

    Args:
        package: the link.
        rounds: timed runs; the minimum and the median over them are given.
    """
    if package.is_fronthaul:
        return _fronthaul_report(package, rounds)
    if package.is_transceiver:
        from csideploy.report.transceiver_footprint import transceiver_report

        return transceiver_report(package, rounds)
    default = package.layouts[-1] if package.layouts else None
    bundles = {stem: package.open_bundle(stem) for stem in package.all_stems()}
    result: dict[str, Any] = {
        "package": str(package.path),
        "name": package.name,
        "pairing_id": package.pairing_id.hex(),
        "payload": package.manifest["payload"],
        "budgets": [layout.figures() for layout in package.layouts],
        **of_bundles(list(bundles.values())),
        "runtime_code_bytes": runtime_code_bytes(),
        "latency": {
            "where": f"measured on this host ({host()}), 1 thread, n = 1",
            "isa": choose(),
            "rounds": rounds,
            "bits": default and default.bits,
        },
    }
    if package.is_precoder:
        result["precoder"] = precoder_figures(package.manifest)
    else:
        network_count.add(result, _network(package, result["sides"]))
        result["papers_count"] = papers_count(package.manifest, result["sides"])
    for side, data in result["sides"].items():
        running = package.stems(side, default)
        taken, layers = [], iter(data["layers"])
        for stem in (stem for stem in bundles if stem.split("-")[0] == side):
            part = Part(bundles[stem])
            own = [next(layers) for _ in part.steps]
            add_layer_times(own, part, rounds, [_noise(part.inputs[0])])
            taken += own if stem in running else []
        data["latency_s"] = summed(taken)
        chain = Chain([Part(bundles[stem]) for stem in running])
        data["run_latency_s"] = run_times(chain, rounds, [_noise(chain.inputs[0])])
    if "profile" in package.manifest:
        ue = result["sides"]["ue"]
        result["profile"] = exchange.figures(
            package, parameters=ue["parameters"], bundle_bytes=ue["bundle_bytes"]
        )
    return result


def _network(package: LinkPackage, sides: dict[str, Any]) -> network_count.Sides:
    """Counts of the network; of integers those that the export left in its report.json."""
    if not package.is_integer:
        return network_count.of_executed(sides)
    if "report.json" not in package.manifest["files"]:
        return {}
    stored = json.loads(package.read("report.json"))["sides"]
    return network_count.of_stored({side: stored[side] for side in sides})


def _fronthaul_report(package: LinkPackage, rounds: int) -> dict[str, Any]:
    """The same of a DU and its RUs, each a place of its own; a sample is a block.

    RUs of equal sizes are measured once: `same` says which RU stands for which.
    """
    from csideploy.fronthaul.codebooks import NEURAL_METHODS
    from csideploy.fronthaul.export import vectors_of
    from csideploy.fronthaul.validate import golden_vectors

    m, setup = package.manifest, package.fronthaul_setup()
    bundles = {stem: package.open_bundle(stem) for stem in package.all_stems()}
    golden = golden_vectors(package)
    result: dict[str, Any] = {
        "package": str(package.path),
        "name": package.name,
        "pairing_id": package.pairing_id.hex(),
        "payload": None,
        "budgets": [],
        **of_named_bundles(bundles),
        "runtime_code_bytes": runtime_code_bytes(),
        "latency": {
            "where": f"measured on this host ({host()}), 1 thread, one block of {m['block']} uses",
            "isa": choose(),
            "rounds": rounds,
            "bits": None,
        },
    }
    kinds: dict[object, str] = {"du": "du"}
    same = {"du": "du"}
    for stem, bits, antennas in zip(
        package.all_stems()[1:], setup.bits, setup.antennas, strict=True
    ):
        # Networks of one RU may be smaller than another's of the same bits and antennas.
        kind = (bits, antennas, result["sides"][stem]["macs"])
        same[stem] = kinds.setdefault(kind, stem)
    for stem, data in result["sides"].items():
        first = same[stem]
        if first == stem:
            part = Part(bundles[stem])
            own = vectors_of(stem, golden, setup, m["block"])
            arrays = [own[info.name][:1] for info in part.inputs]
            add_layer_times(data["layers"], part, rounds, arrays)
            data["latency_s"] = summed(data["layers"])
            data["run_latency_s"] = run_times(part, rounds, arrays)
    for stem, first in same.items():
        if first != stem:
            for key in ("latency_s", "run_latency_s"):
                result["sides"][stem][key] = result["sides"][first][key]
            pairs = zip(
                result["sides"][stem]["layers"], result["sides"][first]["layers"], strict=True
            )
            for layer, measured in pairs:
                layer["latency_s"] = measured["latency_s"]
    result["same"] = same
    tables = m["system"] not in NEURAL_METHODS
    result["fronthaul"] = {
        "setup": setup.describe(),
        "block": m["block"],
        "bits_per_use": list(setup.bits),
        "payload_bytes_per_block": int(golden["payload"].shape[1]),
        "bandwidth": ru_bandwidth.bandwidth(
            [
                # To put an index together multiplies by powers of two: shifts.
                (stem, 0 if tables else result["sides"][stem]["macs"] // m["block"], antennas)
                for stem, antennas in zip(package.all_stems()[1:], setup.antennas, strict=True)
            ],
            precision="int8" if package.is_integer else "fp32",
            tables=tables,
        ),
    }
    return result


def summed(layers: list[dict[str, Any]]) -> dict[str, float]:
    """Latencies of all layers together."""
    return {key: sum(layer["latency_s"][key] for layer in layers) for key in ("min", "median")}


def _part(bundle: bytes) -> dict[str, Any]:
    """The figures of one bundle."""
    whole = read_whole(bundle)
    plan = whole.plan
    vectors = sum(s.length for s in whole.sections if s.name in ("vectors", "vector_data"))
    layers = [
        layer_figures(cost, step, plan) for step, cost in zip(plan.steps, costs(plan), strict=True)
    ]
    part: dict[str, Any] = {"side": plan.side, "part": plan.part, "layers": layers}
    part |= {key: sum(layer[key] for layer in layers) for key in ADDITIVE}
    return part | {
        "padding_bytes": len(plan.weights) - part["stored_bytes"],
        "vectors_bytes": vectors,
        "tables_bytes": len(bundle) - len(plan.weights) - vectors,
        "bundle_bytes": len(bundle),
        "arena_bytes": plan.arena_bytes,
        "arena_bound_bytes": fullest_step(plan)[1],
        "input_bytes": _most_bytes(plan, plan.inputs),
        "output_bytes": _most_bytes(plan, plan.outputs),
        "budget": _budget(plan),
        "codebook_bytes": _codebook_bytes(plan),
    }


def _most_bytes(plan: Plan, indices: Sequence[int]) -> int:
    """Of tensors, for one sample of the most users."""
    tensors = [plan.tensors[index] for index in indices]
    return sum(t.nbytes * (plan.k_max if "k" in t.shape else 1) for t in tensors)


def _budget(plan: Plan) -> int | None:
    """Bits an output on average of a part that quantizes with codebooks."""
    return plan.payload.layout_id & 0xFF if plan.payload and plan.payload.widths else None


def _codebook_bytes(plan: Plan) -> dict[str, int] | None:
    """What the constants of a codebook take, by kind; None for a part without one."""
    found: dict[int, str] = {}
    for step in plan.steps:
        for role, index in zip(OPS[step.op].inputs, step.inputs, strict=True):
            if role in CONSTANTS and index is not None and "CODEBOOK" in step.op.name:
                found[index] = role
    kinds = {
        kind: sum(plan.tensors[index].nbytes for index, role in found.items() if role == kind)
        for kind in CONSTANTS
    }
    return {kind: size for kind, size in kinds.items() if size} or None


def _side(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of what runs at one side; the first part gives it its name.

    Layers of a quantizer that is a bundle of its own say its `budget`.
    """
    side: dict[str, Any] = {"part": parts[0]["part"], "layers": []}
    for part in parts:
        mark = {"budget": part["budget"]} if len(parts) > 1 and part["budget"] is not None else {}
        side["layers"] += [{**layer, **mark} for layer in part.pop("layers")]
    side |= {key: sum(part[key] for part in parts) for key in SUMMED}
    side |= {
        key: max(part[key] for part in parts)
        for key in ("arena_bytes", "arena_bound_bytes", "input_bytes", "output_bytes")
    }
    side["memory_bytes"] = side["bundle_bytes"] + side["arena_bytes"]
    kept = ("part", "budget", "bundle_bytes", "arena_bytes", "codebook_bytes")
    return {**side, "parts": [{key: part[key] for key in kept} for part in parts]}


def layer_figures(cost: StepCost, step: Step, plan: Plan) -> dict[str, Any]:
    """One layer of a report, without its latency."""
    read, written = activation_bytes(step, plan)
    return {
        "name": cost.name,
        "op": cost.op,
        "kind": kind_of(step, plan),
        "output_shape": list(plan.tensors[step.outputs[0]].shape),
        "binary_bytes": cost.binary_bytes,
        "int8_bytes": cost.int8_bytes,
        "fp32_bytes": cost.weight_bytes,
        "stored_bytes": cost.stored_bytes,
        "parameters": cost.parameters,
        "macs": cost.macs,
        "binary_macs": cost.binary_macs,
        "elementwise": cost.elementwise,
        "flops": 2 * cost.macs + cost.elementwise,
        "bit_operations": cost.bit_operations,
        "input_bytes": read,
        "output_bytes": written,
    }


def host() -> str:
    """The processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def add_layer_times(
    layers: list[dict[str, Any]], part: Part, rounds: int, arrays: Sequence[NDArray[Any]]
) -> None:
    """Each layer by the runtime's own clock, after a warm-up."""
    for _ in range(3):
        part.run(*arrays)
    times = part.profile(*arrays, rounds=rounds)
    for layer, time in zip(layers, times, strict=True):
        layer["latency_s"] = {"min": time.minimum, "median": time.median}


def run_times(side: Chain | Part, rounds: int, arrays: Sequence[NDArray[Any]]) -> dict[str, float]:
    """Whole runs of a side, after a warm-up."""
    for _ in range(3):
        side.run(*arrays)
    runs = []
    for _ in range(rounds):
        start = perf_counter()
        side.run(*arrays)
        runs.append(perf_counter() - start)
    return {"min": min(runs), "median": median(runs)}


def _noise(info: TensorInfo) -> NDArray[Any]:
    """One sample; zeros might take a faster path through the processor."""
    return random_input(info, 1, np.random.default_rng(0))
