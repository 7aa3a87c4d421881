"""`evaluate` for precoders: sum rate against P, beside the conventional schemes.

All are measured on the same channels and pilots. What is deployed is measured as deployed: pilots
through the UE's bundle, the payload's bits, the BS's bundle. The conventional schemes run in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from csideploy.baselines.feedback import Distance
from csideploy.downlink.channels import Complex, observe, rayleigh
from csideploy.downlink.rate import user_rates
from csideploy.downlink.request import Sizes
from csideploy.downlink.schemes import BASELINES, Baselines
from csideploy.downlink.setup import Setup
from csideploy.downlink.source import PrecoderSource, as_complex
from csideploy.errors import InputError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.package import MANIFEST, LinkPackage, open_package
from csideploy.progress import Advance, quiet
from csideploy.runtime import Part

CHUNK = 2000

Precode = Callable[[NDArray[np.float32]], Complex]
"""y (n, K, L, N, 2) -> V (n, K, M, N)."""


@dataclass(frozen=True)
class _Candidate:
    """One system at one P.

    Attributes:
        name: as it is shown.
        feedback_bits: of a user, None without bound.
        precode: what it does with pilots.
        pilots: those that it hears.
        about: more for the row.
    """

    name: str
    feedback_bits: int | None
    precode: Precode
    pilots: Complex
    about: dict[str, Any]


def parse_snrs(text: str | None) -> tuple[float, ...]:
    """`--snr`: numbers in dB with commas; 0, 10, 20, 30 if left out.

    Raises:
        InputError: anything else.
    """
    try:
        values = tuple(float(item) for item in (text or "0,10,20,30").split(","))
    except ValueError:
        values = ()
    if not values or not all(-50 <= value <= 80 for value in values):
        raise InputError(f"--snr {text}: numbers in dB with commas, such as 0,10,20,30")
    if len(set(values)) != len(values):
        raise InputError(f"--snr {text}: a value stands there twice")
    return tuple(sorted(values))


def setups(names: list[str], sizes: Sizes, users: tuple[int, ...]) -> list[Setup]:
    """What to measure: one set-up for each number of users.

    Sizes that were not asked for are those of the first package, run or zoo entry named.

    Raises:
        InputError: sizes that do not go together.
    """
    if users:
        return [Sizes({**sizes.asked, "users": k}).setup() for k in users]
    for name in names:
        if name in BASELINES:
            continue
        own = _own_setup(name, sizes)
        if own is not None:
            return [own]
    return [sizes.setup()]


def _own_setup(name: str, sizes: Sizes) -> Setup | None:
    from csideploy import zoo
    from csideploy.downlink.trained_codewords import is_codewords, load_codewords
    from csideploy.training import load_precoder

    path = Path(name)
    if (path / MANIFEST).is_file():
        return Setup(**open_package(path).manifest["setup"])
    if path.exists() and is_codewords(path):
        return load_codewords(path).setup
    if path.exists():
        return Setup(**load_precoder(path)[1]["setup"])
    for entry in zoo.precoder_entries():
        fits = all(entry.card["setup"].get(key) == value for key, value in sizes.asked.items())
        if name in (entry.path.name, entry.card["system"]) and fits:
            return Setup(**entry.card["setup"])
    return None


def evaluate_precoders(
    names: list[str],
    setup: Setup,
    *,
    snrs: tuple[float, ...],
    samples: int,
    seed: int,
    distance: Distance | None = None,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Measure precoders.

    Args:
        names: baselines (`schemes.BASELINES`), packages, folders of trained runs, zoo entries,
            `kd-precoder` for all its zoo entries. A name that is no baseline brings all of them.
        setup: sizes; those of packages and weights must be these.
        snrs: P in dB.
        samples: channels of all users together.
        seed: of channels, noise, codebooks.
        distance: of the baselines' codewords; None: chordal, and rank1-rzf with both.
        progress: called with systems done and systems in all.

    Returns:
        `rows`: name (as it was asked for), system, snr_db, sum_rate, sum_rate_interval (95 %),
        `margin` and `margin_interval` over the better rank1-rzf at this P (paired), bits and sizes;
        `best`: for each P the best system with bounded feedback.

    Raises:
        InputError: a name is none of these, or has other sizes.
    """
    if samples < 100:
        raise InputError(f"--samples {samples}: at least 100 for an interval")
    baselines = Baselines(setup, seed=seed, progress=progress)
    trained = [name for name in names if name not in BASELINES]
    wanted = names if not trained else [*trained, *BASELINES]
    rng = np.random.default_rng([seed, 6])
    h = rayleigh(setup, samples, rng)
    noise_seed = int(rng.integers(1 << 32))
    rows: list[dict[str, Any]] = []
    systems = len(wanted) * len(snrs)
    heard: dict[bytes, NDArray[np.float32]] = {}
    asked: dict[str, str] = {}
    for number, snr in enumerate(snrs):
        power = 10 ** (snr / 10)
        measured: dict[str, tuple[_Candidate, NDArray[np.float64]]] = {}
        for place, name in enumerate(wanted):
            for one in _candidates(name, baselines, snr, distance):
                y = _pilots(setup, h, one.pilots, noise_seed, heard)
                measured[one.name] = (one, _rates(h, y, one.precode, power))
                asked[one.name] = name
            progress(number * len(wanted) + place + 1, systems)
        rows += [{"name": asked[row["system"]], **row} for row in _rows(measured, snr)]
    shown = {row["name"] for row in rows}
    for name in trained:
        if name not in shown:
            raise InputError(
                f"{name}: nothing of these sizes ({setup}) that was made for P of "
                f"{', '.join(f'{snr:g}' for snr in snrs)} dB"
            )
    return {
        "setup": setup.describe(),
        "channels": f"{samples} i.i.d. Rayleigh channels, seed {seed}: {setup}",
        "rows": rows,
        "best": _best(rows),
    }


