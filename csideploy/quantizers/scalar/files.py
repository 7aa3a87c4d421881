"""Codebooks of several bit budgets in one `.npz`: `widths_B` uint8 (M,), `values_B` float32."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from csideploy.errors import FormatError, InputError
from csideploy.quantizers.scalar.codebook import Codebook

_KEY = re.compile(r"(widths|values)_([1-8])")


def write_codebooks(codebooks: Mapping[int, Codebook]) -> bytes:
    """The bytes of the file: the same codebooks give the same bytes.

    Args:
        codebooks: budget, bits an output on average, 1 to 8 -> codebook.
    """
    arrays: dict[str, np.ndarray] = {}
    for budget, book in sorted(codebooks.items()):
        arrays |= {f"widths_{budget}": book.widths, f"values_{budget}": book.values}
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def read_codebooks(data: bytes, *, name: str) -> dict[int, Codebook]:
    """The codebooks by budget, ascending.

    Args:
        data: the file's bytes.
        name: the file's name, for messages.

    Raises:
        FormatError: it is no such file, or a codebook in it is none.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"{name} is no .npz file of codebooks: {error}") from error
    odd = [key for key in arrays if not _KEY.fullmatch(key)]
    budgets = sorted({int(key.rsplit("_", 1)[1]) for key in arrays if key not in odd})
    lacks = [f"{key}_{b}" for b in budgets for key in ("widths", "values")]
    lacks = [key for key in lacks if key not in arrays]
    if odd or lacks or not budgets:
        raise FormatError(
            f"{name} has {', '.join(arrays) or 'no array'}; widths_B and values_B for each budget "
            "B, 1 to 8, are right"
        )
    try:
        return {b: Codebook(arrays[f"widths_{b}"], arrays[f"values_{b}"]) for b in budgets}
    except InputError as error:
        raise FormatError(f"{name}: {error}") from error
