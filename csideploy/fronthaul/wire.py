"""The two verbs on a fronthaul's package: blocks to payloads, payloads to what the RUs send.

A payload file has the header of `csideploy.payload`; a "sample" is the payload of a block, the bit
streams of all RUs one after another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError
from csideploy.fronthaul import blocks_file
from csideploy.fronthaul.codebooks import is_joint
from csideploy.fronthaul.deployed import Fronthaul
from csideploy.fronthaul.link import per_antenna, power_gains, prepare
from csideploy.fronthaul.parts import Search
from csideploy.fronthaul.quality import measure
from csideploy.fronthaul.schemes import linear, of_precoder
from csideploy.fronthaul.searches import settle
from csideploy.outputs import file_aside, reason
from csideploy.package import LinkPackage
from csideploy.payload import (
    FRONTHAUL_LAYOUT,
    HEADER_BYTES,
    Header,
    check_fronthaul,
    check_length,
    read_header,
)
from csideploy.progress import Advance, quiet

CHUNK = 4
"""Blocks at a time."""


def open_fronthaul(package: LinkPackage, *, du: bool = True) -> Fronthaul:
    """The bundles of a package.

    Args:
        package: of kind fronthaul.
        du: False opens the RUs alone.

    Raises:
        InputError: it is of another kind, or has no bundles.
        FormatError: a bundle is damaged. PairingError: it belongs to another package.
    """
    if not package.is_fronthaul:
        raise InputError(f"{package.path} is no package of a fronthaul system")
    m = package.manifest
    setup = package.fronthaul_setup()
    rus = [package.open_part(stem) for stem in package.all_stems()[1:]]
    quantizer = Search(m["system"], float(m["eta"]))
    own = package.open_part("du") if du else None
    return Fronthaul(quantizer, setup, m["block"], own, rus)


def encode(
    package: LinkPackage, blocks: Path, out: Path, *, raw: bool, progress: Advance = quiet
) -> dict[str, Any]:
    """Blocks -> payload file, by the DU's bundle.

    gamma is settled on the block's own symbols, with what the RUs' bundles make of them.

    Args:
        package: of kind fronthaul.
        blocks: `.npz` of H and s.
        out: the payload file.
        raw: leave the 32-byte header out.
        progress: called with blocks done and in all.

    Returns:
        What was written.

    Raises:
        InputError: no such file, or another shape. OutputError: `out` cannot be written.
    """
    ends = open_fronthaul(package)
    setup, system = package.fronthaul_setup(), package.manifest["system"]
    h, s = blocks_file.read(blocks, setup, ends.block)
    rounds = package.manifest["gamma_rounds"] if is_joint(system) else 1
    header = Header(FRONTHAUL_LAYOUT, package.pairing_id[:8], len(h), ends.nbytes)
    with file_aside(out) as stream:
        if not raw:
            stream.write(header.pack())
        for start in range(0, len(h), CHUNK):
            at = slice(start, start + CHUNK)
            links = prepare(setup, h[at])
            gamma = settle(ends, links, s[at], rounds)
            stream.write(np.ascontiguousarray(ends.payload(links, s[at], gamma)).tobytes())
            progress(min(start + CHUNK, len(h)), len(h))
    return {
        "out": str(out),
        "samples": len(h),
        "rus": setup.rus,
        "block": ends.block,
        "bits": list(setup.bits),
        "payload_bytes": ends.nbytes,
        "file_bytes": (0 if raw else HEADER_BYTES) + len(h) * ends.nbytes,
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
    """Payload file -> what the RUs send, Gamma x_hat, by their bundles.

    An RU finds gamma_m by itself, from the mean power of what it decodes in the block.

    Args:
        package: of kind fronthaul.
        payload: what `encode` wrote.
        out: `.npy`, complex64 (c, R, N_tx).
        raw: the payload has no header.
        reference: `.npz` of the blocks: the sum efficiency is given, and that of linear precoding.
        progress: called with blocks done and in all.

    Returns:
        What was written, and with a reference `efficiency`, `plain` (see `quality.Quality`), both
        `_interval` of 95 %, and `linear_efficiency`, `linear_plain`.

    Raises:
        InputError, FormatError, PairingError: a file is missing, damaged or of another package.
        OutputError: `out` cannot be written.
    """
    ends = open_fronthaul(package, du=False)
    setup = package.fronthaul_setup()
    received = _received(package, payload, ends.nbytes, raw=raw)
    known = None if reference is None else blocks_file.read(reference, setup, ends.block)
    if known is not None and len(known[0]) != len(received):
        raise InputError(
            f"--reference {reference}: {len(known[0])} blocks, {payload} has {len(received)}"
        )
    shape = (len(received), ends.block, setup.total_antennas)
    found: dict[str, list[NDArray[np.float64]]] = {}
    with file_aside(out) as sink:
        np.lib.format.write_array_header_1_0(
            sink, {"descr": "<c8", "fortran_order": False, "shape": shape}
        )
        for start in range(0, len(received), CHUNK):
            at = slice(start, start + CHUNK)
            x_hat = ends.decode(received[at])
            sent = x_hat * per_antenna(setup, power_gains(setup, x_hat))[:, None]
            sink.write(np.ascontiguousarray(sent, np.complex64).tobytes())
            if known is not None:
                links = prepare(setup, known[0][at])
                for name, quality in (
                    ("", measure(links, sent, known[1][at])),
                    ("linear_", of_precoder(links, linear(links))),
                ):
                    found.setdefault(f"{name}efficiency", []).append(quality.efficiency)
                    found.setdefault(f"{name}plain", []).append(quality.plain)
            progress(min(start + CHUNK, len(received)), len(received))
    result: dict[str, Any] = {
        "out": str(out),
        "samples": len(received),
        "shape": list(shape),
        "payload_bytes": ends.nbytes,
        "pairing_id": package.pairing_id.hex(),
    }
    for name, pieces in found.items():
        whole = np.concatenate(pieces)
        result[name] = float(whole.mean())
        if len(whole) > 1:
            half = float(1.96 * whole.std(ddof=1) / np.sqrt(len(whole)))
            result[f"{name}_interval"] = [result[name] - half, result[name] + half]
    return result


def _received(package: LinkPackage, payload: Path, nbytes: int, *, raw: bool) -> NDArray[np.uint8]:
    """Payloads (c, bytes) of a file."""
    try:
        data = payload.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {payload}: {reason(error)}") from error
    if not raw:
        header = read_header(data[:HEADER_BYTES], name=str(payload))
        check_fronthaul(header, nbytes, package.pairing_id, name=str(payload))
        check_length(header, len(data), name=str(payload))
        data = data[HEADER_BYTES:]
    if not data or len(data) % nbytes:
        raise FormatError(
            f"{payload}: {len(data)} bytes of payloads; a block of this package has {nbytes}"
        )
    return np.frombuffer(data, np.uint8).reshape(-1, nbytes)
