"""Reading and writing safetensors files of float arrays, without the package of that name.

A file is the length of its header, 8 bytes, little-endian; the header, JSON: for every name
`dtype`, `shape` and `data_offsets` (from the header's end), and strings under `__metadata__`; then
the numbers.
Arrays are float32 in memory; a file may hold some as float16 (`half_matrices`), which are float32
again as soon as they are read.
So an export from the zoo needs nothing that is there for training alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError
from csideploy.weights_header import LARGEST_HEADER

_METADATA = "__metadata__"
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
_LARGE = 1024

Tensors = dict[str, NDArray[np.float32]]
Stored = NDArray[np.float32] | NDArray[np.float16]


def half_matrices(tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, Stored]:
    """Large weight matrices in float16: of two dimensions, 1024 numbers or more, named `*.weight`.

    A weight then moves by at most 2^-11 of itself (below 6e-5 by 2^-25), and a sum of many products
    averages that. All else stays float32: biases, norms and their statistics are small and enter
    every sum once; codebooks and tables decide the codes of a payload and their ties; codebooks of
    other sizes are fitted to samples of features. So does a matrix with a number beyond float16.
    """
    return {
        name: array.astype(np.float16) if _large(name, array) else array
        for name, array in tensors.items()
    }


def _large(name: str, array: NDArray[np.float32]) -> bool:
    matrix = name.endswith(".weight") and array.ndim == 2 and array.size >= _LARGE
    return matrix and bool((np.abs(array) <= np.finfo(np.float16).max).all())


def to_bytes(tensors: Mapping[str, Stored], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file: float16 arrays as such, behind all others, which are float32."""
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    pieces, at = [], 0
    # Stable, and float32 first: then all numbers are aligned.
    for name, array in sorted(tensors.items(), key=lambda item: item[1].dtype == np.float16):
        dtype = "F16" if array.dtype == np.float16 else "F32"
        data = np.ascontiguousarray(array, _DTYPES[dtype]).tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [at, at + len(data)],
        }
        pieces.append(data)
        at += len(data)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)  # so that the numbers are aligned
    return b"".join([len(head).to_bytes(8, "little"), head, *pieces])


def from_bytes(data: bytes) -> tuple[Tensors, dict[str, str]]:
    """Arrays, float32, and metadata of a file.

    Raises:
        FormatError: it is no such file, or an array is neither float32 nor float16 or lies outside
            the file.
    """
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= size <= min(len(data) - 8, LARGEST_HEADER):
        raise FormatError("no safetensors header")
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = {str(key): str(value) for key, value in header.pop(_METADATA, {}).items()}
        return {name: _array(entry, data[8 + size :]) for name, entry in header.items()}, metadata
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"a broken safetensors header: {error}") from error


def _array(entry: Any, numbers: bytes) -> NDArray[np.float32]:
    start, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None or not all(type(n) is int and n >= 0 for n in (start, end, *shape)):
        raise ValueError(f"{entry['dtype']} {shape}")
    if not start <= end <= len(numbers) or end - start != dtype.itemsize * math.prod(shape):
        raise ValueError(f"bytes {start} to {end} for {shape}")
    return np.frombuffer(numbers[start:end], dtype).reshape(shape).astype(np.float32)
