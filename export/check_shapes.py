"""The shape that each operation makes of its inputs' shapes, for the graph checker.

Written from the semantics in `operations`, without a look at the passes that make the shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb

from csideploy.errors import CsideployError
from csideploy.export.graph import BATCH, USERS, Node, Shape
from csideploy.export.operations import AXES
from csideploy.export.plan import Op

Shapes = dict[str, Shape]
ResultRule = Callable[[Node, Shapes, Shape], Shape]


class GraphError(CsideployError):
    """The graph is inconsistent after a pass: a defect of the compiler."""


def demand(holds: bool, fault: str) -> None:
    """Raise unless it holds."""
    if not holds:
        raise GraphError(fault)


def _numbers(node: Node, name: str, rank: int) -> list[int]:
    return [int(node.attributes[f"{name}_{axis}"]) for axis in range(AXES)][:rank]


def _reach(node: Node, axis: str, kernel: int) -> int:
    return int(node.attributes[f"dilation_{axis}"]) * (kernel - 1) + 1


def _pads(node: Node, axis: str) -> int:
    sides = ("top", "bottom") if axis == "h" else ("left", "right")
    return sum(int(node.attributes[f"pad_{side}"]) for side in sides)


def _conv(node: Node, shapes: Shapes, _: Shape) -> Shape:
    (n, channels, *image), (outputs, per_group, *kernel) = shapes["x"], shapes["weight"]
    groups = node.attributes["groups"]
    demand(int(per_group) * groups == channels, f"'{node.name}': groups")
    demand(int(outputs) % groups == 0, f"'{node.name}': groups")
    sizes = [
        (int(size) + _pads(node, axis) - _reach(node, axis, int(span)))
        // node.attributes[f"stride_{axis}"]
        + 1
        for axis, size, span in zip("hw", image, kernel, strict=True)
    ]
    return (n, outputs, *sizes)


def _conv_transpose(node: Node, shapes: Shapes, result: Shape) -> Shape:
    (n, channels, *image), (inputs, per_group, *kernel) = shapes["x"], shapes["weight"]
    groups = node.attributes["groups"]
    demand(channels == inputs and int(inputs) % groups == 0, f"'{node.name}': groups")
    for axis, size, span, made in zip("hw", image, kernel, result[2:], strict=True):
        stride = node.attributes[f"stride_{axis}"]
        full = (int(size) - 1) * stride + _reach(node, axis, int(span)) - _pads(node, axis)
        # Output padding adds less than a stride, or less than a dilation.
        most = max(stride, node.attributes[f"dilation_{axis}"]) - 1
        demand(0 <= int(made) - full <= most, f"'{node.name}': {made} rows, {full} are made")
    return (n, int(per_group) * groups, *result[2:])


def _pool(node: Node, shapes: Shapes, result: Shape) -> Shape:
    n, channels, *image = shapes["x"]
    for axis, size, made in zip("hw", image, result[2:], strict=True):
        stride = node.attributes[f"stride_{axis}"]
        span = _reach(node, axis, node.attributes[f"kernel_{axis}"])
        room = int(size) + _pads(node, axis) - span
        demand(int(made) in (room // stride + 1, -(-room // stride) + 1), f"'{node.name}': size")
    return (n, channels, *result[2:])


def _linear(node: Node, shapes: Shapes, _: Shape) -> Shape:
    demand(shapes["x"][-1] == shapes["weight"][1], f"'{node.name}': inputs and weight")
    return (*shapes["x"][:-1], shapes["weight"][0])


def _binary_linear(node: Node, shapes: Shapes, _: Shape) -> Shape:
    outputs, row = shapes["weight"]
    demand(row == -(-int(shapes["x"][-1]) // 8), f"'{node.name}': inputs and packed weight")
    if "scale" in shapes:
        demand(shapes["scale"] in ((1,), (outputs,)), f"'{node.name}': scale")
    return (*shapes["x"][:-1], outputs)


def _join(node: Node, shapes: Shapes, _: Shape) -> Shape:
    a, b, axis = shapes["a"], shapes["b"], node.attributes["axis"]
    demand((*a[:axis], *a[axis + 1 :]) == (*b[:axis], *b[axis + 1 :]), f"'{node.name}': {a}, {b}")
    return (*a[:axis], int(a[axis]) + int(b[axis]), *a[axis + 1 :])


def _add(node: Node, shapes: Shapes, _: Shape) -> Shape:
    demand(shapes["a"] == shapes["b"], f"'{node.name}': two shapes")
    return shapes["a"]


def _same(_: Node, shapes: Shapes, __: Shape) -> Shape:
    return next(iter(shapes.values()))


def _counted(node: Node, shapes: Shapes, _: Shape) -> Shape:
    legal = [((1 << bits) - 1,) for bits in range(1, 9)]
    demand(shapes["thresholds"] in legal, f"'{node.name}': thresholds {shapes['thresholds']}")
    return shapes["x"]


def _packed(node: Node, shapes: Shapes, _: Shape) -> Shape:
    n, count = shapes["codes"]
    return (n, (int(count) * node.attributes["bits"] + 7) // 8)


def _unpacked(node: Node, shapes: Shapes, result: Shape) -> Shape:
    length = (int(result[1]) * node.attributes["bits"] + 7) // 8
    demand(shapes["payload"] == (result[0], length), f"'{node.name}': {shapes['payload']}")
    return result


def _table_for(node: Node, shapes: Shapes, codes: Shape) -> None:
    """Widths of 4 bits each."""
    demand(shapes["widths"] == ((int(codes[1]) + 1) // 2,), f"'{node.name}': {shapes['widths']}")


def _by_codebook(node: Node, shapes: Shapes, _: Shape) -> Shape:
    codes = shapes["x"] if "x" in shapes else shapes["codes"]
    demand(len(codes) == 2, f"'{node.name}': {codes}")
    _table_for(node, shapes, codes)
    return codes


def _packed_widths(node: Node, shapes: Shapes, result: Shape) -> Shape:
    codes = shapes["codes"]
    _table_for(node, shapes, codes)
    fits = len(result) == 2 and int(result[1]) <= int(codes[1])
    demand(fits, f"'{node.name}': {codes} to {result}")
    return (codes[0], result[1])


def _unpacked_widths(node: Node, shapes: Shapes, result: Shape) -> Shape:
    payload = shapes["payload"]
    _table_for(node, shapes, result)
    fits = len(payload) == 2 and int(payload[1]) <= int(result[1])
    demand(fits, f"'{node.name}': {payload} to {result}")
    return (payload[0], result[1])


def _precoder(node: Node, shapes: Shapes, result: Shape) -> Shape:
    """From the messages of K users to (n, K, N, M, 2); a packed table lacks the last axis."""
    n, users, size = shapes["payload"]
    demand(size == -(-node.attributes["bits"] // 8), f"'{node.name}': {size} bytes a user")
    demand(len(result) == 5, f"'{node.name}': {result}")
    streams, antennas = int(result[2]), int(result[3])
    if "codebook" in shapes:
        wanted = (1 << node.attributes["bits"], antennas, 2)
        demand(shapes["codebook"] == wanted, f"'{node.name}': {shapes['codebook']}")
    else:
        rows, *block = shapes["table"]
        levels = 1 << node.attributes["bits"]
        ordered = not node.attributes["sorted"]
        count = levels ** int(users) if ordered else comb(levels + int(users) - 1, int(users))
        demand(rows == count, f"'{node.name}': {rows} rows of {count}")
        fits = block[0] == users and block[1] in (1, streams) and block[2] == antennas
        demand(fits and block[3:] in ([2], []), f"'{node.name}': {block} to {result}")
    return (n, users, streams, antennas, 2)


def _schedule(node: Node, shapes: Shapes, _: Shape) -> Shape:
    n, rus, _users = shapes["gains"]
    count = int(rus)
    demand(count <= 32, f"'{node.name}': {rus} RUs")
    demand(node.attributes["excluded"] <= count * (count - 1) // 2, f"'{node.name}': edges")
    return (n, rus)


def _messages(node: Node, shapes: Shapes, result: Shape) -> Shape:
    """Of R channel uses to M RUs; how many bits each has is in a constant."""
    tables, rus = shapes["tables"], shapes["rus"]
    demand(len(tables) == 1 and len(rus) == 2 and rus[1] == 2, f"'{node.name}': {tables}, {rus}")
    source = shapes["precoded"] if "precoded" in shapes else shapes["targets"]
    demand(len(source) == 4 and source[3] == 2, f"'{node.name}': {source}")
    if "effective" in shapes:
        n, streams, _antennas, pair = shapes["effective"]
        demand((n, streams, pair) == (source[0], source[2], 2), f"'{node.name}': {source}")
        demand(shapes.get("classes", (n, rus[0])) == (n, rus[0]), f"'{node.name}': classes")
    least, most = -(-int(source[1]) // 8), -(-int(source[1]) * 12 // 8)
    fits = len(result) == 2 and least <= int(result[1]) / int(rus[0]) <= most
    demand(fits, f"'{node.name}': {source} to {result}")
    return (source[0], result[1])


def _searched(node: Node, shapes: Shapes, result: Shape) -> Shape:
    """The sizes of the units are a constant, which only the runtime's verifier looks into."""
    n, _, width, pair = shapes["targets"]
    demand(pair == 2 and shapes["step"] == (n,), f"'{node.name}': {shapes['targets']}")
    if "effective" in shapes:
        batch, streams, _, last = shapes["effective"]
        fits = (batch, streams, last) == (n, width, 2)
        demand(fits, f"'{node.name}': {shapes['effective']}")
    units = shapes["sizes"]
    demand(len(units) == 2 and units[1] == 3, f"'{node.name}': {units}")
    demand(len(result) == 2 and result[0] == n, f"'{node.name}': {result}")
    return result