def _pilots(
    setup: Setup,
    h: Complex,
    pilots: Complex,
    seed: int,
    heard: dict[bytes, NDArray[np.float32]],
) -> NDArray[np.float32]:
    """What users hear; the same noise for all systems, made once for each kind of pilots."""
    key = np.asarray(pilots, np.complex128).tobytes()
    if key not in heard:
        heard[key] = observe(setup, h, pilots, np.random.default_rng(seed))
    return heard[key]


def _rates(
    h: Complex, y: NDArray[np.float32], precode: Precode, power: float
) -> NDArray[np.float64]:
    """Sum rate of each sample."""
    parts = []
    for start in range(0, len(h), CHUNK):
        at = slice(start, start + CHUNK)
        parts.append(user_rates(h[at], precode(y[at]), power).sum(axis=1))
    return np.concatenate(parts)


def _candidates(
    name: str, baselines: Baselines, snr: float, distance: Distance | None
) -> list[_Candidate]:
    setup = baselines.setup
    if name in BASELINES:
        both: tuple[Distance, ...] = ("chordal", "sinr") if name == "rank1-rzf" else ("chordal",)
        found = []
        for chosen in both if distance is None else (distance,):
            scheme = baselines.scheme(name, 10 ** (snr / 10), chosen)
            about = {"regularization": scheme.loading, "conventional": True}
            found.append(
                _Candidate(
                    scheme.name, scheme.feedback_bits, scheme.precode, baselines.pilots, about
                )
            )
        return found
    path = Path(name)
    if (path / MANIFEST).is_file():
        return _of_package(open_package(path), name, setup, snr)
    sources = _sources(name, setup, snr)
    return [_of_source(source, label, setup) for source, label in sources]


def _sources(name: str, setup: Setup, snr: float) -> list[tuple[PrecoderSource, str]]:
    """Trained precoders of a name for one P; none where they were trained for others."""
    from csideploy import zoo
    from csideploy.downlink.source import (
        exported,
        from_checkpoint,
        from_export,
        from_zoo,
        trained_for,
    )
    from csideploy.downlink.trained_codewords import is_codewords

    if is_codewords(Path(name)):
        source = from_checkpoint(Path(name), None)
        return [(source, name)] if source.snr_db == snr else []
    if Path(name).exists():
        made = exported(Path(name))
        fits = trained_for(made.about["snr_db"], snr)
        return [(from_export(made, Path(name), snr), name)] if fits else []
    found = []
    for entry in zoo.precoder_entries():
        own = Setup(**entry.card["setup"])
        if name not in (entry.path.name, entry.card["system"]):
            continue
        if name == entry.path.name and own != setup:
            raise InputError(f"{name} is for {own}; asked for is {setup}")
        if own == setup and trained_for(entry.card["snr_db"], snr):
            found.append((from_zoo(entry.path.name, snr), entry.path.name))
    known = {entry.path.name for entry in zoo.precoder_entries()} | {"kd-precoder"}
    if name not in known:
        raise InputError(
            f"{name!r}: no baseline ({', '.join(BASELINES)}), package, trained run or zoo entry"
        )
    return found


