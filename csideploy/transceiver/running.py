"""A transceiver as it runs: pilots, features, bits, precoders, all by the runtime's bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.runtime import Part
from csideploy.transceiver.described import Budget, Described, quantizer_stem
from csideploy.transceiver.rate import Complex

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def pairs(x: Complex) -> Floats:
    """Complex (...) -> float32 (..., 2)."""
    made: Floats = np.ascontiguousarray(x, np.complex64)[..., None].view(np.float32)
    return made


def complexes(x: Floats) -> NDArray[np.complex64]:
    """float32 (..., 2) -> complex64 (...)."""
    made: NDArray[np.complex64] = np.ascontiguousarray(x, np.float32).view(np.complex64)[..., 0]
    return made


class Transceiver:
    """Opened bundles.

    Attributes:
        described: sizes and budgets.
        pilots: X, complex64 (M, L).
        parts: by stem; those of a side that does not run here may be missing.
    """

    def __init__(
        self, described: Described, pilots: NDArray[np.complex64], parts: Mapping[str, Part]
    ) -> None:
        self.described, self.pilots, self.parts = described, pilots, dict(parts)

    def hear(self, h: Complex, noise: Complex, snr: float | NDArray[np.floating]) -> Floats:
        """What users hear of the pilots over sqrt(P): y = h X + noise / sqrt(snr) (eq. 1).

        Args:
            h: (n, K, M).
            noise: (n, K, L), variance 1.
            snr: P / sigma^2, linear, one or (n,).

        Returns:
            float32 (n, K, L, 2).

        Raises:
            InputError: sizes that do not go together, or an SNR that is not above 0.
        """
        m, length = self.pilots.shape
        if h.ndim != 3 or h.shape[2] != m or noise.shape != (*h.shape[:2], length):
            raise InputError(
                f"channels {h.shape}, noise {noise.shape}: (n, K, {m}) and (n, K, {length}) are "
                "right"
            )
        power = np.broadcast_to(np.asarray(snr, np.float64), (len(h),))
        if not (power > 0).all() or not np.isfinite(power).all():
            raise InputError(f"SNR {snr}: a number above 0")
        return pairs(h @ self.pilots + noise / np.sqrt(power)[:, None, None])

    def features(self, y: Floats) -> Floats:
        """Pilots heard (..., L, 2) -> features (..., D), the UE's encoder."""
        (made,) = self.parts["ue"].run(np.ascontiguousarray(y.reshape(-1, *y.shape[-2:])))
        return np.asarray(made.reshape(*y.shape[:-2], -1), np.float32)

    def payload(self, feature: Floats, bits: int, region: int = 0) -> Bytes:
        """Features (..., D) -> payloads (..., ceil(B / 8)), the UE's quantizer."""
        return np.asarray(self._run("ue", feature, bits, region), np.uint8)

    def read(self, payload: Bytes, bits: int, region: int = 0) -> Floats:
        """Payloads (..., ceil(B / 8)) -> features (..., D), the BS's end of it."""
        return np.asarray(self._run("bs", payload, bits, region), np.float32)

    def _run(
        self, side: str, x: NDArray[np.generic], bits: int, region: int
    ) -> NDArray[np.generic]:
        self.described.budget(bits)
        regions = self.described.setup.regions
        if not 0 <= region < regions:
            raise InputError(f"region {region}: there are 0 to {regions - 1}")
        part = self.parts[quantizer_stem(side, bits, region, regions)]
        flat = np.ascontiguousarray(x.reshape(-1, x.shape[-1]))
        return part.run(flat)[-1].reshape(*x.shape[:-1], -1)

    def precode(
        self, feature: Floats, snr_db: float | NDArray[np.floating]
    ) -> NDArray[np.complex64]:
        """Features (n, K, D) and the SNR in dB, one or (n,) -> W complex64 (n, K, M)."""
        level = np.broadcast_to(np.asarray(snr_db, np.float32).reshape(-1, 1), (len(feature), 1))
        (w,) = self.parts["bs"].run(np.ascontiguousarray(feature), np.ascontiguousarray(level))
        return complexes(w)

    def carried(
        self,
        feature: Floats,
        budgets: Sequence[Budget],
        region: NDArray[np.integer] | None = None,
    ) -> tuple[list[Bytes], Floats]:
        """Features through the bits and back.

        Args:
            feature: (n, K, D).
            budgets: of each of the K users.
            region: (n, K); None: region 0.

        Returns:
            Payloads (n, bytes) of each position; features as the BS reads them (n, K, D).
        """
        sent: list[Bytes] = []
        read = np.empty_like(feature)
        for k, budget in enumerate(budgets):
            where = np.zeros(len(feature), np.int64) if region is None else region[:, k]
            own = np.empty((len(feature), budget.nbytes), np.uint8)
            for number in np.unique(where).tolist():
                rows = where == number
                own[rows] = self.payload(feature[rows, k], budget.bits, number)
                read[rows, k] = self.read(own[rows], budget.bits, number)
            sent.append(own)
        return sent, read

    def link(
        self,
        h: Complex,
        noise: Complex,
        snr: float,
        bits: int,
        region: NDArray[np.integer] | None = None,
    ) -> NDArray[np.complex64]:
        """From channels to precoders through the bits: an `evaluate_core.Candidate`.

        Args:
            h: (n, K, M).
            noise: (n, K, L), variance 1.
            snr: P / sigma^2, linear; of the pilots as well.
            bits: B of every user.
            region: (n, K), of the users.

        Raises:
            InputError: sizes that do not go together, or no such budget.
        """
        if region is None and self.described.setup.regions > 1:
            raise InputError("codebooks of several regions: say which region each user is in")
        feature = self.features(self.hear(h, noise, snr))
        if region is None:
            # All users alike: one run of the quantizers.
            read = self.read(self.payload(feature, bits), bits)
        else:
            budget = self.described.budget(bits)
            read = self.carried(feature, [budget] * h.shape[1], region)[1]
        return self.precode(read, 10 * np.log10(snr))
