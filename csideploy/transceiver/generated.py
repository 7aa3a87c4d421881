"""Files of generated users: one environment after the other, stopped and started again at will."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.heard import CARRIER_HZ, Heard, panel
from csideploy.channels.parts import PartFolder, write_npz
from csideploy.channels.raytraced import (
    BS_HEIGHT_M,
    MAX_DEPTH,
    RAYS,
    SCENES,
    SIDE_M,
    USER_HEIGHT_M,
    WEAKEST_DB,
    City,
)
from csideploy.channels.umi_users import DROP, MODELS, umi_users
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet
from csideploy.transceiver.setup import LARGEST

USERS_VERSION = 2
"""Goes up when the same seed gives other users."""

SCENARIOS = ("raytraced", *MODELS)
_DROPS_A_PART = 10
MOST_REGIONS = LARGEST["regions"]


@dataclass(frozen=True)
class UserPlan:
    """What a file of users is made of.

    Attributes:
        scenario: one of `SCENARIOS`.
        antennas: M.
        samples: users in all, shared among the environments.
        seed: not negative.
        scenes: of raytraced; one file may have several.
        sites: of raytraced, BS places of each scene.
        regions: sectors of equal angle around every BS, the first one from east to north, for
            codebooks of their own (paper 000, Remark 2); 1: none.

    Raises:
        InputError: a name or number that cannot be.
    """

    scenario: str
    antennas: int
    samples: int
    seed: int = 0
    scenes: tuple[str, ...] = ("munich",)
    sites: int = 10
    regions: int = 1

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise InputError(
                f"unknown scenario {self.scenario!r} of users; there are {', '.join(SCENARIOS)}"
            )
        panel(self.antennas)
        for name, value, least in (
            ("samples", self.samples, 1),
            ("seed", self.seed, 0),
            ("sites", self.sites, 1),
        ):
            if value < least:
                raise InputError(f"{name} is {value}; it must be at least {least}")
        if not 1 <= self.regions <= MOST_REGIONS:
            raise InputError(f"regions is {self.regions}; 1 to {MOST_REGIONS} are right")
        if self.scenario != "raytraced":
            return
        for scene in self.scenes:
            if scene not in SCENES:
                raise InputError(f"unknown scene {scene!r}; there are {', '.join(SCENES)}")
        if not self.scenes or len(set(self.scenes)) < len(self.scenes):
            raise InputError(f"scenes {','.join(self.scenes)}: each once, and at least one")
        if self.samples < self.sites * len(self.scenes):
            raise InputError(
                f"samples is {self.samples}; at least one at each of "
                f"{self.sites * len(self.scenes)} BS places is needed"
            )

    @property
    def shares(self) -> list[int]:
        """Users of each part: a BS place, or some drops."""
        if self.scenario == "raytraced":
            count = self.sites * len(self.scenes)
            return [(self.samples + count - 1 - part) // count for part in range(count)]
        step = DROP * _DROPS_A_PART
        return [min(step, self.samples - at) for at in range(0, self.samples, step)]

    def describe(self) -> str:
        """All that the users depend on, as JSON."""
        settings: dict[str, Any] = {
            "users_version": USERS_VERSION,
            "scenario": self.scenario,
            "antennas": self.antennas,
            "array": str(panel(self.antennas)),
            "samples": self.samples,
            "seed": self.seed,
            "carrier_hz": CARRIER_HZ,
        }
        if self.scenario == "raytraced":
            settings |= {
                "scenes": list(self.scenes),
                "sites": self.sites,
                "side_m": SIDE_M,
                "bs_height_m": BS_HEIGHT_M,
                "user_height_m": USER_HEIGHT_M,
                "max_depth": MAX_DEPTH,
                "rays": RAYS,
                "weakest_db": WEAKEST_DB,
            }
        if self.regions > 1:
            settings["regions"] = self.regions
        return json.dumps(settings, sort_keys=True)


def sectors(xy: NDArray[np.floating], bs: NDArray[np.floating], regions: int) -> NDArray[np.uint8]:
    """The sector that each user stands in, seen from its BS.

    Args:
        xy: places of users (n, 2).
        bs: of their BSs, (n, 2) or more columns.
        regions: sectors of equal angle, the first from 0 (east) up.
    """
    way = xy.astype(np.float64) - bs[:, :2]
    turn = np.arctan2(way[:, 1], way[:, 0]) / (2 * np.pi) % 1
    return np.minimum(np.floor(turn * regions), regions - 1).astype(np.uint8)


class _UserParts(PartFolder):
    """Parts of users instead of CSI samples."""

    names = ("h", "environment", "xy", "bs", "outage")

    def write(self, path: Path, samples: int) -> None:
        parts = list(self.parts())
        joined = {
            name: np.concatenate([part[name] for part in parts])
            for name in ("h", "environment", "xy", "bs")
        }
        regions = json.loads(self.settings).get("regions", 1)
        # The rows of `bs` are of the environments in their order, of drops without users too.
        own = joined["bs"][joined["environment"]]
        write_npz(
            path,
            {
                "H": joined["h"][:samples],
                "environment": joined["environment"][:samples],
                "region": sectors(joined["xy"], own, regions)[:samples],
                "ue_xy": joined["xy"][:samples],
                "bs": joined["bs"],
                "outage": np.array(sum(int(part["outage"]) for part in parts)),
                "parameters": np.array(self.settings),
            },
        )


def generate_users(path: str | Path, plan: UserPlan, *, progress: Advance | None = None) -> None:
    """Writes an .npz of users; stopped in any way and called again, it goes on.

    Finished environments wait in a hidden folder beside the file. Calling again when the file is
    there, made by the same call, does nothing. Arrays: those of `save_users`, `bs` (places of the
    BSs, metres) and `outage` (places tried where nothing is heard).

    Args:
        path: ends in `.npz`.
        plan: what to make.
        progress: called with users made.

    Raises:
        InputError: the name does not end in `.npz`; a scene has no room.
        MissingDependencyError: the extra `rt` or `sionna`, or LLVM, is not there.
        OutputError: the folder cannot be written, the disk is full, or another file is there.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise InputError(f"cannot write {path}: users are written as .npz; end the name so")
    shares = plan.shares
    folder = _UserParts(path, plan.describe(), count=len(shares))
    advance = progress or quiet
    if folder.is_finished():
        advance(plan.samples, plan.samples)
        return
    folder.open()
    missing = folder.missing()
    done = plan.samples - sum(shares[part] for part in missing)
    advance(done, plan.samples)
    make = _raytraced if plan.scenario == "raytraced" else _street
    with closing(make(plan, missing)) as made:
        for part, heard in zip(missing, made, strict=True):
            folder.store(part, heard)
            done += shares[part]
            advance(done, plan.samples)
    folder.join(plan.samples)


def _raytraced(plan: UserPlan, missing: list[int]) -> Generator[Heard, None, None]:
    shares = plan.shares
    for number, scene in enumerate(plan.scenes):
        own = [part for part in missing if part // plan.sites == number]
        if not own:
            continue
        city = City(scene, plan.antennas)
        places = city.sites(plan.sites, plan.seed)
        for part in own:
            yield city.users(places[part % plan.sites], shares[part], plan.seed, environment=part)


def _street(plan: UserPlan, missing: list[int]) -> Generator[Heard, None, None]:
    shares = plan.shares
    for part in missing:
        first = part * _DROPS_A_PART
        last = first + -(-shares[part] // DROP)
        yield umi_users(plan.scenario, plan.antennas, first, last, plan.seed)
