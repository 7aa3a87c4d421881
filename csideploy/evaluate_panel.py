"""`evaluate` on channels of a panel: SGCS against bits, eType II and principal components.

Both send the strongest directions of every sub-band. eType II is measured on what comes back from
the bits that its search made; its payload is what has to be reserved (coefficients at their cap),
and the mean of what was sent stands beside. Principal components are fitted on the first part of
the samples and get as many bits as eType II reserves. Samples are users of their own, so that
intervals resample samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.etype2 import COMBINATIONS, Codebook, precoders
from csideploy.baselines.etype2_payload import pack, unpack
from csideploy.baselines.etype2_search import search, search_flops
from csideploy.baselines.pca_ports import PrincipalDirections
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


def codebooks(n1: int, n2: int, rank: int, units: int) -> list[Codebook]:
    """All combinations that the standard allows there, in order.

    Raises:
        InputError: none.
    """
    found, why = [], None
    for combination in COMBINATIONS:
        try:
            found.append(Codebook(combination, n1, n2, rank, units))
        except InputError as error:
            why = error
    if not found and why is not None:
        raise why
    return found


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
        progress: called with rows done and in all.

    Returns:
        As `evaluate.evaluate`; a row's `sgcs` is the mean over layers, `sgcs_layers` has each;
        `mean_bits`, what was sent on average; `nmse_db` is null, as directions have no scale and no
        phase.

    Raises:
        InputError: another name, a rank that the channel has not, too few samples, or a panel that
            the standard does not have.
    """
    for name in names:
        if name not in SYSTEMS:
            raise InputError(f"{name} is not measured on a panel's channels: {', '.join(SYSTEMS)}")
    books = codebooks(data.panel.n1, data.panel.n2, rank, data.h.shape[1])
    v = eigenvectors(data.h, rank)
    fitted = int(FIT_SHARE * len(v)) if "pca-ports" in names else 0
    if len(v) - fitted < 2 or fitted == 1:
        raise InputError(f"{data.description}: 10 are needed, 2 to measure and 8 to fit on")
    test = v[fitted:]
    rows: list[dict[str, Any]] = []
    total = len(books) * len(names) + ("pca-ports" in names)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    if "pca-ports" in names:
        coder = PrincipalDirections.fit(v[:fitted])
        step()
        for book in books:
            coded = coder.code(test, book.payload_bits())
            size = int(np.prod(v.shape[1:])) * 2
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
                }
            )
            step()
    if "etype2" in names:
        for book in books:
            sent = send_etype2(book, test)
            rows.append(
                {
                    **about_etype2(book, sent.bits),
                    **_quality(cosines(test, sent.v).mean(axis=2), seed),
                }
            )
            step()
    rows = [{**_EMPTY, "rank": rank, **row} for row in rows]
    rows.sort(key=lambda row: (row["payload_bits"], row["sgcs"]))
    part = f"; the first {fitted} fitted on, {len(test)} measured" if fitted else ""
    return {
        "channels": f"{data.description}{part}, rank {rank}",
        "interval": INTERVAL,
        "rank": rank,
        "rows": rows,
    }


_EMPTY: dict[str, Any] = {
    "bits": None,
    "nmse_db": None,
    "nmse_db_interval": None,
    "rho": None,
    "spread": [],
    "ue_bundle_bytes": None,
    "ue_memory_bytes": None,
    "ue_macs": None,
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
