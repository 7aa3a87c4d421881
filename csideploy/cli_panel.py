"""What the verbs do for channels of a panel: data generate, data info, evaluate."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from csideploy.cli_figures import Figures
from csideploy.cli_shell import print_json, progress, say, table_console
from csideploy.errors import InputError

PANEL, RECEIVE = "8x2", 4
SAMPLES = 2000
"""Of a generated set, if left out."""


def generate(
    *, panel: str, receive: int, samples: int, seed: int, out: Path, as_json: bool
) -> None:
    """Make channels of a panel, and say what they are."""
    from csideploy.channels.panel_file import generate_panel
    from csideploy.channels.umi_panel import SUBBANDS, Panel

    size = Panel.parse(panel)
    with progress("umi-panel samples") as advance:
        generate_panel(out, size, receive, samples, seed=seed, progress=advance)
    if as_json:
        print_json(
            {
                "out": str(out),
                "scenario": "umi-panel",
                "samples": samples,
                "seed": seed,
                "panel": str(size),
                "ports": size.ports,
                "receive": receive,
                "subbands": SUBBANDS,
            }
        )
    else:
        say(
            f"{out}: {samples} umi-panel samples, {SUBBANDS} sub-bands, {receive} x {size.ports} "
            f"(panel {size}), seed {seed}"
        )


def info(file: Path, *, as_json: bool) -> None:
    """Describe a file of a panel's channels."""
    from csideploy.channels.panel_file import describe_panel, show

    result = describe_panel(file)
    if as_json:
        print_json(result)
    else:
        show(result, table_console())


def evaluate(
    names: list[str],
    settings: list[str],
    *,
    channel: str,
    samples: int | None,
    seed: int,
    figures: Figures,
) -> None:
    """SGCS against bits of codebooks and principal components, on a panel's channels."""
    from csideploy.channels.panel_file import SCENARIO, PanelChannels, draw_panel, load_panel
    from csideploy.channels.umi_panel import Panel
    from csideploy.evaluate_panel import evaluate_panel
    from csideploy.report import quality_chart, quality_table

    rank = _rank(settings)
    if channel == SCENARIO:
        data = draw_panel(Panel.parse(PANEL), RECEIVE, samples or SAMPLES, seed=seed)
    else:
        found = load_panel(channel)
        h = found.h if samples is None else found.h[:samples]
        data = PanelChannels(h, found.panel, f"{len(h)} samples of {channel}, panel {found.panel}")
    with progress("evaluate") as advance:
        result = evaluate_panel(names, data=data, rank=rank, seed=seed, progress=advance)
    figures.give(
        result,
        draw=partial(quality_chart.draw, result),
        show=partial(quality_table.show_directions, result),
    )


def _rank(settings: list[str]) -> int:
    rank = 1
    for text in settings:
        name, _, value = text.partition("=")
        if name != "rank" or value not in ("1", "2", "3", "4"):
            raise InputError(f"--set {text}: on a panel's channels there is rank=1 to rank=4")
        rank = int(value)
    return rank
