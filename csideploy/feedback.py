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
from csideploy.profiles.report_file import (
    ReportFile,
    check_count,
    disorder,
    is_reports,
    reports_in,
    reports_of,
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
    rank: int | None = None,
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
        rank: of a package with a profile: so many samples in a row, the strongest layer first, are
            the layers of one report (`csideploy.profiles.report_file`); None: samples alone.
        progress: called with samples done and samples in all.

    Returns:
        What was written, for people and scripts.

    Raises:
        InputError: the CSI has another shape than the encoder takes, or there is no such budget;
            with `rank` there is no profile, or no whole number of reports.
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
    report = None if rank is None else _reports(package, rank, total, with_scale=with_scale)
    nbytes, step = _record(layout, report)
    layout_id = layout.layout_id if report is None else report.layout_id
    header = Header(layout_id, package.pairing_id[:8], total // step, nbytes)
    chunk = CHUNK // step * step
    unordered = 0
    names = [output.name for output in part.outputs]
    with file_aside(out) as stream:
        if not raw:
            stream.write(header.pack())
        for start in range(0, total, chunk):
            x, _ = to_input(csi.h[start : start + chunk])
            payload = part.run(x)[names.index("payload")]
            if with_scale:
                payload = append_scale(payload, layout, csi.absmax[start : start + chunk])
            if report is not None:
                payload = report.pack(payload)
                unordered += disorder(csi.h[start : start + chunk], step)
            stream.write(np.ascontiguousarray(payload).tobytes())
            progress(min(start + chunk, total), total)
    result = {
        "out": str(out),
        "samples": total,
        "bits": package.bits_of(layout),
        "payload_bits": layout.payload_bits,
        "payload_bytes": layout.nbytes,
        "header_bytes": 0 if raw else HEADER_BYTES,
        "file_bytes": (0 if raw else HEADER_BYTES) + total // step * nbytes,
        "layout_id": layout_id,
        "pairing_id": package.pairing_id.hex(),
        "csi": csi.description,
    }
    if report is not None:
        result["report"] = {**report.figures(total), "not_strongest_first": unordered}
    return result


def _reports(package: LinkPackage, rank: int, samples: int, *, with_scale: bool) -> ReportFile:
    """The reports that samples become."""
    if with_scale:
        raise InputError("--with-scale: a report of layers carries no scale; leave one of them out")
    report = reports_of(package, rank)
    check_count(samples, rank)
    return report


def _record(layout: Layout, report: ReportFile | None) -> tuple[int, int]:
    """Bytes and samples of what a payload file counts: a sample, or a report."""
    if report is None:
        return layout.nbytes, 1
    return report.layout.nbytes, report.layout.rank


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
    rank: int | None = None,
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
        rank: layers of a report; the header says it, a raw file of reports does not.
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
        report: ReportFile | None = None
        if raw:
            layout = given.carrying_scale(with_scale)
            if rank is not None:
                report = _reports(package, rank, 0, with_scale=with_scale)
            nbytes, step = _record(layout, report)
            says = layout.describe() if report is None else f"{nbytes} bytes a report"
            total = step * _raw_count(size, nbytes, payload_path, says)
        else:
            header = read_header(stream.read(HEADER_BYTES), name=str(payload_path))
            layout = given
            if is_reports(header):
                report = reports_in(header, package, name=str(payload_path))
            else:
                layout = check_header(
                    header, package.layouts, package.pairing_id, name=str(payload_path)
                )
            _check_rank(rank, report, payload_path)
            check_length(header, size, name=str(payload_path))
            nbytes, step = _record(layout, report)
            total = step * header.count
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
            chunk = CHUNK // step * step
            for start in range(0, total, chunk):
                n = min(chunk, total - start)
                block = _read_exactly(stream, n // step, nbytes, payload_path)
                if report is not None:
                    block = report.unpack(block)
                scale = None
                if layout.scale:
                    block, scale = split_scale(block, layout)
                h_hat = from_input(part.run(block)[0])
                if reference is not None:
                    unit = _unit_maximum(reference, start, n)
                    sums += n * np.array(_quality(unit, h_hat))
                if with_scale and scale is not None:
                    h_hat = h_hat * scale[:, None, None]
                made = to_frequency(h_hat) if domain == "frequency" else h_hat
                made = np.ascontiguousarray(made, dtype=np.complex64)
                if start == 0:
                    _npy_header(sink, (total, *made.shape[1:]))
                sink.write(made.tobytes())
                progress(start + n, total)
    result: dict[str, Any] = {
        "out": str(out),
        "samples": total,
        "shape": [total, *made.shape[1:]],
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
        result |= {"nmse_db": float(metrics.to_db(nmse)), "sgcs": sgcs, "rho": rho}
        result["reference"] = reference.description
    if report is not None:
        result["report"] = report.figures(total)
    return result


def _check_rank(rank: int | None, report: ReportFile | None, path: Path) -> None:
    """`--rank` may only say what the header does."""
    carried = None if report is None else report.layout.rank
    if rank is not None and rank != carried:
        has = "samples, no reports" if carried is None else f"reports of rank {carried}"
        raise InputError(f"--rank {rank}: {path} has {has}; leave the option out")


def _open_payload(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from error


def _raw_count(size: int, nbytes: int, path: Path, says: str) -> int:
    count, rest = divmod(size, nbytes)
    if rest or not count:
        raise FormatError(f"{path} has {size} bytes, which is no whole number of samples: {says}")
    return count


def _read_exactly(stream: BinaryIO, n: int, nbytes: int, path: Path) -> NDArray[np.uint8]:
    data = stream.read(n * nbytes)
    if len(data) != n * nbytes:
        raise FormatError(f"{path} became shorter while it was read")
    return np.frombuffer(data, np.uint8).reshape(n, nbytes)


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
