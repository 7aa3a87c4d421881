"""The footprint of a transceiver: part by part, and of both sides against the number of users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from csideploy.progress import Advance
from csideploy.report.units import binary, duration

if TYPE_CHECKING:
    from csideploy.package import LinkPackage

Tables = list[tuple[str, Sequence[str], list[list[str]]]]


def transceiver_report(package: LinkPackage, rounds: int, progress: Advance) -> dict[str, Any]:
    """All figures; the times are measured on this host, one thread, on the golden vectors.

    Args:
        package: of kind transceiver.
        rounds: timed runs; the minimum and the median over them are given.
        progress: called with parts and numbers of users measured, and those in all.

    Returns:
        As `footprint.report`, with a "side" for each part; `transceiver` has `users`, for each K
        the MACs and times of a group's K users and of the BS, with the largest budget.

    Raises:
        FormatError: a file is damaged. PairingError: a bundle of another package.
    """
    from csideploy.export.bundle_read import read_bundle
    from csideploy.export.macs import costs
    from csideploy.report import footprint
    from csideploy.report.code_size import runtime_code_bytes
    from csideploy.runtime import Part
    from csideploy.runtime.isa import choose
    from csideploy.transceiver.export import largest, vectors_of
    from csideploy.transceiver.vectors import golden_vectors

    described = package.transceiver()
    bundles = {stem: package.open_bundle(stem) for stem in package.all_stems()}
    parts = {stem: Part(data) for stem, data in bundles.items()}
    golden = golden_vectors(package)
    sides: dict[str, Any] = footprint.of_named_bundles(bundles)["sides"]
    total = len(sides) + described.max_users
    for done, (stem, data) in enumerate(sides.items()):
        progress(done, total)
        own = vectors_of(stem, golden, described)
        arrays = [own[info.name][:1] for info in parts[stem].inputs]
        footprint.add_layer_times(data["layers"], parts[stem], rounds, arrays)
        data["latency_s"] = footprint.summed(data["layers"])
        data["run_latency_s"] = footprint.run_times(parts[stem], rounds, arrays)
    mark = largest(described)
    plan = read_bundle(bundles["bs"])
    feature = golden[f"read-{mark}"][:1]
    rows = []
    for users in range(1, described.max_users + 1):
        progress(len(sides) + users - 1, total)
        at = [np.ascontiguousarray(feature[:, :users]), golden["snr_db"][:1]]
        own = sides[f"bs-quantizer-{mark}"]["run_latency_s"]
        taken = footprint.run_times(parts["bs"], rounds, at)
        rows.append(
            {
                "users": users,
                "bs_macs": sum(cost.macs for cost in costs(replace(plan, k_max=users))),
                "bs_latency_s": {key: taken[key] + users * own[key] for key in taken},
            }
        )
    progress(total, total)
    ue = (sides["ue"], sides[f"ue-quantizer-{mark}"])
    return {
        "package": str(package.path),
        "name": package.name,
        "pairing_id": package.pairing_id.hex(),
        "payload": None,
        "budgets": [],
        "sides": sides,
        "notes": [*footprint.NOTES],
        "runtime_code_bytes": runtime_code_bytes(),
        "latency": {
            "where": f"measured on this host ({footprint.host()}), 1 thread",
            "isa": choose(),
            "rounds": rounds,
            "bits": None,
        },
        "transceiver": {
            "setup": described.setup.describe(),
            "max_users": described.max_users,
            "bits": list(described.bits),
            "ue_macs": sum(part["macs"] for part in ue),
            "ue_latency_s": {
                key: sum(part["run_latency_s"][key] for part in ue) for key in ("min", "median")
            },
            "users": rows,
        },
    }


def tables(result: dict[str, Any]) -> Tables:
    """Caption, heads and rows: of all parts, and of the numbers of users."""
    heads = ("part", "bundle", "arena", "parameters", "MACs", "latency, median")
    parts = [
        [
            stem,
            binary(data["bundle_bytes"]),
            binary(data["arena_bytes"]),
            f"{data['parameters']:,}",
            f"{data['macs']:,}",
            duration(data["run_latency_s"]["median"]),
        ]
        for stem, data in result["sides"].items()
    ]
    own = result["transceiver"]
    columns = ("users", "a UE's MACs", "a UE's latency", "BS MACs", "BS latency")
    users = [
        [
            str(row["users"]),
            f"{own['ue_macs']:,}",
            duration(own["ue_latency_s"]["median"]),
            f"{row['bs_macs']:,}",
            duration(row["bs_latency_s"]["median"]),
        ]
        for row in own["users"]
    ]
    return [("Parts", heads, parts), (f"Users, {own['bits'][-1]} bits each", columns, users)]


def lines(result: dict[str, Any]) -> list[str]:
    """What has to be said below."""
    own = result["transceiver"]
    arena = binary(result["sides"]["bs"]["arena_bytes"])
    return [
        f"BS: MACs and arena ({arena}) by layer are of {own['max_users']} users, the most; any "
        "number from 1 runs in the same arena.",
        "A UE runs the extractor and the quantizer of its budget; the BS reads the bits of each "
        "user, then precodes.",
    ]
