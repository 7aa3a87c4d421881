"""The micro-bundle: one small part that holds every operation, kept as a file with golden vectors.

    python tests/runtime/every_operation.py --write

writes `data/every_operation.csib` anew, golden vectors included: they are what the runtime at hand
computes, so look at the difference before it is committed. It also writes `data/seeds/`, a bundle
of one step for each operation, from which the fuzzer starts. Without --write it says whether the
committed files are what this script builds; committed golden vectors are then taken as they are.

Both symbols (n, k), all element types, views, in-place steps, absent and present optional inputs,
several inputs and outputs, a payload, metadata.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from hand_plan import HandPlan
from wide_seeds import WIDTHS, Constants, wide_seeds

from csideploy.export import fronthaul_rules
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.fronthaul_rules import search_scratch
from csideploy.export.gradient_rules import (
    UnitSizes,
    payload_bytes,
    scratch_floats,
    weight_floats,
)
from csideploy.export.operations import (
    Activation,
    Binary,
    Comparison,
    Integer,
    Op,
    PadMode,
    Reduction,
    Search,
    Unary,
)
from csideploy.export.plan import PayloadLayout, Plan, Storage
from csideploy.export.widths import pack_widths
from csideploy.runtime import Part

Array = NDArray[Any]
FILE = Path(__file__).parent / "data" / "every_operation.csib"
SEEDS = FILE.parent / "seeds"
IMAGE = ("n", 2, 3, 4)
PAD_1 = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 1)


def link(hand: HandPlan, c: Constants, x: int, air: int) -> None:
    """The first eleven operations: image -> codes -> payload, and a payload -> values."""
    conv = hand.arena("conv", IMAGE)
    weight, bias, slope = c.f32("conv.w", 2, 1, 3, 3), c.f32("conv.b", 2), c.f32("conv.s", 2)
    prelu = Activation.PRELU
    hand.step(Op.CONV2D, [x, weight, bias, slope, x], [conv], groups=2, activation=prelu, **PAD_1)
    total = hand.view(conv, "sum", IMAGE)
    hand.step(Op.ADD, [conv, x], [total], activation=Activation.LEAKY, alpha=0.25)
    both = hand.arena("both", ("n", 4, 3, 4))
    hand.step(Op.CONCAT, [total, x], [both], axis=1)
    flat = hand.view(both, "flat", ("n", 48))
    tanh = hand.arena("tanh", ("n", 48))
    hand.step(Op.ACTIVATION, [flat], [tanh], activation=Activation.TANH)
    hidden, feature = hand.arena("hidden", ("n", 9)), hand.arena("feature", ("n", 5))
    weights = [c.f32("fc.w", 9, 48), c.f32("fc.b", 9)]
    hand.step(Op.LINEAR, [tanh, *weights], [hidden], activation=Activation.RELU)
    signs = c.whole("bfc.w", np.uint8, 0, 256, 5, 2)
    scale = hand.constant("bfc.scale", np.array([0.3], np.float32))
    sigmoid = Activation.SIGMOID
    weights = [signs, scale, c.f32("bfc.b", 5)]
    hand.step(Op.BINARY_LINEAR, [hidden, *weights], [feature], activation=sigmoid)
    codes, payload = (
        hand.output("codes", ("n", 5), np.uint8),
        hand.output("payload", ("n", 2), "u1"),
    )
    hand.step(Op.QUANTIZE_UNIFORM, [feature], [codes], bits=3)
    counted = hand.constant("lg.t", np.array([-2, -0.5, -0.0, 0.25, 1, 1, 7], np.float32))
    hand.step(Op.QUANTIZE_LOGIT, [hidden, counted], [hand.output("logits", ("n", 9), np.uint8)])
    hand.step(Op.PACK_BITS, [codes], [payload], bits=3)
    again, value = hand.arena("again", ("n", 5), np.uint8), hand.arena("value", ("n", 5))
    hand.step(Op.UNPACK_BITS, [air], [again], bits=3)
    hand.step(Op.DEQUANTIZE_UNIFORM, [again], [value], bits=3)
    hand.step(Op.COPY, [value], [hand.output("y", ("n", 5, 1))])


def elementwise(hand: HandPlan, c: Constants, x: int) -> None:
    gelu = hand.arena("gelu", IMAGE)
    hand.step(Op.UNARY, [x], [gelu], function=Unary.GELU)
    scaled = hand.view(gelu, "scaled", IMAGE)
    hand.step(Op.BINARY, [gelu, c.f32("factor", 2, 1, 4)], [scaled], function=Binary.MUL)
    clipped = hand.view(gelu, "clipped", IMAGE)
    hand.step(Op.UNARY, [scaled], [clipped], function=Unary.CLIP, alpha=-1.0, beta=1.5)
    larger = hand.arena("larger", IMAGE, np.uint8)
    hand.step(Op.COMPARE, [x, clipped], [larger], function=Comparison.GREATER)
    chosen = hand.output("chosen", IMAGE)
    hand.step(Op.WHERE, [larger, x, clipped], [chosen])


def matrices(hand: HandPlan, c: Constants, x: int) -> None:
    turned, product = hand.arena("turned", ("n", 2, 4, 3)), hand.arena("product", ("n", 2, 3, 3))
    hand.step(Op.TRANSPOSE, [x], [turned], perm_0=0, perm_1=1, perm_2=3, perm_3=2)
    hand.step(Op.MATMUL, [x, turned], [product])
    soft = hand.view(product, "soft", ("n", 2, 3, 3))
    hand.step(Op.SOFTMAX, [product], [soft], axis=3)
    running = hand.view(product, "running", ("n", 2, 3, 3))
    hand.step(Op.CUMSUM, [soft], [running], axis=2, exclusive=1, reverse=1)
    norm = hand.arena("norm", ("n", 2, 3, 3))
    weights = [c.f32("ln.s", 3, 3), c.f32("ln.b", 3, 3)]
    hand.step(Op.LAYER_NORM, [running, *weights], [norm], axis=2, epsilon=1e-5)
    mean = hand.arena("mean", ("n", 1, 1, 3))
    hand.step(Op.REDUCE, [norm], [mean], function=Reduction.MEAN, axes=0b0110)
    hand.step(Op.EXPAND, [mean], [hand.output("wide", ("n", 2, 3, 3))])


def windows(hand: HandPlan, c: Constants, x: int) -> None:
    pool = hand.arena("pool", ("n", 2, 2, 2))
    window = {"kernel_h": 2, "kernel_w": 2, "stride_h": 2, "stride_w": 2, "pad_bottom": 1}
    hand.step(Op.POOL2D, [x], [pool], function=Reduction.MEAN, **window)
    up = hand.arena("up", ("n", 4, 4, 4))
    weights = [c.f32("up.w", 2, 2, 2, 2), c.f32("up.b", 4)]
    hand.step(Op.CONV_TRANSPOSE2D, [pool, *weights], [up], groups=2, stride_h=2, stride_w=2)
    part, framed = hand.arena("part", ("n", 2, 4, 3)), hand.output("framed", ("n", 2, 6, 3))
    hand.step(Op.SLICE, [up], [part], start_1=1, start_3=3, step_1=2, step_3=-1)
    hand.step(Op.PAD, [part], [framed], mode=PadMode.REFLECT, before_2=1)


def indices(hand: HandPlan, c: Constants, x: int, t: int) -> None:
    best = hand.arena("best", ("n", 2, 3, 1), np.int32)
    hand.step(Op.ARG_EXTREME, [x], [best], function=Reduction.MAX, axis=3)
    flat = hand.view(best, "best.flat", ("n", 6))
    summed = hand.arena("summed", ("n", 6), np.int32)
    hand.step(Op.INTEGER, [flat, t], [summed], function=Integer.ADD)
    rows = hand.arena("rows", ("n", 6, 3))
    hand.step(Op.GATHER, [c.f32("table", 5, 3), summed], [rows], axis=0)
    order = hand.constant("order", np.array([2, 0, -1], np.int32))
    hand.step(Op.GATHER, [rows, order], [hand.output("picked", ("n", 6, 3))], axis=2)
    hand.step(Op.CAST, [summed], [hand.output("small", ("n", 6), np.int16)])


def users(hand: HandPlan, c: Constants, h: int) -> None:
    mixed = hand.arena("mixed", ("n", "k", 3))
    hand.step(Op.LINEAR, [h, c.f32("user.w", 3, 4)], [mixed], activation=Activation.TANH)
    spread, slope = hand.view(mixed, "spread", ("n", "k", 3)), c.f32("user.s", 1)
    hand.step(Op.ACTIVATION, [mixed, slope], [spread], activation=Activation.PRELU)
    share = hand.output("share", ("n", "k", 3))
    hand.step(Op.SOFTMAX, [spread], [share], axis=2)
    edges = hand.view(spread, "edges", ("n", "k", 1, 3))
    met = hand.output("met", ("n", "k", 1, 3))
    hand.step(Op.EDGE_ATTENTION, [edges, edges, edges], [met], average=1)
    hand.step(Op.REDUCE, [share], [hand.output("all", ("n", 1, 3))], function=Reduction.SUM, axes=2)


def integers(hand: HandPlan, c: Constants, x: int, q: int) -> None:
    grid = {"x_scale": 0.05, "x_zero": 100, "y_scale": 0.04, "y_zero": -3}
    qx, qy = hand.arena("qx", IMAGE, np.uint8), hand.arena("qy", ("n", 3, 3, 4), np.uint8)
    hand.step(Op.QUANTIZE, [x], [qx], scale=0.03, zero=128)
    weights = [c.whole("q.w", np.int8, -127, 128, 3, 2, 3, 3), c.whole("q.b", np.int32, -99, 99, 3)]
    zeros = {"x_zero": 128, "y_zero": 100, "low": 0, "high": 255}
    hand.step(Op.QCONV2D, [qx, *weights, c.scales("q.m", 3)], [qy], **zeros, **PAD_1)
    act = hand.arena("qact", ("n", 3, 3, 4), np.int8)
    leaky = {"activation": Activation.LEAKY, "alpha": 0.3}
    hand.step(Op.QACTIVATION, [qy], [act], **grid, **leaky)
    added = hand.arena("qadd", ("n", 3, 3, 4), np.int16)
    sides = {"a_scale": 0.05, "a_zero": 100, "b_scale": 0.04, "b_zero": -3}
    prelu = {"activation": Activation.PRELU, "y_scale": 0.001, "y_zero": 7}
    hand.step(Op.QADD, [qy, act, c.f32("qadd.s", 3)], [added], **sides, **prelu)
    real = hand.output("real", ("n", 3, 3, 4))
    hand.step(Op.DEQUANTIZE, [added], [real], scale=0.001, zero=7)

    looked = hand.arena("looked", IMAGE, np.int8)
    table = hand.constant("q.table", np.roll(np.arange(-128, 128), 77).astype(np.int8))
    hand.step(Op.QTABLE, [q, table], [looked])
    row, fc = hand.view(looked, "looked.row", ("n", 24)), hand.arena("qfc", ("n", 10), np.int8)
    weights = [
        c.whole("qfc.w", np.int8, -127, 128, 10, 24),
        c.whole("qfc.b", np.int32, -99, 99, 10),
    ]
    limits = {"x_zero": 5, "y_zero": -9, "low": -128, "high": 127}
    hand.step(Op.QLINEAR, [row, *weights, c.scales("qfc.m", 10)], [fc], **limits)
    wide, signs = hand.arena("qbin", ("n", 4), np.int16), c.whole("qb.w", np.uint8, 0, 256, 4, 2)
    limits = {"x_zero": -9, "y_zero": 40, "low": -32768, "high": 32767}
    multiplier = hand.constant("qb.m", np.array([0.7], np.float32))
    bias = c.whole("qb.b", np.int32, -99, 99, 4)
    hand.step(Op.QBINARY_LINEAR, [fc, signs, bias, multiplier], [wide], **limits)
    steps = hand.constant("q.t", np.array([-150, -40, 0, 20, 41, 90, 160], np.int32))
    hand.step(Op.QTHRESHOLD, [wide, steps], [hand.output("levels", ("n", 4), np.uint8)])


def codebooks(hand: HandPlan, c: Constants, x: int, q: int, message: int) -> None:
    """Codes with a number of bits each, from floats and from integers, and back."""
    count, bits = len(WIDTHS), WIDTHS.astype(int)
    size = -(-int(bits.sum()) // 8)
    widths = hand.constant("widths", pack_widths(WIDTHS))
    rising = np.concatenate([np.sort(c.rng.normal(size=(1 << b) - 1)) for b in bits])
    thresholds = hand.constant("cb.t", rising.astype(np.float32))
    features, integers = hand.arena("features", ("n", count)), hand.arena("qs", ("n", count), "i1")
    for source, cut in ((x, features), (q, integers)):
        row = hand.view(source, f"{hand.tensors[source].name}.row", ("n", 24))
        hand.step(Op.SLICE, [row], [cut], start_1=1)
    ranks = hand.output("ranks", ("n", count), np.uint8)
    hand.step(Op.QUANTIZE_CODEBOOK, [features, thresholds, widths], [ranks])
    steps = hand.constant("cb.i", (rising * 60).astype(np.int32))
    levels = hand.output("ranks.q", ("n", count), np.uint8)
    hand.step(Op.QCODEBOOK, [integers, steps, widths], [levels])
    sent = hand.output("sent", ("n", size), np.uint8)
    hand.step(Op.PACK_WIDTHS, [ranks, widths], [sent])
    got = hand.arena("got", ("n", count), np.uint8)
    hand.step(Op.UNPACK_WIDTHS, [message, widths], [got])
    book = c.rng.normal(size=int((1 << bits).sum()))
    wide = hand.constant("cb.book", book.astype(np.float32))
    halves = hand.constant("cb.halves", (book * 1e-5).astype(np.float16).view(np.int16))
    hand.step(Op.DEQUANTIZE_CODEBOOK, [got, wide, widths], [hand.output("values", ("n", count))])
    small = hand.output("values.half", ("n", count))
    hand.step(Op.DEQUANTIZE_CODEBOOK, [got, halves, widths], [small])


SAID_BITS, SAID_USERS = 2, 3
"""Of the precoders' strand."""


