"""A file of figures as `evaluate --out` writes it; eType II sends directions, no NMSE."""

from typing import Any


def row(system: str, bits: int, nmse: float | None, sgcs: float | None) -> dict[str, Any]:
    return {
        "system": system,
        "payload_bits": bits,
        "nmse_db": nmse,
        "nmse_db_interval": None if nmse is None else [nmse - 0.4, nmse + 0.5],
        "sgcs": sgcs,
        "sgcs_interval": None if sgcs is None else [sgcs - 0.01, sgcs + 0.005],
    }


QUALITY = {
    "channels": "400 generated indoor samples, seed 20261",
    "interval": "95 %, samples resampled",
    "rows": [
        row("bacrnet10x", 2048, -19.4, 0.988),
        row("pca-cr8", 512, -9.2, 0.892),
        row("pca-cr8", 1024, -13.2, 0.952),
        row("etype2", 62, None, 0.61),
        row("etype2", 328, None, 0.85),
    ],
}