def _attended(node: Node, shapes: Shapes, _: Shape) -> Shape:
    values = shapes["values"]
    alike = values == shapes["queries"] == shapes["keys"]
    demand(len(values) == 4 and alike, f"'{node.name}': {shapes}")
    return values


def _tier(node: Node, shapes: Shapes, result: Shape) -> Shape:
    """Codes (n, b) of a tier; `rest` is like the feature."""
    words, width = shapes["codebook"]
    n, features = shapes["feature"]
    demand(shapes["rest"] == (n, features) and features == width, f"'{node.name}': {shapes}")
    demand(len(result) == 2 and words == 1 << int(result[1]), f"'{node.name}': {words} codewords")
    return (n, result[1])


def _from_tier(node: Node, shapes: Shapes, _: Shape) -> Shape:
    (words, width), (n, bits) = shapes["codebook"], shapes["codes"]
    own = int(words).bit_length() - 1
    demand(1 <= own <= 16 and words == 1 << own, f"'{node.name}': {words} codewords")
    demand(int(node.attributes["start"]) + own <= int(bits), f"'{node.name}': {bits} bits")
    return (n, width)


def _block(node: Node, shapes: Shapes, _: Shape) -> Shape:
    """Three convolutions that keep the image's size."""
    n, inputs, *image = shapes["x"]
    wide, per_group = shapes["middle"][:2]
    demand(int(per_group) * node.attributes["groups"] == wide, f"'{node.name}': groups")
    fits = shapes["expand"][:2] == (wide, inputs) and shapes["project"][1] == wide
    demand(fits, f"'{node.name}': {shapes['expand']} to {shapes['project']}")
    channels = shapes["channels"]
    rows = channels[0] if len(channels) == 2 else 0
    demand(rows in (4, 5, 6) and channels[-1] == wide, f"'{node.name}': channels {channels}")
    for i, role in enumerate(("expand", "middle", "project"), 1):
        for side, size in zip(("top", "left"), shapes[role][2:], strict=True):
            demand(node.attributes[f"pad_{side}_{i}"] < int(size), f"'{node.name}': pads")
    demand(node.attributes["code_bits"] in (8, 16), f"'{node.name}': codes")
    pixels = int(image[0]) * int(image[1])
    planes = int(per_group) * pixels
    codes = (int(inputs) * pixels + 1) // 2 if rows == 6 else 0
    floats = planes + max(planes, codes)
    demand(shapes["scratch"] == (floats,), f"'{node.name}': scratch {shapes['scratch']}")
    return (n, shapes["project"][0], *image)


