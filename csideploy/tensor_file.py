"""Reading and writing safetensors files of float32 arrays, without the package of that name.

A file is the length of its header, 8 bytes, little-endian; the header, JSON: for every name
`dtype`, `shape` and `data_offsets` (from the header's end), and strings under `__metadata__`; then
the numbers.
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
_DTYPE = "F32"

Tensors = dict[str, NDArray[np.float32]]


def to_bytes(tensors: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file."""
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    pieces, at = [], 0
    for name, array in tensors.items():
        data = np.ascontiguousarray(array, "<f4").tobytes()
        header[name] = {
            "dtype": _DTYPE,
            "shape": list(array.shape),
            "data_offsets": [at, at + len(data)],
        }
        pieces.append(data)
        at += len(data)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)  # so that the numbers are aligned
    return b"".join([len(head).to_bytes(8, "little"), head, *pieces])


def from_bytes(data: bytes) -> tuple[Tensors, dict[str, str]]:
    """Arrays and metadata of a file.

    Raises:
        FormatError: it is no such file, or an array is not float32 or lies outside the file.
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
    if entry["dtype"] != _DTYPE or not all(type(n) is int and n >= 0 for n in (start, end, *shape)):
        raise ValueError(f"{entry['dtype']} {shape}")
    if not start <= end <= len(numbers) or end - start != 4 * math.prod(shape):
        raise ValueError(f"bytes {start} to {end} for {shape}")
    return np.frombuffer(numbers[start:end], "<f4").reshape(shape).astype(np.float32)
