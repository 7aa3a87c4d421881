"""One side of a link as what runs there: one bundle, or several in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from csideploy.runtime import Part, TensorInfo


class Chain:
    """Parts in a row; each takes what the one before gives out last.

    A UE of several bit budgets is its encoder (x -> feature) and the quantizer of one budget
    (feature -> codes, payload); the BS the same backwards.

    Attributes:
        parts: at least one, in the order in which they run.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)

    @property
    def inputs(self) -> list[TensorInfo]:
        """The first part's."""
        return self.parts[0].inputs

    @property
    def outputs(self) -> list[TensorInfo]:
        """The last part's."""
        return self.parts[-1].outputs

    def run(self, array: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Run any number of samples; gives the last part's outputs.

        Raises:
            InputError: the array is not what the first part takes.
        """
        outputs: tuple[NDArray[Any], ...] = (array,)
        for part in self.parts:
            outputs = part.run(outputs[-1])
        return outputs
