"""How long work tells its caller how far it is; the command line makes a bar of it."""

from collections.abc import Callable

Advance = Callable[[int, int], None]
"""Called with what is done and what there is in all."""


def quiet(done: int, total: int) -> None:
    """For callers who do not want to know."""