def precoders(hand: HandPlan, c: Constants, said: int) -> None:
    """Tables of sets of indices and of sequences, in each form, and zero forcing."""
    table = c.whole("pre.sets", np.int8, -128, 128, 20, SAID_USERS, 2, 2, 2)
    v = hand.output("v.sets", ("n", SAID_USERS, 2, 2, 2))
    how = {"bits": SAID_BITS, "sorted": 1, "per_user": 1}
    hand.step(Op.TABLE_PRECODER, [said, table], [v], **how)
    table = c.whole("pre.packed", np.uint8, 0, 256, 64, SAID_USERS, 1, 2)
    v = hand.output("v.packed", ("n", SAID_USERS, 2, 2, 2))
    hand.step(Op.TABLE_PRECODER, [said, table], [v], bits=SAID_BITS, sorted=0)
    v = hand.output("v.real", ("n", SAID_USERS, 1, 1, 2))
    table = c.f32("pre.real", 20, SAID_USERS, 1, 1, 2)
    hand.step(Op.TABLE_PRECODER, [said, table], [v], bits=SAID_BITS, sorted=1)
    v = hand.output("v.rzf", ("n", SAID_USERS, 2, 4, 2))
    book = c.f32("pre.book", 1 << SAID_BITS, 4, 2)
    hand.step(Op.RZF_PRECODER, [said, book], [v], bits=SAID_BITS, loading=0.25)


