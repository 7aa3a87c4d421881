"""The parts of a fronthaul quantizer: one at the DU, one at each RU, and what they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from csideploy.errors import InputError
from csideploy.export.fronthaul_tables import search_plan
from csideploy.export.gradient_models import gradient_plan
from csideploy.export.plan import Plan
from csideploy.export.ru_models import network_decoder_model, table_decoder_model
from csideploy.fronthaul.channels import link_gains
from csideploy.fronthaul.codebooks import NEURAL_METHODS, Codebooks, is_joint
from csideploy.fronthaul.link import Complex, Links, joint_step, own_step, whitener
from csideploy.fronthaul.searches import precoded
from csideploy.fronthaul.setup import Setup

Floats = NDArray[np.float32]
Ends = dict[str, tuple[str, tuple[int | str, ...]]]
"""Type and shape of inputs or outputs, by name; "n" is the batch."""


class Quantizer(Protocol):
    """What of `Codebooks` says what the DU's part reads."""

    @property
    def method(self) -> str:
        """Of `codebooks.METHODS`."""

    @property
    def eta(self) -> float:
        """Step of neural methods."""


@dataclass(frozen=True)
class Search:
    """A `Quantizer` without its decoders, as a package names it."""

    method: str
    eta: float


def du_plan(
    codebooks: Codebooks,
    *,
    block: int,
    users: int | None = None,
    max_blocks: int = 1,
    pairing_id: bytes = bytes(16),
    metadata: Mapping[str, str] | None = None,
) -> Plan:
    """The DU's quantizer, a native part: `du_inputs` -> payload uint8 (n, bytes of a block).

    Args:
        codebooks: decoders and method.
        block: R, channel uses under one channel.
        users: N, if not that of the set-up: the decoders fit any number.
        max_blocks: that one run takes.
        pairing_id: that all parts share.
        metadata: strings for people.

    Raises:
        InputError: sizes that the part does not take.
    """
    setup = codebooks.setup
    users = setup.users if users is None else users
    streams = users * setup.streams
    if codebooks.neural:
        return gradient_plan(
            codebooks.networks,
            streams=streams,
            block=block,
            iterations=codebooks.iterations,
            method=codebooks.method,
            max_blocks=max_blocks,
            pairing_id=pairing_id,
            metadata=metadata,
        )
    pmq = codebooks.method == "pmq"
    return search_plan(
        codebooks.tables,
        method=codebooks.method,
        block=block,
        streams=None if codebooks.method == "vq" else streams,
        users=users if pmq else None,
        alpha=codebooks.alpha,
        iterations=codebooks.iterations if pmq else None,
        max_blocks=max_blocks,
        pairing_id=pairing_id,
        metadata=metadata,
    )


def du_inputs(
    codebooks: Quantizer, links: Links, s: Complex, gamma: NDArray[np.float64]
) -> dict[str, Floats]:
    """What the DU's part reads, by name.

    Args:
        codebooks: method and step.
        links: c blocks.
        s: symbols (c, R, L).
        gamma: (c, M).

    Returns:
        Of vq and neural-vq `precoded` (c, R, N_tx, 2). Of the others `effective` (c, L, N_tx, 2)
        and `targets` (c, R, L, 2), for neural-mq both times the whitener; of pmq `gains` (c, M, N);
        of neural methods `step` (c,).
    """
    method, setup = codebooks.method, links.setup
    neural = method in NEURAL_METHODS
    if not is_joint(method):
        read = {"precoded": _pairs(precoded(links, s))}
        if neural:
            read["step"] = np.full(len(links), own_step(setup, codebooks.eta), np.float32)
        return read
    channel, wanted = links.gained(gamma), links.wanted(s)
    if neural:
        weights = whitener(links.a)
        channel, wanted = weights @ channel, wanted @ np.swapaxes(weights, 1, 2)
    read = {"effective": _pairs(channel), "targets": _pairs(wanted)}
    if method == "pmq":
        read["gains"] = link_gains(setup, links.h)
    if neural:
        read["step"] = _floats(joint_step(setup, channel, codebooks.eta))
    return read


def interface(system: str, setup: Setup, block: int, stem: str) -> tuple[Ends, Ends]:
    """What a part of a package takes and gives: (dtype, shape) by name, in order.

    Args:
        system: of `codebooks.METHODS`.
        setup: sizes.
        block: R.
        stem: "du", "ru-1", ...
    """
    spans = payload_spans(setup, block)
    if stem != "du":
        m = int(stem.removeprefix("ru-")) - 1
        size = spans[m].stop - spans[m].start
        signal = ("n", block, setup.antennas[m], 2)
        return {"payload": ("uint8", ("n", size))}, {"signal": ("float32", signal)}
    antennas, streams = setup.total_antennas, setup.total_streams
    if system in ("vq", "neural-vq"):
        shapes: dict[str, tuple[int | str, ...]] = {"precoded": ("n", block, antennas, 2)}
    else:
        shapes = {"effective": ("n", streams, antennas, 2), "targets": ("n", block, streams, 2)}
    if system == "pmq":
        shapes["gains"] = ("n", setup.rus, setup.users)
    if system in NEURAL_METHODS:
        shapes["step"] = ("n",)
    inputs: Ends = {name: ("float32", shape) for name, shape in shapes.items()}
    return inputs, {"payload": ("uint8", ("n", spans[-1].stop))}


def ru_model(codebooks: Codebooks, ru: int, *, block: int) -> ModelProto:
    """The decoder of one RU as ONNX: payload uint8 (n, bytes) -> signal (n, R, N_m, 2)."""
    bits = codebooks.setup.bits[ru]
    if codebooks.neural:
        network = codebooks.networks[ru]
        layers = list(zip(network.weights, network.biases, strict=True))
        return network_decoder_model(layers, block=block, bits=bits)
    return table_decoder_model(codebooks.tables[ru], block=block, bits=bits)


def payload_spans(setup: Setup, block: int) -> tuple[slice, ...]:
    """Where each RU's bit stream lies in the bytes of a block; each has its own zero pad."""
    sizes = [-(-bits * block // 8) for bits in setup.bits]
    ends = np.cumsum(sizes).tolist()
    return tuple(slice(end - size, end) for end, size in zip(ends, sizes, strict=True))


def _pairs(values: Complex) -> Floats:
    return _floats(np.stack([values.real, values.imag], axis=-1))


def _floats(values: NDArray[np.float64]) -> Floats:
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    if not np.isfinite(found).all():
        block = int(np.argwhere(~np.isfinite(found))[0, 0])
        raise InputError(
            f"block {block}: a channel or symbol so large or small that the DU's float32 cannot "
            "hold what is made of it; scale the channels to gains near 1"
        )
    return found
