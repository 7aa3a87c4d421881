"""Random steps of one operation for guard_driver.c: shapes of the field, and others."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from math import comb
from typing import Any

import numpy as np
from hand_plan import HandPlan
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op
from csideploy.export.widths import pack_widths

Array = NDArray[Any]
Random = np.random.Generator
LINE = 64
MOST = 5
"""Samples of the batch."""
QUANTIZED = (np.uint8, np.int8, np.int16)


@dataclass
class Case:
    """One step: inputs by role (None: absent), constants by place, results as (shape, dtype)."""

    op: Op
    inputs: list[Array | None]
    constants: tuple[int, ...]
    results: list[tuple[tuple[int, ...], Any]]
    params: dict[str, Any] = field(default_factory=dict)
    in_place: int | None = None
    scratch: int = 0
    """Floats of a second result that is working memory."""

    def bytes(self) -> bytes:
        """As guard_driver.c reads it."""
        hand = HandPlan(n_max=MOST)
        operands: list[int | None] = []
        given = []
        for i, value in enumerate(self.inputs):
            if value is None:
                operands.append(None)
            elif i in self.constants:
                operands.append(hand.constant(f"c{i}", value))
            else:
                operands.append(hand.input(f"x{i}", ("n", *value.shape[1:]), value.dtype))
                given.append(np.ascontiguousarray(value).tobytes())
        made = [
            hand.output(f"y{i}", ("n", *shape[1:]), dtype)
            for i, (shape, dtype) in enumerate(self.results)
        ]
        if self.scratch:
            made.append(hand.arena("scratch", (self.scratch,)))
        hand.step(self.op, operands, made, **self.params)
        bundle = write_bundle(hand.plan())
        samples = self.results[0][0][0]
        data = bundle + b"".join(given)
        total = LINE + len(data) + -len(data) % LINE
        aliased = 0 if self.in_place is None else self.in_place + 1
        head = struct.pack("<5I", len(bundle), samples, 1, aliased, total)
        return head.ljust(LINE, b"\0") + data.ljust(total - LINE, b"\0")


def _floats(rng: Random, *shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def _odd(rng: Random, x: Array) -> Array:
    """Some numbers that are none, or large, in every fourth case."""
    if rng.random() < 0.25:
        odd = np.array([np.nan, np.inf, -np.inf, 3e38, -0.0, 1e-42], np.float32)
        places = rng.random(x.shape) < 0.01
        x[places] = rng.choice(odd, int(places.sum()))
    return x


def _codes(rng: Random, dtype: Any, *shape: int) -> Array:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def _code(rng: Random, dtype: Any) -> int:
    return int(_codes(rng, dtype, 1)[0])


def _batch(rng: Random) -> int:
    return int(rng.integers(1, MOST + 1))


def _activation(rng: Random, slopes: int) -> tuple[dict[str, Any], Array | None]:
    kind = Activation(int(rng.integers(len(Activation))))
    slope = _floats(rng, int(rng.choice([1, slopes]))) if kind is Activation.PRELU else None
    return {"activation": kind, "alpha": 0.2}, slope


def _window(rng: Random) -> tuple[dict[str, int], tuple[int, int, int], tuple[int, int], list[int]]:
    """Window, (groups, channels in, out, each a group), kernel and image.

    Of three cases two are the field's: the image's size is kept, strides and dilations are 1.
    """
    if rng.random() < 0.67:
        kernel = [(5, 5), (3, 3), (7, 7), (1, 9), (9, 1), (1, 1)][rng.integers(6)]
        sizes = [(1, 2, 2), (1, 2, 8), (5, 2, 2), (1, 16, 2), (1, 1, 1)][rng.integers(5)]
        image = [32, 32] if rng.random() < 0.5 else rng.integers((1, 8), (20, 70)).tolist()
        pads = {"pad_top": kernel[0] // 2, "pad_left": kernel[1] // 2}
        pads |= {"pad_bottom": kernel[0] // 2, "pad_right": kernel[1] // 2}
        return pads, sizes, kernel, image
    kernel = (int(rng.integers(1, 6)), int(rng.integers(1, 10)))
    window: dict[str, int] = {}
    image = []
    for axis, size in zip("hw", kernel, strict=True):
        stride, dilation = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        ends = ("top", "bottom") if axis == "h" else ("left", "right")
        pads = [int(v) for v in rng.integers(0, 5, 2)]
        window |= {f"stride_{axis}": stride, f"dilation_{axis}": dilation}
        window |= {f"pad_{end}": pad for end, pad in zip(ends, pads, strict=True)}
        reach = (size - 1) * dilation + 1
        image.append(max(1, reach - sum(pads)) + int(rng.integers(0, 40)))
    sizes = tuple(int(v) for v in rng.integers(1, 4, 3))
    return window, (sizes[0], sizes[1], sizes[2]), kernel, image


def _made(window: dict[str, int], kernel: tuple[int, int], image: list[int]) -> list[int]:
    made = []
    for axis, size, given in zip("hw", kernel, image, strict=True):
        ends = ("top", "bottom") if axis == "h" else ("left", "right")
        whole = given + sum(window.get(f"pad_{end}", 0) for end in ends)
        reach = (size - 1) * window.get(f"dilation_{axis}", 1) + 1
        made.append((whole - reach) // window.get(f"stride_{axis}", 1) + 1)
    return made


def conv2d(rng: Random) -> Case:
    """Every activation, the sum with a residual, and that on the residual's own bytes."""
    window, (groups, inputs, outputs), kernel, image = _window(rng)
    n, channels = _batch(rng), groups * outputs
    y = (n, channels, *_made(window, kernel, image))
    act, slope = _activation(rng, channels)
    residual = _floats(rng, *y) if rng.random() < 0.5 else None
    operands = [
        _odd(rng, _floats(rng, n, groups * inputs, *image)),
        _floats(rng, channels, inputs, *kernel),
        _floats(rng, channels) if rng.random() < 0.7 else None,
        slope,
        residual,
    ]
    place = 4 if residual is not None and rng.random() < 0.5 else None
    params = {"groups": groups, **window, **act}
    return Case(Op.CONV2D, operands, (1, 2, 3), [(y, np.float32)], params, place)