USES, STREAMS = 36, 2
"""Channel uses of a block, a tile and some more, and streams of the fronthaul's strand."""
RUS = np.array([[2, 1], [1, 3], [1, 2], [2, 1]], np.int32)
"""Antennas and bits of each RU."""
ANTENNAS = int(RUS[:, 0].sum())


def fronthaul(hand: HandPlan, c: Constants, effective: int, targets: int, gains: int) -> None:
    """Classes of RUs, a search by them and one by all combinations, and the nearest codewords."""
    bits = RUS[:, 1].tolist()
    numbers = int((RUS[:, 0] << RUS[:, 1]).sum()) * 2
    constants = [c.f32("fh.tables", numbers), hand.constant("fh.rus", RUS)]
    classes = hand.output("fh.classes", ("n", len(RUS)), np.int32)
    hand.step(Op.INTERFERENCE_SCHEDULE, [gains], [classes], excluded=1)
    for function, turns, given in ((Search.SEQUENTIAL, 4, classes), (Search.EXHAUSTIVE, 1, None)):
        name = f"fh.{function.name.lower()}"
        sent = hand.output(name, ("n", fronthaul_rules.payload_bytes(USES, bits)), np.uint8)
        scratch = hand.arena(f"{name}.scratch", (search_scratch(STREAMS, bits),))
        operands = [effective, targets, given, *constants]
        how = {"function": function, "iterations": turns}
        hand.step(Op.TABLE_SEARCH, operands, [sent, scratch], **how)
    uses = USES * STREAMS // ANTENNAS
    precoded = hand.view(targets, "fh.precoded", ("n", uses, ANTENNAS, 2))
    sent = hand.output("fh.nearest", ("n", fronthaul_rules.payload_bytes(uses, bits)), np.uint8)
    hand.step(Op.TABLE_NEAREST, [precoded, *constants], [sent])


