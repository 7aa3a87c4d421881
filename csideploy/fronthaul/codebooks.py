"""What a trained fronthaul quantizer is: for every RU a table or a small network. Its file.

Read and written without torch. In the zoo the large matrices of networks are float16
(`tensor_file.half_matrices`); they are float32 from `codebooks_from_bytes` on. Tables are always
float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import CsideployError, FormatError, InputError
from csideploy.fronthaul.networks import Network
from csideploy.fronthaul.setup import MOST_TABLE_BITS, Setup
from csideploy.outputs import file_aside
from csideploy.tensor_file import Stored, from_bytes, half_matrices, to_bytes
from csideploy.weights_header import KEY, WEIGHTS, metadata

TABLE_METHODS = ("vq", "mq", "smq", "pmq")
NEURAL_METHODS = ("neural-vq", "neural-mq")
METHODS = (*TABLE_METHODS, *NEURAL_METHODS)
MOST_JOINT_BITS = 20
"""sum B_m that MQ searches."""

GAMMA_ROUNDS = 5
"""A stopping rule: gamma of neural-MQ still moves by 5 % then. Networks trained so lose 1.6 % of
their efficiency on umi-links by ten rounds more."""


@dataclass(frozen=True)
class Codebooks:
    """The decoder of every RU, and how the DU searches.

    Attributes:
        method: of `METHODS`.
        setup: sizes; B_m and N_m are those of the decoders.
        tables: complex64 (2^B_m, N_m) of each RU; () for neural methods.
        networks: of each RU; () for tables.
        iterations: T of pmq, I of neural methods; else 0.
        alpha: of pmq (eq. 35).
        eta: step of neural methods, in parts of 2 N_m / (P lambda_max).
        gamma_rounds: in which the DU finds gamma (`searches.settle`).
        about: where it comes from.

    Raises:
        InputError: parts that do not go together.
    """

    method: str
    setup: Setup
    tables: tuple[NDArray[np.complex64], ...] = ()
    networks: tuple[Network, ...] = ()
    iterations: int = 0
    alpha: float = 0.5
    eta: float = 0.3
    gamma_rounds: int = GAMMA_ROUNDS
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        setup = self.setup
        if self.method not in METHODS:
            raise InputError(f"method {self.method}: {', '.join(METHODS)} are right")
        held = self.networks if self.neural else self.tables
        if len(held) != setup.rus or (self.tables if self.neural else self.networks):
            raise InputError(f"{self.method}: one decoder for each of {setup.rus} RUs")
        if self.neural:
            sizes = [(one.bits, one.antennas) for one in self.networks]
        else:
            sizes = [(len(one).bit_length() - 1, one.shape[-1]) for one in self.tables]
            check_table_bits(setup, self.method)
            for table, bits in zip(self.tables, setup.bits, strict=True):
                if table.ndim != 2 or len(table) != 1 << bits or not np.isfinite(table).all():
                    raise InputError(f"table {table.shape}: finite numbers (2^B, antennas)")
        if sizes != list(zip(setup.bits, setup.antennas, strict=True)):
            raise InputError(f"decoders of (B, N_m) {sizes}: the set-up has {setup}")
        if (self.method in ("pmq", *NEURAL_METHODS)) != (self.iterations > 0):
            raise InputError(f"{self.method} with {self.iterations} iterations")
        if not 1 <= self.gamma_rounds <= 100:
            raise InputError(f"{self.gamma_rounds} rounds of gamma: 1 to 100")
        if not 0 <= self.alpha <= 1 or not 0 < self.eta < 1e6:
            raise InputError(f"alpha {self.alpha}, eta {self.eta}: 0 to 1, and above 0")

    @property
    def neural(self) -> bool:
        """Whether the decoders are networks."""
        return self.method in NEURAL_METHODS

    @property
    def rounds(self) -> int:
        """Rounds of gamma: one where the search does not look at it."""
        return self.gamma_rounds if self.joint else 1

    @property
    def joint(self) -> bool:
        """Whether the RUs are quantized together."""
        return is_joint(self.method)


def is_joint(method: str) -> bool:
    """Whether a method quantizes the RUs together."""
    return method not in ("vq", "neural-vq")


def check_table_bits(setup: Setup, method: str) -> None:
    """Whether a table method can search so many bits.

    Raises:
        InputError: B_m above 12, or for mq a sum above 20.
    """
    if max(setup.bits) > MOST_TABLE_BITS:
        raise InputError(f"B {max(setup.bits)}: {method} searches tables of up to 12 bits an RU")
    if method == "mq" and sum(setup.bits) > MOST_JOINT_BITS:
        raise InputError(
            f"B {setup.bits}: mq searches all 2^{sum(setup.bits)} combinations; up to 20 bits in "
            "all, or pmq"
        )


def is_codebooks(path: Path) -> bool:
    """Whether a weights file holds what `save_codebooks` writes."""
    about = metadata(path)
    return about is not None and about.get("system") in METHODS


def save_codebooks(path: Path, codebooks: Codebooks) -> None:
    """Write `codebooks_bytes`.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    with file_aside(path) as file:
        file.write(codebooks_bytes(codebooks))


