"""The charts of quality against payload bits: NMSE and SGCS, a pair for each test set."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from csideploy.report.page_quality import MeasuredSet, Point
from csideploy.report.page_svg import (
    MARKS,
    WIDTH,
    Figure,
    Scale,
    doublings,
    line,
    linear_ticks,
    mark,
    shortened,
    svg,
    tag,
    text,
)
from csideploy.report.page_tables import Cell, Table

_LEFT, _RIGHT, _TOP, _BOTTOM = 62, WIDTH - 8, 8, 230
_COLOURS = 6
AXES = {
    "nmse_db": ("NMSE", "NMSE, dB (lower is better)"),
    "sgcs": ("SGCS", "SGCS, 0 to 1 (higher is better)"),
}


def quality(number: int, measured_set: MeasuredSet) -> list[Figure]:
    """Both charts of a test set; one without points is left out.

    Args:
        number: of the set, for the elements' ids.
        measured_set: what was measured.
    """
    styles = _styles(measured_set.points)
    return [
        figure
        for key in AXES
        if (figure := _chart(f"{key.replace('_', '-')}-{number}", key, measured_set, styles))
    ]


def _styles(points: Sequence[Point]) -> dict[tuple[str, str], tuple[str, str]]:
    """Shape and class of each system: the same in both charts."""
    styles: dict[tuple[str, str], tuple[str, str]] = {}
    for point in points:
        number = sum(style[0] != "star" for style in styles.values())
        shape = "star" if point.group == "own" else MARKS[number % len(MARKS)]
        kind = {"own": "own", "zoo": "context"}.get(
            point.group, f"series-{(number + number // len(MARKS)) % _COLOURS}"
        )
        styles.setdefault((point.group, point.system), (shape, kind))
    return styles


def _value(point: Point, key: str) -> float | None:
    return point.nmse_db if key == "nmse_db" else point.sgcs


def _interval(point: Point, key: str) -> tuple[float, float] | None:
    return point.nmse_interval if key == "nmse_db" else point.sgcs_interval


def _chart(
    name: str, key: str, measured_set: MeasuredSet, styles: dict[tuple[str, str], tuple[str, str]]
) -> Figure | None:
    points = [point for point in measured_set.points if _value(point, key) is not None]
    if not points:
        return None
    short, words = AXES[key]
    values = [
        v for p in points for v in (_value(p, key), *(_interval(p, key) or ())) if v is not None
    ]
    x_ticks = doublings(min(p.bits for p in points), max(p.bits for p in points))
    y_ticks = linear_ticks(min(values), max(values), 5)
    x_scale = Scale(x_ticks[0], x_ticks[-1], _LEFT + 14, _RIGHT - 14, log=True)
    y_scale = Scale(y_ticks[0], y_ticks[-1], _BOTTOM, _TOP)
    drawn = []
    for tick in x_ticks:
        x = x_scale.at(tick)
        drawn += [line(x, _TOP, x, _BOTTOM, "grid")]
        drawn += [text(x, _BOTTOM + 17, f"{tick:,.0f}", "", "middle")]
    for tick in y_ticks:
        y = y_scale.at(tick)
        drawn += [line(_LEFT, y, _RIGHT, y, "grid")]
        drawn += [text(_LEFT - 5, y + 4, f"{tick:g}", "", "end")]
    middle = (_TOP + _BOTTOM) / 2
    drawn.append(
        tag(
            "g",
            text(0, 0, words, "axis", "middle"),
            transform=f"translate(12 {middle}) rotate(-90)",
        )
    )
    drawn.append(
        text(
            (_LEFT + _RIGHT) / 2,
            _BOTTOM + 34,
            "payload, bits a sample (log axis)",
            "axis",
            "middle",
        )
    )
    # The package itself last, on top.
    for own, (shape, kind) in sorted(styles.items(), key=lambda item: item[0][0] == "own"):
        series = sorted((p for p in points if (p.group, p.system) == own), key=lambda p: p.bits)
        drawn += _series(series, key, shape, kind, x_scale, y_scale)
    shown = {(p.group, p.system) for p in points}
    y = _BOTTOM + 56
    for own, (shape, kind) in styles.items():
        if own in shown:
            drawn.append(mark(shape, 10, y - 4, kind))
            label = own[1] + {"own": " (this package)", "zoo": " (zoo)"}.get(own[0], "")
            drawn.append(text(22, y, shortened(label, WIDTH - 26)))
            y += 18
    heading = f"{short} against payload bits"
    return Figure(
        heading,
        svg(name, y - 8, heading, _described(points, key), drawn),
        _caption(measured_set, key, points),
    )


def _series(
    series: Sequence[Point], key: str, shape: str, kind: str, x_scale: Scale, y_scale: Scale
) -> list[Markup]:
    drawn = []
    places = []
    for point in series:
        value, interval = _value(point, key), _interval(point, key)
        assert value is not None
        x, y = x_scale.at(point.bits), y_scale.at(value)
        places.append(f"{x:.1f},{y:.1f}")
        if interval is not None:
            low, high = (y_scale.at(end) for end in interval)
            drawn.append(line(x, low, x, high, f"{kind} open"))
            drawn += [line(x - 4, end, x + 4, end, f"{kind} open") for end in (low, high)]
        drawn.append(mark(shape, x, y, kind, 5.5 if shape == "star" else 4))
    if len(places) > 1:
        drawn.insert(0, tag("polyline", points=" ".join(places), class_=f"{kind} joined"))
    return drawn


def _described(points: Sequence[Point], key: str) -> str:
    unit = " dB" if key == "nmse_db" else ""
    return "; ".join(f"{p.system}, {p.bits} bits: {_value(p, key):g}{unit}" for p in points)


def _caption(measured_set: MeasuredSet, key: str, points: Sequence[Point]) -> str:
    said = [f"Measured on {measured_set.words} ({measured_set.source})."]
    if any(p.group == "own" for p in points):
        said.append("Star: this package's weights, as their card says.")
    if any(p.group == "zoo" for p in points):
        said.append("Grey: other entries of the zoo on the same test set.")
    if any(_interval(p, key) for p in points):
        interval = measured_set.interval or "intervals that the file says no more of"
        said.append(f"Whiskers: {interval}.")
    else:
        said.append("Cards have no intervals.")
    if key == "nmse_db":
        lacking = sorted({p.system for p in measured_set.points if p.nmse_db is None})
        if lacking:
            said.append(f"No NMSE: {', '.join(lacking)}, which feed back directions.")
    return " ".join(said)


def table(measured_sets: Sequence[MeasuredSet]) -> Table:
    """All points."""
    rows = []
    for measured_set in measured_sets:
        for p in measured_set.points:
            numbers = (
                f"{p.bits:,}",
                "" if p.nmse_db is None else f"{p.nmse_db:.3f}",
                "" if p.nmse_interval is None else "{:.3f} to {:.3f}".format(*p.nmse_interval),
                "" if p.sgcs is None else f"{p.sgcs:.5f}",
                "" if p.sgcs_interval is None else "{:.5f} to {:.5f}".format(*p.sgcs_interval),
            )
            rows.append(
                [
                    Cell(p.system),
                    *(Cell(text, kind="number") for text in numbers),
                    Cell(measured_set.words),
                    Cell(p.remark or measured_set.source),
                ]
            )
    heads = ("system", "bits", "NMSE, dB", "NMSE, 95 %", "SGCS", "SGCS, 95 %", "channels", "source")
    return Table("Quality, all points", heads, rows)
