"""`evaluate` on channels of a panel: SGCS against bits, eType II and principal components.

Both send the strongest directions of every sub-band. eType II is measured on what comes back from
the bits that its search made; its payload is what has to be reserved (coefficients at their cap),
and the mean of what was sent stands beside. Principal components are fitted on the first part of
the samples and get as many bits as eType II reserves. Samples are users of their own, so that
intervals resample samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.etype2 import COMBINATIONS, Codebook, precoders
from csideploy.baselines.etype2_payload import pack, unpack
from csideploy.baselines.etype2_search import search, search_flops
from csideploy.baselines.pca_ports import ENOUGH, PrincipalDirections
from csideploy.channels.panel_file import PanelChannels
from csideploy.directions import cosines, eigenvectors
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet

SYSTEMS = ("etype2", "pca-ports")
FIT_SHARE = 0.8
"""Of the samples, for what is fitted; the rest is measured on."""
INTERVAL = "95 %, samples resampled"

_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class EType2:
    """What became of directions: `v` complex64 (n, rank, units, ports), bits of each (n,)."""

    v: NDArray[np.complex64]
    bits: NDArray[np.int64]


def combinations(n1: int, n2: int, rank: int, units: int) -> tuple[list[Codebook], list[str]]:
    """All combinations that the standard allows there, in order, and why others are left out.

    Raises:
        InputError: there is none.
    """
    found, why = [], []
    for combination in COMBINATIONS:
        try:
            found.append(Codebook(combination, n1, n2, rank, units))
        except InputError as error:
            why.append(str(error))
    if not found:
        raise InputError(why[0])
    return found, why


def send_etype2(
    codebook: Codebook, v: NDArray[np.complexfloating], *, progress: Advance = quiet
) -> EType2:
    """Search, bits, and the precoders that the bits alone stand for; arguments as `search`."""
    payload, bits = pack(codebook, search(codebook, v, progress=progress))
    return EType2(precoders(codebook, unpack(codebook, payload)), bits)


def evaluate_panel(
    names: list[str],
    *,
    data: PanelChannels,
    rank: int = 1,
    seed: int,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Measure.

    Args:
        names: of `SYSTEMS`.
        data: channels.
        rank: layers, 1 to 4.
        seed: of the resampling.
        progress: called with hundredths done and in all, a hundred for each row, the directions
            and the fit.

    Returns:
        As `evaluate.evaluate`; a row's `sgcs` is the mean over layers, `sgcs_layers` has each;
        `mean_bits`, what was sent on average; `nmse_db` is null, as directions have no scale and no
        phase; `note`, what else has to be known, or null. `left_out`: combinations without a row,
        and why. `notes`: what goes below a table.

    Raises:
        InputError: another name, a rank that the channel has not, too few samples, or a panel that
            the standard does not have.
    """
    for name in names:
        if name not in SYSTEMS:
            raise InputError(f"{name} is not measured on a panel's channels: {', '.join(SYSTEMS)}")
    with_pca = "pca-ports" in names
    try:
        books, left_out = combinations(data.panel.n1, data.panel.n2, rank, data.h.shape[1])
        fitted = _fitted(len(data.h), books) if with_pca else 0
        if len(data.h) - fitted < 2:
            raise InputError("at least 2 samples are needed to measure on")
        steps = _Steps(progress, 1 + with_pca + len(books) * len(set(names)))
        v = eigenvectors(data.h, rank, progress=steps.within)
    except InputError as error:
        raise InputError(f"{data.description}: {error}") from None
    steps.end()
    test = v[fitted:]
    rows = _components(v[:fitted], test, books, seed, steps) if with_pca else []
    if "etype2" in names:
        for book in books:
            sent = send_etype2(book, test, progress=steps.within)
            quality = _quality(cosines(test, sent.v).mean(axis=2), seed)
            rows.append({**about_etype2(book, sent.bits), **quality})
            steps.end()
    rows = [{**_EMPTY, "rank": rank, **row} for row in rows]
    rows.sort(key=lambda row: (row["payload_bits"], row["sgcs"]))
    part = f"; the first {fitted} fitted on, {len(test)} measured" if fitted else ""
    return {
        "channels": f"{data.description}{part}, rank {rank}",
        "interval": INTERVAL,
        "rank": rank,
        "fitted_samples": fitted or None,
        "left_out": left_out,
        "notes": [_TOO_FEW.format(fitted=fitted)] if 0 < fitted < ENOUGH else [],
        "rows": rows,
    }


