"""How big the C runtime itself is: what `size` said of its library when csideploy was built."""

from __future__ import annotations

from pathlib import Path

from csideploy.runtime import _core

RECORD = "code_size.txt"
"""Beside the extension module: the output of `size -t libcsideploy_runtime.a`."""


def runtime_code_bytes() -> int | None:
    """Code and constant data of the whole C runtime, all kernels; None if the build has no record.

    The column `text` of `size` has machine code and read-only data, `data` has tables of pointers.
    """
    record = Path(str(_core.__file__)).with_name(RECORD)
    try:
        lines = record.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        fields = line.split()
        if fields[-1:] == ["(TOTALS)"]:
            return int(fields[0]) + int(fields[1])
    return None
