"""A start in closed form for links of the ACRNet family: no gradient, half a minute on two cores.

The fully connected layers become the best linear code that a 1-bit encoder and a uniform feature
quantizer allow, and the convolutions start so that they do not disturb it.

Encoder FC. Principal components alone would be a poor choice: their variances differ by orders of
magnitude, and a uniform quantizer with one step spends its levels on the first few. They are
rotated inside their span so that all features have about the same variance. Taking signs must
change the rotated rows little; with a random rotation it costs 2.6 dB on the linear link. Here the
rotation comes from the sparsity of CSI instead: nearly all power lies in as many pixels as there
are features. Let P (M x 2048) hold the components, T the M strongest pixels. The orthogonal
polar factor O of P[:, T] (Procrustes) turns the components as close as possible to those pixels,
O^T P ~ "one row a pixel"; a Hadamard matrix of size M, its columns' signs and rows' order random,
then spreads every pixel over all features with equal magnitude, so that signs are nearly exact
where the power is: W = Hadamard O^T P costs 0.5 dB.

Decoder FC. Ridge regression of the CSI on the quantized features, each sample weighted by 1 over
its energy, since that is how NMSE counts.

Both in 1 bit. Ridge regression has no 1-bit form, so here the decoder's rows are columns of the
Hadamard matrix, whose inverse is its transpose. The encoder's rows are then not rotated components
but the matrix itself, one column a strong pixel: a rotation would have to be undone in float. A few
columns are spared; they take the encoder's other pixels, so that these disturb no strong one, and
the last carries nothing at all: the decoder's other pixels read that one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.linalg import hadamard
from torch import Tensor, nn

from csideploy.registry import ELEMENTS
from csideploy.systems.link import Link
from csideploy.training.identity import calibrate, encoder_norm, make_identity

SPREAD = 0.7
"""Standard deviation of the encoder's outputs before the sigmoid, for what `spread` does not name.

More bends them in the sigmoid, less leaves levels of the quantizer empty; at 4 bits the link's
NMSE is flat between 0.6 and 0.8."""

_SPREADS = {None: 0.2, 2: 1.2, 3: 0.95, 5: 0.55, 6: 0.4, 7: 0.35, 8: 0.3}
"""By bits a feature. Few levels must be reached to the ends, many are lost in the bend. On the
linear link and against 0.7, 1.2 gains 1.5 dB at 2 bits, 0.4 gains 2.1 dB at 6 and 0.3 5.1 dB at 8
(5 and 7 lie between); 0.95 gains 0.3 dB against 0.8 at 3. Floats lose 6 dB to 0.7."""

SPARE = 32
"""Where the decoder's FC is binarized too, one direction in so many carries no strong pixel."""


@dataclass(frozen=True)
class _Samples:
    """CSI with mean removed, (n, 2048), and each sample's weight 1 / energy, (n, 1)."""

    deviation: Tensor
    weight: Tensor


class FullyConnectedPath(nn.Module):
    """The link without its convolutions, ending in the linear estimate of x.

    It is what the link computes after `start`, up to the error of the knees (`identity`).
    """

    def __init__(self, link: Link) -> None:
        super().__init__()
        norm = encoder_norm(link)
        assert norm.running_var is not None
        assert norm.running_mean is not None
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", norm.running_mean.view(1, 2, 1, 1).clone())
        scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
        self.register_buffer("scale", scale.view(1, 2, 1, 1).clone())
        self.encoder_fc = link.encoder.fc
        self.bound = link.encoder.bound
        self.quantizer = link.quantizer
        self.decoder_fc = link.decoder.fc

    def straight(self, x: Tensor) -> Tensor:
        """What the encoder's FC sees: standardised CSI, (n, 2048)."""
        standardised: Tensor = (x - self.mean) * self.scale
        return standardised.flatten(1)

    def feature(self, x: Tensor) -> Tensor:
        """The feature after quantization, (n, M)."""
        feature: Tensor = self.bound(self.encoder_fc(self.straight(x)))
        return feature if self.quantizer is None else self.quantizer(feature)

    def forward(self, x: Tensor) -> Tensor:
        """X (n, 2, angle, delay) -> its linear estimate; the FC's output is 4 (x - 0.5)."""
        estimate: Tensor = 0.5 + self.decoder_fc(self.feature(x)) / 4
        return estimate.view_as(x)


def spread(link: Link) -> float:
    """Standard deviation that the encoder's outputs shall start with, before the sigmoid.

    A 1-bit decoder is not fitted to the bend, but its one scale is learned, slowly: it keeps what
    it was found good with.
    """
    return SPREAD if link.binarize == "both" else _SPREADS.get(link.bits, SPREAD)


