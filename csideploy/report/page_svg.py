"""What a chart on a page is drawn with: SVG elements, axes, scales, marks.

Every text of a user is escaped by `markupsafe`, which jinja2 brings. Colours are classes of the
page's style sheet, so that a chart follows light and dark. A chart is 360 units wide: at the 390
pixels of a phone its 12-unit text is 11 pixels high, and wide windows show two charts side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 360
LETTER = 6.7
"""Width of a letter of 12-unit sans-serif text, on average and rounded up."""

HATCH = Markup(
    '<pattern id="{id}" width="5" height="5" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="5" height="5" class="hatch-ground"/>'
    '<rect width="2.4" height="5" class="{kind}"/></pattern>'
)


@dataclass(frozen=True)
class Figure:
    """A chart with what stands around it."""

    heading: str
    picture: Markup
    caption: str
    legend: tuple[tuple[str, str], ...] = ()
    """(class of the colour, words)."""


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """An element; `class_` is class, `font_size` font-size; None leaves an attribute out."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inside)


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    """A line of text at its baseline."""
    return tag("text", words, x=x, y=y, class_=kind or None, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def shortened(words: str, room: float) -> str:
    """`words`, or their end after an ellipsis: layers differ at the end of their names."""
    letters = max(int(room / LETTER), 4)
    return words if len(words) <= letters else "…" + words[-(letters - 1) :]


def svg(key: str, height: float, title: str, description: str, parts: Iterable[str]) -> Markup:
    """A whole chart, named and described for those who do not see it.

    Args:
        key: the element's id; ids inside begin with it.
        height: in units, of which the width has 360.
        title: what it shows.
        description: how it is to be read, and the main figures.
        parts: elements.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{key}-title"),
        tag("desc", description, id=f"{key}-desc"),
        *parts,
        id=key,
        viewBox=f"0 0 {WIDTH} {height:.0f}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


@dataclass(frozen=True)
class Scale:
    """Values to places: linear, or by the logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Place of a value; what lies outside lands on the edge."""
        low, high, own = self.low, self.high, value
        if self.log:
            low, high, own = math.log(low), math.log(high), math.log(max(value, self.low))
        share = min(max((own - low) / (high - low), 0.0), 1.0)
        return self.start + share * (self.end - self.start)


def linear_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values from at or below `low` to at or above `high`."""
    span = (high - low) or abs(high) or 1.0
    step: float = 10.0 ** math.floor(math.log10(span / about))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if span / (step * m) <= about)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten from at or below `low` to at or above `high`."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def doublings(low: float, high: float) -> list[float]:
    """Powers of two around positive values."""
    first, last = math.floor(math.log2(low) + 1e-9), math.ceil(math.log2(high) - 1e-9)
    if first == last:
        first, last = first - 1, last + 1
    every = max(1, -(-(last - first) // 6))
    return [2.0**power for power in range(first, last + every, every)]


MARKS = ("circle", "square", "triangle", "diamond", "cross", "plus")


def mark(shape: str, x: float, y: float, kind: str, size: float = 4.0) -> Markup:
    """A point of a chart; shapes tell systems apart without colour.

    Args:
        shape: one of `MARKS`, or "star", which is kept for the package itself.
        x: of its middle.
        y: of its middle.
        kind: class of the style sheet.
        size: half its height.
    """
    s = size
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=s, class_=kind)
    if shape in ("cross", "plus"):
        d = s if shape == "plus" else s * 0.75
        ends = (
            ((-d, 0, d, 0), (0, -d, 0, d)) if shape == "plus" else ((-d, -d, d, d), (-d, d, d, -d))
        )
        path = "".join(f"M{x + a:.1f} {y + b:.1f}L{x + c:.1f} {y + e:.1f}" for a, b, c, e in ends)
        return tag("path", d=path, class_=f"{kind} open")
    return tag("polygon", points=_corners(shape, x, y, s), class_=kind)


def _corners(shape: str, x: float, y: float, s: float) -> str:
    found: Sequence[tuple[float, float]]
    if shape == "square":
        d = s * 0.88
        found = ((-d, -d), (d, -d), (d, d), (-d, d))
    elif shape == "triangle":
        found = ((0, -s * 1.15), (s * 1.05, s * 0.8), (-s * 1.05, s * 0.8))
    elif shape == "diamond":
        found = ((0, -s * 1.25), (s, 0), (0, s * 1.25), (-s, 0))
    else:
        turns = ((math.pi * (i / 5 - 0.5), s * (1.7 if i % 2 == 0 else 0.7)) for i in range(10))
        found = [(r * math.cos(a), r * math.sin(a)) for a, r in turns]
    return " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in found)
