"""Which of the kernels' instruction sets a part runs on.

The kernels are built once per instruction set, all in the same order of operations: they give the
same bits, so the choice changes time alone.
"""

from __future__ import annotations

import os

from csideploy.errors import InputError
from csideploy.runtime import _core

VARIABLE = "CSIDEPLOY_ISA"
"""Environment variable that forces one: reference, baseline, avx2, avx512, neon or dotprod."""


def instruction_sets() -> list[str]:
    """Those of this build that this machine can run, slowest first; "reference" always."""
    return [name for name, available in _core.isas() if available]


def choose(name: str | None = None) -> str:
    """The instruction set to use: `name`, else what the environment forces, else the fastest.

    Raises:
        InputError: the one asked for is not in this build, or this machine cannot run it.
    """
    asked = name or os.environ.get(VARIABLE, "")
    available = instruction_sets()
    if not asked:
        return available[-1]
    if asked not in available:
        built = {known for known, _ in _core.isas()}
        why = "this machine cannot run it" if asked in built else "not in this build"
        source = "isa" if name else VARIABLE
        raise InputError(f"{source}={asked}: {why}; available: {', '.join(available)}")
    return asked
