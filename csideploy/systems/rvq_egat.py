"""The networks of paper 000: pilots, feature extractor, and the graph attention precoder.

Sizes (Section VI-C): the extractor is 2L -> 1024 -> 512 -> 256 -> D with batch norm and Mish behind
each hidden layer and tanh at the end; the edge precoder starts with D/M -> 512 -> 128 on each pair
of a user and an antenna, updates 3 times with linear functions of width 128, and ends with
512 -> 2.
The node form is the public predecessor's: a state of 512 a user, 2 layers, mean over the others.
The quantizer between them is `csideploy.quantizers.tiers`.

Anchor (ours). With `anchor="rzf"` the feature doubles as a rough channel: a linear function of each
piece gives h_hat, and W_0, the regularized zero-forcing precoder of h_hat, is an input of every
edge and what the network's output is added to. The network is left with what the inverse does not
know: errors of the feedback, unequal users, noise. Users and antennas may still be permuted. It
starts higher and learns more slowly: after 1000 steps it is behind the paper's network
(`benchmarks/transceiver_training.py`), so it is off by default.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from csideploy.errors import InputError
from csideploy.quantizers.tiers import Tiers
from csideploy.transceiver import Setup

FORMS = ("edge", "node")
ANCHORS = ("none", "rzf")
_SMALLEST_POWER = 1e-12
_CHANNEL_GAIN = 4.0
"""Features lie in (-1, 1); channels of unit mean power an antenna reach well beyond."""
_LOG_SHARE = (-6.0, 8.0)
"""Of a user's share of the loading: no solve below what float32 can do."""
_LOG_GAIN = (-3.0, 3.0)
"""Of a user's part of W_0: a power of 26 dB either way, and no overflow."""
_SMALL_START = 0.1


@dataclass(frozen=True)
class Widths:
    """Widths of the layers. The defaults are the paper's.

    Attributes:
        extractor: hidden layers of the feature extractor.
        form: "edge", states on (user, antenna); "node", states on users.
        start: hidden width and state of the precoder's first network.
        layers: G, updates.
        end: hidden width of its last network.
        alpha, beta: weights of the antennas and of the other users in an update (eq. 18).
        anchor: "none" as in the paper, or "rzf" (see above).
    """

    extractor: tuple[int, ...] = (1024, 512, 256)
    form: str = "edge"
    start: tuple[int, int] = (512, 128)
    layers: int = 3
    end: int = 512
    alpha: float = 0.1
    beta: float = 0.1
    anchor: str = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "extractor", tuple(self.extractor))
        object.__setattr__(self, "start", tuple(self.start))
        if self.form not in FORMS:
            raise InputError(f"form {self.form!r}: {' or '.join(FORMS)}")
        if self.anchor not in ANCHORS:
            raise InputError(f"anchor {self.anchor!r}: {' or '.join(ANCHORS)}")
        sizes = (*self.extractor, *self.start, self.layers, self.end)
        if len(self.start) != 2 or not self.extractor or min(sizes) < 1 or max(sizes) > 8192:
            raise InputError(f"widths {sizes}: two of the start, whole numbers from 1 to 8192")

    def describe(self) -> dict[str, Any]:
        """Plain values, for checkpoints and metadata."""
        return {**asdict(self), "extractor": list(self.extractor), "start": list(self.start)}


NODE = Widths(form="node", start=(1024, 512), layers=2, end=256)
"""The public predecessor's precoder."""


class Extractor(nn.Module):
    """What a user makes of its pilots: y (n, L, 2) -> feature (n, D) in (-1, 1) (eq. 11)."""

    def __init__(self, setup: Setup, widths: Widths) -> None:
        super().__init__()
        sizes = (2 * setup.pilots, *widths.extractor)
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.Mish()]
        self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], setup.feature), nn.Tanh())

    def forward(self, y: Tensor) -> Tensor:
        """Received pilots to features."""
        v: Tensor = self.net(y.flatten(1))
        return v


