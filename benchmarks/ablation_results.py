"""What `ablations` prints, draws, and hands to `csideploy plan`."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from ablation_jobs import (
    PAPER_ACTIVATION,
    PAPER_QUANTIZED,
    PRECISIONS,
    PRODUCTS,
    SHAPES,
    Activation,
)
from ablation_runs import Bench
from rich.console import Console

from csideploy import registry
from csideploy.errors import InputError
from csideploy.outputs import file_aside
from csideploy.planning.results import ResultLine, read_results
from csideploy.report.tables import plain_table

Row = dict[str, Any]
Rows = dict[str, list[Row]]

ACTIVATIONS: tuple[Activation, ...] = ("prelu", "sprelu", "lrelu")
NAMES = {"prelu": "PReLU", "sprelu": "SPReLU", "lrelu": "LReLU(0.3)"}


def mean_and_spread(rows: list[Row]) -> tuple[float, float]:
    """Mean of the NMSE in dB over seeds, and the distance of the best from the worst."""
    values = [row["nmse_db"] for row in rows]
    return sum(values) / len(values), max(values) - min(values)


def text_of(rows: list[Row]) -> str:
    """`-12.34`, or `-12.34 (0.05)` with the spread over several seeds, or a dash."""
    if not rows:
        return "-"
    mean, spread = mean_and_spread(rows)
    return f"{mean:.2f}" + (f" ({spread:.2f})" if len(rows) > 1 else "")


def show(rows: Rows, console: Console) -> None:
    """Tables of what is there, each beside the paper's figures."""
    links = rows["product"] + rows["grid"]
    if links:
        _show_products(links, console)
        _show_grid(links, console)
    if rows["activation"]:
        _show_activation(rows["activation"], console)
    if rows["width"]:
        _show_width(rows["width"], console)


def _cell(links: list[Row], cr: int, bits: int | None, binarize: str, k: int = 1) -> list[Row]:
    wanted = (cr, bits, binarize, k)
    return [r for r in links if (r["cr"], r["bits"], r["binarize"], r["k"]) == wanted]


def _paper(cr: int, bits: int | None) -> str:
    found = PAPER_QUANTIZED.get((cr, bits))
    return "-" if found is None else f"{found[0]:.2f}"


def _show_products(links: list[Row], console: Console) -> None:
    title = "NMSE in dB, k = 1: a fixed product (Fig. 15), B at eta 1/4 (Fig. 14)"
    table = plain_table(title)
    for column in ("payload bits", "1/eta", "B", "encoder 1 bit", "encoder float", "paper, 1 bit"):
        table.add_column(column, justify="right")
    cells = [(str(payload), cr, bits) for payload, row in PRODUCTS.items() for cr, bits in row] + [
        ("eta 1/4", 4, bits) for bits in PRECISIONS
    ]
    before = cells[0][0]
    for label, cr, bits in cells:
        if label != before:
            table.add_section()
            before = label
        line = [text_of(_cell(links, cr, bits, kind)) for kind in ("encoder", "none")]
        if line != ["-", "-"]:
            shown = "float" if bits is None else str(bits)
            table.add_row(label, str(cr), shown, *line, _paper(cr, bits))
    console.print(table)


def _show_grid(links: list[Row], console: Console) -> None:
    table = plain_table("Links measured through our runtime, for `csideploy plan`")
    table.add_column("link", no_wrap=True)
    for column in ("1/eta", "B", "payload", "NMSE, dB", "95 %", "SGCS", "epochs", "min"):
        table.add_column(column, justify="right")
    unique = {row["name"]: row for row in links if row["bits"] is not None}
    for row in sorted(unique.values(), key=lambda row: (row["payload_bits"], -row["nmse_db"])):
        low, high = row["nmse_db_interval"]
        table.add_row(
            row["name"],
            str(row["cr"]),
            str(row["bits"]),
            str(row["payload_bits"]),
            f"{row['nmse_db']:.2f}",
            f"{low:.2f} .. {high:.2f}",
            f"{row['sgcs']:.4f}",
            f"{row['epochs']:g}",
            f"{row['minutes']:.1f}",
        )
    console.print(table)