def search(hand: HandPlan, c: Constants, ends: list[int]) -> None:
    """Three bits of one unit of two antennas, four channel uses, one hidden layer."""
    sizes = np.array([[2, 3, 16]], np.int32)
    units = [UnitSizes(*row) for row in sizes.tolist()]
    weights = c.f32("search.w", weight_floats(units, 1))
    operands = [*ends, weights, hand.constant("search.sizes", sizes)]
    found = hand.output("found", ("n", payload_bytes(units, 4)), np.uint8)
    need = scratch_floats(units, 1, 4, 2, shared=True)
    scratch = hand.arena("search.scratch", (need,))
    hand.step(Op.GRADIENT_SEARCH, operands, [found, scratch], layers=1, iterations=3)


def tiers(hand: HandPlan, c: Constants, x: int) -> None:
    """Two tiers of a residual quantizer, and back."""
    feature = hand.view(x, "tiers.feature", ("n", 24))
    books = [c.f32("tiers.first", 8, 24), c.f32("tiers.second", 2, 24)]
    codes = [hand.arena("tiers.a", ("n", 3), np.uint8), hand.arena("tiers.b", ("n", 1), np.uint8)]
    rests = [hand.arena("tiers.r", ("n", 24)), hand.output("left", ("n", 24))]
    hand.step(Op.RESIDUAL_QUANTIZE, [feature, books[0]], [codes[0], rests[0]])
    hand.step(Op.RESIDUAL_QUANTIZE, [rests[0], books[1]], [codes[1], rests[1]])
    both = hand.arena("tiers.codes", ("n", 4), np.uint8)
    hand.step(Op.CONCAT, codes, [both], axis=1)
    again = hand.output("again", ("n", 24))
    hand.step(Op.RESIDUAL_DEQUANTIZE, [both, books[0]], [again], start=1)


