"""`evaluate`: link quality against payload bits, systems side by side, each through our runtime.

Every system is made into a link package, so that what is measured is what would be deployed: CSI
through the UE's bundles, the payload's bits, the BS's bundles. Confidence intervals resample whole
environments, since samples that share one are alike.

With `etype2` among the names there are rows of the Rel-16 codebook too (`evaluate_codebook`), and
all rows have SGCS by sub-band beside that by subcarrier.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy import metrics
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import read_csi
from csideploy.channels.generate import generate
from csideploy.directions import cosines
from csideploy.errors import InputError
from csideploy.evaluate_codebook import NAME as ETYPE2
from csideploy.evaluate_codebook import etype2_left_out, etype2_rows
from csideploy.feedback import check_shape
from csideploy.link_export import Wanted, make_package
from csideploy.link_source import Bits, LinkSource, from_checkpoint, from_zoo
from csideploy.onnx_oracle import Oracle
from csideploy.package import MANIFEST, LinkPackage, open_package
from csideploy.payload import Layout
from csideploy.progress import Advance, quiet
from csideploy.report import footprint
from csideploy.subbands import subband_directions

SCENARIOS = {"indoor": 20, "outdoor": 4, "rayleigh": 1}
"""Generated channels, and samples that share an environment."""

FILE_BLOCK = 20
"""Samples of a file that may share an environment."""

CHUNK = 250
_RESAMPLES = 1000
_SPREAD_SAMPLES = 2000
_COMBINATIONS = 8
"""Of eType II: what a bar of progress expects."""


@dataclass(frozen=True)
class Channels:
    """What all systems are measured on: complex64 (n, angle, delay), n a multiple of `block`.

    `drawn`: scenario and seed of generated ones.
    """

    h: NDArray[np.complex64]
    block: int
    description: str
    drawn: tuple[str, int] | None = None


def channels(channel: str, samples: int, *, seed: int) -> Channels:
    """Generated channels, or those of a CSI file.

    Args:
        channel: a scenario's name, or a file.
        samples: at most so many; rounded up to whole environments.
        seed: of generated channels.

    Raises:
        InputError: neither a scenario nor a file, or fewer than two environments.
    """
    block = SCENARIOS.get(channel, FILE_BLOCK)
    wanted = -(-samples // block) * block
    if channel in SCENARIOS:
        made = generate(channel, wanted, seed=seed).H.astype(np.float32)
        h = (made[:, 0] + 1j * made[:, 1]).astype(np.complex64)
        description = f"{wanted} generated {channel} samples, seed {seed}"
    elif Path(channel).is_file():
        h = read_csi(Path(channel)).h[:wanted].astype(np.complex64)
        h = h[: len(h) // block * block]
        description = f"{len(h)} samples of {channel}"
    else:
        raise InputError(
            f"--channel {channel}: no such file, and no scenario ({', '.join(SCENARIOS)})"
        )
    if len(h) < 2 * block:
        raise InputError(f"{description}: at least {2 * block} are needed for an interval")
    return Channels(h, block, description, (channel, seed) if channel in SCENARIOS else None)


def evaluate(
    names: list[str],
    *,
    bits: Bits,
    data: Channels,
    seed: int,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Measure systems.

    Args:
        names: each a zoo entry, a system with zoo weights, a link package, a trained run's folder
            or weights file, or "etype2".
        bits: budgets to measure; left open: all that a system has.
        data: channels.
        seed: of the resampling.
        progress: called with samples done and samples in all.

    Returns:
        `rows`, one a system and budget, by payload bits; `channels`, what they were measured on;
        `warnings`, one for each system that was trained on these very channels; `left_out`, why
        combinations of eType II have no row.
        Rows of eType II have no NMSE, as it sends directions without scale or phase.

    Raises:
        InputError: a name is none of these, or has none of the budgets.
    """
    links = []
    rows: list[dict[str, Any]] = []
    directions = subband_directions(data.h) if ETYPE2 in names else None
    with tempfile.TemporaryDirectory(prefix="csideploy-") as folder:
        for index, name in enumerate(name for name in names if name != ETYPE2):
            package = _package(name, bits, Path(folder) / str(index))
            if not package.layouts:
                raise InputError(f"{name} has float features and so no payload to measure it by")
            budgets = [b for b in package.layouts if _asked(package, b, bits)]
            lacking = set(bits.numbers) - {package.bits_of(layout) for layout in budgets}
            if lacking:
                raise InputError(f"{name} has {package.budgets} bits a feature, not --bits {bits}")
            links.append((name, package, budgets))
        if bits.given and not links:
            raise InputError(f"{ETYPE2} has combinations, no budgets: leave --bits out")
        of_codebook = 0 if directions is None else _COMBINATIONS
        total = len(data.h) * (sum(len(budgets) for _, _, budgets in links) + of_codebook)
        done = 0
        for name, package, budgets in links:
            spread = _spread(package, data)
            for layout in budgets:
                quality = _Quality(data, seed, directions)
                for start, h_hat in _received(package, layout, data.h):
                    quality.add(start, h_hat)
                    done += len(h_hat)
                    progress(done, total)
                about = {"system": _title(name), **_cost(package, layout)}
                rows.append({**about, **quality.figures(), "spread": spread})
    if directions is not None:
        for about, values in etype2_rows(data.h, directions):
            rows.append({**_NO_BUNDLE, **about, **_figures(data, seed, _DIRECTED, values)})
            done += len(data.h)
            progress(min(done, total), total)
    rows.sort(key=lambda row: (row["payload_bits"], row["sgcs"]))
    return {
        "channels": data.description,
        "interval": "95 %, environments resampled",
        "warnings": [
            f"{name} was trained on {data.drawn[0]} channels of seed {data.drawn[1]}, which these "
            "are too: no test; give another --seed"
            for name, package, _ in links
            if data.drawn is not None and _trained_on(package) == data.drawn
        ],
        "left_out": [] if directions is None else etype2_left_out(data.h.shape[1]),
        "rows": rows,
    }