class Anchor(nn.Module):
    """Features and SNR to W_0, the regularized zero-forcing precoder of a rough channel.

    With h_hat (K, M) from the pieces of the feature, W_0^T = h_hat^H (h_hat h_hat^H + delta I)^-1,
    scaled to unit mean power an entry. delta sums a share of each user: e^(e_k + b - c s), e_k a
    weighted mean of its feature's squares, alike for all antennas, s the SNR in dB over 10. At the
    start c = ln 10, so that delta is proportional to K / snr; what the feedback leaves out acts as
    noise that does not fall with the SNR, and c learns that.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.antennas = setup.antennas
        piece = setup.feature // setup.antennas
        self.channel = nn.Parameter(_CHANNEL_GAIN * torch.eye(piece, 2))
        self.share = nn.Parameter(torch.zeros(piece))
        self.level = nn.Parameter(torch.tensor([0.0, math.log(10.0)]))

    def rough(self, v: Tensor) -> Tensor:
        """The channel that features suggest: (..., D) -> complex (..., M)."""
        pieces = v.reshape(*v.shape[:-1], self.antennas, -1)
        return torch.view_as_complex((pieces @ self.channel).contiguous())

    def misfit(self, v: Tensor, h: Tensor) -> Tensor:
        """|h_hat - h|^2 / (|h|^2 + 1) of each user: features (n, D), channels (n, M) -> (n,).

        The 1 is the noise at 0 dB: of users far below it, nobody can know the channel.
        """
        missed = (self.rough(v) - h).abs().square().sum(1)
        return missed / (h.abs().square().sum(1) + 1)

    def forward(self, v: Tensor, snr_db: Tensor) -> Tensor:
        """(n, K, D) and (n, 1) -> (n, K, M, 2), in float32 whatever the precision around it."""
        users = v.shape[1]
        h = self.rough(v)
        energy = v.square().view(*v.shape[:-1], self.antennas, -1).mean(-2) @ self.share
        log_share = energy + self.level[0] - self.level[1] * 0.1 * snr_db
        loading = log_share.clamp(*_LOG_SHARE).exp().sum(1)
        gram = h @ h.mH + loading[:, None, None] * torch.eye(users, device=v.device)
        w = torch.linalg.solve(gram.mT, h.conj())
        power = w.abs().square().mean((1, 2), keepdim=True)
        return torch.view_as_real(w * power.clamp_min(_SMALLEST_POWER).rsqrt())


class Graph(nn.Module):
    """The precoder: features (n, K, D) and the SNR in dB (n, 1) -> W (n, K, M, 2), any K.

    W[:, k] is w_k, (re, im) last; the total power is 1. The SNR, P / sigma^2 (eq. 21), joins the
    input of every edge. With an anchor W_0 does too, the last network has one more output, and
    w_k = W_0k e^(mean over antennas of it) + the others.
    """

    def __init__(self, setup: Setup, widths: Widths) -> None:
        super().__init__()
        self.setup, self.widths = setup, widths
        edge = widths.form == "edge"
        self.places = setup.antennas if edge else 1
        hidden, state = widths.start
        outputs = 2 * setup.antennas // self.places
        self.anchor = Anchor(setup) if widths.anchor == "rzf" else None
        extra = 0 if self.anchor is None else outputs
        inputs = setup.feature // self.places + 1 + extra
        self.start = nn.ModuleList([nn.Linear(inputs, hidden), nn.Linear(hidden, state)])
        # f_1 .. f_5 of a layer, one below the other (f_2 is the antennas': not in the node form).
        functions = 5 if edge else 4
        self.layers = nn.ModuleList(
            nn.Linear(state, functions * state) for _ in range(widths.layers)
        )
        outputs += self.anchor is not None
        self.end = nn.ModuleList([nn.Linear(state, widths.end), nn.Linear(widths.end, outputs)])
        if self.anchor is not None:
            with torch.no_grad():
                self.end[1].weight.mul_(_SMALL_START)  # type: ignore[operator]
                self.end[1].bias.zero_()  # type: ignore[operator]

    def forward(self, v: Tensor, snr_db: Tensor) -> Tensor:
        """States are (C, n, K, places), so that a layer is one product, and the attention another.

        f_2 is applied to the mean over the antennas instead of to each: it is linear, and
        sum_(i != m) f_2(z_i) = M f_2(mean z) - f_2(z_m).
        """
        n, users = v.shape[:2]
        level = (0.1 * snr_db).view(1, n, 1, 1).expand(1, n, users, self.places)
        inputs = [v.view(n, users, self.places, -1).permute(3, 0, 1, 2), level]
        w0 = None
        if self.anchor is not None:
            with torch.autocast(v.device.type, enabled=False):
                w0 = self.anchor(v.float(), snr_db)
            inputs.append(w0.reshape(n, users, self.places, -1).permute(3, 0, 1, 2))
        z = torch.cat(inputs, 0)
        for linear in self.start:
            z = F.mish(_applied(linear.weight, linear.bias, z))
        for layer in self.layers:
            z = self._update(layer, z)
        first, last = self.end
        z = F.mish(_applied(first.weight, first.bias, z))
        z = _applied(last.weight, last.bias, z).float()
        gain = None
        if w0 is not None:
            gain, z = z[-1].mean(-1).clamp(*_LOG_GAIN).exp(), z[:-1]
        w = z.permute(1, 2, 3, 0).contiguous().view(n, users, self.setup.antennas, 2)
        if w0 is not None and gain is not None:
            w = w + w0 * gain[..., None, None]
        power = w.square().sum((1, 2, 3), keepdim=True)
        made: Tensor = w * power.clamp_min(_SMALLEST_POWER).rsqrt()
        return made

    def _update(self, layer: nn.Module, z: Tensor) -> Tensor:
        """One layer: eq. 18 and 19, or the predecessor's update of users."""
        weight, bias = layer.weight, layer.bias
        state, places, users = len(z), self.places, z.shape[2]
        alpha, beta = self.widths.alpha, self.widths.beta
        assert isinstance(weight, Tensor)
        assert isinstance(bias, Tensor)
        if places > 1:
            w, b = weight.view(5, state, state), bias.view(5, state)
            own = w[0] - (alpha / places) * w[1]
            start = b[0] + alpha * (places - 1) / places * b[1]
            antennas = alpha * _applied(w[1], None, z.mean(3, keepdim=True))
            many, shift = torch.cat([own, w[2:].flatten(0, 1)]), torch.cat([start, b[2:].flatten()])
        else:
            antennas, many, shift = torch.zeros(()), weight, bias
            # The predecessor takes the mean over the others, unweighted.
            beta = 1 / max(users - 1, 1)
        f1, f3, f4, f5 = _applied(many, shift, z).chunk(4)
        attention = f4 @ f5.transpose(2, 3) * (beta / places)
        attention = attention * (1 - torch.eye(users, device=z.device))
        return F.mish(f1 + antennas + attention @ f3)


