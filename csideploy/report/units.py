"""How figures are written: bytes in KiB, times in us, ms or s, shares in %, shapes with x."""

from __future__ import annotations

from collections.abc import Sequence


def binary(size: int) -> str:
    """`128 KiB`, `6.5 KiB`, `400 B`: exact where that takes two decimals or less."""
    if size < 1024:
        return f"{size} B"
    kibi = f"{size / 1024:,.2f}".rstrip("0").rstrip(".")
    return f"{kibi} KiB"


def duration(seconds: float) -> str:
    """`12.3 us`, `1.234 ms` or `1.234 s`."""
    if seconds >= 1:
        return f"{seconds:.3f} s"
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.3f} ms"


def percent(share: float) -> str:
    """`28.3 %`, and from ten times on `12 x`."""
    return f"{100 * share:.1f} %" if share < 10 else f"{share:,.0f} x"


def short_shape(shape: Sequence[int | str]) -> str:
    """`2x32x32`: one sample's, without the batch, for tables."""
    return "x".join(str(dim) for dim in shape[1:])


def shape_text(shape: Sequence[int | str]) -> str:
    """`n x 2 x 32 x 32`."""
    return " x ".join(str(dim) for dim in shape)


def count(value: float) -> str:
    """`1,298,432`."""
    return f"{value:,}"