def forced(hand: HandPlan, h: int, loading: int) -> None:
    """Channels of k users to two antennas, and room for the most of them."""
    pairs = hand.view(h, "forced.h", ("n", "k", 2, 2))
    w, scratch = hand.output("forced", ("n", "k", 2, 2)), hand.arena("forced.scratch", ("k", 12))
    hand.step(Op.ZERO_FORCING, [pairs, loading], [w, scratch])


def blocks(hand: HandPlan, c: Constants, x: int) -> None:
    """Three convolutions by groups, the second one with float32 and with int8 weights: for codes of
    8 and of 16 bits, and with integers before and behind it."""
    for name, bits, rows in (
        ("block", 0, 4), ("block.q", 8, 5), ("block.q16", 16, 5), ("block.i", 8, 6),
    ):  # fmt: skip
        coded, whole = bits > 0, rows == 6
        channels = c.rng.normal(scale=0.3, size=(rows, 4)).astype(np.float32)
        channels[4:] = 0.01 * np.abs(channels[4:]) + 0.001
        channels[5:] *= 1e-5

        def ends(name: str, *shape: int, whole: bool = whole) -> int:
            return c.whole(name, np.int16, -9999, 9999, *shape) if whole else c.f32(name, *shape)

        middle = c.whole(f"{name}.2", np.int8, -127, 128, 4, 2, 3, 1) if coded else None
        weights = [
            ends(f"{name}.1", 4, 2, 1, 3),
            hand.constant(f"{name}.channels", channels),
            c.f32(f"{name}.2", 4, 2, 3, 1) if middle is None else middle,
            ends(f"{name}.3", 2, 4, 2, 3),
        ]
        pads = {"pad_left_1": 1, "pad_top_2": 1, "pad_top_3": 1, "pad_left_3": 1}
        how: dict[str, Any] = {"code_scale": 0.05, "code_zero": 90} if coded else {}
        how |= {"code_scale": 0.0002, "code_zero": 0, "code_bits": 16} if bits == 16 else {}
        how |= {"x_scale": 2.0**-12, "m_scale": 2.0**-11, "y_scale": 1e-7} if whole else {}
        rest = [None, None, None] if coded else [c.f32("block.b", 2), c.f32("block.s", 2), x]
        how |= {"groups": 2, "activation": Activation.NONE if coded else Activation.PRELU}
        made = [hand.output(f"{name}.y", IMAGE)]
        made.append(hand.arena(f"{name}.scratch", (2 * 2 * 12,)))
        hand.step(Op.CONV_BLOCK, [x, *weights, *rest], made, **pads, **how)


