"""`evaluate` for the fronthaul: sum efficiency and symbol errors against bits on the links.

All systems of one channel kind are measured on the same channels and symbols. What is deployed is
measured as deployed: the DU's bundle, the payload's bytes, the RUs' bundles, gamma as `encode` and
`decode` find it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.modulation_compression import MOST_CODE_RATE, ORDERS
from csideploy.errors import InputError
from csideploy.fronthaul import schemes
from csideploy.fronthaul.channels import Drop, carrier, draw
from csideploy.fronthaul.codebooks import Codebooks
from csideploy.fronthaul.deployed import Deployed
from csideploy.fronthaul.link import Complex, Links, Receiver, prepare
from csideploy.fronthaul.quality import (
    gaussian_symbols,
    interval_half,
    measure,
    qam16_symbols,
    symbol_errors,
)
from csideploy.fronthaul.searches import send, settle
from csideploy.fronthaul.setup import Setup
from csideploy.progress import Advance, quiet

USES = 200
"""Channel uses of a block; a block is one channel."""
QAM_BITS = 4
BFP_WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9)

Send = Callable[[Complex], Complex]
"""Symbols (c, R, L) to what RUs send (c, R, N_tx)."""


@dataclass(frozen=True)
class Scene:
    """The channels and symbols of one kind, for all systems.

    Attributes:
        kind: of the channel.
        drop: channels.
        links: of the DU and the users.
        gaussian, qam: symbols (c, R, L).
        seed: of gamma's symbols and the noise.
        receiver: of the users.
        linear: efficiency of linear precoding without limit, (c,), over the same symbols.
    """

    kind: str
    drop: Drop
    links: Links
    gaussian: Complex
    qam: Complex
    seed: int
    receiver: Receiver
    linear: NDArray[np.float64]

    @property
    def setup(self) -> Setup:
        """Sizes; the bits are those of the first system."""
        return self.links.setup


def scene(
    kind: str, setup: Setup, *, blocks: int, seed: int, uses: int = USES,
    receiver: Receiver = "localized",
) -> Scene:  # fmt: skip
    """Draw channels and symbols.

    Raises:
        InputError: fewer than two blocks: no interval.
    """
    if blocks < 2:
        raise InputError(f"--samples {blocks}: at least 2 channels for an interval")
    rng = np.random.default_rng([seed, 3])
    drop = draw(kind, setup, blocks, rng)
    links = prepare(setup, carrier(drop), receiver)
    streams = setup.total_streams
    gaussian = gaussian_symbols(blocks, uses, streams, rng)
    qam = qam16_symbols(blocks, uses, streams, rng)
    sent = _precode(schemes.linear(links), gaussian)
    linear = measure(links, sent, gaussian).efficiency
    return Scene(kind, drop, links, gaussian, qam, seed, receiver, linear)


def deployed_row(
    place: Scene, codebooks: Codebooks, *, name: str | None = None, errors: bool = True
) -> dict[str, Any]:
    """One system with bundles, on one scene.

    Args:
        place: channels.
        codebooks: with the antennas of the scene; users and SNR may differ.
        name: as it is shown.
        errors: measure 16-QAM as well.

    Raises:
        InputError: other antennas.
    """
    setup = place.setup
    if codebooks.setup.antennas != setup.antennas:
        raise InputError(f"{codebooks.method} for antennas {codebooks.setup.antennas}: {setup}")
    if codebooks.setup.streams != setup.streams:
        raise InputError(f"{codebooks.method} for {codebooks.setup.streams} streams: {setup}")
    uses = place.gaussian.shape[1]
    search = Deployed(codebooks, block=uses, users=setup.users)

    def transmit(s: Complex) -> Complex:
        gamma = settle(search, place.links, s, codebooks.rounds)
        return send(search, place.links, s, gamma)

    row = _row(
        place,
        name or codebooks.method,
        transmit,
        bits=float(max(codebooks.setup.bits)),
        errors=errors,
    )
    trained = codebooks.about.get("channel")
    about = {"line": codebooks.method, "trained_on": trained}
    return {**row, **about, "iterations": codebooks.iterations or None}


def reference_rows(place: Scene, *, errors: bool = True) -> list[dict[str, Any]]:
    """Linear precoding and the least interference, both without a limit on the links."""
    links = place.links
    rows = []
    for name, w in (
        ("linear-infinite", schemes.linear(links)),
        ("least-interference", schemes.best_linear(links)),
    ):
        rows.append(_row(place, name, partial(_precode, w), bits=None, errors=errors))
    return rows


def floating_point_rows(place: Scene, *, errors: bool = True) -> list[dict[str, Any]]:
    """O-RAN's block floating point of the precoded samples, at each width of the mantissas."""
    rows = []
    for width in BFP_WIDTHS:
        bits = schemes.block_floating_point_bits(place.setup, width)
        transmit = partial(_floating_point, place.links, width)
        row = _row(place, "bfp", transmit, bits=bits, errors=errors)
        rows.append({**row, "width": width})
    return rows


