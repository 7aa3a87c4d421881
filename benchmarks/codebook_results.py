"""What `codebook_methods` measures once its runs are there: one row a method, M and B."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from codebook_jobs import Job
from linear_baseline import Components, measured
from rich.console import Console
from safetensors import safe_open

from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.evaluate import Channels, channels, evaluate
from csideploy.link_source import Bits
from csideploy.progress import Advance
from csideploy.quantizers.scalar import distortions
from csideploy.report import quality_table
from csideploy.report.tables import plain_table
from csideploy.report.units import binary
from csideploy.training import load_checkpoint
from csideploy.training.evaluate import validation_nmse_db

LINEAR_ROWS = 40_000
LINEAR_MOST = 512


def validation(run: Path, bits: int) -> float:
    """NMSE in dB on the validation rows, at that budget where a run has several."""
    with safe_open(run / "weights.safetensors", framework="pt") as archive:
        about = json.loads(archive.metadata()["csideploy"])
    values: dict[str, float] = about["training"]["validation_nmse_db"]
    own = [value for name, value in values.items() if name.endswith(f", {bits} bits")]
    return (own or list(values.values()))[-1]


def chosen(out: Path, jobs: list[Job]) -> dict[tuple[str, int, int], Path]:
    """(method, M, B) -> the run with the best rate on validation rows."""
    best: dict[tuple[str, int, int], tuple[float, Path]] = {}
    for job in jobs:
        run = out / job.name
        for bits in job.bits:
            value = (validation(run, bits), run)
            key = (job.label, job.m, bits)
            best[key] = min(value, best.get(key, value))
    return {key: run for key, (_, run) in best.items()}


def collect(
    out: Path,
    test: Path,
    data: Path,
    grid: dict[int, tuple[int, ...]],
    jobs: list[Job],
    *,
    samples: int,
    seed: int,
    bar: Callable[[str], Advance],
) -> dict[str, Any]:
    """All rows.

    Args:
        out: folder of the runs.
        test: CSI to measure on.
        data: CSI that the linear coder is fitted on.
        grid: M -> values of B.
        jobs: all runs.
        samples: of `test` to use, at most.
        seed: of the intervals.
        bar: makes a progress bar of that name.
    """
    kept = channels(str(test), samples, seed=seed)
    rows = []
    advance = bar("measuring")
    picked = chosen(out, jobs)
    for index, ((label, m, bits), run) in enumerate(picked.items()):
        made = evaluate([str(run)], bits=Bits((bits,), given=True), data=kept, seed=seed)
        rows.append({**made["rows"][0], "system": label, "m": m, "run": run.name})
        advance(index + 1, len(picked))
    return {
        "channels": kept.description,
        "interval": "95 %, environments resampled",
        "rows": rows,
        "linear": _linear(data, kept.h, grid, bar),
        "float": {str(m): _float(out, jobs, m, kept) for m in grid},
    }


def _float(out: Path, jobs: list[Job], m: int, kept: Channels) -> dict[str, float]:
    """NQ, with log loss: the link that Lloyd-log quantizes, at its best rate; and the start."""
    runs = [out / job.name for job in jobs if (job.method, job.m) == ("lloyd-log", m)]
    # By the validation rows, at the most bits: the nearest to what is not quantized.
    best = min(runs, key=lambda run: validation(run, 8))
    x, _ = to_input(kept.h)
    figures = {}
    for name, run in (("start", out / f"float-M{m}"), ("NQ", best)):
        link, _ = load_checkpoint(run)
        link.bypass = True
        figures[name] = round(validation_nmse_db(link, torch.from_numpy(x)), 3)
    return figures


def _linear(
    data: Path, h: Any, grid: dict[int, tuple[int, ...]], bar: Callable[[str], Advance]
) -> list[dict[str, Any]]:
    """PCA with bits allocated: at each M, and at M = 512 with the same payload."""
    fit = read_csi(data).h[:LINEAR_ROWS]
    components = Components.of(fit, LINEAR_MOST, bar("components"))
    tables = distortions(components.features(fit), progress=bar("codebooks of the components"))
    features = components.features(h)
    cells = {(m, m * bits, False) for m, budgets in grid.items() for bits in budgets}
    cells |= {(LINEAR_MOST, payload, False) for _, payload, _ in cells}
    return [measured(h, components, features, tables, cell) for cell in sorted(cells)]


def show(result: dict[str, Any], console: Console) -> None:
    """One table: a line a method, a column each (M, B)."""
    cells = sorted({(row["m"], row["bits"]) for row in result["rows"]}, reverse=True)
    cells.sort(key=lambda cell: (-cell[0], cell[1]))
    table = plain_table(f"NMSE in dB, {result['channels']}; one start, one budget for all methods")
    table.add_column("method", no_wrap=True)
    for m, bits in cells:
        table.add_column(f"M {m}\nB {bits}\n{m * bits} bits", justify="right", no_wrap=True)
    table.add_column("UE bundle\n(first column)", justify="right", no_wrap=True)
    found = {(row["system"], row["m"], row["bits"]): row for row in result["rows"]}
    labels = list(dict.fromkeys(row["system"] for row in result["rows"]))
    linear = {(row["components"], row["bits"]): row for row in result["linear"]}

    def linear_line(name: str, count: Callable[[int], int]) -> None:
        line = [linear[count(m), m * bits] for m, bits in cells]
        figures = [f"{row['nmse_db']:.2f}" for row in line]
        table.add_row(name, *figures, binary(line[0]["ue_matrix_bytes"]))

    linear_line("PCA, bits allocated, same M", lambda m: m)
    linear_line(f"PCA, bits allocated, M {LINEAR_MOST}", lambda _: LINEAR_MOST)
    table.add_section()
    for label in labels:
        rows = [found.get((label, m, bits)) for m, bits in cells]
        first = next(row for row in rows if row is not None)
        figures = ["" if row is None else f"{row['nmse_db']:.2f}" for row in rows]
        table.add_row(label, *figures, binary(first["ue_bundle_bytes"]))
    table.add_section()
    for name in ("NQ", "start"):
        says = "NQ: not quantized" if name == "NQ" else "the float start"
        table.add_row(says, *(f"{result['float'][str(m)][name]:.2f}" for m, _ in cells), "")
    console.print(table)
    for m in sorted({m for m, _ in cells}, reverse=True):
        own = next(row for row in result["rows"] if (row["system"], row["m"]) == ("lloyd-log", m))
        console.print(
            f"Spread of the outputs at M = {m} (Lloyd-log), 5 and 95 % quantile of standard "
            f"deviation / mean: {quality_table.spread(own['spread'])}"
        )
    budget = result["budget"]
    console.print(
        f"{budget['system']}: a float start of {budget['start_epochs']:g} epochs from principal "
        f"components with log loss, then {budget['epochs']:g} epochs a method at each rate of "
        f"{', '.join(f'{rate:g}' for rate in budget['rates'])}, chosen on validation rows; other "
        "settings (beta, steps of codebooks and vectors, factors of the rate) are those of "
        "training/methods.py for all."
    )


def for_chart(result: dict[str, Any]) -> dict[str, Any]:
    """The rows of one M, that with the most points: a line must not join two lengths."""
    lengths = [row["m"] for row in result["rows"]]
    m = max(lengths, key=lambda length: (lengths.count(length), length))
    rows = [row for row in result["rows"] if row["m"] == m]
    return {**result, "rows": rows, "channels": f"M = {m}, {result['channels']}"}
