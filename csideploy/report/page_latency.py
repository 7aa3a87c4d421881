"""The chart of a page that puts latency, here and on targets, against the time that a side has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from csideploy.report.page_svg import (
    HATCH,
    LETTER,
    WIDTH,
    Figure,
    Scale,
    decades,
    line,
    linear_ticks,
    shortened,
    svg,
    tag,
    text,
)
from csideploy.report.units import duration, percent


@dataclass(frozen=True)
class Bar:
    """One latency: where, how it is known, seconds, and whether there is room for the side."""

    name: str
    mark: str
    seconds: float
    fits: bool = True


@dataclass(frozen=True)
class Limit:
    """The time that a side has: seconds, those of them that it may take, and where from."""

    seconds: float
    allowed: float
    what: str
    source: str
    confidence: str


def limit_of(side: str, result: dict[str, Any]) -> Limit | None:
    """None: no limit is known."""
    timing = result.get("timing") or {}
    own = timing.get("sides", {}).get(side)
    if own is None:
        return None
    return Limit(own["seconds"], own["allowed_s"], own["what"], own["source"], own["confidence"])


def bars_of(side: str, result: dict[str, Any]) -> list[Bar]:
    """All latencies of a side that the report has.

    The host stands first: as the target of mark measured where there is one, else as it was timed.
    """
    entries = [t for t in result.get("targets", ()) if side in t["sides"]]
    found = [
        Bar(t["target"], t["mark"], own["latency_s"], own.get("fits", True))
        for t, own in ((t, t["sides"][side]) for t in entries)
    ]
    if not any(bar.mark == "measured" for bar in found):
        timed = result["sides"][side].get("run_latency_s")
        if timed is not None:
            found.insert(0, Bar("host", "measured", timed["median"]))
    return [bar for bar in found if bar.seconds]


def latency(side: str, result: dict[str, Any]) -> Figure | None:
    """Latency on this host and on targets beside the time that the side has; None without any."""
    bars, limit = bars_of(side, result), limit_of(side, result)
    if not bars:
        return None
    values = [bar.seconds for bar in bars] + ([] if limit is None else [limit.allowed])
    low, high = min(values), max(values)
    logarithmic = high / low > 20
    if logarithmic:
        ticks = decades(low / 1.5, high)
        scale = Scale(ticks[0], ticks[-1], 4, WIDTH - 16, log=True)
    else:
        ticks = [tick for tick in linear_ticks(0, high, 5) if tick <= high]
        scale = Scale(0, high, 4, WIDTH - 16)
    top, row = (24 if limit is not None else 4), 38
    bottom = top + row * len(bars)
    drawn: list[Markup] = [tag("defs", *_hatches(side))]
    drawn += _tick_labels(scale, ticks, bottom + 13, None if logarithmic else _unit(high))
    for number, bar in enumerate(bars):
        y = top + row * number
        said = outcome(bar, limit)
        room = WIDTH - 12 - LETTER * (len(said) + len(bar.mark) + 2)
        drawn.append(text(4, y + 12, f"{shortened(bar.name, room)}, {bar.mark}"))
        drawn.append(text(WIDTH - 4, y + 12, said, "value", "end"))
        # Not where the text is.
        drawn += [line(x, y + 16, x, y + 34, "grid") for x in map(scale.at, ticks)]
        width = max(scale.at(bar.seconds) - scale.start, 1.5)
        fill = None if bar.mark == "measured" else f"fill:url(#{bar.mark}-{side})"
        kind = "measured" if bar.mark == "measured" else "outlined"
        drawn.append(
            tag("rect", x=scale.start, y=y + 18, width=width, height=14, class_=kind, style=fill)
        )
    if limit is not None:
        x = scale.at(limit.allowed)
        for number in range(len(bars)):
            y = top + row * number
            drawn.append(line(x, y + 16, x, y + 34, "limit"))
        anchor = "start" if x < 120 else "end" if x > WIDTH - 120 else "middle"
        drawn.append(text(x, 12, f"time allowed {duration(limit.allowed)}", "axis", anchor))
        drawn.append(line(x, 15, x, 22, "limit"))
    label = f"latency of one {_sample(side, result)}, " + (
        "log axis, units as marked" if logarithmic else _unit(high)[1]
    )
    drawn.append(text(WIDTH / 2, bottom + 29, label, "axis", "middle"))
    heading = f"Latency of the {side.upper()}"
    described = "; ".join(f"{b.name}, {b.mark}: {outcome(b, limit)}" for b in bars)
    return Figure(
        heading,
        svg(f"latency-{side}", bottom + 36, heading, described, drawn),
        _caption(side, result, bars, limit, logarithmic=logarithmic),
    )


def _sample(side: str, result: dict[str, Any]) -> str:
    if "transceiver" in result:
        return "user" if side == "ue" else f"group of {result['transceiver']['max_users']} users"
    return "block" if "fronthaul" in result else "sample"


def _hatches(side: str) -> list[Markup]:
    return [
        HATCH.format(id=f"{mark}-{side}", kind=f"hatch-{mark}") for mark in ("modelled", "emulated")
    ]


_Unit = tuple[float, str]


def _unit(seconds: float) -> _Unit:
    """The unit in which a time is one or more."""
    return next(
        (u for u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")) if seconds >= u[0]), (1e-9, "ns")
    )


def _tick_labels(
    scale: Scale, ticks: Sequence[float], y: float, unit: _Unit | None
) -> list[Markup]:
    """As many as do not touch; in `unit`, which the axis names, or each with its own."""
    every = max(1, -(-len(ticks) * 50 // (WIDTH - 20)))
    labels = []
    for tick in ticks[::every]:
        x = scale.at(tick)
        anchor = "start" if x < 24 else "end" if x > WIDTH - 24 else "middle"
        own, word = unit or _unit(tick * (1 + 1e-9))
        label = f"{tick / own:,.4g}" + ("" if unit else f" {word}")
        labels.append(text(x, y, label, "", anchor))
    return labels


def outcome(bar: Bar, limit: Limit | None) -> str:
    """`812.0 us, 33 % PASS`: of the whole time, against the part allowed."""
    if limit is None:
        return duration(bar.seconds)
    word = "PASS" if bar.seconds <= limit.allowed else "FAIL"
    word = word if bar.fits else "DOES NOT FIT"
    return f"{duration(bar.seconds)}, {percent(bar.seconds / limit.seconds)} {word}"


def _caption(
    side: str,
    result: dict[str, Any],
    bars: Sequence[Bar],
    limit: Limit | None,
    *,
    logarithmic: bool,
) -> str:
    said = []
    marks = {bar.mark for bar in bars}
    if "measured" in marks:
        where = result["latency"]["where"].removeprefix("measured on ")
        rounds = result["latency"]["rounds"]
        said.append(f"Plain bar: measured on {where}, median of {rounds} runs.")
    if "emulated" in marks:
        said.append("Dark hatch: emulated, from instructions counted under an emulator.")
    if "modelled" in marks:
        said.append(
            "Light hatch: modelled, layer by layer the larger of arithmetic and bytes; nothing ran "
            "on that device."
        )
    if any(
        target["sides"].get(side, {}).get("preprocessing_s") for target in result.get("targets", ())
    ):
        said.append("Pre-processing is in the bars.")
    if limit is None:
        said.append("No time limit is known for this side, so that nothing passes or fails.")
    else:
        part = ""
        if limit.allowed < limit.seconds:
            part = f", of which {duration(limit.allowed)} may be taken"
        elif limit.allowed > limit.seconds:
            part = f"; the budget allows {duration(limit.allowed)}"
        said.append(
            f"Percentages are of {limit.what}, {duration(limit.seconds)} ({limit.source}) "
            f"[{limit.confidence}]{part}. Dashed line: the time allowed; PASS and FAIL are "
            "against it."
        )
    if logarithmic:
        said.append("On the log axis a bar's end counts, not its length.")
    return " ".join(said)