def _bits_network(node: Node, shapes: Shapes, result: Shape) -> Shape:
    n, rows, outputs = result
    hidden, bits = shapes["hidden_weight"]
    length = (int(rows) * int(bits) + 7) // 8
    demand(shapes["payload"] == (n, length), f"'{node.name}': {shapes['payload']}")
    demand(shapes["weight"] == (outputs, hidden), f"'{node.name}': {shapes['weight']}")
    for role, size in (
        ("hidden_bias", hidden),
        ("hidden_multiplier", hidden),
        ("multiplier", outputs),
    ):
        demand(shapes.get(role, (size,)) == (size,), f"'{node.name}': {role} {shapes.get(role)}")
    return result


def _broadcast(node: Node, shapes: Shapes, _: Shape) -> Shape:
    result: Shape = ()
    for shape in shapes.values():
        rank = max(len(shape), len(result))
        own = (1,) * (rank - len(shape)) + shape
        other = (1,) * (rank - len(result)) + result
        for x, y in zip(own, other, strict=True):
            demand(x == y or 1 in (x, y), f"'{node.name}': {own} and {other}")
        result = tuple(y if x == 1 else x for x, y in zip(own, other, strict=True))
    return result


def _matmul(node: Node, shapes: Shapes, _: Shape) -> Shape:
    a, b = shapes["a"], shapes["b"]
    demand(len(a) > 1 and len(b) > 1 and a[-1] == b[-2], f"'{node.name}': {a} and {b}")
    fits = all(isinstance(d, int) or d == USERS for d in (*a[-2:], *b[-2:]))
    demand(fits, f"'{node.name}': the batch in a matrix")
    lead = _broadcast(node, {"a": a[:-2] or (1,), "b": b[:-2] or (1,)}, ())
    lead = lead if len(a) > 2 or len(b) > 2 else ()
    return (*lead, a[-2], b[-1])


