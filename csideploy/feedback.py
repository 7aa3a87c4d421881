"""Encode and decode: the UE's side and the BS's side of a link, from file to file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from csideploy import metrics
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import Csi
from csideploy.channels.transform import to_frequency
from csideploy.errors import FormatError, InputError
from csideploy.outputs import file_aside, reason
from csideploy.package import LinkPackage
from csideploy.payload import (
    HEADER_BYTES,
    Header,
    Layout,
    append_scale,
    check_header,
    check_length,
    read_header,
    split_scale,
)
from csideploy.progress import Advance, quiet

CHUNK = 250
"""Samples at a time: 2 MB of input, so that memory does not grow with the file."""


def encode(
    package: LinkPackage,
    csi: Csi,
    out: Path,
    *,
    bits: int | None = None,
    raw: bool = False,
    with_scale: bool = False,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """CSI -> payload file, by the UE's bundles.

    Args:
        package: the link.
        csi: angular-delay CSI (n, angle, delay), as `read_csi` gives it.
        out: the payload file; written aside and renamed.
        bits: the bit budget; None takes the only one, or the largest.
        raw: leave the 32-byte header out.
        with_scale: 16 more bits a sample carry max|H|.
        progress: called with samples done and samples in all.

    Returns:
        What was written, for people and scripts.

    Raises:
        InputError: the CSI has another shape than the encoder takes, or there is no such budget.
        OutputError: `out` cannot be written.
    """
    if package.is_precoder:
        raise InputError(f"{package.path} is a precoder: its UE takes received pilots, not CSI")
    if package.is_fronthaul:
        raise InputError(f"{package.path} is a fronthaul: its DU takes blocks, not CSI")
    layout = package.layout_of(bits).carrying_scale(with_scale)
    part = package.open_side("ue", layout)
    check_shape(csi.h.shape, part.inputs[0].shape)
    total = csi.h.shape[0]
    header = Header(layout.layout_id, package.pairing_id[:8], total, layout.nbytes)
    names = [output.name for output in part.outputs]
    with file_aside(out) as stream:
        if not raw:
            stream.write(header.pack())
        for start in range(0, total, CHUNK):
            x, _ = to_input(csi.h[start : start + CHUNK])
            payload = part.run(x)[names.index("payload")]
            if with_scale:
                payload = append_scale(payload, layout, csi.absmax[start : start + CHUNK])
            stream.write(np.ascontiguousarray(payload).tobytes())
            progress(min(start + CHUNK, total), total)
    return {
        "out": str(out),
        "samples": total,
        "bits": package.bits_of(layout),
        "payload_bits": layout.payload_bits,
        "payload_bytes": layout.nbytes,
        "header_bytes": 0 if raw else HEADER_BYTES,
        "file_bytes": (0 if raw else HEADER_BYTES) + total * layout.nbytes,
        "layout_id": layout.layout_id,
        "pairing_id": package.pairing_id.hex(),
        "csi": csi.description,
    }


def check_shape(csi_shape: tuple[int, ...], input_shape: tuple[Any, ...]) -> None:
    """CSI (n, angle, delay) must have the matrices that a part takes, (n, 2, angle, delay).

    Raises:
        InputError: it has others, or none.
    """
    if csi_shape[0] == 0:
        raise InputError("the CSI file holds no sample")
    if tuple(csi_shape[1:]) != tuple(input_shape[2:]):
        raise InputError(
            f"CSI of {csi_shape[1]} x {csi_shape[2]} (angle x delay), "
            f"the encoder takes {input_shape[2]} x {input_shape[3]}"
        )


def decode(
    package: LinkPackage,
    payload_path: Path,
    out: Path,
    *,
    bits: int | None = None,
    raw: bool = False,
    with_scale: bool = False,
    domain: str = "angular",
    reference: Csi | None = None,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Payload file -> CSI, by the BS's bundles.

    Args:
        package: the link.
        payload_path: what `encode` wrote.
        out: `.npy`, complex64: (n, angle, delay) of unit maximum in the angular-delay domain, or
            (n, subcarrier, antenna) in the spatial-frequency domain (zero filling and inverse
            transform, eq. 5 of the ACRNet paper).
        bits: the bit budget; the header says it, a raw file of a package of several does not.
        raw: the payload file has no header.
        with_scale: multiply each sample by the max|H| that its payload carries.
        domain: "angular" or "frequency".
        reference: the CSI that was encoded; adds NMSE, SGCS and rho to the result.
        progress: called with samples done and samples in all.

    Raises:
        FormatError: the payload file is truncated or damaged.
        PairingError: it belongs to another link or another bit budget.
        InputError: the reference does not fit, no scale is carried and one is wanted, or the bit
            budget is not known, or not in the package.
        OutputError: `out` cannot be written.
    """
    given = package.layout_of(bits)
    if raw and bits is None and len(package.layouts) > 1:
        raise InputError(
            f"--raw: {payload_path} does not say its bit budget; add --bits, one of "
            f"{package.budgets}"
        )
    with _open_payload(payload_path) as stream:
        size = payload_path.stat().st_size
        if raw:
            layout = given.carrying_scale(with_scale)
            total = _raw_count(size, layout, payload_path)
        else:
            header = read_header(stream.read(HEADER_BYTES), name=str(payload_path))
            layout = check_header(
                header, package.layouts, package.pairing_id, name=str(payload_path)
            )
            check_length(header, size, name=str(payload_path))
            total = header.count
            carried = package.bits_of(layout)
            if bits is not None and carried != bits:
                raise InputError(
                    f"--bits {bits}: {payload_path} has {carried} bits a feature; leave the "
                    "option out, the header says it"
                )
        part = package.open_side("bs", layout)
        if total == 0:
            raise FormatError(f"{payload_path} holds no sample")
        if with_scale and not layout.scale:
            raise InputError(
                f"{payload_path} carries no scale: encode with --with-scale, or decode without it"
            )
        if reference is not None:
            _check_reference(reference, total, part.outputs[0].shape)
        sums = np.zeros(3)
        with file_aside(out) as sink:
            for start in range(0, total, CHUNK):
                n = min(CHUNK, total - start)
                block = _read_exactly(stream, n, layout, payload_path)
                scale = None
                if layout.scale:
                    block, scale = split_scale(block, layout)
                h_hat = from_input(part.run(block)[0])
                if reference is not None:
                    unit = _unit_maximum(reference, start, n)
                    sums += n * np.array(_quality(unit, h_hat))
                if with_scale and scale is not None:
                    h_hat = h_hat * scale[:, None, None]
                result = to_frequency(h_hat) if domain == "frequency" else h_hat
                result = np.ascontiguousarray(result, dtype=np.complex64)
                if start == 0:
                    _npy_header(sink, (total, *result.shape[1:]))
                sink.write(result.tobytes())
                progress(start + n, total)
    report: dict[str, Any] = {
        "out": str(out),
        "samples": total,
        "shape": [total, *result.shape[1:]],
        "domain": domain,
        "scaled": with_scale,
        "carries_scale": layout.scale,
        "bits": package.bits_of(layout),
        "payload_bits": layout.payload_bits,
        "payload_bytes": layout.nbytes,
        "pairing_id": package.pairing_id.hex(),
    }
    if reference is not None:
        nmse, sgcs, rho = (float(value) for value in sums / total)
        report |= {"nmse_db": float(metrics.to_db(nmse)), "sgcs": sgcs, "rho": rho}
        report["reference"] = reference.description
    return report


