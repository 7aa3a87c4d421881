"""Ray tracing in cities: BS places in Sionna RT's scenes, and users around them.

After paper 000, Section VI-A: a BS 25 m high in the middle of a square of 128 x 128 m, users 1.5 m
high on a grid of 1 m, 3.5 GHz, elements half a wavelength apart; another tracer, other cities.
Up to three reflections, or a diffraction once; walls let nothing through. Omnidirectional elements,
a vertical one at the user; a channel is the sum of its paths at the carrier, path loss included.

The squares of a scene do not overlap, so that no two environments share a place.
"""

from __future__ import annotations

import subprocess
import sys
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.heard import CARRIER_HZ, Heard, join, panel
from csideploy.errors import InputError, MissingDependencyError
from csideploy.progress import Advance, quiet

SCENES = ("munich", "florence", "etoile", "san_francisco")
SIDE_M = 128
BS_HEIGHT_M, USER_HEIGHT_M = 25.0, 1.5
MAX_DEPTH = 3
RAYS = 100_000
"""From a BS, to find paths with. Ten times as many move a channel by 3 % of its norm in sight of
the BS and by 20 % out of it (medians, munich): weak paths that were missed, at ten times the time.
"""
LEAST_OPEN, MOST_OPEN, LEAST_SEEN = 0.3, 0.9, 0.5
"""Of a square: share of open ground, and share of that ground which sees the BS."""
WEAKEST_DB = -140.0
"""Mean gain below which a place is in outage: what is left there is a chance of the search."""

_SAME_M, _SAME_WAY = 2e-3, 5e-3
"""Paths nearer to each other in length and in direction are one: fp32 has 0.06 mm at 500 m, and
nothing else of a street is so alike."""
_TRIES = 20_000
_BATCH = 250
_LIGHT = 299_792_458.0
_GROUND = ("ground", "Plane", "Terrain")
"""Names that the scenes give to what one walks on."""

Real = NDArray[np.float64]


def raytraced_users(
    scene: str,
    antennas: int,
    sites: int,
    users_per_site: int,
    seed: int,
    *,
    progress: Advance | None = None,
) -> Heard:
    """Users around several BS places of a scene; each place is an environment, numbered from 0.

    A place's users do not depend on how many places there are, and fewer users of the same seed
    are the first of more.

    Args:
        scene: one of `SCENES`.
        antennas: M, of every BS (`heard.panel`).
        sites: BS places.
        users_per_site: users of each who hear something.
        seed: not negative.
        progress: called with users made.

    Raises:
        InputError: unknown scene, a number out of range, no room for the places, or fewer open
            places than users.
        MissingDependencyError: Sionna RT or LLVM is not there.
    """
    city = City(scene, antennas)
    places = city.sites(sites, seed)
    advance = progress or quiet
    total = sites * users_per_site
    parts = []
    for number, site in enumerate(places):
        done = number * users_per_site

        def of_site(made: int, _: int, done: int = done) -> None:
            advance(done + made, total)

        parts.append(city.users(site, users_per_site, seed, environment=number, progress=of_site))
    return join(parts)


