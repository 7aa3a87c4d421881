"""Files of blocks: channels and the symbols that are sent over them. `.npz`, what `encode` reads.

    H     complex64 (c, N, N_rx, N_tx)   from the antennas of all RUs to those of each user
    s     complex64 (c, R, L)            symbols of unit power, L streams of all users

A generated file also says `seed` and, as JSON, `parameters`.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.fronthaul.channels import carrier, draw
from csideploy.fronthaul.link import Complex
from csideploy.fronthaul.quality import gaussian_symbols
from csideploy.fronthaul.setup import Setup
from csideploy.outputs import file_aside, reason
from csideploy.progress import Advance, quiet

SCENARIOS = ("umi", "umi-links", "sionna-umi", "rayleigh")
"""What `data generate` makes blocks of; rayleigh where sizes are given with --set."""
CHUNK = 50
MOST_BYTES = 4 << 30
_LARGEST = 1e9


def generate(
    path: Path,
    scenario: str,
    setup: Setup,
    *,
    blocks: int,
    uses: int,
    seed: int,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Write a file of blocks with Gaussian symbols.

    Args:
        path: ends in `.npz`.
        scenario: kind of channels.
        setup: sizes.
        blocks: c.
        uses: R, channel uses of each.
        seed: of everything.
        progress: called with blocks done and in all.

    Returns:
        What was written.

    Raises:
        InputError: another name, or more than 4 GiB. OutputError: it cannot be written.
    """
    if path.suffix.lower() != ".npz":
        raise InputError(f"cannot write {path}: blocks are written as .npz; end the name so")
    shapes = {
        "H": (blocks, setup.users, setup.receive_antennas, setup.total_antennas),
        "s": (blocks, uses, setup.total_streams),
    }
    size = sum(8 * int(np.prod([float(n) for n in shape])) for shape in shapes.values())
    if size > MOST_BYTES:
        raise InputError(f"{blocks} blocks take {size:,} bytes; up to {MOST_BYTES:,} are written")
    rng = np.random.default_rng([seed, 6])
    h = np.empty(shapes["H"], np.complex64)
    s = np.empty(shapes["s"], np.complex64)
    for start in range(0, blocks, CHUNK):
        at = slice(start, min(start + CHUNK, blocks))
        count = at.stop - start
        h[at] = carrier(draw(scenario, setup, count, rng))
        s[at] = gaussian_symbols(count, uses, setup.total_streams, rng)
        progress(at.stop, blocks)
    parameters = {"scenario": scenario, "setup": setup.describe(), "block": uses}
    with file_aside(path) as stream:
        np.savez(
            stream,
            H=h,
            s=s,
            seed=np.int64(seed),
            parameters=np.array(json.dumps(parameters)),
        )
    return {"out": str(path), "samples": blocks, "seed": seed, **parameters}


def read(path: Path, setup: Setup, uses: int) -> tuple[NDArray[np.complex64], Complex]:
    """Channels (c, N, N_rx, N_tx) and symbols (c, R, L) of a file.

    Args:
        path: `.npz`.
        setup: sizes that it must have.
        uses: R that it must have.

    Raises:
        InputError: no such file, an array is missing, has another shape, or is not finite.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            h, s = archive["H"], archive["s"]
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        own = isinstance(error, OSError) and error.errno
        why = reason(error) if isinstance(error, OSError) and own else "no .npz with H and s"
        raise InputError(f"cannot read {path}: {why}") from error
    count = len(h) if h.ndim else 0
    wanted = {
        "H": (count, setup.users, setup.receive_antennas, setup.total_antennas),
        "s": (count, uses, setup.total_streams),
    }
    for name, array in (("H", h), ("s", s)):
        if array.dtype.kind != "c" or array.shape != wanted[name] or not count:
            shape = ", ".join(map(str, wanted[name][1:]))
            raise InputError(
                f"{path}: {name} is {array.dtype} {array.shape}; complex (blocks, {shape}) is right"
            )
        # A NaN is not below it either.
        if not (np.abs(array) < _LARGEST).all():
            raise InputError(f"{path}: {name} has numbers that are not finite, or above 1e9")
    if (np.abs(h).reshape(count, -1).max(axis=1) == 0).any():
        raise InputError(f"{path}: a channel of H is all zero")
    return np.asarray(h, np.complex64), np.asarray(s, np.complex128)
