"""Encoder and precoder in integers. The quantizers stay in fp32: their codewords are the codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from csideploy.calibration import pieces
from csideploy.errors import InputError
from csideploy.onnx_oracle import Arrays
from csideploy.progress import Advance, quiet
from csideploy.quantize import Quantized, quantize_part
from csideploy.transceiver.codebooks import decode, encode
from csideploy.transceiver.parts import Parts

Floats = NDArray[np.float32]

GROUPS = 96
"""Groups of users that the precoder's scales are chosen by."""
USERS = 512
"""Received pilots that the encoder's are chosen by, at most."""
LEAST = 16
LEVEL_DB = -30.0
"""What `--precision auto` judges 8 bits beside: interference that is left at the SNR of 25 dB."""
SNRS_DB = (-5.0, 25.0)
"""Of the calibration's groups."""


@dataclass(frozen=True)
class Integers:
    """A part in integers.

    Attributes:
        data: the QDQ file.
        network: the same, read.
        quantized: how it came about.
    """

    data: bytes
    network: ModelProto
    quantized: Quantized


def quantize_ends(
    parts: Parts,
    y: Floats | None,
    precision: str,
    *,
    seed: int = 7,
    progress: Advance = quiet,
) -> dict[str, Integers]:
    """Encoder ("ue") and precoder ("bs").

    Args:
        parts: in fp32.
        y: received pilots (n, L, 2), as users will hear them.
        precision: "int8" or "auto".
        seed: of groups and of the samples behind the ranges.
        progress: called with parts done and in all.

    Raises:
        InputError: no pilots, or too few.
    """
    if y is None:
        raise InputError(
            f"--precision {precision} needs --calibration F: users whose pilots the encoder's "
            "scales are chosen by"
        )
    length = parts.weights.setup.pilots
    if y.ndim != 3 or y.shape[1:] != (length, 2) or len(y) < LEAST:
        raise InputError(f"calibration pilots {y.shape}: (n, {length}, 2), {LEAST} of them or more")
    rows = np.linspace(0, len(y) - 1, min(USERS, len(y))).astype(int)
    given = {"ue": {"y": np.ascontiguousarray(y[rows])}, "bs": precoder_samples(parts, seed)}
    made = {}
    for number, (stem, arrays) in enumerate(given.items(), 1):
        quantized = quantize_part(
            onnx.load_model_from_string(parts.onnx(stem)),
            pieces(arrays),
            precision=precision,
            seed=seed,
            level_db=LEVEL_DB,
        )
        data = quantized.models[""]
        made[stem] = Integers(data, onnx.load_model_from_string(data), quantized)
        progress(number, len(given))
    return made


def precoder_samples(parts: Parts, seed: int) -> Arrays:
    """What a BS's precoder sees: features of training users through the bits, by name.

    Groups of the most users, each group at a budget and an SNR of its own.
    """
    weights, rng = parts.weights, np.random.default_rng([seed, 11])
    users = parts.max_users
    rows = rng.integers(0, len(weights.features), (GROUPS, users))
    features = weights.features[rows]
    read = np.empty_like(features)
    for group in range(GROUPS):
        bits = parts.bits[group % len(parts.bits)]
        own = weights.regions[rows[group]] if weights.setup.regions > 1 else np.zeros(users, int)
        for region in np.unique(own).tolist():
            books = parts.codebooks[bits, int(region)]
            here = own == region
            read[group, here] = decode(encode(features[group, here], books), books)
    snr_db = rng.uniform(*SNRS_DB, (GROUPS, 1)).astype(np.float32)
    return {"feature": np.ascontiguousarray(read, np.float32), "snr_db": snr_db}