@torch.no_grad()
def start(link: Link, x: Tensor, *, seed: int, ridge: float = 1e-4) -> None:
    """Put the closed form into the link.

    Args:
        link: of family acrnet, any binarization, bits or float.
        x: training CSI in [0, 1], float32 (n, 2, angle, delay); 20,000 samples are plenty.
        seed: of the Hadamard matrix's signs and order.
        ridge: regularisation, as a fraction of the features' mean variance.
    """
    make_identity(link, x)
    path = FullyConnectedPath(link)
    straight = path.straight(x)
    energy = (x.flatten(1) - 0.5).square().sum(1, keepdim=True)
    samples = _Samples(straight - straight.mean(0), 1 / energy)
    m = link.encoder.fc.out_features
    covariance = samples.deviation.T @ (samples.deviation * samples.weight)
    spare = max(2, m // SPARE) if link.binarize == "both" else 0
    strong = torch.topk(covariance.diagonal(), m - spare).indices
    mixing = _random_hadamard(m, seed).to(x)

    link.encoder.fc.bias.zero_()
    if link.binarize == "both":
        rows = _pixel_rows(strong, mixing)
    else:
        rows = _component_rows(covariance, strong, mixing)
    link.encoder.fc.weight.copy_(rows)
    link.encoder.fc.weight.mul_(spread(link) / link.encoder.fc(straight).std())
    feature = path.feature(x)
    target = 4 * (x.flatten(1) - 0.5)
    if link.binarize == "both":
        _binary_decoder(link.decoder.fc, feature, target, samples.weight, strong, mixing)
    else:
        _ridge_decoder(link.decoder.fc, feature, target, samples.weight, ridge)
    calibrate(link, x[:1000])


def _random_hadamard(m: int, seed: int) -> Tensor:
    """Hadamard matrix / sqrt(m), orthogonal, with random row order and column signs."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(m, generator=generator)
    signs = torch.randint(0, 2, (m,), generator=generator) * 2 - 1
    matrix = torch.from_numpy(hadamard(m)).to(torch.float32)
    mixing: Tensor = matrix[order] * signs / m**0.5
    return mixing


def _component_rows(covariance: Tensor, strong: Tensor, mixing: Tensor) -> Tensor:
    """Hadamard O^T P: see the module's docstring."""
    _, vectors = torch.linalg.eigh(covariance)
    components = vectors[:, -len(strong) :].T
    left, _, right = torch.linalg.svd(components[:, strong])
    rows: Tensor = mixing @ (left @ right).T @ components
    return rows


def _pixel_rows(strong: Tensor, mixing: Tensor) -> Tensor:
    """Strong pixels on the first columns of `mixing`, the others on the spare ones but the last."""
    used, m = len(strong), len(mixing)
    column = used + torch.arange(ELEMENTS) % (m - used - 1)
    column[strong.cpu()] = torch.arange(used)
    return mixing[:, column]


def _ridge_decoder(
    fc: nn.Linear, feature: Tensor, target: Tensor, weight: Tensor, ridge: float
) -> None:
    total = weight.sum()
    centre = (feature * weight).sum(0) / total
    middle = (target * weight).sum(0) / total
    deviation = feature - centre
    weighted = (deviation * weight).T
    gram = weighted @ deviation
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram)).to(gram)
    fc.weight.copy_(torch.linalg.solve(gram, weighted @ (target - middle)).T)
    fc.bias.copy_(middle - fc.weight @ centre)


def _binary_decoder(
    fc: nn.Linear, feature: Tensor, target: Tensor, weight: Tensor, strong: Tensor, mixing: Tensor
) -> None:
    """One scale for all, so only signs and the bias are free.

    Strong pixels take their own rows. The others have next to no power but would receive +-1
    weights all the same, that is, as much noise as the strong ones; they all take the last spare
    row, which carries no pixel. So they share one error, which a convolution can tell from CSI by
    its being the same everywhere. The scale a minimises, over the strong pixels,
    sum_ij w_i (t_ij - a h_j^T f_i)^2.
    """
    total = weight.sum()
    centre = (feature * weight).sum(0) / total
    middle = (target * weight).sum(0) / total
    signs = torch.sign(mixing)
    projected = (feature - centre) @ signs
    used = len(strong)
    power = (projected[:, :used].square() * weight).sum()
    wanted = target[:, strong] - middle[strong]
    scale = (projected[:, :used] * wanted * weight).sum() / power
    chosen = torch.full((ELEMENTS,), len(mixing) - 1)
    chosen[strong.cpu()] = torch.arange(used)
    fc.weight.copy_(scale * signs.T[chosen])
    fc.bias.copy_(middle - fc.weight @ centre)