def _of_package(package: LinkPackage, name: str, setup: Setup, snr: float) -> list[_Candidate]:
    if not package.is_precoder:
        raise InputError(f"{name} is a package of CSI feedback; --snr measures precoders")
    manifest = package.manifest
    own = Setup(**manifest["setup"])
    if own != setup:
        raise InputError(f"{name} is for {own}; asked for is {setup}")
    if manifest["snr_db"] != snr:
        return []
    from csideploy.downlink.validate import golden_vectors

    pilots = golden_vectors(package, own)["pilots"]
    ue, bs = package.open_part("ue"), package.open_part("bs")
    sizes = [len(package.open_bundle(side)) for side in ("ue", "bs")]
    about = {
        "ue_bundle_bytes": sizes[0],
        "bs_bundle_bytes": sizes[1],
        "conventional": False,
        "network": manifest["system"] == "kd-precoder",
    }
    return [_Candidate(name, own.bits, _through(ue, bs, own), pilots, about)]


def _of_source(source: PrecoderSource, name: str, setup: Setup) -> _Candidate:
    if source.setup != setup:
        raise InputError(f"{name} is for {source.setup}; asked for is {setup}")
    plans = [
        source.native_plan()
        if data is None
        else compile_model(onnx.load_model_from_string(data), part=side, side=side)
        for side, data in (("ue", source.ue), ("bs", source.bs))
    ]
    bundles = [write_bundle(plan) for plan in plans]
    ue, bs = (Part(bundle) for bundle in bundles)
    about = {
        "ue_bundle_bytes": len(bundles[0]),
        "bs_bundle_bytes": len(bundles[1]),
        "conventional": False,
        "network": source.bs is not None,
    }
    return _Candidate(name, setup.bits, _through(ue, bs, setup), source.pilots, about)


def _through(ue: Part, bs: Part, setup: Setup) -> Precode:
    def precode(y: NDArray[np.float32]) -> Complex:
        payload = ue.run(y.reshape(-1, *y.shape[2:]))[-1]
        (v,) = bs.run(payload.reshape(len(y), setup.users, -1))
        return as_complex(v)

    return precode


def _rows(
    measured: dict[str, tuple[_Candidate, NDArray[np.float64]]], snr: float
) -> list[dict[str, Any]]:
    simple = [rates for name, (_, rates) in measured.items() if name.startswith("rank1-rzf (")]
    beside = max(simple, key=lambda rates: float(rates.mean()), default=None)
    rows = []
    for name, (one, rates) in measured.items():
        row = {
            "system": name,
            "snr_db": snr,
            "feedback_bits": one.feedback_bits,
            "sum_rate": float(rates.mean()),
            "sum_rate_interval": _interval(rates),
            **one.about,
        }
        if beside is not None:
            row["margin"] = float((rates - beside).mean())
            row["margin_interval"] = _interval(rates - beside)
        rows.append(row)
    return rows


def _interval(values: NDArray[np.float64]) -> list[float]:
    """95 %: channels are independent."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return [float(values.mean() - half), float(values.mean() + half)]


def _best(rows: list[dict[str, Any]]) -> dict[str, str]:
    """For each P the best system whose feedback has a bound."""
    best: dict[float, dict[str, Any]] = {}
    for row in rows:
        if row["feedback_bits"] is None:
            continue
        before = best.get(row["snr_db"])
        if before is None or row["sum_rate"] > before["sum_rate"]:
            best[row["snr_db"]] = row
    return {f"{snr:g}": row["system"] for snr, row in best.items()}
