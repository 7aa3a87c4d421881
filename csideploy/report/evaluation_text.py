"""3GPP's evaluation table as text: rows for a spreadsheet, or Markdown with an appendix."""

from __future__ import annotations

import csv
import io
from typing import Any

from csideploy.report.units import duration

TAGS = (
    "[M]: from memory of a specification or of minutes, not confirmed; [S]: from a secondary "
    "source, such as meeting notes"
)


def _cell(value: str | float | None) -> str:
    return "" if value is None else str(value)


def as_rows(table: dict[str, Any]) -> str:
    """The template's rows alone, to be pasted into a spreadsheet."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("", "", table["column"]))
    for row in table["rows"]:
        writer.writerow((row["part"], row["row"], _plain(_cell(row["value"]))))
    return stream.getvalue().removesuffix("\n")


def _plain(text: str) -> str:
    """No formula: names come from files, and a spreadsheet would compute what begins so."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def markdown(table: dict[str, Any]) -> str:
    """The rows, what their tags mean, and the figures that the template has no row for."""
    lines = [f"| | | {_escaped(table['column'])} |", "| :-- | :-- | :-- |"]
    before = None
    for row in table["rows"]:
        # A part is named once, as its merged cell in the template.
        part = "" if row["part"] == before else row["part"]
        before = row["part"]
        cells = (part, row["row"], _cell(row["value"]))
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    lines += ["", f"- {table['template']}", f"- {TAGS}"]
    lines += ["", "Appendix, figures that the template has no row for:", ""]
    lines += ["| figure | generation part | reconstruction part |", "| :-- | --: | --: |"]
    for own in table["appendix"]:
        cells = (own["figure"], *(_figure(own[side], own["unit"]) for side in ("ue", "bs")))
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    return "\n".join(lines)


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return duration(value) if unit == "s" else f"{value:,} {unit}".rstrip()


def _escaped(text: str) -> str:
    """Within one cell of one line."""
    return " ".join(text.split()).replace("|", "\\|")