def _applied(weight: Tensor | Any, bias: Tensor | Any, z: Tensor) -> Tensor:
    """A linear function of the first axis."""
    flat = z.reshape(len(z), -1)
    made = weight @ flat if bias is None else torch.addmm(bias[:, None], weight, flat)
    return made.view(-1, *z.shape[1:])


class Transceiver(nn.Module):
    """Pilots, extractor, quantizer and precoder.

    Attributes:
        pilot: (M, L, 2), columns normalised where they are used: |x_l|^2 = P (eq. 9).
    """

    def __init__(self, setup: Setup, widths: Widths | None = None) -> None:
        super().__init__()
        self.setup, self.widths = setup, widths or Widths()
        self.pilot = nn.Parameter(torch.randn(setup.antennas, setup.pilots, 2))
        self.extractor = Extractor(setup, self.widths)
        self.tiers = Tiers(setup.feature, setup.tiers, setup.regions)
        self.graph = Graph(setup, self.widths)

    def unit_pilots(self) -> Tensor:
        """Complex (M, L), unit columns."""
        pilot = self.pilot / self.pilot.square().sum((0, 2), keepdim=True).sqrt()
        return torch.view_as_complex(pilot.contiguous())

    def hear(self, h: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
        """What users hear of the pilots, over sqrt(P): y = H x + noise / sqrt(snr) (eq. 1).

        Args:
            h: complex (n, K, M).
            noise: complex (n, K, L), variance 1, its two parts independent.
            snr_db: (n, 1).

        Returns:
            (n K, L, 2).
        """
        y = h @ self.unit_pilots() + noise * (10 ** (-snr_db / 20))[:, :, None]
        return torch.view_as_real(y).flatten(0, 1)

    def forward(
        self,
        h: Tensor,
        noise: Tensor,
        snr_db: Tensor,
        count: Tensor | int | None = None,
        region: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Channels to precoders through the bits; and the quantizer's squared errors (n K,)."""
        n, users = h.shape[:2]
        v = self.extractor(self.hear(h, noise, snr_db))
        read, error, _ = self.tiers(v, count, region)
        return self.graph(read.view(n, users, -1), snr_db), error


def sum_rates(h: Tensor, w: Tensor, snr_db: Tensor) -> Tensor:
    """Sum rate of each group, bit/s/Hz (eq. 8).

    Args:
        h: complex (n, K, M).
        w: (n, K, M, 2), total power 1.
        snr_db: (n, 1).
    """
    snr = 10 ** (snr_db / 10)
    heard = snr[:, :, None] * (h @ torch.view_as_complex(w).transpose(1, 2)).abs().square()
    own = heard.diagonal(dim1=1, dim2=2)
    rates: Tensor = torch.log2(1 + own / (heard.sum(2) - own + 1)).sum(1)
    return rates
