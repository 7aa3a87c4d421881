"""The fixed network of Sohrabi, Attiah and Yu that paper 000 compares with ("DL method in [6]").

Every user has an encoder of its own, 2L -> 1024 -> 512 -> 256 -> B, batch norm and ReLU behind the
hidden layers, and sends the signs of its outputs; the BS concatenates the B K bits of all users and
runs B K -> 1024 -> 512 -> 512 -> 2 M K. So it is for one K and one B, and needs training for each.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from csideploy.quantizers.sign import straight_through

ENCODER = (1024, 512, 256)
DECODER = (1024, 512, 512)
_SMALLEST_POWER = 1e-12


def _stack(sizes: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


class BinaryDnn(nn.Module):
    """Pilots, K encoders, one decoder.

    Args:
        antennas: M.
        pilots: L.
        users: K.
        bits: B of a user.

    Attributes:
        pilot: (M, L, 2), columns normalised where they are used.
    """

    def __init__(self, antennas: int, pilots: int, users: int, bits: int) -> None:
        super().__init__()
        self.antennas, self.pilots, self.users, self.bits = antennas, pilots, users, bits
        self.pilot = nn.Parameter(torch.randn(antennas, pilots, 2))
        self.encoders = nn.ModuleList(_stack((2 * pilots, *ENCODER, bits)) for _ in range(users))
        self.decoder = _stack((bits * users, *DECODER, 2 * antennas * users))

    def forward(self, h: Tensor, noise: Tensor, snr_db: Tensor, slope: Tensor) -> Tensor:
        """Channels to precoders through the bits.

        Args:
            h: complex (n, K, M).
            noise: complex (n, K, L), variance 1.
            snr_db: (n, 1).
            slope: of the sign's gradient, see `quantizers.sign`.

        Returns:
            W (n, K, M, 2), total power 1.
        """
        pilot = self.pilot / self.pilot.square().sum((0, 2), keepdim=True).sqrt()
        y = h @ torch.view_as_complex(pilot.contiguous())
        y = y + noise * (10 ** (-snr_db / 20))[:, :, None]
        heard = torch.view_as_real(y).flatten(2)
        sent = [net(heard[:, k]) for k, net in enumerate(self.encoders)]
        bits = straight_through(torch.cat(sent, 1).float(), "sigmoid", slope)
        w = self.decoder(bits).float().view(-1, self.users, self.antennas, 2)
        power = w.square().sum((1, 2, 3), keepdim=True)
        made: Tensor = w * power.clamp_min(_SMALLEST_POWER).rsqrt()
        return made