def compress_precode_rows(place: Scene, bits: Sequence[float]) -> list[dict[str, Any]]:
    """CP: at each number of bits its best configuration.

    16-QAM takes 4 bits a stream, coded 8 on every link; with less, CP cannot send it on all streams
    and has no error rate.
    """
    setup = place.setup
    channels = schemes.band(place.drop)
    noise = np.random.default_rng([place.seed, 5])
    free = {
        shared: schemes.compress_precode(setup, channels, shared, place.receiver, place.qam, noise)
        for shared in schemes.SHARED_PRECODERS
    }
    coded = QAM_BITS * setup.total_streams
    rows = []
    for wanted in bits:
        held = {
            shared: schemes.within_fronthaul(setup, sent.efficiency, shared, wanted)
            for shared, sent in free.items()
        }
        best = max(held, key=lambda shared: (float(held[shared].mean()), -shared.load(setup)))
        full = bool(held[best].mean() < free[best].efficiency.mean() - 1e-9)
        row = {
            "system": "cp",
            "channel": place.kind,
            "bits": float(wanted),
            **_interval("efficiency", held[best]),
            **_interval("margin", held[best] - place.linear),
            "precoder_bits": best.bits,
            "reuse": best.reuse,
            "link_limited": full,
        }
        if not full:
            row |= _interval("plain", free[best].plain)
        if schemes.most_within(setup, best, wanted) >= coded:
            row |= _interval("symbol_errors", free[best].symbol_errors)
        rows.append(row)
    return rows


def modulation_rows(place: Scene) -> list[dict[str, Any]]:
    """CP as O-RAN has it: layers by modulation compression, weights in block floating point.

    One row a constellation, with the sharing of weights that is best there, of equal ones that with
    the fewest symbol errors. The links carry coded bits, so that the efficiency is the mutual
    information of the radio link, but at most the symbols' bits at NR's highest code rate; CP
    itself has the paper's code rate. 16-QAM has the error rate.
    """
    setup = place.setup
    channels = schemes.band(place.drop)
    noise = np.random.default_rng([place.seed, 6])
    free = {
        shared: schemes.compress_precode(setup, channels, shared, place.receiver, place.qam, noise)
        for shared in schemes.MODULATION_PRECODERS
    }
    rows = []
    for order in ORDERS:
        most = order * setup.total_streams * MOST_CODE_RATE
        held = {shared: np.minimum(sent.efficiency, most) for shared, sent in free.items()}
        best = max(held, key=lambda one: (held[one].mean(), -float(free[one].symbol_errors.mean())))
        full = bool(held[best].mean() < free[best].efficiency.mean() - 1e-9)
        row = {
            "system": "cp-mod",
            "channel": place.kind,
            "bits": schemes.modulation_bits(setup, best, order),
            **_interval("efficiency", held[best]),
            **_interval("margin", held[best] - place.linear),
            "order": order,
            "precoder_bits": best.bits,
            "reuse": best.reuse,
            "link_limited": full,
        }
        if not full:
            row |= _interval("plain", free[best].plain)
        if order == QAM_BITS:
            row |= _interval("symbol_errors", free[best].symbol_errors)
        rows.append(row)
    return rows


