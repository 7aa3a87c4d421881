"""How figures are written: bytes in KiB (1024), times in us, ms or s, shapes with x."""

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


def short_shape(shape: Sequence[int | str]) -> str:
    """`2x32x32`: one sample's, without the batch, for tables."""
    return "x".join(str(dim) for dim in shape[1:])


def shape_text(shape: Sequence[int | str]) -> str:
    """`n x 2 x 32 x 32`."""
    return " x ".join(str(dim) for dim in shape)


def count(value: float) -> str:
    """`1,298,432`."""
    return f"{value:,}"


def percent(share: float) -> str:
    """`3.48 %`, `123 %`, and from ten times on `20.6 x`, `1,230 x`."""
    if share < 10:
        return f"{100 * share:.3g} %" if share < 1 else f"{100 * share:.0f} %"
    return f"{share:.1f} x" if share < 100 else f"{share:,.0f} x"