def _columns(rng: Random) -> tuple[int, int]:
    """(inputs, outputs) of a fully connected layer."""
    field = [(2048, 512), (512, 2048), (2048, 128), (64, 64), (128, 32), (16, 2048)]
    if rng.random() < 0.5:
        return field[rng.integers(len(field))]
    return int(rng.integers(1, 300)), int(rng.integers(1, 70))


def linear(rng: Random) -> Case:
    """Float weights."""
    inputs, outputs = _columns(rng)
    n = _batch(rng)
    act, slope = _activation(rng, outputs)
    operands = [
        _odd(rng, _floats(rng, n, inputs)),
        _floats(rng, outputs, inputs),
        _floats(rng, outputs) if rng.random() < 0.7 else None,
        slope,
    ]
    return Case(Op.LINEAR, operands, (1, 2, 3), [((n, outputs), np.float32)], act)


def _signs(rng: Random, outputs: int, inputs: int) -> Array:
    bits = rng.integers(0, 2, (outputs, inputs), np.uint8)
    return np.packbits(bits, axis=1)


def binary_linear(rng: Random) -> Case:
    """Signs, with one scale or one an output."""
    inputs, outputs = _columns(rng)
    n = _batch(rng)
    act, slope = _activation(rng, outputs)
    operands = [
        _odd(rng, _floats(rng, n, inputs)),
        _signs(rng, outputs, inputs),
        _floats(rng, int(rng.choice([1, outputs]))),
        _floats(rng, outputs) if rng.random() < 0.7 else None,
        slope,
    ]
    return Case(Op.BINARY_LINEAR, operands, (1, 2, 3, 4), [((n, outputs), np.float32)], act)