def evaluate_fronthaul(
    systems: Mapping[str, Sequence[tuple[str, Codebooks]]],
    setup: Setup,
    *,
    bits: Sequence[float] = (),
    blocks: int = 20,
    seed: int = 0,
    receiver: Receiver = "localized",
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Everything against bits, on each kind of channel.

    Args:
        systems: of each kind of channel, names and systems.
        setup: sizes of the scene.
        bits: at which CP is shown; () takes those of the systems.
        blocks: channels of each kind.
        seed: of channels, symbols, noise.
        receiver: of the users.
        progress: called with systems done and in all.

    Returns:
        `setup`, `rows`: system, channel, bits (None: no limit), efficiency and plain with their
        95 % intervals over channels, symbol_errors of 16-QAM.

    Raises:
        InputError: systems that do not fit the set-up.
    """
    own = {float(max(one.setup.bits)) for found in systems.values() for _, one in found}
    asked = sorted({float(b) for b in bits} or own or {float(max(setup.bits))})
    rows: list[dict[str, Any]] = []
    total, done = sum(len(found) + 4 for found in systems.values()), 0
    for kind, found in systems.items():
        place = scene(kind, setup, blocks=blocks, seed=seed, receiver=receiver)
        for name, one in found:
            rows.append(deployed_row(place, one, name=name))
            done += 1
            progress(done, total)
        made: tuple[Callable[[], list[dict[str, Any]]], ...] = (
            partial(compress_precode_rows, place, asked),
            partial(modulation_rows, place),
            partial(floating_point_rows, place),
            partial(reference_rows, place),
        )
        for make in made:
            rows += make()
            done += 1
            progress(done, total)
    return {
        "setup": setup.describe(),
        "receiver": receiver,
        "blocks": blocks,
        "uses": USES,
        "seed": seed,
        "rows": rows,
    }


def sweep(
    systems: Sequence[tuple[str, Codebooks]],
    setup: Setup,
    over: str,
    values: Sequence[float],
    *,
    channel: str,
    blocks: int,
    seed: int,
    receiver: Receiver = "localized",
    progress: Advance = quiet,
) -> dict[str, Any]:
    """Systems while one thing changes: users, SNR or iterations.

    Args:
        systems: names and systems.
        setup: of the scene but for what changes.
        over: "users", "snr_db" or "iterations".
        values: what it is set to.
        channel: kind.
        blocks: channels for each value.
        seed: of everything.
        receiver: of the users.
        progress: called with systems done and in all.

    Returns:
        `over`, and `rows` with the value under that name; linear precoding without limit beside.

    Raises:
        InputError: nothing to sweep over, or sizes out of range.
    """
    rows = []
    total, done, own_setup = len(values) * len(systems), 0, setup
    for value in values:
        if over == "users":
            own_setup = replace(setup, users=int(value))
        elif over == "snr_db":
            own_setup = replace(setup, snr_db=float(value))
        elif over != "iterations":
            raise InputError(f"sweep over {over}: users, snr_db or iterations")
        place = scene(channel, own_setup, blocks=blocks, seed=seed, receiver=receiver)
        for name, one in systems:
            own = replace(one, iterations=int(value)) if over == "iterations" else one
            rows.append({over: value, **deployed_row(place, own, name=name, errors=False)})
            done += 1
            progress(done, total)
        rows.append({over: value, **reference_rows(place, errors=False)[0]})
    about = {"setup": setup.describe(), "channel": channel, "blocks": blocks, "seed": seed}
    return {"over": over, "receiver": receiver, **about, "rows": rows}


def _precode(w: Complex, s: Complex) -> Complex:
    sent: Complex = s @ np.swapaxes(w, 1, 2)
    return sent


def _floating_point(links: Links, width: int, s: Complex) -> Complex:
    return schemes.block_floating_point(links, s, width)


def _row(
    place: Scene, system: str, transmit: Send, *, bits: float | None, errors: bool
) -> dict[str, Any]:
    quality = measure(place.links, transmit(place.gaussian), place.gaussian)
    row: dict[str, Any] = {
        "system": system,
        "channel": place.kind,
        "bits": bits,
        **_interval("efficiency", quality.efficiency),
        **_interval("plain", quality.plain),
        **_interval("margin", quality.efficiency - place.linear),
    }
    if quality.sinr_efficiency is not None:
        row |= _interval("sinr_efficiency", quality.sinr_efficiency)
    if errors:
        noise = np.random.default_rng([place.seed, 5])
        wrong = symbol_errors(place.links, transmit(place.qam), place.qam, noise)
        row |= _interval("symbol_errors", wrong)
    return row


def _interval(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """Mean and 95 % interval over channels, by Student's t."""
    half = interval_half(values)
    mean = float(values.mean())
    return {name: mean, f"{name}_interval": [mean - half, mean + half]}
