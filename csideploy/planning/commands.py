"""The `csideploy export` that makes what a plan chose."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def zoo_options(entry: str, budgets: Sequence[int | None], bits: int | None, precision: str) -> str:
    """Options that name a package of a zoo entry; what is the default is left out.

    Args:
        entry: its name.
        budgets: bits a feature that it was trained for.
        bits: one of them.
        precision: fp32, auto, int8 or mixed.
    """
    options = ["--model", entry]
    if len(budgets) > 1:
        options += ["--bits", str(bits)]
    return " ".join([*options, *_precision(precision)])


def checkpoint_options(path: str, *, several: bool, bits: int | None, precision: str) -> str:
    """The same of weights that `csideploy train` wrote.

    Args:
        path: of the run's folder or its weights.
        several: whether they have several budgets (codebooks).
        bits: a feature.
        precision: fp32, auto, int8 or mixed.
    """
    options = ["--checkpoint", shlex.quote(path)]
    if several:
        options += ["--bits", str(bits)]
    return " ".join([*options, *_precision(precision)])


def _precision(precision: str) -> list[str]:
    return [] if precision == "fp32" else ["--precision", precision]
