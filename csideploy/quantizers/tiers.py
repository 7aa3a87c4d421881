"""Training a residual vector quantizer by noise substitution (paper 000, Section IV-B).

A tier holds 2^b codewords; each takes the nearest codeword of what the tiers before it left
(eq. 12, 13), and their sum is what the BS reads (eq. 15). The choice has no gradient, so in
training the sum is replaced by the feature plus noise of the same length (eq. 17, NSVQ of Vali and
Backstrom). The noise is real, as the feature is: with the CN of the paper its imaginary half would
be dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_TINY = 1e-12


class Tiers(nn.Module):
    """Codebooks of R regions, and how often each codeword was used since the last `revive`.

    Args:
        feature: D.
        bits: b_n of each tier.
        regions: R; each has codebooks of its own (Remark 2).

    Attributes:
        books: one a tier, (R, 2^b_n, D).
    """

    used: list[Tensor]

    def __init__(self, feature: int, bits: tuple[int, ...], regions: int = 1) -> None:
        super().__init__()
        self.bits = bits
        # The bounds of the public predecessor: small next to features of tanh, so that all
        # codewords start where the features are.
        self.books = nn.ParameterList(
            nn.Parameter((2 * torch.rand(regions, 1 << b, feature) - 1) / (1 << b)) for b in bits
        )
        self.used = [torch.zeros(regions, 1 << b) for b in bits]

    def choose(self, tier: int, residual: Tensor, region: Tensor | None) -> Tensor:
        """Index of the nearest codeword of one tier for each row of residual (n, D)."""
        book = self.books[tier].detach()
        if region is None:
            return nearest(residual, book[0])
        index = torch.zeros(len(residual), dtype=torch.long, device=residual.device)
        for number in range(len(book)):
            own = region == number
            index[own] = nearest(residual[own], book[number])
        return index

    def quantize(
        self, v: Tensor, count: Tensor | int | None = None, region: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The nearest codewords, tier after tier.

        Args:
            v: features (n, D).
            count: tiers that each row uses, int64 (n,), or one number; None: all.
            region: int64 (n,); None: the first region's codebooks.

        Returns:
            q (n, D), with the codebooks' gradient; indices int64 (n, N), -1 where a tier is unused.
        """
        q = torch.zeros_like(v)
        residual = v.detach()
        picked = []
        where = 0 if region is None else region
        for tier, book in enumerate(self.books):
            index = self.choose(tier, residual, region)
            word = book[where, index]
            if count is not None:
                on = torch.as_tensor(count, device=v.device).expand(len(v)) > tier
                word = word * on[:, None]
                index = torch.where(on, index, -1)
            q = q + word
            residual = residual - word.detach()
            picked.append(index)
        return q, torch.stack(picked, 1)

    def forward(
        self, v: Tensor, count: Tensor | int | None = None, region: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the BS reads: the sum of codewords, or in training its noisy stand-in.

        Returns:
            v_hat (n, D); the squared error of each row (n,), with gradients to the feature and the
            codebooks (eq. 23); indices.
        """
        q, indices = self.quantize(v, count, region)
        if not self.training:
            return q, (v - q).square().sum(1), indices
        self._count(indices, region)
        read, error = substituted(v, q)
        return read, error, indices

    def _count(self, indices: Tensor, region: Tensor | None) -> None:
        for tier, used in enumerate(self.used):
            chosen = indices[:, tier]
            on = chosen >= 0
            flat = chosen[on]
            if region is not None:
                flat = flat + region[on] * used.shape[1]
            used += torch.bincount(flat, minlength=used.numel()).cpu().view_as(used)

    @torch.no_grad()
    def revive(self, share: float = 0.1, tiers: Sequence[int] | None = None) -> dict[int, Tensor]:
        """Codewords used less than `share` of the mean take the place of well used ones.

        A dead codeword moves beside one drawn in proportion to use, a thousandth of the tier's
        spread away, so that the two part in training. Counting starts anew.

        Args:
            share: of the mean.
            tiers: by number; None: all.

        Returns:
            By tier, which words moved: bool (R, 2^b_n).
        """
        moved = {}
        for tier in range(len(self.books)) if tiers is None else tiers:
            book, used = self.books[tier], self.used[tier]
            moved[tier] = torch.zeros_like(used, dtype=torch.bool)
            for number in range(len(used)):
                counts = used[number]
                total = counts.sum()
                if total == 0:
                    continue
                dead = (counts < share * total / len(counts)).nonzero()[:, 0]
                if len(dead):
                    source = torch.multinomial(counts, len(dead), replacement=True)
                    words = book[number, source]
                    spread = book[number].std()
                    book[number, dead] = words + 1e-3 * spread * torch.randn_like(words)
                    moved[tier][number, dead] = True
            used.zero_()
        return moved


def substituted(v: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 17: v plus real noise as long as v - q is, in each row; and that length's square (n,).

    The noise is a constant for the gradient, its length is not: that pulls features and codewords
    together where the rest of the link gains from less noise.
    """
    error = (v - q).square().sum(1)
    noise = torch.randn_like(v)
    length = error.clamp_min(_TINY).sqrt() / noise.norm(dim=1).clamp_min(_TINY)
    return v + length[:, None] * noise, error


def nearest(x: Tensor, book: Tensor) -> Tensor:
    """Least |x - c|^2, which is the most x c - |c|^2 / 2; the lowest index of equal ones."""
    scores = torch.addmm(-0.5 * book.square().sum(1), x, book.T)
    return scores.argmax(1)
