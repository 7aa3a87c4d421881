"""Random geometries of convolutions, shared by the float and the integer kernels' tests."""

from typing import Any

from hypothesis import strategies as st


@st.composite
def geometries(
    draw: st.DrawFn, spare: tuple[int, int]
) -> tuple[dict[str, int], tuple[int, int], list[int]]:
    """Window parameters, kernel (kh, kw), image [H, W]: the least that fits, and `spare` more."""
    small = st.integers(1, 3)
    window: dict[str, Any] = {
        "groups": draw(small),
        "stride_h": draw(small),
        "stride_w": draw(small),
        "dilation_h": draw(small),
        "dilation_w": draw(small),
        **{f"pad_{side}": draw(st.integers(0, 4)) for side in ("top", "left", "bottom", "right")},
    }
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    size = []
    for i, (axis, before, after) in enumerate((("h", "top", "bottom"), ("w", "left", "right"))):
        reach = (kernel[i] - 1) * window[f"dilation_{axis}"] + 1
        least = max(1, reach - window[f"pad_{before}"] - window[f"pad_{after}"])
        size.append(draw(st.integers(least, least + spare[i])))
    return window, kernel, size