def _along(node: Node, shapes: Shapes, _: Shape) -> Shape:
    x, axis = shapes["x"], node.attributes["axis"]
    demand(axis < len(x) and x[axis] != BATCH, f"'{node.name}': axis {axis} of {x}")
    return x


def _layer_norm(node: Node, shapes: Shapes, _: Shape) -> Shape:
    x = _along(node, shapes, ())
    for role in ("scale", "bias"):
        whole = x[node.attributes["axis"] :]
        demand(shapes.get(role, whole) == whole, f"'{node.name}': {role}")
    return x


def _extreme(node: Node, shapes: Shapes, _: Shape) -> Shape:
    x = _along(node, shapes, ())
    return tuple(1 if i == node.attributes["axis"] else d for i, d in enumerate(x))


def _reduced(node: Node, shapes: Shapes, _: Shape) -> Shape:
    x, axes = shapes["x"], node.attributes["axes"]
    demand(0 < axes < 1 << len(x), f"'{node.name}': axes")
    demand(not (axes & 1 and x[0] == BATCH), f"'{node.name}': the batch is reduced")
    return tuple(1 if axes >> i & 1 else d for i, d in enumerate(x))


def _transposed(node: Node, shapes: Shapes, _: Shape) -> Shape:
    x = shapes["x"]
    order = _numbers(node, "perm", len(x))
    demand(sorted(order) == list(range(len(x))), f"'{node.name}': {order}")
    demand(x[0] != BATCH or order[0] == 0, f"'{node.name}': the batch moves")
    return tuple(x[axis] for axis in order)


def _sliced(node: Node, shapes: Shapes, result: Shape) -> Shape:
    x = shapes["x"]
    demand(len(x) == len(result), f"'{node.name}': rank")
    starts, steps = _numbers(node, "start", len(x)), _numbers(node, "step", len(x))
    for size, made, start, step in zip(x, result, starts, steps, strict=True):
        if isinstance(size, str) or isinstance(made, str):
            demand((size, start, step) == (made, 0, 1), f"'{node.name}': the batch is cut")
        else:
            last = start + (made - 1) * step
            demand(0 <= start < size and 0 <= last < size and step != 0, f"'{node.name}': range")
    return result