def _show_activation(rows: list[Row], console: Console) -> None:
    title = "Activation (Table II): NMSE in dB, ACRNet-1x, float feature (spread)"
    table = plain_table(title)
    table.add_column("1/eta", justify="right")
    table.add_column("start", justify="right")
    for name in ACTIVATIONS:
        table.add_column(NAMES[name], justify="right")
        table.add_column("paper", justify="right")
    table.add_column("seeds", justify="right")
    for cr in sorted({row["cr"] for row in rows}):
        line = [_start([row for row in rows if row["cr"] == cr])]
        seeds: set[int] = set()
        for name in ACTIVATIONS:
            found = [r for r in rows if (r["cr"], r["activation"]) == (cr, name)]
            seeds |= {row["seed"] for row in found}
            line += [text_of(found), f"{PAPER_ACTIVATION[cr][name]:.2f}"]
        table.add_row(str(cr), *line, str(len(seeds)))
    console.print(table)


def _show_width(rows: list[Row], console: Console) -> None:
    title = "Width against depth (Fig. 12): ACRNet, eta 1/8, float (spread)"
    table = plain_table(title)
    for column in ("k", "decoder blocks", "MACs", "parameters", "start", "NMSE, dB"):
        table.add_column(column, justify="right")
    for k, blocks in SHAPES:
        found = [r for r in rows if (r["k"], r["blocks"]) == (k, blocks)]
        if found:
            macs = sum(found[0]["macs"].values())
            sizes = (f"{macs / 1e6:.3f} M", f"{found[0]['parameters']:,}")
            table.add_row(str(k), str(blocks), *sizes, _start(found), text_of(found))
    console.print(table)


def _start(rows: list[Row]) -> str:
    """NMSE in dB before the first step, the mean over runs."""
    return f"{sum(row['start_nmse_db'] for row in rows) / len(rows):.2f}"


def result_line(row: Row, bench: Bench) -> dict[str, Any]:
    """A link as a line of a result file (docs/plan.md).

    Raises:
        InputError: it was measured on a part of the test file only.
    """
    test, data = bench.test_description, bench.data_description
    if row["samples"] != test["samples"]:
        raise InputError(
            f"--lines: {row['name']} was measured on {row['samples']} samples of "
            f"{test['samples']}, which no other figure can be compared with: leave --samples out"
        )
    made = (
        f"csideploy data generate --scenario {data['scenario']} --samples {data['samples']} "
        f"--seed {data['seed']} --out indoor.npz"
    )
    trained = (
        f"csideploy train {row['system']} --data indoor.npz --cr {row['cr']} --bits {row['bits']} "
        f"--binarize {row['binarize']} --recipe zoo-cpu --epochs {row['epochs']:g} "
        f"--seed {row['seed']} --device cpu --threads 1 --out runs/{row['name']}"
    )
    line = {
        "system": row["system"],
        "cr": row["cr"],
        "bits": row["bits"],
        "binarize": row["binarize"],
        "nmse_db": row["nmse_db"],
        "sgcs": row["sgcs"],
        "rho": row["rho"],
        "test": {key: test[key] for key in ("scenario", "samples", "seed", "sha256")},
        "train": {
            "samples": row["rows"],
            "epochs": row["epochs"],
            "recipe": "zoo-cpu",
            "seed": row["seed"],
            "minutes": row["minutes"],
            "data_sha256": data["sha256"],
        },
        "checkpoint": None,
        "command": f"{made} && {trained}",
    }
    ResultLine.model_validate(line)
    return line


