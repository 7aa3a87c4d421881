"""One quantized direction a user, and regularized zero forcing: `rank1-rzf`.

A conventional scheme that paper 004 leaves out. Each user feeds back one direction; the BS beams at
each while it spares the others', and sends both streams of a user along its beam, V_k = [w_k w_k],
so that tr(V_k^H V_k) = N and the power is that of the paper.
"""

from __future__ import annotations

import numpy as np

from csideploy.downlink.channels import Complex
from csideploy.errors import InputError


def rzf(directions: Complex, loading: float, streams: int) -> Complex:
    """Beams W = A (A^H A + loading I)^-1, each to unit norm, repeated for every stream.

    Args:
        directions: (n, K, M); A has them as columns.
        loading: above 0.
        streams: N.

    Returns:
        (n, K, M, N), complex of the directions' precision.

    Raises:
        InputError: the loading is not above 0.
    """
    if not 0 < loading < np.inf:
        raise InputError(f"loading {loading}: a number above 0")
    # In double precision: two users with one codeword leave nothing but the loading.
    a = directions.astype(np.complex128).swapaxes(1, 2)
    gram = a.conj().swapaxes(1, 2) @ a + loading * np.eye(a.shape[2])
    # W^H = G^-1 A^H, since the Gram matrix G is Hermitian.
    beams = np.linalg.solve(gram, a.conj().swapaxes(1, 2)).conj()
    norm = np.linalg.norm(beams, axis=2, keepdims=True)
    beams = np.divide(beams, norm, out=np.zeros_like(beams), where=norm > 0)
    v: Complex = np.repeat(beams.astype(directions.dtype)[..., None], streams, axis=3)
    return v
