"""The distilled precoder: receivers at the UEs, a transmitter at the BS (paper 004).

Kong, Song, Min, "Knowledge Distillation-aided End-to-End Learning for Linear Precoding in Multiuser
MIMO Downlink Systems with Finite-Rate Feedback", Section III. Sizes at M = 8, N = 2, K = 4, B = 6,
L = 8:

    receiver     2LN = 32 -> 40MN = 640 -> 30MN = 480 -> 20MN = 320 -> B = 6
    transmitter  BK [+1] = 24 -> 20MNK = 1280 -> 30MNK = 1920 -> 40MNK = 2560 -> 2MNK = 128

ReLU between the layers, weights from N(0, 2 / inputs), no bias at first (the public code).
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from csideploy.downlink import Setup, dft_pilots
from csideploy.errors import InputError
from csideploy.quantizers.sign import sign

CHOICES = {
    "receivers": ("shared", "own"),
    "order": ("sorted", "given"),
    "pilot": ("dft", "learned"),
}

_SMALLEST_NORM = 1e-12
"""A column of zeros stays one, instead of becoming NaN."""


@dataclass(frozen=True)
class Options:
    """What there is to choose beside the sizes.

    Attributes:
        receivers: "shared": one network at all users (the public code); "own": one each (paper).
        power_input: the transmitter sees P (eq. 5), in dB / 10; else one network serves one P.
        order: "sorted": the transmitter sorts the users by their index, runs its network, and puts
            its columns back, so that a permutation of the users permutes V, and a table of sorted
            tuples says it all; only where the receivers are shared. "given": the paper's. Empty:
            sorted where that is possible.
        pilot: "dft" (paper), or "learned" with the rest: M x L, each column of unit norm.

    Raises:
        InputError: an unknown value, or sorted users with receivers of their own.
    """

    receivers: str = "shared"
    power_input: bool = False
    order: str = ""
    pilot: str = "dft"

    def __post_init__(self) -> None:
        if not self.order:
            object.__setattr__(self, "order", "sorted" if self.receivers == "shared" else "given")
        for name, legal in CHOICES.items():
            if getattr(self, name) not in legal:
                raise InputError(f"{name} {getattr(self, name)!r}: {' or '.join(legal)}")
        if self.order == "sorted" and self.receivers == "own":
            raise InputError(
                "order sorted goes with shared receivers: users with receivers of their own do not "
                "mean the same by an index; take order given"
            )

    def describe(self) -> dict[str, Any]:
        """Plain values, for manifests and cards."""
        return asdict(self)


def _fully_connected(*sizes: int) -> nn.Sequential:
    """Linear layers with ReLU between them (eq. 3), He-normal, zero bias."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Receiver(nn.Module):
    """A user's network: y (n, L, N, 2) -> u (n, B); bit b is 1 where u_b >= 0 (eq. 4).

    Its input is divided by the standard deviation of a received symbol, sqrt(P_train + 1) (pilots
    have unit norm, channels and noise variance 1). Unscaled, u begins at a deviation near 3, where
    the gradient tanh'(u) of the bits is all but gone. At 30 dB, after 300 iterations: users as
    given and no teacher, all 6 bits constant and 4.79 bit/s/Hz; sorted and distilled, 5.71 unscaled
    and 5.92 scaled, no bit constant.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        width = setup.antennas * setup.streams
        self.scale = (setup.pilot_power + 1) ** -0.5
        self.net = _fully_connected(setup.inputs, 40 * width, 30 * width, 20 * width, setup.bits)

    def forward(self, y: Tensor) -> Tensor:
        """What the user heard -> u, before binarization."""
        u: Tensor = self.net((y * self.scale).flatten(1))
        return u

    def folded(self) -> nn.Sequential:
        """The same network with the scale in the weights of its first layer, for deployment."""
        net = copy.deepcopy(self.net)
        with torch.no_grad():
            net[0].weight *= self.scale
        return nn.Sequential(nn.Flatten(1), *net)


class Transmitter(nn.Module):
    """The BS's network: signs (n, K, B) [, P in dB (n, 1)] -> V (n, K, N, M, 2).

    V[:, k, j] is column j of V_k, (re, im) last, of unit norm (function h of eq. 5).
    """

    weights: Tensor
    first: Tensor

    def __init__(self, setup: Setup, options: Options) -> None:
        super().__init__()
        self.setup, self.options = setup, options
        users, width = setup.users, setup.antennas * setup.streams * setup.users
        inputs = setup.bits * users + options.power_input
        self.net = _fully_connected(inputs, 20 * width, 30 * width, 40 * width, 2 * width)
        # A user's sorting key, K q_k + k: no two are equal, so the sort is stable. Below 2^20,
        # therefore exact in float32.
        powers = 2.0 ** torch.arange(setup.bits - 1, -1, -1)
        self.register_buffer("weights", users * powers, persistent=False)
        self.register_buffer("first", torch.arange(float(users)), persistent=False)

    def places(self, signs: Tensor) -> Tensor:
        """(n, K, K) of 0 and 1: [i, k] = 1 where user k is the i-th by index.

        By comparisons and sums alone: user k's place is the number of smaller keys.
        """
        key = ((signs + 1) * 0.5 * self.weights).sum(-1) + self.first
        place = (key[:, :, None] > key[:, None, :]).to(signs.dtype).sum(-1)
        return (place[:, None, :] == self.first[:, None]).to(signs.dtype)

    def forward(self, signs: Tensor, snr_db: Tensor | None = None) -> Tensor:
        """Feedback -> precoding matrices.

        Args:
            signs: float (n, K, B), -1 or +1.
            snr_db: float (n, 1), P in dB; None where P is no input.
        """
        return self.soft(signs, signs, snr_db)

    def soft(self, u: Tensor, signs: Tensor, snr_db: Tensor | None = None) -> Tensor:
        """The same for any real features u (n, K, B), sorted by what their signs say.

        With u = signs, this is the transmitter; the teacher is the same network on u (eq. 9).
        """
        if self.options.order == "given":
            return self._columns(u, snr_db)
        places = self.places(signs.detach())
        ordered = self._columns(_permuted(places, u), snr_db).flatten(2)
        return _permuted(places.transpose(1, 2), ordered).view(self._shape)

    @property
    def _shape(self) -> tuple[int, int, int, int, int]:
        setup = self.setup
        return (-1, setup.users, setup.streams, setup.antennas, 2)

    def _columns(self, u: Tensor, snr_db: Tensor | None) -> Tensor:
        inputs = u.flatten(1)
        if self.options.power_input:
            if snr_db is None:
                raise InputError("this transmitter has P as an input: snr_db is missing")
            inputs = torch.cat([inputs, snr_db * 0.1], 1)
        v = self.net(inputs).float().view(self._shape)
        norm = (v * v).sum((-2, -1), keepdim=True).sqrt()
        columns: Tensor = v / norm.clamp_min(_SMALLEST_NORM)
        return columns


def _permuted(places: Tensor, rows: Tensor) -> Tensor:
    """A 0/1 matrix times rows, exact: outside of autocast, which would round the rows."""
    with torch.autocast(rows.device.type, enabled=False):
        return places @ rows.to(places.dtype)


class KdPrecoder(nn.Module):
    """Receivers, transmitter, and the pilots between them.

    Attributes:
        receivers: one, or K of their own.
        transmitter: at the BS.
        pilot: (M, L, 2), its columns normalised where they are used.
    """

    pilot: Tensor

    def __init__(self, setup: Setup, options: Options | None = None) -> None:
        super().__init__()
        self.setup, self.options = setup, options or Options()
        own = self.options.receivers == "own"
        count = setup.users if own else 1
        self.receivers = nn.ModuleList(Receiver(setup) for _ in range(count))
        self.transmitter = Transmitter(setup, self.options)
        pilots = dft_pilots(setup).astype(np.complex64)[..., None].view(np.float32)
        start = torch.from_numpy(pilots)
        if self.options.pilot == "learned":
            self.pilot = nn.Parameter(start)
        else:
            self.register_buffer("pilot", start)

    def pilots(self) -> NDArray[np.complex128]:
        """What the BS sends while users listen: (M, L), unit columns."""
        if self.options.pilot == "dft":
            return dft_pilots(self.setup)
        pilot = self.pilot.detach().cpu().double().numpy().copy()
        made: NDArray[np.complex128] = pilot.view(np.complex128)[..., 0]
        made /= np.linalg.norm(made, axis=0)
        return made

    def hear(self, h: Tensor, noise: Tensor) -> Tensor:
        """What users hear of the pilots: y_l = sqrt(P_train) H^H p_l + noise.

        Args:
            h: channels (n, K, N, M, 2).
            noise: (n, K, L, N, 2), complex variance 1.

        Returns:
            (n, K, L, N, 2), as `csideploy.downlink.observe` makes it.
        """
        pilot = self.pilot / self.pilot.square().sum((0, 2), keepdim=True).sqrt()
        pilot = pilot * self.setup.pilot_power**0.5
        re, im = pilot[..., 0], pilot[..., 1]
        # conj(h) p = hr pr + hi pi + j (hr pi - hi pr).
        both = torch.stack([torch.cat([re, im], 1), torch.cat([im, -re], 1)], 1)
        with torch.autocast(h.device.type, enabled=False):
            y = (h.flatten(-2) @ both.flatten(0, 1)).view(*h.shape[:3], 2, -1)
        return y.permute(0, 1, 4, 2, 3) + noise

    def feedback(self, y: Tensor) -> Tensor:
        """What all users heard, (n, K, L, N, 2) -> u (n, K, B)."""
        if len(self.receivers) == 1:
            return self.receivers[0](y.flatten(0, 1)).view(len(y), self.setup.users, -1)  # type: ignore[no-any-return]
        return torch.stack([net(y[:, k]) for k, net in enumerate(self.receivers)], 1)

    def forward(self, y: Tensor, snr_db: Tensor | None = None) -> Tensor:
        """What all users heard, (n, K, L, N, 2) -> V (n, K, N, M, 2), through the bits."""
        v: Tensor = self.transmitter(sign(self.feedback(y).float()), snr_db)
        return v

    def ue_module(self, user: int = 0) -> nn.Module:
        """A user's receiver with a sigmoid behind it: y (n, L, N, 2) -> (n, B) in [0, 1].

        The one-bit uniform quantizer has its threshold at 1/2, where u = 0.

        Args:
            user: 0 to K - 1; with a shared receiver, all are the same.
        """
        if not 0 <= user < self.setup.users:
            raise InputError(f"user {user}: there are 0 to {self.setup.users - 1}")
        receiver = self.receivers[user % len(self.receivers)]
        assert isinstance(receiver, Receiver)
        return nn.Sequential(receiver.folded(), nn.Sigmoid())

    def bs_module(self, snr_db: float | None = None) -> nn.Module:
        """The transmitter behind payload bits: bits (n, K, B) in {0, 1} -> V (n, K, N, M, 2).

        Where P is an input of the transmitter, its second input is snr_db (n, 1), unless a number
        is given here.

        Raises:
            InputError: a number for a transmitter that has no such input.
        """
        if snr_db is not None and not self.options.power_input:
            raise InputError("this transmitter was trained for one P: snr_db is no input of it")
        return _FromBits(self.transmitter, snr_db)


class _FromBits(nn.Module):
    def __init__(self, transmitter: Transmitter, snr_db: float | None) -> None:
        super().__init__()
        self.transmitter = transmitter
        self.snr_db = snr_db

    def forward(self, bits: Tensor, snr_db: Tensor | None = None) -> Tensor:
        signs = bits * 2 - 1
        if self.snr_db is not None:
            snr_db = torch.full_like(signs[:, 0, :1], self.snr_db)
        v: Tensor = self.transmitter(signs, snr_db)
        return v
