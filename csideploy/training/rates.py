"""The sum rate in torch, with its gradient; `csideploy.downlink.rate` is the same in NumPy.

Real arithmetic and elimination of the small matrices: nothing here waits for the device, so a
CUDA graph can hold it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def user_rates(h: Tensor, v: Tensor, power: Tensor) -> Tensor:
    """Rate of each user, bit/s/Hz (paper 004, eq. 1).

    The difference of two log-determinants, taken in float64: at 30 dB, float32 would lose 1e-4.

    Args:
        h: channels (n, K, N, M, 2): h[:, k, a] is column a of H_k, (re, im) last.
        v: precoders (n, K, N, M, 2), in the same way; tr(V_k^H V_k) = N.
        power: P, (n,); the noise has variance 1.

    Returns:
        float64 (n, K).
    """
    n, users, streams, antennas, _ = h.shape
    total = users * streams
    with torch.autocast(h.device.type, enabled=False):
        h, v = h.float(), v.float()
        # conj(h) . v has the parts [hr, hi] . [vr, vi] and [hr, hi] . [vi, -vr].
        heard_by = h.reshape(n, total, antennas, 2).transpose(2, 3).reshape(n, total, -1)
        sent = v.reshape(n, total, antennas, 2).transpose(2, 3)
        turned = torch.stack([sent[:, :, 1], -sent[:, :, 0]], 2)
        columns = torch.cat([sent.reshape(n, total, -1), turned.reshape(n, total, -1)], 1)
        parts = torch.bmm(heard_by, columns.transpose(1, 2)).double()
        share = (power.double() / total).view(n, 1, 1, 1).sqrt()
        # (n, user, antenna, column) each, scaled to a stream's power.
        re, im = (part.reshape(n, users, streams, total) * share for part in parts.chunk(2, 2))
        own = torch.eye(users, device=h.device).repeat_interleave(streams, 1)
        others = (1 - own).double()[:, None]
        return (log_det(re, im) - log_det(re * others, im * others)) / math.log(2)


def log_det(re: Tensor, im: Tensor) -> Tensor:
    """Natural log det(I + G G^H), G (..., N, columns) by its real and imaginary parts.

    Elimination without pivoting: the matrix is Hermitian and its pivots are at least 1.
    """
    eye = torch.eye(re.shape[-2], dtype=re.dtype, device=re.device)
    left, right = torch.cat([re, im], -1), torch.cat([im, -re], -1)
    # Row a, column b of G G^H: re = left_a . left_b, im = right_a . left_b.
    a_re = (left.unsqueeze(-2) * left.unsqueeze(-3)).sum(-1) + eye
    a_im = (right.unsqueeze(-2) * left.unsqueeze(-3)).sum(-1)
    result = torch.zeros_like(a_re[..., 0, 0])
    while a_re.shape[-1] > 0:
        pivot = a_re[..., 0, 0]
        result = result + pivot.log()
        # Schur complement: A' - c c^H / pivot, c the first column.
        c_re, c_im = a_re[..., 1:, 0], a_im[..., 1:, 0]
        over = pivot[..., None, None]
        outer_re = c_re[..., :, None] * c_re[..., None, :] + c_im[..., :, None] * c_im[..., None, :]
        outer_im = c_im[..., :, None] * c_re[..., None, :] - c_re[..., :, None] * c_im[..., None, :]
        a_re = a_re[..., 1:, 1:] - outer_re / over
        a_im = a_im[..., 1:, 1:] - outer_im / over
    return result
