"""The two verbs on a transceiver's package: pilots or users to payloads, payloads to precoders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.outputs import file_aside
from csideploy.package import LinkPackage
from csideploy.progress import Advance, quiet
from csideploy.transceiver.described import Described
from csideploy.transceiver.groups_file import GroupLayout, read_groups
from csideploy.transceiver.heard import check_users, draw, read_heard
from csideploy.transceiver.rate import sum_rate
from csideploy.transceiver.running import Transceiver
from csideploy.transceiver.vectors import stored_pilots

CHUNK = 250
"""Groups at a time."""
SNRS_DB = (-30.0, 60.0)


def open_transceiver(package: LinkPackage, side: str | None = None) -> Transceiver:
    """The bundles of a package.

    Args:
        package: of kind transceiver.
        side: "ue" or "bs" opens one side alone.

    Raises:
        InputError: it is of another kind, or has no bundles.
        FormatError: a bundle is damaged. PairingError: it belongs to another package.
    """
    if not package.is_transceiver:
        raise InputError(f"{package.path} is no package of a transceiver")
    described = package.transceiver()
    stems = [stem for stem in described.stems() if side in (None, stem.split("-")[0])]
    parts = {stem: package.open_part(stem) for stem in stems}
    return Transceiver(described, stored_pilots(package), parts)


def group_layout(described: Described, users: int, bits: Sequence[int] | None) -> GroupLayout:
    """The layout of groups.

    Args:
        described: the package.
        users: K.
        bits: B of all users, or of each position of a group; None: the largest budget.

    Raises:
        InputError: no such budget, or another number of them than users.
    """
    check_users(users, described)
    asked = (described.bits[-1],) if bits is None else tuple(bits)
    if len(asked) not in (1, users):
        listed = ",".join(map(str, asked))
        raise InputError(f"--bits {listed}: one number, or one of each of the {users} users")
    each = asked * users if len(asked) == 1 else asked
    budgets = tuple(described.budget(one) for one in each)
    return GroupLayout(budgets, described.setup.regions > 1)


def encode(
    package: LinkPackage,
    users: Path,
    out: Path,
    *,
    snr_db: float | None = None,
    bits: Sequence[int] | None = None,
    group: int | None = None,
    samples: int | None = None,
    raw: bool = False,
    seed: int = 0,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Received pilots or users -> payload file, by the UE's bundles.

    Args:
        package: of kind transceiver.
        users: as `heard.read_heard` takes it.
        out: the payload file.
        snr_db: of the pilots, for users.
        bits: B of all users, or of each position of a group; None: the largest budget.
        group: K, users of a group; None: as in the file, else the most.
        samples: groups.
        raw: leave header and record out.
        seed: of draws and pilot noise.
        progress: called with groups done and in all.

    Returns:
        What was written.

    Raises:
        InputError: a file or an option that does not fit. OutputError: `out` cannot be written.
    """
    check_snr(snr_db)
    running = open_transceiver(package, "ue")
    heard = read_heard(users, running, snr_db=snr_db, users=group, groups=samples, seed=seed)
    count, size = heard.y.shape[:2]
    layout = group_layout(running.described, size, bits)
    written = 0
    with file_aside(out) as stream:
        if not raw:
            written += stream.write(layout.head(package.pairing_id, count))
        for start in range(0, count, CHUNK):
            at = slice(start, start + CHUNK)
            feature, region = running.features(heard.y[at]), heard.region[at]
            groups = np.zeros((len(feature), layout.nbytes), np.uint8)
            if layout.regions:
                groups[:, :size] = region
            for k, budget, span in layout.spans():
                for number in np.unique(region[:, k]).tolist():
                    rows = np.flatnonzero(region[:, k] == number)
                    groups[rows, span] = running.payload(feature[rows, k], budget.bits, number)
            written += stream.write(groups.tobytes())
            progress(min(start + CHUNK, count), count)
    return {
        "out": str(out),
        "taken_for": heard.taken_for,
        "samples": count,
        "users": size,
        "bits": [budget.bits for budget in layout.budgets],
        "payload_bits": layout.bits,
        "payload_bytes": layout.nbytes,
        "file_bytes": written,
        "pairing_id": package.pairing_id.hex(),
    }


