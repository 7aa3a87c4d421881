"""What fronthaul quantizers are compared with: transmission without limit, CP, and O-RAN's BFP.

All send a linear function of the symbols, or that and little else, so that E_n of eq. (41) has a
closed form: with T = A Gamma W it is (T - I)_n (T - I)_n^H + sigma^2 F_n^H F_n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.block_floating_point import bits_per_sample, round_trip
from csideploy.baselines.compress_precode import (
    BITS,
    CODE_RATE,
    SHARED,
    floating_point_load,
    floating_point_precoder,
    precoder_load,
    quantize_precoder,
    sum_rate_within,
)
from csideploy.baselines.modulation_compression import prb_bytes
from csideploy.fronthaul.channels import Drop
from csideploy.fronthaul.link import (
    Complex,
    Links,
    Receiver,
    antenna_powers,
    effective,
    mmse_precoder,
    per_antenna,
    power_gains,
    receive_beamformers,
)
from csideploy.fronthaul.quality import Quality, measure, symbol_errors
from csideploy.fronthaul.searches import precoded
from csideploy.fronthaul.setup import Setup

SUBCARRIER_HZ = 30e3
PRB = 12
SYMBOLS = 14
FREQUENCIES = 5
"""At which a shared precoder is judged, evenly over its resource blocks."""
BOUND_ROUNDS = 300
FULL_SCALE_DB = 12.0
"""Of BFP's int16 samples over the mean power of an antenna's strongest RU."""


@dataclass(frozen=True)
class SharedPrecoder:
    """A configuration of compress-and-precode.

    Attributes:
        bits: B_CP, a complex entry of W.
        reuse: K_CP, channel uses: resource blocks times 12 times 14.
        floating: W in O-RAN's block floating point instead, bits / 2 a mantissa.
    """

    bits: int = BITS
    reuse: int = SHARED[-1]
    floating: bool = False

    @property
    def blocks(self) -> int:
        """PRBs that share a precoder."""
        return self.reuse // (PRB * SYMBOLS)

    def load(self, setup: Setup) -> float:
        """Bits a channel use for precoders, at the RU with the most antennas."""
        sizes = {"antennas": max(setup.antennas), "streams": setup.total_streams}
        if self.floating:
            return floating_point_load(**sizes, width=self.bits // 2, reuse=self.reuse)
        return precoder_load(**sizes, precoder_bits=self.bits, reuse=self.reuse)

    def quantized(self, precoder: Complex) -> Complex:
        """W_hat of an RU."""
        if self.floating:
            return floating_point_precoder(precoder, self.bits // 2)
        return quantize_precoder(precoder, self.bits)


SHARED_PRECODERS = (
    *(SharedPrecoder(BITS, reuse) for reuse in SHARED),
    *(SharedPrecoder(bits, SHARED[0]) for bits in (2, 4)),
    *(SharedPrecoder(bits, SHARED[-1]) for bits in (32, 64)),
)
"""Those of paper 003, Section VI-B. 128 to 2048 bits an entry are left out: 64 are 32 bits a real
number, and more change nothing but the load."""

MODULATION_PRECODERS = tuple(SharedPrecoder(18, reuse, floating=True) for reuse in SHARED)
"""With modulation compression: weights in block floating point with mantissas of 9 bits."""


def linear(links: Links) -> Complex:
    """Gamma W of linear precoding without limit: W itself, which keeps every RU's power."""
    return links.w


def best_linear(links: Links) -> Complex:
    """The precoder that minimises the sum of the effective interference (42) for these receivers.

    Paper 003's second benchmark minimises over x_hat for every channel use. Under average powers
    the minimiser is linear in s: with multipliers lambda_m of the RUs' powers,

        x = D^-1 A^H (A D^-1 A^H + I)^-1 s,  D = diag(lambda_m),

    and lambda_m falls until RU m has all of its power, or nothing more to gain from it. No search
    with these receivers has less interference, whatever its bits.

    Returns:
        (c, N_tx, L).
    """
    setup, a = links.setup, links.a
    multipliers = np.full((len(links), setup.rus), setup.noise)
    unit = np.eye(a.shape[1])
    best = np.zeros_like(links.w)
    for _ in range(BOUND_ROUNDS):
        scaled = a / per_antenna(setup, multipliers)[:, None]
        adjoint = np.conj(np.swapaxes(scaled, 1, 2))
        best = adjoint @ np.linalg.inv(a @ adjoint + unit)
        power = antenna_powers(setup, np.sum(np.abs(best) ** 2, axis=-1))
        multipliers = np.maximum(multipliers * np.sqrt(power), 1e-9)
    return _within_power(setup, best)


