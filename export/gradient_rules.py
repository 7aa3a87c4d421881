"""Sizes of GRADIENT_SEARCH: what one step stores, needs and costs, from the sizes of its units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_UNITS = 32
MOST_ANTENNAS = 512
"""Of one unit; and streams."""
MOST_BITS = 512
MOST_HIDDEN = 512
MOST_LAYERS = 2
MOST_BLOCK = 65535
MOST_ITERATIONS = 4096
WIDE = 16
"""Numbers of a vector; rows in the weights and in the scratch are whole vectors."""
GROUP = 24
"""Channel uses that the kernel takes at once."""
ALONE = 128
"""Where one channel use goes alone through a wider hidden layer, the kernel reads the first layer's
weights in one orientation only."""
_ROW = 2 * MOST_ANTENNAS
"""Numbers of a row between two products, of which there are two."""


def round_up(count: int) -> int:
    """To whole vectors."""
    return -(-count // WIDE) * WIDE


@dataclass(frozen=True)
class UnitSizes:
    """One radio unit: antennas N_m, bits B_m a channel use, units D_m of a hidden layer."""

    antennas: int
    bits: int
    hidden: int

    def features(self, layers: int) -> int:
        """Numbers that the last linear map reads, whole vectors."""
        return self.hidden if layers else round_up(self.bits)

    def weight_floats(self, layers: int) -> int:
        """Stored numbers, both orientations of a hidden layer's weights included."""
        count = 0
        for k in range(layers):
            inputs = self.hidden if k else self.bits
            count += (inputs + round_up(inputs) + 1) * self.hidden
        width = 2 * self.antennas
        return count + width * self.features(layers) + round_up(width)

    def macs(self, layers: int, outputs: int) -> int:
        """Of one iteration of a channel use, there and back, no unit of a hidden layer left out."""
        hidden = sum((self.hidden if k else self.bits) * self.hidden for k in range(layers))
        return 2 * (hidden + self.features(layers) * outputs)


def weight_floats(units: Sequence[UnitSizes], layers: int) -> int:
    """Numbers of `weights`."""
    return sum(unit.weight_floats(layers) for unit in units)


def payload_bytes(units: Sequence[UnitSizes], block: int) -> int:
    """Of a block of R channel uses: the unit's bits, rounded up to bytes, unit by unit."""
    return sum(-(-block * unit.bits // 8) for unit in units)


def scratch_floats(
    units: Sequence[UnitSizes], layers: int, block: int, width: int, *, shared: bool
) -> int:
    """Numbers of `scratch`.

    Args:
        units: all of them.
        layers: K.
        block: R.
        width: real numbers of a channel use in `targets`, 2 L or 2 N.
        shared: the units share a residual (`effective` is there).
    """
    rows = min(block, GROUP)
    count = weight_floats(units, layers) + (1 + 3 * rows) * round_up(width) + 2 * _ROW + WIDE
    for unit in units:
        outputs, features = width if shared else 2 * unit.antennas, unit.features(layers)
        count += features * round_up(outputs) + (features * outputs if shared else 0)
        count += (2 * rows + 1) * round_up(unit.bits) + WIDE + unit.hidden
        if block == 1 and unit.hidden > ALONE:
            count -= round_up(unit.bits) * unit.hidden
        lists = round_up(rows * (unit.hidden + WIDE) // 2)
        count += layers * (rows * unit.hidden + lists)
    return count


def block_macs(
    units: Sequence[UnitSizes],
    layers: int,
    block: int,
    width: int,
    iterations: int,
    *,
    shared: bool,
) -> int:
    """Multiply-accumulates of a block, every product counted.

    The kernel leaves out what meets a hidden unit that is 0 (about half of them): the products with
    it on the way to the residual and back to its layer's inputs.
    """
    total = 0
    for unit in units:
        outputs = width if shared else 2 * unit.antennas
        total += block * iterations * unit.macs(layers, outputs)
        total += width * 2 * unit.antennas * unit.features(layers) if shared else 0
    return total