class City:
    """A scene and the BS's array.

    Raises:
        InputError: unknown scene or no such array.
        MissingDependencyError: Sionna RT or LLVM is not there.
    """

    def __init__(self, scene: str, antennas: int) -> None:
        if scene not in SCENES:
            raise InputError(f"unknown scene {scene!r}; there are {', '.join(SCENES)}")
        array = panel(antennas)
        _check_tracer()
        import mitsuba
        import sionna.rt

        self._rt: Any = sionna.rt
        self._mi: Any = mitsuba
        self.scene, self.antennas = scene, antennas
        self._scene = self._rt.load_scene(getattr(self._rt.scene, scene))
        self._scene.frequency = CARRIER_HZ
        self._scene.tx_array = self._rt.PlanarArray(
            num_rows=array.rows,
            num_cols=array.columns,
            vertical_spacing=0.5,
            horizontal_spacing=0.5,
            pattern="iso",
            polarization="V" if array.polarisations == 1 else "cross",
        )
        self._scene.rx_array = self._rt.PlanarArray(
            num_rows=1, num_cols=1, pattern="iso", polarization="V"
        )
        # Otherwise the order of threads decides the last bits, and paths in case of doubt.
        self._solver = self._rt.PathSolver(deterministic=True)
        self._ground = next(name for name in _GROUND if name in self._scene.objects)

    def sites(self, count: int, seed: int) -> list[tuple[float, float, float]]:
        """BS places x, y and the ground's height there, the first that pass of a random list.

        A place passes over open ground, if `LEAST_OPEN` to `MOST_OPEN` of its square are open
        and at least `LEAST_SEEN` of that sees the BS, so that no more than the rest can be in
        outage; and if its square overlaps none before it.

        Raises:
            InputError: fewer than 1, or no room for so many.
        """
        if count < 1:
            raise InputError(f"sites {count}: at least 1")
        box = self._scene.mi_scene.bbox()
        low = np.array([box.min.x, box.min.y], np.float64).ravel() + SIDE_M / 2
        high = np.array([box.max.x, box.max.y], np.float64).ravel() - SIDE_M / 2
        rng = np.random.default_rng([seed, zlib.crc32(self.scene.encode())])
        found: list[tuple[float, float, float]] = []
        for place in np.round(rng.uniform(low, high, (_TRIES, 2))):
            near = [np.abs(place - other[:2]).max() < SIDE_M for other in found]
            if any(near):
                continue
            ground, is_open = self._below(place[None])
            if not is_open[0]:
                continue
            xy, z, share = self._open_places(place)
            site = (float(place[0]), float(place[1]), float(ground[0]))
            if not LEAST_OPEN <= share <= MOST_OPEN:
                continue
            if self._sees(site, xy, z).mean() < LEAST_SEEN:
                continue
            found.append(site)
            if len(found) == count:
                return found
        raise InputError(
            f"sites {count}: {self.scene} has room for {len(found)} squares of {SIDE_M} m that a "
            "BS over open ground sees well (at this seed)"
        )

    def users(
        self,
        site: tuple[float, float, float],
        count: int,
        seed: int,
        *,
        environment: int = 0,
        progress: Advance | None = None,
    ) -> Heard:
        """Users of one BS place, in random order, none twice in a place.

        Args:
            site: of `sites`.
            count: users who hear something.
            seed: of the order of the places.
            environment: number of this place.
            progress: called with users made and `count`.

        Raises:
            InputError: the square has fewer places where something is heard.
        """
        xy, z, _ = self._open_places(np.array(site[:2]))
        rng = np.random.default_rng([seed, zlib.crc32(self.scene.encode()), environment])
        order = rng.permutation(len(xy))
        made, places, outage = np.empty((0, self.antennas), np.complex64), xy[:0], 0
        for start in range(0, len(order), _BATCH):
            at = order[start : start + _BATCH]
            h = self._trace(site, xy[at], z[at])
            gain = np.mean(np.abs(h.astype(np.complex128)) ** 2, axis=1)
            heard = np.flatnonzero(gain > 10 ** (WEAKEST_DB / 10))
            wanted = heard[: count - len(made)]
            # Only places up to the last one taken were tried.
            tried = int(wanted[-1]) + 1 if len(made) + len(wanted) == count else len(at)
            outage += tried - len(wanted)
            made = np.concatenate([made, h[wanted]])
            places = np.concatenate([places, xy[at][wanted]])
            if progress is not None:
                progress(len(made), count)
            if len(made) == count:
                break
        else:
            raise InputError(
                f"{count} users of a BS in {self.scene}: something is heard at {len(made)} of the "
                f"{len(order)} open places around {site[0]:g}, {site[1]:g}; take more sites"
            )
        return Heard(
            h=made,
            environment=np.full(count, environment, np.int32),
            xy=places.astype(np.float32),
            bs=np.array([[site[0], site[1], site[2] + BS_HEIGHT_M]], np.float32),
            outage=outage,
        )

    def _open_places(self, middle: Real) -> tuple[Real, Real, float]:
        """Open ground: middles of squares of 1 m (n, 2), their heights (n,), their share."""
        steps = np.arange(SIDE_M) - (SIDE_M - 1) / 2
        grid = middle + np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        z, is_open = self._below(grid)
        return grid[is_open], z[is_open], float(is_open.mean())

    def _below(self, xy: Real) -> tuple[Real, NDArray[np.bool_]]:
        """What a ray from above hits first: its height (n,), and whether it is the ground.

        Users under roofs and arches are left out in that way, as if they were inside.
        """
        mi = self._mi
        top = float(np.array(self._scene.mi_scene.bbox().max.z).ravel()[0]) + 10
        start = mi.Point3f(xy[:, 0], xy[:, 1], np.full(len(xy), top))
        hit = self._scene.mi_scene.ray_intersect(mi.Ray3f(start, mi.Vector3f(0, 0, -1)))
        ground = mi.ShapePtr(self._scene.objects[self._ground].mi_mesh)
        on_ground = (hit.is_valid() & (hit.shape == ground)).numpy()
        return hit.p.z.numpy().astype(np.float64), on_ground

    def _sees(self, site: tuple[float, float, float], xy: Real, z: Real) -> NDArray[np.bool_]:
        """(n,), of users on these places: nothing stands between them and the BS."""
        mi = self._mi
        bs = np.array([site[0], site[1], site[2] + BS_HEIGHT_M])
        way = np.column_stack([xy, z + USER_HEIGHT_M]) - bs
        reach = np.linalg.norm(way, axis=1)
        ray = mi.Ray3f(mi.Point3f(*map(float, bs)), mi.Vector3f(*(way / reach[:, None]).T))
        ray.maxt = mi.Float(reach * (1 - 1e-4))
        blocked: NDArray[np.bool_] = self._scene.mi_scene.ray_test(ray).numpy()
        return ~blocked

    def _trace(self, site: tuple[float, float, float], xy: Real, z: Real) -> NDArray[np.complex64]:
        """(n, M) of users on these places; zero where no path is found."""
        mi, scene = self._mi, self._scene
        for name in [*scene.transmitters, *scene.receivers]:
            scene.remove(name)
        bs = mi.Point3f(site[0], site[1], site[2] + BS_HEIGHT_M)
        scene.add(self._rt.Transmitter("bs", position=bs))
        for number, place in enumerate(np.column_stack([xy, z + USER_HEIGHT_M])):
            position = mi.Point3f(*map(float, place))
            scene.add(self._rt.Receiver(f"user-{number}", position=position))
        paths = self._solver(
            scene,
            max_depth=MAX_DEPTH,
            samples_per_src=RAYS,
            synthetic_array=True,
            refraction=False,
            diffraction=True,
            seed=1,
        )
        # (user, its antenna, BS, its antenna, path, time), phases at the carrier included.
        gains, delays = paths.cir(normalize_delays=False, out_type="numpy")
        gains = gains[:, 0, 0, :, :, 0].astype(np.complex128)
        angles = [getattr(paths, name).numpy()[:, 0] for name in ("theta_t", "phi_t")]
        angles += [getattr(paths, name).numpy()[:, 0] for name in ("theta_r", "phi_r")]
        twice = found_twice(
            delays[:, 0] * _LIGHT,
            np.concatenate([_direction(*angles[:2]), _direction(*angles[2:])], axis=-1),
        )
        h: NDArray[np.complex64] = np.where(twice[:, None], 0, gains).sum(axis=-1)
        return h.astype(np.complex64)


