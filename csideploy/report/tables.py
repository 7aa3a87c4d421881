"""One look for all tables on a terminal: no vertical lines, so that 80 columns hold more."""

from __future__ import annotations

from rich import box
from rich.table import Table


def plain_table(title: str, *, show_header: bool = True) -> Table:
    """An empty table with a title on its left."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_header=show_header,
    )