def quantize_uniform(rng: Random) -> Case:
    """1 to 8 bits."""
    x = _odd(rng, rng.uniform(-0.1, 1.1, (_batch(rng), int(rng.integers(1, 600)))).astype("f4"))
    bits = int(rng.integers(1, 9))
    return Case(Op.QUANTIZE_UNIFORM, [x], (), [(x.shape, np.uint8)], {"bits": bits})


def quantize_logit(rng: Random) -> Case:
    """1 to 8 bits."""
    x = _odd(rng, _floats(rng, _batch(rng), int(rng.integers(1, 600))))
    rising = np.sort(_floats(rng, (1 << int(rng.choice([4, 4, 1, 5, 6, 7, 8]))) - 1))
    return Case(Op.QUANTIZE_LOGIT, [x, rising], (1,), [(x.shape, np.uint8)])


def _packed(rng: Random) -> tuple[int, tuple[int, int], tuple[int, int]]:
    bits, n = int(rng.choice([1, 2, 3, 4, 4, 5, 6, 7, 8])), _batch(rng)
    count = int(rng.choice([512, 64, int(rng.integers(1, 700))]))
    return bits, (n, count), (n, -(-count * bits // 8))


def pack_bits(rng: Random) -> Case:
    """Codes that may be larger than their bits."""
    bits, codes, payload = _packed(rng)
    x = _codes(rng, np.uint8, *codes)
    return Case(Op.PACK_BITS, [x], (), [(payload, np.uint8)], {"bits": bits})


def unpack_bits(rng: Random) -> Case:
    """Any bytes are a payload."""
    bits, codes, payload = _packed(rng)
    x = _codes(rng, np.uint8, *payload)
    return Case(Op.UNPACK_BITS, [x], (), [(codes, np.uint8)], {"bits": bits})


def quantize(rng: Random) -> Case:
    """To each integer type."""
    dtype = QUANTIZED[rng.integers(3)]
    scale = float(rng.choice(np.array([1.0, 0.0123, 2.0**-7, 1e-4], np.float32)))
    x = _odd(rng, _floats(rng, _batch(rng), int(rng.integers(1, 2100))) * np.float32(scale * 90))
    params = {"scale": scale, "zero": _code(rng, dtype)}
    return Case(Op.QUANTIZE, [x], (), [(x.shape, dtype)], params)


def _requantized(rng: Random, x: Any, y: Any, products: int, count: int) -> tuple[Any, ...]:
    """Bias, multiplier and limits with which about a tenth of the results saturates."""
    info = np.iinfo(y)
    spread = float(np.iinfo(x).max) * 60 * np.sqrt(products)
    size = (rng.uniform(0.1, 0.6, count) * info.max / spread).astype(np.float32)
    bias = rng.integers(-20000, 20000, count).astype(np.int32) if rng.random() < 0.7 else None
    low, high = (int(v) for v in np.sort(_codes(rng, y, 2)))
    if rng.random() < 0.7:
        low, high = int(info.min), int(info.max)
    limits = {"x_zero": _code(rng, x), "y_zero": _code(rng, y), "low": low, "high": high}
    return bias, size, limits


def _narrow(rng: Random, dtype: Any, *shape: int) -> Array:
    """Codes of 16 bits reach either all of them or 14 bits."""
    codes = _codes(rng, dtype, *shape)
    return codes >> 2 if dtype is np.int16 and rng.random() < 0.5 else codes


def qconv2d(rng: Random) -> Case:
    """Every pair of types."""
    window, (groups, inputs, outputs), kernel, image = _window(rng)
    n, channels = _batch(rng), groups * outputs
    x, y = QUANTIZED[rng.integers(3)], QUANTIZED[rng.integers(3)]
    products = inputs * kernel[0] * kernel[1]
    bias, size, limits = _requantized(rng, x, y, products, channels)
    operands = [
        _narrow(rng, x, n, groups * inputs, *image),
        _codes(rng, np.int8, channels, inputs, *kernel),
        bias,
        size,
    ]
    made = (n, channels, *_made(window, kernel, image))
    params = {"groups": groups, **window, **limits}
    return Case(Op.QCONV2D, operands, (1, 2, 3), [(made, y)], params)


def qlinear(rng: Random) -> Case:
    """Every pair of types."""
    inputs, outputs = _columns(rng)
    n, x, y = _batch(rng), QUANTIZED[rng.integers(3)], QUANTIZED[rng.integers(3)]
    bias, size, limits = _requantized(rng, x, y, inputs, outputs)
    operands = [_narrow(rng, x, n, inputs), _codes(rng, np.int8, outputs, inputs), bias, size]
    return Case(Op.QLINEAR, operands, (1, 2, 3), [((n, outputs), y)], limits)


def qbinary_linear(rng: Random) -> Case:
    """Every pair of types; the zero point is 0 in every second case."""
    inputs, outputs = _columns(rng)
    n, x, y = _batch(rng), QUANTIZED[rng.integers(3)], QUANTIZED[rng.integers(3)]
    count = outputs if rng.random() < 0.5 else 1
    _, size, limits = _requantized(rng, x, y, inputs, count)
    if rng.random() < 0.5:
        limits["x_zero"] = 0
    bias = rng.integers(-20000, 20000, outputs).astype(np.int32) if rng.random() < 0.7 else None
    operands = [_narrow(rng, x, n, inputs), _signs(rng, outputs, inputs), bias, size * 60]
    return Case(Op.QBINARY_LINEAR, operands, (1, 2, 3), [((n, outputs), y)], limits)


def _fused(rng: Random, channels: int) -> tuple[dict[str, Any], Array | None]:
    kinds = (Activation.NONE, Activation.RELU, Activation.LEAKY, Activation.PRELU)
    kind = kinds[rng.integers(4)]
    slope = _floats(rng, int(rng.choice([1, channels]))) if kind is Activation.PRELU else None
    return {"activation": kind, "alpha": 0.2}, slope


def _scales(rng: Random, names: str, types: tuple[Any, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, dtype in zip(names, types, strict=True):
        reach = 4 / np.iinfo(dtype).max * rng.uniform(0.5, 2)
        found |= {f"{name}_zero": _code(rng, dtype), f"{name}_scale": float(np.float32(reach))}
    return found


def qadd(rng: Random) -> Case:
    """On the bytes of either operand, or of none."""
    types = tuple(QUANTIZED[i] for i in rng.integers(0, 3, 3))
    shape = (_batch(rng), int(rng.integers(1, 4)), int(rng.integers(1, 1100)))
    act, slope = _fused(rng, shape[1])
    operands = [_codes(rng, types[0], *shape), _codes(rng, types[1], *shape), slope]
    fits = [i for i in (0, 1) if types[i] is types[2]]
    place = int(rng.choice(fits)) if fits and rng.random() < 0.5 else None
    params = {**_scales(rng, "aby", types), **act}
    return Case(Op.QADD, operands, (2,), [(shape, types[2])], params, place)


def qactivation(rng: Random) -> Case:
    """On its own bytes, or not."""
    types = tuple(QUANTIZED[i] for i in rng.integers(0, 3, 2))
    shape = (_batch(rng), int(rng.integers(1, 4)), int(rng.integers(1, 1100)))
    act, slope = _fused(rng, shape[1])
    place = 0 if types[0] is types[1] and rng.random() < 0.5 else None
    params = {**_scales(rng, "xy", types), **act}
    operands = [_codes(rng, types[0], *shape), slope]
    return Case(Op.QACTIVATION, operands, (1,), [(shape, types[1])], params, place)


def qthreshold(rng: Random) -> Case:
    """1 to 255 thresholds."""
    dtype = QUANTIZED[rng.integers(3)]
    x = _codes(rng, dtype, _batch(rng), int(rng.integers(1, 600)))
    count = int(rng.choice([15, 1, 3, 255, int(rng.integers(1, 256))]))
    info = np.iinfo(dtype)
    steps = np.sort(rng.integers(info.min - 3, info.max + 4, count)).astype(np.int32)
    return Case(Op.QTHRESHOLD, [x, steps], (1,), [(x.shape, np.uint8)])


def quantize_codebook(rng: Random) -> Case:
    """One number of bits for all in every second case."""
    x = _odd(rng, _floats(rng, _batch(rng), int(rng.integers(1, 600))))
    bits = rng.integers(0, 9, x.shape[1])
    if rng.random() < 0.5:
        bits[:] = int(rng.choice([4, 4, 1, 8, 3]))
    if not bits.any():
        bits[0] = 1
    steps = np.concatenate([np.sort(rng.normal(size=(1 << b) - 1)) for b in bits])
    if rng.random() < 0.5 and (bits == bits[0]).all():
        steps = np.tile(np.sort(rng.normal(size=(1 << int(bits[0])) - 1)), len(bits))
    operands = [x, steps.astype(np.float32), pack_widths(bits.astype(np.uint8))]
    return Case(Op.QUANTIZE_CODEBOOK, operands, (1, 2), [(x.shape, np.uint8)])


def residual_quantize(rng: Random) -> Case:
    """1 to 11 bits; some words stand twice, some samples are words, some dimensions are small."""
    bits, width = int(rng.integers(1, 11)), int(rng.choice([128, 256, int(rng.integers(1, 150))]))
    batch = _batch(rng)
    if rng.random() < 0.15:  # a large codebook, whose bytes stand closer for single rows
        bits, width, batch = 11, int(rng.integers(96, 140)), int(rng.integers(1, 4))
    book = _floats(rng, 1 << bits, width)
    if rng.random() < 0.5:
        book[rng.integers(len(book), size=3)] = book[0]
    x = _odd(rng, _floats(rng, batch, width))
    if rng.random() < 0.3:  # little in some dimensions, which are not scanned then
        few = np.arange(width) // 16 % int(rng.integers(2, 5)) > 0
        book[:, few] *= np.float32(1e-3)
        x[:, few] *= np.float32(10.0 ** rng.integers(-4, 1))
    x[0] = book[-1] if rng.random() < 0.5 else x[0]
    results = [((len(x), bits), np.uint8), (x.shape, np.float32)]
    return Case(Op.RESIDUAL_QUANTIZE, [x, book], (1,), results)


def table_precoder(rng: Random) -> Case:
    """Every form of the table."""
    users, bits, columns = int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(1, 3))
    antennas, sets = int(rng.choice([8, int(rng.integers(1, 20))])), int(rng.integers(2))
    streams = columns if columns > 1 else int(rng.integers(1, 3))
    rows = comb((1 << bits) + users - 1, users) if sets else 1 << bits * users
    shape = (rows, users, columns, antennas)
    tables = (_floats(rng, *shape, 2), _codes(rng, np.int8, *shape, 2), _codes(rng, "u1", *shape))
    n = _batch(rng)
    said = _codes(rng, np.uint8, n, users, 1)
    params = {"bits": bits, "sorted": sets, "per_user": int(rng.integers(2))}
    made = ((n, users, streams, antennas, 2), np.float32)
    return Case(Op.TABLE_PRECODER, [said, tables[rng.integers(3)]], (1,), [made], params)


def conv_block(rng: Random) -> Case:
    """Three convolutions: in float, the one in the middle in integers, or all."""
    groups, per_group = int(rng.choice([40, 1, 3, 8])), int(rng.choice([2, 2, 1, 3]))
    wide, inputs, outputs = groups * per_group, int(rng.choice([2, 2, 3])), int(rng.choice([2, 1]))
    kernels = [(1, 9), (7, 7), (9, 1)]
    if rng.random() < 0.3:
        kernels = [tuple(int(v) for v in rng.choice([1, 3, 5], 2)) for _ in range(3)]
    image = [32, 32] if rng.random() < 0.5 else rng.integers((2, 2), (12, 50)).tolist()
    n, whole = min(_batch(rng), 2), bool(rng.random() < 0.6)
    ends = whole and bool(rng.random() < 0.5)
    rows = [_floats(rng, wide) for _ in range(4)]
    if whole:
        rows.append(np.abs(_floats(rng, wide)) * np.float32(0.01))
    if ends:
        rows.append(np.abs(_floats(rng, wide)) * np.float32(1e-6))

    def outer(*shape: int) -> Array:
        return _codes(rng, np.int16, *shape) if ends else _floats(rng, *shape)

    middle_shape = (wide, per_group, *kernels[1])
    middle = _codes(rng, np.int8, *middle_shape) if whole else _floats(rng, *middle_shape)
    act, slope = _activation(rng, outputs)
    y = (n, outputs, *image)
    operands = [
        _floats(rng, n, inputs, *image),
        outer(wide, inputs, *kernels[0]),
        np.stack(rows),
        middle,
        outer(outputs, wide, *kernels[2]),
        _floats(rng, outputs) if rng.random() < 0.7 else None,
        slope,
        _floats(rng, *y) if rng.random() < 0.5 else None,
    ]
    code = {"code_scale": float(rng.choice([1.0, 0.125, 0.1])), "code_zero": _code(rng, np.uint8)}
    if rng.random() < 0.5:
        code |= {"code_zero": 0, "code_bits": 16}
    scales = {"x_scale": 2.0**-12, "m_scale": 0.125, "y_scale": 1e-6} if ends else {}
    params = {"groups": groups, **act, **(code if whole else {}), **scales}
    for i, kernel in enumerate(kernels, 1):
        params |= {f"pad_top_{i}": kernel[0] // 2, f"pad_left_{i}": kernel[1] // 2}
    planes, codes = per_group * image[0] * image[1], -(-inputs * image[0] * image[1] // 2)
    size = planes + max(planes, codes if ends else 0)
    return Case(
        Op.CONV_BLOCK, operands, (1, 2, 3, 4, 5, 6), [(y, np.float32)], params, scratch=size
    )


def bits_network(rng: Random) -> Case:
    """Blocks of rows that begin inside of bytes, and that do not."""
    bits, hidden, outputs = (
        int(rng.choice([64, 128, 300, int(rng.integers(8, 100))])),
        int(rng.choice([64, int(rng.integers(1, 80))])),
        int(rng.choice([32, int(rng.integers(1, 40))])),
    )
    n, rows = min(_batch(rng), 3), int(rng.integers(1, 70))
    payload = _codes(rng, np.uint8, n, -(-rows * bits // 8))
    layers: list[Array | None] = []
    limits: dict[str, int] = {}
    for before, prefix, inputs, made in (
        (np.int8, "hidden_", bits, hidden),
        (np.uint8, "", hidden, outputs),
    ):
        bias, size, own = _requantized(rng, before, np.uint8, inputs, made)
        if prefix:
            size = size * 100  # the inputs are bits
        layers += [_codes(rng, np.int8, made, inputs), bias, size.astype(np.float32)]
        zero = own["y_zero"]
        limits |= {f"{prefix}{'zero' if prefix else 'y_zero'}": zero}
        limits |= {f"{prefix}{end}": own[end] for end in ("low", "high")}
    params = {**limits, "y_scale": 0.01}
    result = ((n, rows, outputs), np.float32)
    constants = (1, 2, 3, 4, 5, 6)
    return Case(Op.BITS_NETWORK, [payload, *layers], constants, [result], params)


CASES: dict[str, Callable[[Random], Case]] = {
    made.__name__.upper(): made
    for made in (
        conv2d,
        linear,
        binary_linear,
        quantize_uniform,
        quantize_logit,
        pack_bits,
        unpack_bits,
        quantize,
        qconv2d,
        qlinear,
        qbinary_linear,
        qadd,
        qactivation,
        qthreshold,
        quantize_codebook,
        residual_quantize,
        table_precoder,
        conv_block,
        bits_network,
    )
}
"""By the operation's name in kernels/fast.h."""
