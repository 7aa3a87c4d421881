"""Blocks of samples that share an environment, each from a random stream of its own."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.cost2100 import draw_environment
from csideploy.channels.parameters import SCENARIOS, Scenario
from csideploy.channels.synthesis import ANTENNAS, SPACING, SUBCARRIERS, TAPS, angular_delay
from csideploy.errors import InputError

_ORDER = ("indoor", "outdoor", "rayleigh")
"""Place in this list enters the seed: add at its end."""

_OF_USERS = ("raytraced", "umi", "umi-light")

FEWEST_SUBCARRIERS, MOST_SUBCARRIERS = 64, 4096
"""5 to 320 MHz: the outdoor band, around 285 MHz, has to stay well above 0 Hz."""


@dataclass(frozen=True)
class Samples:
    """Generated CSI: the arrays of a file of generated samples.

    `H`: float16 (n, 2, angle, delay), re and im, path loss left out; `sample_absmax`: float32
    (n,), largest modulus of each sample; `ue_xy`: float32 (n, 2), metres; `bs_xy`: float32 (2,).
    """

    H: NDArray[np.float16]
    sample_absmax: NDArray[np.float32]
    ue_xy: NDArray[np.float32]
    bs_xy: NDArray[np.float32]


def block_rows(scenario: str) -> int:
    """Samples that share an environment; they stay together in splits and bootstraps."""
    _check_scenario(scenario)
    return 1 if scenario == "rayleigh" else SCENARIOS[scenario].ues_per_environment


def _check_scenario(scenario: str) -> None:
    if scenario in _OF_USERS:
        raise InputError(
            f"scenario {scenario!r} makes users of a transceiver, no CSI samples; of those there "
            f"are {', '.join(_ORDER)}"
        )
    if scenario not in _ORDER:
        raise InputError(f"unknown scenario {scenario!r}; there are {', '.join(_ORDER)}")


def check_subcarriers(scenario: str, subcarriers: int) -> None:
    """Refuses a frequency grid that a scenario cannot have.

    Raises:
        InputError: unknown scenario, a number out of range, or a scenario without frequencies.
    """
    _check_scenario(scenario)
    if not FEWEST_SUBCARRIERS <= subcarriers <= MOST_SUBCARRIERS:
        raise InputError(
            f"subcarriers is {subcarriers}; "
            f"it must be from {FEWEST_SUBCARRIERS} to {MOST_SUBCARRIERS}"
        )
    if scenario not in SCENARIOS and subcarriers != SUBCARRIERS:
        raise InputError(
            f"scenario {scenario!r} has no frequencies: leave the number of subcarriers out"
        )


def scenario_on(name: str, subcarriers: int) -> Scenario:
    """A COST2100 scenario whose band has this many points: same centre, same spacing."""
    scenario = SCENARIOS[name]
    centre = (scenario.frequency_low + scenario.frequency_high) / 2.0
    low = centre - (subcarriers - 1) / 2.0 * SPACING
    high = centre + (subcarriers - 1) / 2.0 * SPACING
    return replace(scenario, frequency_low=low, frequency_high=high)


def _random(scenario: str, seed: int, block: int) -> np.random.Generator:
    # A block's stream depends on nothing but its own number: workers cannot change it.
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(_ORDER.index(scenario), block))
    return np.random.default_rng(sequence)


def _cost2100_block(
    scenario: Scenario, subcarriers: int, seed: int, block: int
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    paths = draw_environment(scenario, _random(scenario.name, seed, block))
    h = angular_delay(
        paths.azimuth, paths.delay, paths.amplitude, scenario.frequency_low, subcarriers
    )
    return h, paths.ue_xy


def generate_blocks(
    scenario: str, first: int, last: int, *, seed: int, subcarriers: int = SUBCARRIERS
) -> Samples:
    """Blocks first to last - 1 of a scenario's endless list, each with `block_rows` samples.

    A block's environment and UEs do not depend on the number of subcarriers.
    """
    rows = block_rows(scenario)
    count = (last - first) * rows
    h = np.empty((count, ANTENNAS, TAPS), dtype=np.complex64)
    ue_xy = np.zeros((count, 2), dtype=np.float32)
    for block in range(first, last):
        at = slice((block - first) * rows, (block - first + 1) * rows)
        if scenario == "rayleigh":
            parts = _random(scenario, seed, block).standard_normal((2, rows, ANTENNAS, TAPS))
            h[at] = (parts[0] + 1j * parts[1]) / np.sqrt(2.0)
        else:
            banded = scenario_on(scenario, subcarriers)
            h[at], ue_xy[at] = _cost2100_block(banded, subcarriers, seed, block)
    absmax = np.abs(h).reshape(count, -1).max(axis=1)
    return Samples(
        H=np.stack([h.real, h.imag], axis=1).astype(np.float16),
        sample_absmax=absmax.astype(np.float32),
        ue_xy=ue_xy,
        bs_xy=np.zeros(2, dtype=np.float32),
    )