def _padded(node: Node, shapes: Shapes, result: Shape) -> Shape:
    x = shapes["x"]
    demand(len(x) == len(result), f"'{node.name}': rank")
    for size, made, before in zip(x, result, _numbers(node, "before", len(x)), strict=True):
        if isinstance(size, str) or isinstance(made, str):
            demand(size == made and before == 0, f"'{node.name}': the batch is padded")
        else:
            demand(made >= size + before, f"'{node.name}': {result}")
    return result


def _expanded(node: Node, shapes: Shapes, result: Shape) -> Shape:
    return _broadcast(node, {"x": shapes["x"], "y": result}, ())


def _gathered(node: Node, shapes: Shapes, _: Shape) -> Shape:
    x, axis = shapes["x"], node.attributes["axis"]
    demand(axis < len(x) and x[axis] != BATCH, f"'{node.name}': axis {axis} of {x}")
    return (*x[:axis], *shapes["indices"], *x[axis + 1 :])


def _zero_forcing(node: Node, shapes: Shapes, _: Shape) -> Shape:
    h = shapes["h"]
    demand(len(h) == 4 and h[3] == 2, f"'{node.name}': {h}")
    demand(shapes["loading"] == (h[0], 1), f"'{node.name}': {shapes['loading']}")
    return h


RESULTS: dict[Op, ResultRule] = {
    Op.CONV2D: _conv,
    Op.LINEAR: _linear,
    Op.BINARY_LINEAR: _binary_linear,
    Op.ADD: _add,
    Op.ACTIVATION: _same,
    Op.CONCAT: _join,
    Op.QUANTIZE_UNIFORM: _same,
    Op.PACK_BITS: _packed,
    Op.UNPACK_BITS: _unpacked,
    Op.DEQUANTIZE_UNIFORM: _same,
    Op.COPY: _same,
    Op.UNARY: _same,
    Op.BINARY: _broadcast,
    Op.INTEGER: _broadcast,
    Op.COMPARE: _broadcast,
    Op.WHERE: _broadcast,
    Op.MATMUL: _matmul,
    Op.SOFTMAX: _along,
    Op.CUMSUM: _along,
    Op.LAYER_NORM: _layer_norm,
    Op.REDUCE: _reduced,
    Op.ARG_EXTREME: _extreme,
    Op.POOL2D: _pool,
    Op.CONV_TRANSPOSE2D: _conv_transpose,
    Op.TRANSPOSE: _transposed,
    Op.SLICE: _sliced,
    Op.PAD: _padded,
    Op.EXPAND: _expanded,
    Op.GATHER: _gathered,
    Op.CAST: _same,
    Op.QUANTIZE: _same,
    Op.DEQUANTIZE: _same,
    Op.QCONV2D: _conv,
    Op.QLINEAR: _linear,
    Op.QBINARY_LINEAR: _binary_linear,
    Op.QADD: _add,
    Op.QACTIVATION: _same,
    Op.QTABLE: _same,
    Op.QTHRESHOLD: _same,
    Op.QUANTIZE_CODEBOOK: _by_codebook,
    Op.PACK_WIDTHS: _packed_widths,
    Op.UNPACK_WIDTHS: _unpacked_widths,
    Op.DEQUANTIZE_CODEBOOK: _by_codebook,
    Op.QCODEBOOK: _by_codebook,
    Op.TABLE_PRECODER: _precoder,
    Op.RZF_PRECODER: _precoder,
    Op.INTERFERENCE_SCHEDULE: _schedule,
    Op.TABLE_SEARCH: _messages,
    Op.TABLE_NEAREST: _messages,
    Op.GRADIENT_SEARCH: _searched,
    Op.EDGE_ATTENTION: _attended,
    Op.RESIDUAL_QUANTIZE: _tier,
    Op.RESIDUAL_DEQUANTIZE: _from_tier,
    Op.ZERO_FORCING: _zero_forcing,
    Op.CONV_BLOCK: _block,
    Op.BITS_NETWORK: _bits_network,
    Op.QUANTIZE_LOGIT: _counted,
}