def _trained_on(package: LinkPackage) -> tuple[str, int] | None:
    """Scenario and seed of generated training data, as the card says."""
    about = package.manifest.get("provenance") or {}
    made = (about.get("card") or about).get("data") or {}
    scenario, seed = made.get("scenario"), made.get("seed")
    return (scenario, seed) if isinstance(scenario, str) and type(seed) is int else None


def _title(name: str) -> str:
    """A run's folder or a package by its last name."""
    return Path(name).name or name


def _asked(package: LinkPackage, layout: Layout, bits: Bits) -> bool:
    return not bits.given or package.bits_of(layout) in bits.numbers


def _package(name: str, bits: Bits, folder: Path) -> LinkPackage:
    path = Path(name)
    if (path / MANIFEST).is_file():
        return open_package(path)
    if path.exists():
        source = from_checkpoint(path)
    else:
        source = from_zoo(name, cr=None, bits=_own_bits(bits, name), binarize=None)
    budgets = Bits(tuple(_budgets(source, bits)), given=True) if source.codebooks else Bits()
    wanted_package = Wanted(
        model=None,
        cr=None,
        bits=budgets,
        binarize=None,
        emit=frozenset({"onnx", "bundle"}),
        inline=False,
        seed=0,
    )
    make_package(source, wanted_package, folder)
    return open_package(folder)


def _own_bits(bits: Bits, name: str) -> Bits:
    """A system's name with budgets picks the entry that has them; an entry's own needs none."""
    from csideploy import registry

    return bits if name in registry.SYSTEMS else Bits()


def _budgets(source: LinkSource, bits: Bits) -> list[int]:
    has = sorted(source.codebooks)
    wanted = [b for b in has if not bits.given or b in bits.numbers]
    if set(bits.numbers) - set(wanted):
        raise InputError(f"{source.system} has budgets {has}, not --bits {bits}")
    return wanted


def _received(
    package: LinkPackage, layout: Layout, h: NDArray[np.complex64]
) -> Iterator[tuple[int, NDArray[np.complexfloating]]]:
    """(first sample, what the BS makes of the payloads), chunk by chunk."""
    ue, bs = package.open_side("ue", layout), package.open_side("bs", layout)
    check_shape(h.shape, ue.inputs[0].shape)
    outputs = [output.name for output in ue.outputs]
    for start in range(0, len(h), CHUNK):
        x, _ = to_input(h[start : start + CHUNK])
        payload = ue.run(x)[outputs.index("payload")]
        yield start, from_input(bs.run(payload)[0])