def network(hand: HandPlan, c: Constants, air: int) -> None:
    """Two rows of eight bits through a hidden layer."""
    layers = [
        c.whole("net.w1", np.int8, -128, 128, 5, 8),
        c.whole("net.b1", np.int32, -99, 99, 5),
        hand.constant("net.m1", np.linspace(0.3, 0.9, 5, dtype=np.float32)),
        c.whole("net.w2", np.int8, -128, 128, 3, 5),
        c.whole("net.b2", np.int32, -99, 99, 3),
        c.scales("net.m2", 3),
    ]
    hand.step(
        Op.BITS_NETWORK,
        [air, *layers],
        [hand.output("net.y", ("n", 2, 3))],
        **{"hidden_zero": 3, "hidden_low": 3, "hidden_high": 255},
        **{"y_zero": 120, "low": 0, "high": 255, "y_scale": 0.02},
    )


def plan() -> Plan:
    """The part; its arena is not reused from strand to strand, and it is small all the same."""
    hand = HandPlan(n_max=2, k_max=3)
    c = Constants(hand)
    x, h = hand.input("x", IMAGE), hand.input("h", ("n", "k", 4))
    q, t = hand.input("q", IMAGE, np.int8), hand.input("t", ("n", 6), np.int32)
    message = hand.input("message", ("n", -(-int(WIDTHS.sum()) // 8)), np.uint8)
    air = hand.input("air", ("n", 2), np.uint8)
    said = hand.input("said", ("n", SAID_USERS, 1), np.uint8)
    effective = hand.input("effective", ("n", STREAMS, ANTENNAS, 2))
    targets = hand.input("targets", ("n", USES, STREAMS, 2))
    gains = hand.input("gains", ("n", len(RUS), STREAMS))
    ends = [
        hand.input("search.effective", ("n", 1, 2, 2)),
        hand.input("search.targets", ("n", 4, 1, 2)),
    ]
    ends.append(hand.input("search.step", ("n",)))
    loading = hand.input("loading", ("n", 1))
    link(hand, c, x, air)
    elementwise(hand, c, x)
    matrices(hand, c, x)
    windows(hand, c, x)
    indices(hand, c, x, t)
    users(hand, c, h)
    integers(hand, c, x, q)
    codebooks(hand, c, x, q, message)
    precoders(hand, c, said)
    fronthaul(hand, c, effective, targets, gains)
    search(hand, c, ends)
    tiers(hand, c, x)
    forced(hand, h, loading)
    blocks(hand, c, x)
    network(hand, c, air)
    return hand.plan(
        pairing_id=bytes(range(16)),
        payload=PayloadLayout(0x0103, 5, 3),
        metadata={"system": "micro", "version": "7"},
    )


def inputs(count: int, k: int, seed: int) -> tuple[Array, ...]:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(count, 2, 3, 4)).astype(np.float32),
        rng.normal(size=(count, k, 4)).astype(np.float32),
        rng.integers(-128, 128, (count, 2, 3, 4)).astype(np.int8),
        rng.integers(-3, 6, (count, 6)).astype(np.int32),
        rng.integers(0, 256, (count, -(-int(WIDTHS.sum()) // 8))).astype(np.uint8),
        rng.integers(0, 256, (count, 2)).astype(np.uint8),
        rng.integers(0, 256, (count, SAID_USERS, 1)).astype(np.uint8),
        rng.normal(size=(count, STREAMS, ANTENNAS, 2)).astype(np.float32),
        rng.normal(size=(count, USES, STREAMS, 2)).astype(np.float32),
        rng.exponential(size=(count, len(RUS), STREAMS)).astype(np.float32),
        rng.normal(size=(count, 1, 2, 2)).astype(np.float32),
        rng.normal(size=(count, 4, 1, 2)).astype(np.float32),
        rng.uniform(0.5, 2, count).astype(np.float32),
        rng.uniform(0.05, 1, (count, 1)).astype(np.float32),
    )


def bundle(old: bytes | None = None) -> bytes:
    """The file's bytes: with the golden vectors of an older file, or with new ones."""
    whole = plan()
    if old is not None:
        return write_bundle(whole, vectors=read_whole(old).vectors)
    arrays = inputs(3, whole.k_max, seed=3)
    results = Part(write_bundle(whole)).run(*arrays)
    names = [whole.tensors[i].name for i in (*whole.inputs, *whole.outputs)]
    return write_bundle(whole, vectors=dict(zip(names, (*arrays, *results), strict=True)))


def seeds() -> dict[str, bytes]:
    """For each operation its first step, alone: what it reads is an input, what it makes an output.

    Named by the operation, in lower case; and some whose tensors are wider, or with a payload.
    """
    whole = plan()
    out = wide_seeds()
    for step in whole.steps:
        name = step.op.name.lower()
        if name in out:
            continue
        hand = HandPlan(n_max=2, k_max=3)
        operands: list[int | None] = []
        known: dict[int, int] = {}
        for index in step.inputs:
            if index is not None and index not in known:
                t = whole.tensors[index]
                if t.storage is Storage.WEIGHTS:
                    raw = whole.weights[t.place : t.place + t.nbytes].view(t.dtype.numpy)
                    known[index] = hand.constant(t.name, raw.reshape(t.shape))
                else:
                    known[index] = hand.input(t.name, t.shape, t.dtype.numpy)
            operands.append(None if index is None else known[index])
        made = []
        for place, index in enumerate(step.outputs):
            y = whole.tensors[index]
            add = hand.arena if place > 0 else hand.output  # the second one is scratch
            made.append(add(y.name, y.shape, y.dtype.numpy))
        hand.step(step.op, operands, made, **step.params)
        out[name] = write_bundle(hand.plan())
    return out


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        SEEDS.mkdir(parents=True, exist_ok=True)
        FILE.write_bytes(bundle())
        for name, data in seeds().items():
            (SEEDS / f"{name}.csib").write_bytes(data)
        print(f"written: {FILE} ({FILE.stat().st_size} bytes) and {len(seeds())} seeds")
        return 0
    files = {path.stem: path.read_bytes() for path in SEEDS.glob("*.csib")}
    stale = FILE.read_bytes() != bundle(FILE.read_bytes()) or files != seeds()
    print("stale" if stale else "fresh")
    return int(stale)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
