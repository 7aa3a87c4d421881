"""A trained precoder as the two ONNX files that packages and zoo entries are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.systems.kd_export import export_receiver, export_transmitter
from csideploy.training.precoder_weights import load_precoder


@dataclass(frozen=True)
class ExportedPrecoder:
    """Both sides, and what is known about them.

    Attributes:
        ue: ONNX bytes, y -> codes, payload.
        bs: ONNX bytes, payload, and snr_db where P is an input -> V.
        pilots: (M, L).
        about: system, setup, options, recipe, seed, training; `snr_db`, the P in dB that it was
            trained for: one number, or [least, most].
    """

    ue: bytes
    bs: bytes
    pilots: NDArray[np.complex128]
    about: dict[str, Any]


def export_precoder(path: Path, *, half_weights: bool = False) -> ExportedPrecoder:
    """Export what `csideploy train kd-precoder` wrote.

    Args:
        path: the weights file, or the folder of a finished run.
        half_weights: store large weights as fp16.

    Raises:
        InputError: no such file, or every user has a receiver of its own. FormatError: not a
            precoder's weights.
    """
    precoder, about = load_precoder(path)
    if precoder.options.receivers != "shared":
        raise InputError(
            f"{path}: every user has a receiver of its own; a package has one UE part: train with "
            "--set receivers=shared"
        )
    setup = precoder.setup
    ue = export_receiver(precoder, setup, half_weights=half_weights)
    bs = export_transmitter(precoder, setup, half_weights=half_weights)
    values = about["recipe"]["powers"]["values"]
    trained = float(values[0]) if len(values) == 1 else [float(min(values)), float(max(values))]
    return ExportedPrecoder(
        ue.SerializeToString(),
        bs.SerializeToString(),
        precoder.pilots(),
        {**about, "snr_db": trained},
    )
