"""What `evaluate` does for fronthaul systems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from csideploy.cli_figures import Figures
from csideploy.cli_shell import progress, say
from csideploy.errors import InputError

if TYPE_CHECKING:
    from csideploy.fronthaul.link import Receiver
    from csideploy.fronthaul.setup import Setup
    from csideploy.fronthaul.wanted import Systems

BLOCKS = 20


def evaluate(
    names: list[str],
    settings: list[str],
    *,
    channel: str | None,
    bits: str | None,
    users: str | None,
    snr: str | None,
    iterations: str | None,
    receiver: Receiver,
    samples: int | None,
    seed: int,
    figures: Figures,
) -> None:
    """Efficiency and symbol errors against bits; over users, SNR or iterations if several."""
    from csideploy.fronthaul.evaluate import evaluate_fronthaul, sweep
    from csideploy.fronthaul.request import EVALUATE, parse_asked
    from csideploy.fronthaul.wanted import parse_channels, parse_values, scene_setup, systems_of
    from csideploy.report import fronthaul_chart, fronthaul_table

    kinds = parse_channels(channel)
    budgets = parse_values(bits, "--bits", whole=True) if bits is not None else []
    changed = {
        over: parse_values(text, option, whole=whole)
        for over, option, text, whole in (
            ("users", "--users", users, True),
            ("snr_db", "--snr", snr, False),
            ("iterations", "--iterations", iterations, True),
        )
        if text is not None
    }
    several = [over for over, values in changed.items() if len(values) > 1]
    if len(several) > 1:
        raise InputError(f"{' and '.join(several)}: one thing changes at a time")
    if several and "cp" in names:
        raise InputError(f"cp: against --bits only, not over {several[0]}; leave it out")
    fixed = {over: values[0] for over, values in changed.items() if len(values) == 1}
    asked = parse_asked(
        settings,
        EVALUATE,
        users=int(fixed["users"]) if "users" in fixed else None,
        snr_db=fixed.get("snr_db"),
    )
    if "iterations" in fixed:
        asked.given["iterations"] = int(fixed["iterations"])
    setup = scene_setup(names, asked)
    blocks = BLOCKS if samples is None else samples

    def found(kind: str, advance: Callable[[int, int], None]) -> Systems:
        return systems_of(names, setup, kind, asked, bits=budgets, seed=seed, progress=advance)

    results: list[dict[str, Any]] = []
    with progress("evaluate") as advance:
        systems = {kind: found(kind, advance) for kind in kinds}
        _check(names, systems, setup, budgets)
        if several:
            over = several[0]
            for kind in kinds:
                results.append(
                    sweep(
                        systems[kind],
                        setup,
                        over,
                        changed[over],
                        channel=kind,
                        blocks=blocks,
                        seed=seed,
                        receiver=receiver,
                        progress=advance,
                    )
                )
        else:
            results.append(
                evaluate_fronthaul(
                    systems,
                    setup,
                    bits=budgets,
                    blocks=blocks,
                    seed=seed,
                    receiver=receiver,
                    progress=advance,
                )
            )
    whole = results[0] if len(results) == 1 else {"sweeps": results}

    def draw(path: Path) -> None:
        if several:
            fronthaul_chart.draw_sweep(results, path)
        else:
            fronthaul_chart.draw(results[0], path)

    def show(console: Console) -> None:
        for result in results:
            (fronthaul_table.show_sweep if several else fronthaul_table.show)(result, console)

    figures.give(whole, draw=draw, show=show)


def _check(
    names: list[str], systems: dict[str, Systems], setup: Setup, budgets: list[float]
) -> None:
    """Something must be there to measure, but for `cp`, which is always; says what is missing."""
    for kind, found in systems.items():
        missing = set(budgets) - {float(max(one.setup.bits)) for _, one in found}
        if missing and found:
            text = ", ".join(f"{bits:g}" for bits in sorted(missing))
            say(f"{kind}: no weights for {text} bits; only cp is shown there")
    if names != ["cp"] and not any(systems.values()):
        raise InputError(
            f"{', '.join(names)}: nothing in the zoo for {setup} on {', '.join(systems)}; train "
            "one with csideploy train, and give its folder"
        )