class _Steps:
    """Tells how far the work is, a hundred for each of its steps."""

    def __init__(self, progress: Advance, steps: int) -> None:
        self._progress, self._steps, self._done = progress, steps, 0
        self.within(0, 1)

    def within(self, done: int, total: int) -> None:
        """Parts of the step that is under way."""
        self._progress(100 * self._done + 100 * done // total, 100 * self._steps)

    def end(self) -> None:
        """The step is done."""
        self._done += 1
        self.within(0, 1)


_TOO_FEW = (
    "* pca-ports was fitted on {fitted} samples only, and its SGCS is understated: about "
    f"{ENOUGH:,} to fit on are right, {ENOUGH / FIT_SHARE:,.0f} in all."
)


def _components(
    fitted: NDArray[np.complex64],
    test: NDArray[np.complex64],
    books: list[Codebook],
    seed: int,
    steps: _Steps,
) -> list[dict[str, Any]]:
    """Rows of principal components, with the bits of every codebook."""
    coder = PrincipalDirections.fit(fitted, progress=steps.within)
    steps.end()
    size = int(np.prod(test.shape[1:])) * 2
    rows = []
    for book in books:
        coded = coder.code(test, book.payload_bits())
        rows.append(
            {
                "system": "pca-ports",
                "combination": None,
                "payload_bits": coded.bits,
                "mean_bits": float(coded.bits),
                **_quality(cosines(test, coded.v).mean(axis=2), seed),
                "ue_memory_bytes": 4 * size * (coded.used + 1),
                "ue_macs": size * coded.used,
                "search_flops": 2 * size * coded.used,
                "note": f"fitted on {len(fitted)}" if len(fitted) < ENOUGH else None,
            }
        )
        steps.end()
    return rows


def _fitted(samples: int, books: list[Codebook]) -> int:
    """How many of the samples are fitted on.

    Raises:
        InputError: too few for the longest payload.
    """
    bits = max(book.payload_bits() for book in books)
    to_fit = PrincipalDirections.least_samples(bits)

    def enough(number: int) -> bool:
        own = int(FIT_SHARE * number)
        return own >= to_fit and number - own >= 2

    if enough(samples):
        return int(FIT_SHARE * samples)
    needed = next(number for number in count(to_fit) if enough(number))
    raise InputError(
        f"pca-ports at {bits} bits needs {needed} samples, 80 % of them to fit on; "
        f"{ENOUGH / FIT_SHARE:,.0f} are right. Give more, or leave pca-ports out"
    )


_EMPTY: dict[str, Any] = {
    "bits": None,
    "nmse_db": None,
    "nmse_db_interval": None,
    "rho": None,
    "spread": [],
    "ue_bundle_bytes": None,
    "ue_memory_bytes": None,
    "ue_macs": None,
    "note": None,
}


def about_etype2(codebook: Codebook, bits: NDArray[np.int64]) -> dict[str, Any]:
    """What a row says beside quality."""
    return {
        "system": "etype2",
        "combination": codebook.combination,
        "payload_bits": codebook.payload_bits(),
        "mean_bits": round(float(bits.mean()), 1),
        "search_flops": search_flops(codebook),
    }


def _quality(values: NDArray[np.float64], seed: int) -> dict[str, Any]:
    """Of squared cosines (n, layers)."""
    means = values.mean(axis=1)
    random = np.random.default_rng(seed)
    drawn = means[random.integers(0, len(means), (_RESAMPLES, len(means)))].mean(axis=1)
    return {
        "samples": len(values),
        "sgcs": round(float(means.mean()), 5),
        "sgcs_interval": [round(float(x), 5) for x in np.quantile(drawn, [0.025, 0.975])],
        "sgcs_layers": [round(float(x), 5) for x in values.mean(axis=0)],
    }