def write_lines(rows: Rows, bench: Bench, path: Path) -> int:
    """Put the quantized links into a result file; lines of the same command are replaced.

    Only links of seed 0: others say how far seeds lie apart, a plan has no use for them.

    Returns:
        Lines written.
    """
    links = {row["name"]: row for row in rows["product"] + rows["grid"]}
    ours = [
        result_line(row, bench)
        for row in links.values()
        if row["bits"] is not None and row["seed"] == 0
    ]
    commands = {line["command"] for line in ours}
    kept = []
    if path.is_file():
        read_results(path)
        lines = [text for text in path.read_text().splitlines() if text.strip()]
        kept = [text for text in lines if json.loads(text)["command"] not in commands]
    with file_aside(path) as file:
        file.write(("\n".join([*kept, *map(json.dumps, ours)]) + "\n").encode())
    return len(ours)


def draw(rows: Rows, path: Path) -> None:
    """Three panels: payload, activation, width and depth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    product, activation, width = figure.subplots(1, 3)
    _draw_products(product, rows["product"] + rows["grid"])
    _draw_activation(activation, rows["activation"])
    _draw_width(width, rows["width"])
    with file_aside(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=150)


def _draw_products(axes: Any, links: list[Row]) -> None:
    chosen = {
        (row["cr"], row["bits"]): row
        for row in links
        if row["binarize"] == "encoder" and row["k"] == 1 and row["bits"] and row["seed"] == 0
    }
    for cr in sorted({cr for cr, _ in chosen}):
        bits = sorted(b for c, b in chosen if c == cr)
        x = [registry.payload_bits(cr, b) for b in bits]
        y = [chosen[cr, b]["nmse_db"] for b in bits]
        axes.plot(x, y, marker="o", label=f"eta = 1/{cr}")
        for b, at, nmse in zip(bits, x, y, strict=True):
            axes.annotate(
                f"B {b}", (at, nmse), textcoords="offset points", xytext=(5, 4), fontsize=7
            )
    axes.set_xscale("log", base=2)
    axes.set_xlabel("payload bits a sample")
    axes.set_ylabel("NMSE, dB")
    axes.set_title("B and eta, BACRNet-1x", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _draw_activation(axes: Any, rows: list[Row]) -> None:
    """Beside PReLU, since the compressions lie many dB apart and the activations do not."""
    compressions = sorted({row["cr"] for row in rows})
    for index, name in enumerate(ACTIVATIONS[1:]):
        for place, cr in enumerate(compressions):
            found = {
                kind: {r["seed"]: r["nmse_db"] for r in rows if (r["cr"], r["activation"]) == key}
                for kind in ("prelu", name)
                if (key := (cr, kind))
            }
            seeds = sorted(found["prelu"].keys() & found[name].keys())
            gaps = [found[name][seed] - found["prelu"][seed] for seed in seeds]
            at = place + 0.2 * (index - 0.5)
            axes.plot(
                [at] * len(gaps),
                gaps,
                "osD"[index],
                color=f"C{index + 1}",
                label=NAMES[name] if place == 0 else None,
            )
    axes.axhline(0.0, color="C0", label="PReLU")
    axes.set_xticks(range(len(compressions)), [f"1/{cr}" for cr in compressions])
    axes.set_xlabel("eta")
    axes.set_ylabel("NMSE over that of PReLU, dB (a point a seed)")
    axes.set_title("activation, ACRNet-1x", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _draw_width(axes: Any, rows: list[Row]) -> None:
    cells: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        cells[row["k"], row["blocks"]].append(row)
    for label, way in (
        ("wider: k grows, 2 blocks", [s for s in SHAPES if s[1] == 2]),
        ("deeper: more blocks, k = 1", [s for s in SHAPES if s[0] == 1]),
    ):
        there = [cells[shape] for shape in way if cells[shape]]
        x = [sum(found[0]["macs"].values()) / 1e6 for found in there]
        y = [mean_and_spread(found)[0] for found in there]
        half = [mean_and_spread(found)[1] / 2 for found in there]
        axes.errorbar(x, y, yerr=half, marker="o", capsize=3, label=label)
    axes.set_xlabel("MACs of encoder and decoder, millions")
    axes.set_ylabel("NMSE, dB")
    axes.set_title("width against depth, eta = 1/8", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
