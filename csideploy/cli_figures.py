"""What all kinds of `evaluate` give: a file of figures, a chart, and a table or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from csideploy.cli_shell import print_json, say, table_console


@dataclass(frozen=True)
class Figures:
    """Where figures go, as the command line says.

    Attributes:
        out: a .json file, if any.
        chart: a chart, if any.
        as_json: JSON on standard output instead of a table.
    """

    out: Path | None
    chart: Path | None
    as_json: bool

    def check(self) -> None:
        """Before anything is measured: both files can be written.

        Raises:
            InputError: no such format of a chart. MissingDependencyError: matplotlib is missing.
            OutputError: no such folder, or no permission.
        """
        from csideploy.outputs import check_writable
        from csideploy.report import quality_chart

        if self.chart is not None:
            quality_chart.check_format(self.chart)
        for path in (self.out, self.chart):
            if path is not None:
                check_writable(path)

    def give(
        self,
        result: dict[str, Any],
        *,
        draw: Callable[[Path], None],
        show: Callable[[Console], None],
    ) -> None:
        """Write the files, and print.

        Args:
            result: the object for the file and for standard output.
            draw: makes the chart.
            show: prints tables.

        Raises:
            OutputError: a file cannot be written.
        """
        from csideploy.outputs import file_aside

        if self.out is not None:
            with file_aside(self.out) as file:
                file.write((json.dumps(result, indent=2) + "\n").encode())
            say(f"{self.out}: figures")
        if self.chart is not None:
            draw(self.chart)
            say(f"{self.chart}: chart")
        if self.as_json:
            print_json(result)
        else:
            show(table_console())
