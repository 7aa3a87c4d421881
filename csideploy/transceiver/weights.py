"""A trained transceiver as numbers: what gets deployed, without torch.

The file (`weights.safetensors`) holds float32 arrays under torch's names (`pilot`, `extractor.*`,
`graph.*`, `tiers.books.N`), and of the training users `usage.N`, how often each codeword was
chosen, and `sample.features` with `sample.regions`, features from which codebooks of other sizes
are fitted at export. In the zoo the large matrices of extractor and graph are float16
(`tensor_file.half_matrices`); they are float32 from `read_weights` on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError
from csideploy.outputs import file_aside
from csideploy.tensor_file import from_bytes, half_matrices, to_bytes
from csideploy.transceiver.setup import Setup
from csideploy.weights_header import KEY, WEIGHTS

SYSTEM = "rvq-egat"
PAPER = (
    "Scalable Transceiver Design for Multi-User Communication in FDD Massive MIMO Systems via Deep "
    "Learning"
)
SAMPLE = 4096
"""Features kept of the training users; a tier of 1024 codewords then has 4 for each."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """Pilots, extractor, codebooks and precoder.

    Attributes:
        setup: sizes.
        widths: of the networks, as `systems.rvq_egat.Widths` describes itself.
        state: arrays by torch's names.
        usage: of each tier (R, 2^b_n), how often a training user chose the codeword.
        features: (n, D), of training users; regions (n,) beside them.
        regions: uint8 (n,).
        about: recipe, data, training, seed, command, metrics.
    """

    setup: Setup
    widths: dict[str, Any]
    state: dict[str, Floats]
    usage: tuple[Floats, ...]
    features: Floats
    regions: NDArray[np.uint8]
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def pilots(self) -> NDArray[np.complex64]:
        """Complex (M, L), unit columns: |x_l|^2 = P over P (eq. 9)."""
        pilot = self.state["pilot"].astype(np.float64)
        pilot = pilot / np.sqrt(np.sum(pilot**2, axis=(0, 2), keepdims=True))
        made: NDArray[np.complex64] = (pilot[..., 0] + 1j * pilot[..., 1]).astype(np.complex64)
        return made

    def codebooks(self, region: int = 0) -> list[Floats]:
        """Tiers of a region, (2^b_n, D) each.

        Raises:
            InputError: no such region.
        """
        if not 0 <= region < self.setup.regions:
            raise InputError(f"region {region}: there are 0 to {self.setup.regions - 1}")
        return [self.state[f"tiers.books.{n}"][region] for n in range(len(self.setup.tiers))]


def save_weights(path: Path, weights: Weights) -> None:
    """Write the file, aside and then renamed.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    with file_aside(path) as file:
        file.write(weights_bytes(weights))


def weights_bytes(weights: Weights, *, half: bool = False) -> bytes:
    """The bytes of the file; `half`: large matrices in float16, as the zoo has them."""
    tensors = dict(weights.state)
    tensors |= {f"usage.{n}": counts for n, counts in enumerate(weights.usage)}
    tensors["sample.features"] = weights.features
    tensors["sample.regions"] = weights.regions.astype(np.float32)
    about = {
        "system": SYSTEM,
        "setup": weights.setup.describe(),
        "widths": weights.widths,
        **weights.about,
    }
    return to_bytes(half_matrices(tensors) if half else tensors, {KEY: json.dumps(about)})


def load_weights(path: Path) -> Weights:
    """Read a weights file, or that in the folder of a finished run.

    Raises:
        InputError: no such file. FormatError: not a transceiver's weights of ours.
    """
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        hint = " (a run that has not finished?)" if (path / "checkpoint.pt").is_file() else ""
        raise InputError(f"no weights at {file}{hint}")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise FormatError(f"{file}: not a safetensors file of weights") from error
    return read_weights(data, file)


def read_weights(data: bytes, file: Path = Path(WEIGHTS)) -> Weights:
    """Weights from the bytes of a file, float32 or in part float16.

    Args:
        data: what `weights_bytes` makes.
        file: named in errors.

    Raises:
        FormatError: not a transceiver's weights of ours.
    """
    try:
        tensors, metadata = from_bytes(data)
        about = json.loads(metadata.get(KEY, "null"))
    except (FormatError, ValueError) as error:
        raise FormatError(f"{file}: not a safetensors file of weights") from error
    if not isinstance(about, dict) or about.get("system") != SYSTEM:
        raise FormatError(
            f"{file}: not the weights of {SYSTEM}; `csideploy train {SYSTEM}` writes them"
        )
    return _checked(file, tensors, about)


def _checked(file: Path, tensors: dict[str, Floats], about: dict[str, Any]) -> Weights:
    try:
        setup = Setup(**about.pop("setup"))
        widths = dict(about.pop("widths"))
        tiers = range(len(setup.tiers))
        usage = tuple(tensors.pop(f"usage.{n}") for n in tiers)
        features = tensors.pop("sample.features")
        regions = tensors.pop("sample.regions").astype(np.uint8)
        for n, bits in enumerate(setup.tiers):
            shape = (setup.regions, 1 << bits, setup.feature)
            if tensors[f"tiers.books.{n}"].shape != shape or usage[n].shape != shape[:2]:
                raise InputError(f"tier {n + 1} is not {shape}")
        if tensors["pilot"].shape != (setup.antennas, setup.pilots, 2):
            raise InputError("pilots of another size")
        if features.shape[1:] != (setup.feature,) or regions.shape != features.shape[:1]:
            raise InputError("features of another size")
        for name, values in tensors.items():
            if not np.isfinite(values).all():
                raise InputError(f"{name} is not finite")
    except (KeyError, TypeError, AttributeError, InputError) as error:
        raise FormatError(
            f"{file}: weights that do not fit the sizes they name: {error}"
        ) from error
    about.pop("system")
    return Weights(setup, widths, tensors, usage, features, regions, about)