def _open_payload(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from error


def _raw_count(size: int, layout: Layout, path: Path) -> int:
    count, rest = divmod(size, layout.nbytes)
    if rest or not count:
        raise FormatError(
            f"{path} has {size} bytes, which is no whole number of samples: {layout.describe()}"
        )
    return count


def _read_exactly(stream: BinaryIO, n: int, layout: Layout, path: Path) -> NDArray[np.uint8]:
    data = stream.read(n * layout.nbytes)
    if len(data) != n * layout.nbytes:
        raise FormatError(f"{path} became shorter while it was read")
    return np.frombuffer(data, np.uint8).reshape(n, layout.nbytes)


def _check_reference(reference: Csi, total: int, output_shape: tuple[Any, ...]) -> None:
    check_shape(reference.h.shape, output_shape)
    if reference.h.shape[0] != total:
        raise InputError(
            f"the reference has {reference.h.shape[0]} samples, the payload {total}: "
            "give the file that was encoded"
        )


def _unit_maximum(csi: Csi, start: int, n: int) -> NDArray[np.complexfloating]:
    absmax = csi.absmax[start : start + n, None, None]
    unit: NDArray[np.complexfloating] = csi.h[start : start + n] / absmax
    return unit


def _quality(
    h: NDArray[np.complexfloating], h_hat: NDArray[np.complexfloating]
) -> tuple[float, float, float]:
    """Linear NMSE, SGCS and rho: all three are means over samples, so chunks may be averaged."""
    return metrics.nmse(h, h_hat), metrics.sgcs(h, h_hat), metrics.rho(h, h_hat)


def _npy_header(sink: BinaryIO, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(
        sink, {"descr": "<c8", "fortran_order": False, "shape": shape}
    )
