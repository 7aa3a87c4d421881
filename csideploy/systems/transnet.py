"""TransNet (Cui, Guo, Song 2022): two transformer layers a side, no convolution, batch first.

Encoder: (n, 2, 32, 32) read as 32 tokens of 64; two encoder layers (2 heads, hidden size 2048,
ReLU, norm behind); FC 2048 -> M. Decoder: FC M -> 2048; two decoder layers whose memory is the FC's
output too; layer norm; no sigmoid.

The public code takes the batch for the sequence, so that samples attend to one another, and uses
one layer object twice. Here a sample stands alone, and each layer has its own weights, as the
paper describes them.
At compression 1/4: 3,257,984 parameters, 39.58 M MACs in all.
"""

from __future__ import annotations

from torch import Tensor, nn

from csideploy.registry import (
    ANGLES,
    DELAYS,
    FEED_FORWARD,
    TOKEN_WIDTH,
    TOKENS,
    TRANSFORMER_LAYERS,
    SystemSpec,
)
from csideploy.systems.link import Link

HEADS = 2
FIRST_DEVIATION = 0.05
"""Of the first outputs around 0.5, about that of CSI in [0, 1]."""


class EncoderLayers(nn.Module):
    """(n, 2, angle, delay) -> tokens (n, 32, 64), each having seen all others."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            TOKEN_WIDTH, HEADS, FEED_FORWARD, dropout=0.0, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, TRANSFORMER_LAYERS, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """The tokens."""
        tokens: Tensor = self.layers(x.reshape(-1, TOKENS, TOKEN_WIDTH))
        return tokens


class DecoderLayers(nn.Module):
    """(n, 2, angle, delay) -> the same shape, through tokens; the input is its own memory."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerDecoderLayer(
            TOKEN_WIDTH, HEADS, FEED_FORWARD, dropout=0.0, batch_first=True
        )
        self.layers = nn.TransformerDecoder(
            layer, TRANSFORMER_LAYERS, norm=nn.LayerNorm(TOKEN_WIDTH)
        )

    def forward(self, image: Tensor) -> Tensor:
        """The reconstructed CSI matrix."""
        tokens = image.reshape(-1, TOKENS, TOKEN_WIDTH)
        out: Tensor = self.layers(tokens, tokens).reshape(-1, 2, ANGLES, DELAYS)
        return out


def build(spec: SystemSpec, cr: int, bits: int | None, binarize: str | None) -> Link:
    """The link of TransNet."""
    layers = DecoderLayers()
    link = Link(spec, cr, bits, binarize, EncoderLayers(), layers, linear=True)
    for name, parameter in link.named_parameters():
        if parameter.dim() > 1 and "quantizer" not in name:
            nn.init.xavier_uniform_(parameter)
    # The last norm makes x, which is 0.5 almost everywhere: from a norm of 0 and 1 the way is long.
    last = layers.layers.norm
    assert isinstance(last, nn.LayerNorm)
    nn.init.constant_(last.weight, FIRST_DEVIATION)
    nn.init.constant_(last.bias, 0.5)
    return link
