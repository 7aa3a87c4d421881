"""kernels/elementary.h over the whole range of float32, against float64 NumPy and SciPy."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf, expit

Array = NDArray[Any]
Apply = Callable[..., Array]
FLAGS = [
    "-std=c99",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-shared",
    "-fPIC",
]
SPECIAL = np.array(
    [0, 1e-45, 1.2e-38, 0.5, 1, 1.5, 2, 3, 88.8, 2**23 - 0.5, 2**24 + 1, 1e38, np.inf, np.nan],
    np.float32,
)
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])


def build(repository: Path, folder: Path, *flags: str) -> Apply:
    """Compiles the functions and returns apply(name, *arrays)."""
    cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if cc is None:
        pytest.skip("no C compiler")
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "probe.so"
    source = repository / "tests" / "kernels" / "elementary_probe.c"
    subprocess.run([cc, *FLAGS, *flags, str(source), "-o", str(out)], check=True)
    library = ctypes.CDLL(str(out))

    def apply(name: str, *arrays: Array) -> Array:
        values = [np.ascontiguousarray(a, np.float32) for a in arrays]
        y = np.empty_like(values[0])
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*values, y)]
        library[f"probe_{name}"](*pointers, ctypes.c_size_t(y.size))
        return y

    return apply


@pytest.fixture(scope="module")
def apply(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Apply:
    return build(repository, tmp_path_factory.mktemp("probe"), "-O2")


def every(stride: int, low: float = -np.inf, high: float = np.inf) -> Array:
    """Floats at each `stride`-th bit pattern, subnormal and infinite ones too, and the specials."""
    x = np.arange(0, 2**32, stride, np.uint64).astype(np.uint32).view(np.float32)
    x = np.concatenate([x, SPECIAL])
    return x[(x >= low) & (x <= high)]


def units(y: Array, expected: Array) -> Array:
    """|y - expected| in units of the last place of float32; where either is infinite: 0 or inf."""
    with np.errstate(over="ignore"):
        rounded = expected.astype(np.float32)
    exponent = np.maximum(np.frexp(np.where(np.isfinite(expected), expected, 0))[1] - 24, -149)
    infinite = np.isinf(rounded) | np.isinf(y)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(y.astype(np.float64) - expected) / np.exp2(exponent.astype(np.float64))
    return np.where(infinite, np.where(y == rounded, 0.0, np.inf), error)


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# The bounds stand in the header's first comment.
SWEEPS: dict[str, tuple[Callable[[Array], Array], float, float, float]] = {
    "exp": (np.exp, -np.inf, np.inf, 1.0),
    "expm1_below_0": (np.expm1, -np.inf, 0.0, 0.9),
    "log": (np.log, 0.0, np.inf, 0.9),
    "log1p_to_1": (np.log1p, 0.0, 1.0, 1.6),
    "tanh": (np.tanh, -np.inf, np.inf, 2.6),
    "sigmoid": (expit, -np.inf, np.inf, 2.4),
    "softplus": (softplus, -np.inf, np.inf, 2.4),
    "erf": (erf, -np.inf, np.inf, 1.4),
    "nearest": (np.rint, -np.inf, np.inf, 0.0),
    "floor": (np.floor, -np.inf, np.inf, 0.0),
    "ceil": (np.ceil, -np.inf, np.inf, 0.0),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_sweep(apply: Apply, name: str) -> None:
    function, low, high, bound = SWEEPS[name]
    x = every(2053, low, high)
    y = apply(name, x)
    with np.errstate(all="ignore"):
        expected = function(x.astype(np.float64))
    error = units(y, expected)
    assert error.max() <= bound, x[error.argmax()]
    assert np.isnan(apply(name, np.array([np.nan], np.float32))).all()
    if name in ("nearest", "floor", "ceil", "tanh", "erf"):
        assert np.array_equal(np.signbit(y), np.signbit(expected))


def test_log_of_a_negative_number(apply: Apply) -> None:
    assert np.isnan(apply("log", -every(100_003, 1e-45))).all()
    assert (apply("log", np.array([0.0, -0.0], np.float32)) == -np.inf).all()


def test_pow(apply: Apply) -> None:
    rng = np.random.default_rng(0)
    sign = rng.choice([-1.0, 1.0], 200_000)
    a = np.concatenate(
        [
            np.exp(rng.normal(scale=20, size=200_000)),
            1 + rng.normal(scale=1e-3, size=200_000),
            sign * rng.integers(1, 40, 200_000),
        ]
    ).astype(np.float32)
    b = np.concatenate(
        [
            rng.normal(scale=4, size=200_000),
            rng.normal(scale=3e4, size=200_000),
            rng.integers(-30, 30, 200_000),
        ]
    ).astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        expected = np.power(a.astype(np.float64), b.astype(np.float64))
    # Half a unit is the last rounding.
    assert units(apply("pow", a, b), expected).max() <= 0.6


def test_special_values_of_pow(apply: Apply) -> None:
    whole = np.array([-3, -2, -1, 4, 5], np.float32)
    values = np.concatenate([SPECIAL, whole])
    a, b = (v.ravel() for v in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        expected = np.power(a.astype(np.float64), b.astype(np.float64))
        rounded = expected.astype(np.float32)
    y = apply("pow", a, b)
    close = units(y, expected) <= 0.6
    assert (close | (np.isnan(y) & np.isnan(rounded))).all()
    numbers = ~np.isnan(y)
    assert np.array_equal(np.signbit(y)[numbers], np.signbit(rounded)[numbers])


def test_fmod_is_exact(apply: Apply) -> None:
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, (2, 300_000), np.uint32).view(np.float32)
    near = np.exp(rng.normal(scale=3, size=(2, 100_000))).astype(np.float32)
    special = np.stack([v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL)])
    a, b = np.concatenate([bits, near, special], axis=1)
    with np.errstate(invalid="ignore"):
        expected = np.fmod(a, b)
    y = apply("fmod", a, b)
    np.testing.assert_array_equal(y, expected)
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.signbit(y)[numbers], np.signbit(expected)[numbers])


def test_same_bits_however_compiled(repository: Path, tmp_path: Path) -> None:
    """Without optimisation, and vectorised for this machine, contraction off in both."""
    plain = build(repository, tmp_path / "plain", "-O0")
    fast = build(repository, tmp_path / "fast", "-O3", "-march=native")
    x = every(20_011)
    for name in SWEEPS:
        np.testing.assert_array_equal(plain(name, x), fast(name, x))
    for name in ("pow", "fmod"):
        np.testing.assert_array_equal(plain(name, x, x[::-1]), fast(name, x, x[::-1]))