class _Quality:
    """NMSE, SGCS and rho by environment, and SGCS by sub-band if there are directions."""

    def __init__(
        self, data: Channels, seed: int, directions: NDArray[np.complex64] | None = None
    ) -> None:
        self.data = data
        self.seed = seed
        self.directions = directions
        self.values: list[NDArray[np.float64]] = []

    def add(self, start: int, h_hat: NDArray[np.complexfloating]) -> None:
        """One chunk of estimates, each on the scale of unit maximum."""
        reference = self.data.h[start : start + len(h_hat)]
        unit = reference / np.abs(reference).max(axis=(1, 2), keepdims=True)
        values = metrics.by_sample(unit, h_hat)
        if self.directions is not None:
            own = self.directions[start : start + len(h_hat)]
            by_band = cosines(own, subband_directions(h_hat))[:, 0].mean(axis=1)
            values = np.concatenate([values, by_band[None]])
        self.values.append(values)

    def figures(self) -> dict[str, Any]:
        """Means and their intervals."""
        values = np.concatenate(self.values, axis=1)
        return _figures(self.data, self.seed, _RECONSTRUCTED[: len(values)], values)


_RECONSTRUCTED = ("nmse", "sgcs", "rho", "sgcs_subband")
_DIRECTED = ("sgcs", "rho", "sgcs_subband")
_NO_BUNDLE: dict[str, Any] = {
    "bits": None,
    "nmse_db": None,
    "nmse_db_interval": None,
    "ue_bundle_bytes": None,
    "ue_memory_bytes": None,
    "ue_macs": None,
    "spread": [],
}
"""What a codebook has none of."""


def _figures(
    data: Channels, seed: int, names: tuple[str, ...], values: NDArray[np.float64]
) -> dict[str, Any]:
    """Means of quantities (m, n) by their names, and intervals of all but rho."""
    blocks = values.reshape(len(values), -1, data.block).mean(axis=2)
    random = np.random.default_rng(seed)
    drawn = random.integers(0, blocks.shape[1], size=(_RESAMPLES, blocks.shape[1]))
    low, high = np.quantile(blocks[:, drawn].mean(axis=2), [0.025, 0.975], axis=1)
    made: dict[str, Any] = {"samples": values.shape[1]}
    for name, mean, *ends in zip(names, values.mean(axis=1), low, high, strict=True):
        if name == "nmse":
            made["nmse_db"] = round(metrics.to_db(float(mean)), 3)
            made["nmse_db_interval"] = [round(metrics.to_db(float(end)), 3) for end in ends]
            continue
        made[name] = round(float(mean), 5)
        if name != "rho":
            made[f"{name}_interval"] = [round(float(end), 5) for end in ends]
    return made


def _cost(package: LinkPackage, layout: Layout) -> dict[str, Any]:
    """A budget, and what the UE pays for it."""
    stems = package.stems("ue", layout)
    bundles = [package.read(package.name_of(stem, "csib")) for stem in stems]
    ue = footprint.of_bundles(bundles)["sides"]["ue"]
    return {
        "bits": package.bits_of(layout),
        "payload_bits": layout.payload_bits,
        "ue_bundle_bytes": ue["bundle_bytes"],
        "ue_memory_bytes": ue["memory_bytes"],
        "ue_macs": ue["macs"],
    }


def _spread(package: LinkPackage, data: Channels) -> list[float]:
    """Standard deviation of each encoder output over their mean, falling (paper 001, Fig. 2)."""
    if "ue.onnx" not in package.manifest["files"]:
        return []
    x, _ = to_input(data.h[:_SPREAD_SAMPLES])
    oracle = Oracle(package.read("ue.onnx"), name="ue.onnx", expose=("feature",))
    made = oracle.run(x)
    if "feature" not in made:
        return []
    sigma = np.sort(made["feature"].std(axis=0))[::-1]
    return [round(float(value), 4) for value in sigma / sigma.mean()]