def found_twice(lengths: Real, ways: Real) -> NDArray[np.bool_]:
    """Paths that repeat another one of their user.

    The tracer tells paths apart by the triangles that their rays hit, and finds a reflection once
    for each triangle of a wall whose triangles lie in slightly different planes: such a path would
    come in three times as strong.

    Args:
        lengths: of paths, metres (n, P).
        ways: directions of departure and of arrival, unit vectors (n, P, 6).

    Returns:
        (n, P), true for all but one of each set of equal paths.
    """
    order = np.argsort(lengths, axis=1, kind="stable")
    length = np.take_along_axis(lengths, order, axis=1)
    way = np.take_along_axis(ways, order[..., None], axis=1)
    repeated = np.zeros(length.shape, bool)
    for lag in range(1, length.shape[1]):
        near = length[:, lag:] - length[:, :-lag] < _SAME_M
        if not near.any():
            break
        same = np.abs(way[:, lag:] - way[:, :-lag]).max(axis=-1) < _SAME_WAY
        repeated[:, lag:] |= near & same
    twice = np.empty_like(repeated)
    np.put_along_axis(twice, order, repeated, axis=1)
    return twice


def _direction(theta: Real, phi: Real) -> Real:
    """Unit vectors (..., 3)."""
    flat = np.sin(theta)
    return np.stack([flat * np.cos(phi), flat * np.sin(phi), np.cos(theta)], axis=-1)


_TRACER = (
    "import sionna.rt, drjit, mitsuba; "
    "scene = sionna.rt.load_scene(sionna.rt.scene.box); "
    "scene.mi_scene.ray_test(mitsuba.Ray3f([0, 0, 9], [0, 0, -1])).numpy()"
)


@cache
def _check_tracer() -> None:
    """Runs a ray in a process of its own: an LLVM that drjit cannot use may end its process.

    Raises:
        MissingDependencyError: Sionna RT is not installed, or its LLVM does not work.
    """
    # Looked for on disk: importing anything of `sionna` here would load LLVM.
    found = find_spec("sionna")
    folders = [] if found is None else list(found.submodule_search_locations or ())
    there = any((Path(folder) / "rt").is_dir() for folder in folders)
    if not there:
        raise MissingDependencyError(
            "the scenario raytraced needs sionna-rt: pip install 'csideploy[rt]'"
        )
    tried = subprocess.run([sys.executable, "-c", _TRACER], capture_output=True, text=True)
    if tried.returncode:
        lines = tried.stderr.strip().splitlines()
        why = lines[-1] if lines else f"its process ended with {tried.returncode}"
        raise MissingDependencyError(
            "the scenario raytraced needs LLVM's library (Debian: libllvm19; elsewhere "
            f"DRJIT_LIBLLVM_PATH says where it is): {why}"
        )