def codebooks_bytes(codebooks: Codebooks, *, half: bool = False) -> bytes:
    """Tables `M.table` float32 (2^B_m, N_m, 2), or layers `M.K.weight` and `M.K.bias`.

    Args:
        codebooks: of any method.
        half: large matrices of networks in float16, as the zoo has them.
    """
    tensors: dict[str, NDArray[np.float32]] = {}
    for m, table in enumerate(codebooks.tables):
        tensors[f"{m}.table"] = np.stack([table.real, table.imag], axis=-1).astype(np.float32)
    for m, network in enumerate(codebooks.networks):
        for k, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
            tensors[f"{m}.{k}.weight"], tensors[f"{m}.{k}.bias"] = w, b
    about = {
        **codebooks.about,
        "system": codebooks.method,
        "setup": codebooks.setup.describe(),
        "iterations": codebooks.iterations,
        "alpha": codebooks.alpha,
        "eta": codebooks.eta,
        "gamma_rounds": codebooks.gamma_rounds,
    }
    stored: Mapping[str, Stored] = half_matrices(tensors) if half else tensors
    return to_bytes(stored, {KEY: json.dumps(about, sort_keys=True)})


def load_codebooks(path: Path) -> Codebooks:
    """Read a weights file, or the folder of a finished run.

    Raises:
        InputError: nothing there.
        FormatError: it is not what `save_codebooks` writes.
    """
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{path}: no file, or a folder without {WEIGHTS}")
    if not is_codebooks(file):
        raise FormatError(f"{file}: no fronthaul codebooks")
    try:
        return codebooks_from_bytes(file.read_bytes())
    except (OSError, FormatError) as error:
        raise FormatError(f"{file}: broken: {error}") from error


def codebooks_from_bytes(data: bytes) -> Codebooks:
    """Codebooks from the bytes of a file, float32 or in part float16.

    Raises:
        FormatError: it is not what `codebooks_bytes` makes.
    """
    try:
        tensors, texts = from_bytes(data)
        about = json.loads(texts[KEY])
        setup = Setup(**about["setup"])
        parts = [_decoder(tensors, m) for m in range(setup.rus)]
        return Codebooks(
            about["system"],
            setup,
            tables=tuple(part for part in parts if not isinstance(part, Network)),
            networks=tuple(part for part in parts if isinstance(part, Network)),
            iterations=about["iterations"],
            alpha=about["alpha"],
            eta=about["eta"],
            gamma_rounds=about.get("gamma_rounds", GAMMA_ROUNDS),
            about=about,
        )
    except (ValueError, KeyError, TypeError, IndexError, CsideployError) as error:
        raise FormatError(str(error)) from error


def _decoder(tensors: Mapping[str, NDArray[np.float32]], m: int) -> NDArray[np.complex64] | Network:
    if f"{m}.table" in tensors:
        table = tensors[f"{m}.table"]
        return np.asarray(table[..., 0] + 1j * table[..., 1], np.complex64)
    layers = [k for k in range(8) if f"{m}.{k}.weight" in tensors]
    return Network(
        tuple(tensors[f"{m}.{k}.weight"] for k in layers),
        tuple(tensors[f"{m}.{k}.bias"] for k in layers),
    )
