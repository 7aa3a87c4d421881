"""TransNet (Cui, Guo, Cao, Fan 2022): two transformer layers a side, no convolution.

Encoder: (n, 2, 32, 32) read as 32 tokens of 64; two encoder layers (2 heads, FFN 2048, ReLU, norm
behind); FC 2048 -> M. Decoder: FC M -> 2048; two decoder layers whose memory is the FC's output
too; layer norm. `batch_first=False` is the published code's slip: it takes the batch for the
sequence, so that samples attend to one another.
"""

from torch import Tensor, nn

TOKENS, WIDTH, HEADS = 32, 64, 2


class Encoder(nn.Module):
    """(n, 2, 32, 32) -> (n, M)."""

    def __init__(self, features: int, *, batch_first: bool = True, hidden: int = 2048) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, hidden, dropout=0.0, batch_first=batch_first
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(TOKENS * WIDTH, features)

    def forward(self, x: Tensor) -> Tensor:
        """The feature."""
        return self.fc(self.layers(x.view(-1, TOKENS, WIDTH)).flatten(1))


class Decoder(nn.Module):
    """(n, M) -> (n, 2, 32, 32)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.fc = nn.Linear(features, TOKENS * WIDTH)
        layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 2048, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(WIDTH))

    def forward(self, feature: Tensor) -> Tensor:
        """The reconstructed CSI matrix."""
        tokens = self.fc(feature).view(-1, TOKENS, WIDTH)
        return self.layers(tokens, tokens).reshape(-1, 2, 32, 32)


encoder = Encoder
decoder = Decoder
