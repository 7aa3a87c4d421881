"""The two verbs on a precoder's package: pilots to payloads, payloads to precoding matrices.

A payload file has the header of `csideploy.payload`; a "sample" is the payload of one user, those
of the K users that are served together one after another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.downlink.rate import user_rates
from csideploy.downlink.setup import Setup
from csideploy.downlink.source import as_complex
from csideploy.errors import FormatError, InputError
from csideploy.outputs import file_aside, reason
from csideploy.package import LinkPackage
from csideploy.payload import HEADER_BYTES, Header, check_header, check_length, read_header
from csideploy.progress import Advance, quiet

CHUNK = 1000
_LARGEST = 1e9


def encode(
    package: LinkPackage, pilots: Path, out: Path, *, raw: bool, progress: Advance = quiet
) -> dict[str, Any]:
    """Received pilots -> payload file, by the UE's bundle.

    Args:
        package: of kind precoder.
        pilots: `.npy` of what users hear: complex (n, K, L, N), or real (n, K, L, N, 2).
        out: the payload file.
        raw: leave the 32-byte header out.
        progress: called with samples done and in all.

    Returns:
        What was written.

    Raises:
        InputError: no such file, or another shape. OutputError: `out` cannot be written.
    """
    setup = Setup(**package.manifest["setup"])
    y = _pairs(_read(pilots))
    wanted = (setup.users, setup.pilots, setup.streams, 2)
    if y.shape[1:] != wanted or not len(y):
        raise InputError(
            f"{pilots}: {y.shape}; received pilots are complex (n, {setup.users}, {setup.pilots}, "
            f"{setup.streams}): samples, users, pilots, antennas"
        )
    (layout,) = package.layouts
    part = package.open_part("ue")
    count = len(y) * setup.users
    header = Header(layout.layout_id, package.pairing_id[:8], count, layout.nbytes)
    with file_aside(out) as stream:
        if not raw:
            stream.write(header.pack())
        for start in range(0, len(y), CHUNK):
            part_of = y[start : start + CHUNK].reshape(-1, *wanted[1:])
            stream.write(np.ascontiguousarray(part.run(part_of)[-1]).tobytes())
            progress(min(start + CHUNK, len(y)), len(y))
    return {
        "out": str(out),
        "samples": len(y),
        "users": setup.users,
        "payload_bits": layout.payload_bits,
        "payload_bytes": layout.nbytes,
        "file_bytes": (0 if raw else HEADER_BYTES) + count * layout.nbytes,
        "pairing_id": package.pairing_id.hex(),
    }


def decode(
    package: LinkPackage,
    payload: Path,
    out: Path,
    *,
    raw: bool,
    reference: Path | None,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Payload file -> precoding matrices, by the BS's bundle.

    Args:
        package: of kind precoder.
        payload: what `encode` wrote.
        out: `.npy`, complex64 (n, K, M, N): V_k.
        raw: the payload has no header.
        reference: `.npy` of the channels, complex (n, K, M, N): the sum rate at the package's P is
            given.
        progress: called with samples done and in all.

    Returns:
        What was written, and with a reference `sum_rate` and its 95 % `sum_rate_interval`.

    Raises:
        InputError, FormatError, PairingError: a file is missing, damaged or of another package.
        OutputError: `out` cannot be written.
    """
    setup = Setup(**package.manifest["setup"])
    (layout,) = package.layouts
    try:
        data = payload.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {payload}: {reason(error)}") from error
    if not raw:
        header = read_header(data[:HEADER_BYTES], name=str(payload))
        check_header(header, package.layouts, package.pairing_id, name=str(payload))
        check_length(header, len(data), name=str(payload))
        data = data[HEADER_BYTES:]
    block = setup.users * layout.nbytes
    if not data or len(data) % block:
        raise FormatError(
            f"{payload}: {len(data)} bytes of payloads; {setup.users} users with {layout.nbytes} "
            "bytes each make a sample"
        )
    received = np.frombuffer(data, np.uint8).reshape(-1, setup.users, layout.nbytes)
    h = None if reference is None else _channels(reference, setup, len(received))
    part = package.open_part("bs")
    rates: list[NDArray[np.float64]] = []
    power = 10 ** (package.manifest["snr_db"] / 10)
    shape = (len(received), setup.users, setup.antennas, setup.streams)
    with file_aside(out) as sink:
        np.lib.format.write_array_header_1_0(
            sink, {"descr": "<c8", "fortran_order": False, "shape": shape}
        )
        for start in range(0, len(received), CHUNK):
            (v,) = part.run(received[start : start + CHUNK])
            matrices = np.ascontiguousarray(as_complex(v))
            sink.write(matrices.tobytes())
            if h is not None:
                rates.append(user_rates(h[start : start + CHUNK], matrices, power).sum(axis=1))
            progress(min(start + CHUNK, len(received)), len(received))
    result: dict[str, Any] = {
        "out": str(out),
        "samples": len(received),
        "shape": list(shape),
        "snr_db": package.manifest["snr_db"],
        "payload_bits": layout.payload_bits,
        "pairing_id": package.pairing_id.hex(),
    }
    if rates:
        whole = np.concatenate(rates)
        half = 1.96 * whole.std() / np.sqrt(len(whole))
        result["sum_rate"] = float(whole.mean())
        result["sum_rate_interval"] = [float(whole.mean() - half), float(whole.mean() + half)]
    return result


def _read(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = reason(error) if isinstance(error, OSError) and error.errno else "no array of numbers"
        raise InputError(f"cannot read {path} as .npy: {why}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fc":
        raise InputError(f"{path}: a .npy file with a real or complex array is needed")
    # Squares of what is kept stay within float32. A NaN is not below it either.
    if not (np.abs(array) < _LARGEST).all():
        raise InputError(f"{path}: holds numbers that are not finite, or above {_LARGEST:g}")
    return array


def _pairs(array: NDArray[Any]) -> NDArray[np.float32]:
    """A complex array as a real one with a last axis (re, im)."""
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, np.float32)
    return np.ascontiguousarray(array, np.complex64)[..., None].view(np.float32)


def _channels(path: Path, setup: Setup, samples: int) -> NDArray[np.complexfloating]:
    h = _read(path)
    wanted = (samples, setup.users, setup.antennas, setup.streams)
    if h.dtype.kind == "f" and h.shape == (*wanted, 2):
        h = np.ascontiguousarray(h, np.float32).view(np.complex64)[..., 0]
    if h.shape != wanted or h.dtype.kind != "c":
        raise InputError(f"--reference {path}: {h.dtype} {h.shape}; complex {wanted} is right")
    return h