def of_precoder(links: Links, w: Complex) -> Quality:
    """Quality of x = W s, in closed form.

    Args:
        links: c blocks.
        w: Gamma W (c, N_tx, L).
    """
    streams = links.a.shape[1]
    # L orthogonal symbols stand for Gaussian ones: their mean outer product is I as well.
    symbols = np.broadcast_to(np.sqrt(streams) * np.eye(streams), (len(links), streams, streams))
    return measure(links, symbols @ np.swapaxes(w, 1, 2), symbols)


def band(drop: Drop) -> NDArray[np.complex64]:
    """The channels at the middle of each of the resource blocks that the longest sharing covers.

    Returns:
        (c, PRBs, N, N_rx, N_tx).
    """
    blocks = max(shared.blocks for shared in SHARED_PRECODERS)
    middles = np.arange(blocks, dtype=np.float64) - (blocks - 1) / 2
    return drop.at(PRB * SUBCARRIER_HZ * middles)


@dataclass(frozen=True)
class SharedQuality:
    """Of CP without a limit on the coded bits, mean over frequencies, of every block (c,)."""

    efficiency: NDArray[np.float64]
    plain: NDArray[np.float64]
    symbol_errors: NDArray[np.float64]


def compress_precode(
    setup: Setup,
    channels: Complex,
    shared: SharedPrecoder,
    receiver: Receiver,
    symbols: Complex,
    rng: np.random.Generator,
) -> SharedQuality:
    """CP without a limit on the coded bits.

    The DU precodes for the channel averaged over the resource blocks that share a precoder (paper
    003, Section VI-B); users know what they receive at their own frequency. Within a slot the
    channel stands still.

    Args:
        setup: sizes.
        channels: of `band`; the blocks in its middle share a precoder.
        shared: how many, and how fine it is.
        receiver: of the users.
        symbols: of 16-QAM (c, R, L), for the errors.
        rng: of the noise.
    """
    start = (channels.shape[1] - shared.blocks) // 2
    h = channels[:, start : start + shared.blocks].astype(np.complex128)
    w = mmse_precoder(setup, h.mean(axis=1))
    for span in setup.spans:
        w[:, span] = shared.quantized(w[:, span])
    w = _within_power(setup, w)
    found = []
    for place in np.linspace(0, shared.blocks - 1, min(FREQUENCIES, shared.blocks)).astype(int):
        own = h[:, place]
        f = receive_beamformers(setup, own, w, receiver)
        links = Links(setup, own, w, f, effective(own, f))
        quality = of_precoder(links, w)
        wrong = symbol_errors(links, symbols @ np.swapaxes(w, 1, 2), symbols, rng)
        found.append((quality.efficiency, quality.plain, wrong))
    return SharedQuality(*np.mean(found, axis=0))


def most_within(setup: Setup, shared: SharedPrecoder, bits: float) -> float:
    """Sum rate that links of `bits` a channel use leave room for (eq. 11); not of floating ones."""
    return sum_rate_within(
        bits, CODE_RATE, max(setup.antennas), setup.total_streams, shared.bits, shared.reuse
    )


def within_fronthaul(
    setup: Setup, efficiency: NDArray[np.float64], shared: SharedPrecoder, bits: float
) -> NDArray[np.float64]:
    """Efficiency of CP on links of `bits` a channel use: every RU gets all coded bits (eq. 11)."""
    return np.minimum(efficiency, most_within(setup, shared, bits))


def modulation_bits(setup: Setup, shared: SharedPrecoder, order: int) -> float:
    """Bits a channel use of CP whose layers come by O-RAN's modulation compression.

    Every RU gets all layers as symbols of `order` bits, and its weights.
    """
    return 8 * prb_bytes(order) / PRB * setup.total_streams + shared.load(setup)


def block_floating_point(links: Links, s: Complex, width: int) -> Complex:
    """What RUs send if the DU's samples W s come by O-RAN's BFP with mantissas of `width` bits.

    Twelve channel uses in a row share an exponent, as the resource elements of a PRB do. The RU
    adds half a step to what the codec cut off, which the standard leaves open; it flatters BFP.

    Returns:
        (c, R, N_tx), no RU above its power.
    """
    x = precoded(links, s)
    scale = float(np.sqrt(np.mean(np.abs(x) ** 2, axis=(0, 1)).max()) * 10 ** (FULL_SCALE_DB / 20))
    held = np.stack([round_trip(block, width, scale, middle=True) for block in x])
    gamma = power_gains(links.setup, held)
    sent: Complex = held * per_antenna(links.setup, gamma)[:, None]
    return sent


def block_floating_point_bits(setup: Setup, width: int) -> float:
    """Bits a channel use of BFP at the RU with the most antennas."""
    return bits_per_sample(width) * max(setup.antennas)


def _within_power(setup: Setup, w: Complex) -> Complex:
    power = antenna_powers(setup, np.sum(np.abs(w) ** 2, axis=-1))
    gamma = np.minimum(1, 1 / np.sqrt(np.maximum(power, np.finfo(np.float64).tiny)))
    held: Complex = w * per_antenna(setup, gamma)[:, :, None]
    return held