def decode(
    package: LinkPackage,
    payload: Path,
    out: Path,
    *,
    snr_db: float,
    raw: bool = False,
    bits: Sequence[int] | None = None,
    group: int | None = None,
    reference: Path | None = None,
    seed: int = 0,
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Payload file -> precoders, by the BS's bundles.

    Args:
        package: of kind transceiver.
        payload: what `encode` wrote.
        out: `.npy`, complex64 (n, K, M): row k is w_k, total power 1.
        snr_db: P / sigma^2, which the precoder is told.
        raw: the payload has neither header nor record: `bits` and `group` say what it holds.
        bits: of a raw payload, as for `encode`.
        group: K of a raw payload.
        reference: channels, `.npy` (n, K, M), or the file of users that was encoded, whose groups
            `seed` draws again: the sum rate is given.
        seed: of these draws.
        progress: called with groups done and in all.

    Returns:
        What was written, and with a reference `sum_rate` and its 95 % `sum_rate_interval`.

    Raises:
        InputError, FormatError, PairingError: a file is missing, damaged or of another package.
        OutputError: `out` cannot be written.
    """
    check_snr(snr_db)
    running = open_transceiver(package, "bs")
    described = running.described
    given = None
    if raw:
        if group is None:
            raise InputError("--raw: a payload without a header needs --users K, of its groups")
        given = group_layout(described, group, bits)
    elif bits is not None or group is not None:
        raise InputError("--bits, --users: the payload's own record says them; they go with --raw")
    layout, groups = read_groups(payload, described, package.pairing_id, raw=given)
    count, size = len(groups), layout.users
    h = None
    if reference is not None:
        h = draw(reference, described, users=size, groups=count, seed=seed).h
        if len(h) != count:
            raise InputError(f"--reference {reference}: {len(h)} groups, {payload} has {count}")
    shape = (count, size, described.setup.antennas)
    rates: list[NDArray[np.float64]] = []
    snr = 10 ** (snr_db / 10)
    with file_aside(out) as sink:
        np.lib.format.write_array_header_1_0(
            sink, {"descr": "<c8", "fortran_order": False, "shape": shape}
        )
        for start in range(0, count, CHUNK):
            at = slice(start, start + CHUNK)
            w = running.precode(_read(running, layout, groups[at]), snr_db)
            sink.write(np.ascontiguousarray(w).tobytes())
            if h is not None:
                rates.append(sum_rate(h[at], w, snr))
            progress(min(start + CHUNK, count), count)
    result: dict[str, Any] = {
        "out": str(out),
        "samples": count,
        "users": size,
        "shape": list(shape),
        "snr_db": snr_db,
        "bits": [budget.bits for budget in layout.budgets],
        "pairing_id": package.pairing_id.hex(),
    }
    if rates:
        whole = np.concatenate(rates)
        result["sum_rate"] = float(whole.mean())
        if count > 1:
            half = float(1.96 * whole.std(ddof=1) / np.sqrt(count))
            result["sum_rate_interval"] = [result["sum_rate"] - half, result["sum_rate"] + half]
    return result


def _read(
    running: Transceiver, layout: GroupLayout, groups: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Features (n, K, D) that the bits of groups stand for."""
    region = layout.region_of(groups)
    width = running.described.setup.feature
    feature = np.empty((len(groups), layout.users, width), np.float32)
    for k, budget, span in layout.spans():
        for number in np.unique(region[:, k]).tolist():
            rows = np.flatnonzero(region[:, k] == number)
            sent = np.ascontiguousarray(groups[rows, span])
            feature[rows, k] = running.read(sent, budget.bits, number)
    return feature


def check_snr(snr_db: float | None) -> None:
    """Whether an SNR is one.

    Raises:
        InputError: it is not finite, or far from what any link has.
    """
    low, high = SNRS_DB
    if snr_db is not None and not low <= snr_db <= high:
        raise InputError(f"--snr {snr_db:g}: dB from {low:g} to {high:g}")
