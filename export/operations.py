"""The operations of the executor: what each takes, makes and is told.

One table, from which the plan, the verifier's rules, the C headers and the format's page follow.
Types of roles and legal values of parameters stand in `bundle_fields`. Shapes are those of one
run: the first dimension may be the symbol "n". "f32" operations are bounded, the others exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Activation(IntEnum):
    """Activation fused into a step. PRELU reads the step's `slope` input, LEAKY its `alpha`."""

    NONE = 0
    RELU = 1
    LEAKY = 2
    PRELU = 3
    SIGMOID = 4
    TANH = 5


class Unary(IntEnum):
    """Functions of UNARY, f32 -> f32."""

    NEG = 1
    ABS = 2
    EXP = 3
    LOG = 4
    SQRT = 5
    RECIPROCAL = 6
    ERF = 7
    FLOOR = 8
    CEIL = 9
    ROUND = 10
    """Half to even."""
    SIGN = 11
    SOFTPLUS = 12
    """ln(1 + e^x)."""
    MISH = 13
    """x tanh(softplus(x))."""
    GELU = 14
    """x (1 + erf(x / sqrt 2)) / 2."""
    GELU_TANH = 15
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    HARD_SIGMOID = 16
    """max(0, min(1, alpha x + beta))."""
    CLIP = 17
    """min(max(x, alpha), beta)."""
    ELU = 18
    """x, or alpha (e^x - 1) below 0."""
    SWISH = 19
    """x / (1 + e^(-alpha x))."""


class Binary(IntEnum):
    """Functions of BINARY, f32."""

    ADD = 1
    SUB = 2
    MUL = 3
    DIV = 4
    POW = 5
    MIN = 6
    MAX = 7
    FMOD = 8
    """Remainder with the sign of a (C fmod)."""


class Integer(IntEnum):
    """Functions of INTEGER.

    Sums and products wrap, division truncates, a divisor of 0 gives 0, a shift by the width or
    more gives 0.
    """

    ADD = 1
    SUB = 2
    MUL = 3
    DIV = 4
    MOD = 5
    """Remainder with the sign of b (Python %)."""
    AND = 6
    OR = 7
    XOR = 8
    SHIFT_LEFT = 9
    SHIFT_RIGHT = 10
    """Logical for u8, arithmetic for the signed types."""
    MIN = 11
    MAX = 12


class Comparison(IntEnum):
    """Functions of COMPARE; the result is 1 or 0. Any comparison with NaN is 0."""

    EQUAL = 1
    LESS = 2
    LESS_OR_EQUAL = 3
    GREATER = 4
    GREATER_OR_EQUAL = 5


class Reduction(IntEnum):
    """Functions of REDUCE, and of POOL2D (MEAN and MAX) and ARG_EXTREME (MIN and MAX)."""

    SUM = 1
    MEAN = 2
    MAX = 3
    MIN = 4
    PROD = 5


class Search(IntEnum):
    """Functions of TABLE_SEARCH."""

    SEQUENTIAL = 1
    """Class after class of RUs, each RU by itself: alpha-PMQ, and SMQ."""
    EXHAUSTIVE = 2
    """All combinations of codewords: MQ."""


class PadMode(IntEnum):
    """What PAD puts around x."""

    CONSTANT = 0
    EDGE = 1
    REFLECT = 2
    WRAP = 3


class Op(IntEnum):
    """Operations of the executor; OPS says what each takes."""

    CONV2D = 1
    LINEAR = 2
    BINARY_LINEAR = 3
    ADD = 4
    ACTIVATION = 5
    CONCAT = 6
    QUANTIZE_UNIFORM = 7
    PACK_BITS = 8
    UNPACK_BITS = 9
    DEQUANTIZE_UNIFORM = 10
    COPY = 11
    UNARY = 12
    BINARY = 13
    INTEGER = 14
    COMPARE = 15
    WHERE = 16
    MATMUL = 17
    SOFTMAX = 18
    LAYER_NORM = 19
    REDUCE = 20
    ARG_EXTREME = 21
    POOL2D = 22
    CONV_TRANSPOSE2D = 23
    TRANSPOSE = 24
    SLICE = 25
    PAD = 26
    EXPAND = 27
    GATHER = 28
    CAST = 29
    QUANTIZE = 30
    DEQUANTIZE = 31
    QCONV2D = 32
    QLINEAR = 33
    QBINARY_LINEAR = 34
    QADD = 35
    QACTIVATION = 36
    QTABLE = 37
    QTHRESHOLD = 38
    CUMSUM = 39
    QUANTIZE_CODEBOOK = 40
    PACK_WIDTHS = 41
    UNPACK_WIDTHS = 42
    DEQUANTIZE_CODEBOOK = 43
    QCODEBOOK = 44
    TABLE_PRECODER = 45
    RZF_PRECODER = 46
    INTERFERENCE_SCHEDULE = 47
    TABLE_SEARCH = 48
    TABLE_NEAREST = 49
    GRADIENT_SEARCH = 50
    EDGE_ATTENTION = 51
    RESIDUAL_QUANTIZE = 52
    RESIDUAL_DEQUANTIZE = 53
    ZERO_FORCING = 54
    CONV_BLOCK = 55
    BITS_NETWORK = 56
    QUANTIZE_LOGIT = 57


@dataclass(frozen=True)
class OpSpec:
    """What a step of one operation carries.

    inputs: roles in order; a role that ends in "?" may be absent (index None in a step).
    outputs: roles in order.
    params: name -> "u32", "i32" or "f32", in the order in which the bundle stores them.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict[str, str]


AXES = 6
"""Axes of the largest tensor; parameters by axis have one number each, 0 beyond the rank."""


def _by_axis(name: str, kind: str) -> dict[str, str]:
    return {f"{name}_{axis}": kind for axis in range(AXES)}


_ACT = {"activation": "u32", "alpha": "f32"}
_WINDOW = dict.fromkeys(
    (
        "stride_h",
        "stride_w",
        "dilation_h",
        "dilation_w",
        "pad_top",
        "pad_left",
        "pad_bottom",
        "pad_right",
    ),
    "u32",
)
_REQUANTIZE = {"x_zero": "i32", "y_zero": "i32", "low": "i32", "high": "i32"}

OPS: dict[Op, OpSpec] = {
    # x (n, C, H, W), weight (O, C/groups, kh, kw), bias (O,), slope (O,), residual like y.
    # y = act(conv(x) + bias + residual).
    Op.CONV2D: OpSpec(
        ("x", "weight", "bias?", "slope?", "residual?"),
        ("y",),
        {"groups": "u32", **_WINDOW, **_ACT},
    ),
    # x (..., K), weight (M, K), bias (M,), slope (M,): y (..., M) = act(x W^T + bias).
    Op.LINEAR: OpSpec(("x", "weight", "bias?", "slope?"), ("y",), dict(_ACT)),
    # x (..., K), weight u8 (M, ceil(K/8)) with bit 1 = +1 and the first input in the MSB,
    # scale (1,) or (M,): y (..., M) = act(scale * (x . signs) + bias).
    Op.BINARY_LINEAR: OpSpec(("x", "weight", "scale", "bias?", "slope?"), ("y",), dict(_ACT)),
    # a and b of one shape; slope over axis 1.
    Op.ADD: OpSpec(("a", "b", "slope?"), ("y",), dict(_ACT)),
    Op.ACTIVATION: OpSpec(("x", "slope?"), ("y",), dict(_ACT)),
    # a and b joined along `axis`; more inputs are chained.
    Op.CONCAT: OpSpec(("a", "b"), ("y",), {"axis": "u32"}),
    # code = min(floor(x 2^B), 2^B - 1), and 0 for x below 0 or NaN: u8 (n, M). 1 <= B <= 8.
    Op.QUANTIZE_UNIFORM: OpSpec(("x",), ("codes",), {"bits": "u32"}),
    # codes u8 (n, M) -> payload u8 (n, ceil(M B / 8)), MSB first, zero pad at the end.
    Op.PACK_BITS: OpSpec(("codes",), ("payload",), {"bits": "u32"}),
    Op.UNPACK_BITS: OpSpec(("payload",), ("codes",), {"bits": "u32"}),
    # value = (code + 0.5) / 2^B; only the low B bits of a code are read.
    Op.DEQUANTIZE_UNIFORM: OpSpec(("codes",), ("y",), {"bits": "u32"}),
    Op.COPY: OpSpec(("x",), ("y",), {}),
    # y = function(x); alpha and beta where the function reads them, else 0.
    Op.UNARY: OpSpec(("x",), ("y",), {"function": "u32", "alpha": "f32", "beta": "f32"}),
    # NumPy's broadcasting: shapes aligned at the last axis, a size of 1 repeated. A symbolic
    # dimension meets itself or 1.
    Op.BINARY: OpSpec(("a", "b"), ("y",), {"function": "u32"}),
    Op.INTEGER: OpSpec(("a", "b"), ("y",), {"function": "u32"}),
    # a and b of one type; y u8, 0 or 1.
    Op.COMPARE: OpSpec(("a", "b"), ("y",), {"function": "u32"}),
    # y = condition ? a : b, all three broadcast; condition u8, not 0 is true.
    Op.WHERE: OpSpec(("condition", "a", "b"), ("y",), {}),
    # a (..., M, K), b (..., K, N), ranks from 2: y (..., M, N); the leading axes broadcast.
    Op.MATMUL: OpSpec(("a", "b"), ("y",), {}),
    # exp(x - max) / sum along `axis`.
    Op.SOFTMAX: OpSpec(("x",), ("y",), {"axis": "u32"}),
    # (x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from `axis` on; scale and
    # bias have the shape of those axes.
    Op.LAYER_NORM: OpSpec(("x", "scale?", "bias?"), ("y",), {"axis": "u32", "epsilon": "f32"}),
    # Over the axes whose bit is set in `axes` (bit i: axis i); they have size 1 in y.
    Op.REDUCE: OpSpec(("x",), ("y",), {"function": "u32", "axes": "u32"}),
    # Index along `axis`, which has size 1 in y: i32. Ties: the first, or the last if `last` is 1.
    # NaN: as if it were the extreme (NumPy).
    Op.ARG_EXTREME: OpSpec(("x",), ("y",), {"function": "u32", "axis": "u32", "last": "u32"}),
    # x (n, C, H, W): y (n, C, H', W'), MEAN or MAX of each window. Pads count as 0 in a mean's
    # number of elements if `count_pad` is 1, else not at all; windows beyond the pads never count.
    Op.POOL2D: OpSpec(
        ("x",),
        ("y",),
        {
            "function": "u32",
            "kernel_h": "u32",
            "kernel_w": "u32",
            **_WINDOW,
            "count_pad": "u32",
        },
    ),
    # x (n, C, H, W), weight (C, O/groups, kh, kw), bias (O,): y (n, O, H', W'), the transpose of
    # a convolution: y[i s + k d - pad] += x[i] w[k]. H' is free within the verifier's rule.
    Op.CONV_TRANSPOSE2D: OpSpec(("x", "weight", "bias?"), ("y",), {"groups": "u32", **_WINDOW}),
    # y axis i is x axis perm_i.
    Op.TRANSPOSE: OpSpec(("x",), ("y",), _by_axis("perm", "u32")),
    # y[i0, i1, ...] = x[start_0 + i0 step_0, ...]; steps may be negative.
    Op.SLICE: OpSpec(("x",), ("y",), {**_by_axis("start", "u32"), **_by_axis("step", "i32")}),
    # x with before_i elements in front of axis i; behind it as many as y's shape says.
    Op.PAD: OpSpec(("x",), ("y",), {"mode": "u32", "value": "f32", **_by_axis("before", "u32")}),
    Op.EXPAND: OpSpec(("x",), ("y",), {}),
    # y = x.take(indices, axis): x shape with `axis` replaced by the shape of indices. Indices i32;
    # a negative one counts from the end; one out of range is clamped.
    Op.GATHER: OpSpec(("x", "indices"), ("y",), {"axis": "u32"}),
    # Any type to another. f32 to integers: towards zero, saturated, NaN to 0. Integers to smaller
    # ones: the low bits. With `truth` 1: not 0 -> 1.
    Op.CAST: OpSpec(("x",), ("y",), {"truth": "u32"}),
    # y = saturate(rint_half_even(x / scale) + zero), a NaN as 0.
    Op.QUANTIZE: OpSpec(("x",), ("y",), {"scale": "f32", "zero": "i32"}),
    # y = (x - zero) * scale.
    Op.DEQUANTIZE: OpSpec(("x",), ("y",), {"scale": "f32", "zero": "i32"}),
    # acc = bias + sum (x - x_zero) w, exact;
    # y = min(max(rint_half_even(float32(acc) * multiplier) + y_zero, low), high).
    # multiplier (O,) = float32(x_scale * w_scale / y_scale). Pads count as x_zero.
    Op.QCONV2D: OpSpec(
        ("x", "weight", "bias?", "multiplier"),
        ("y",),
        {"groups": "u32", **_WINDOW, **_REQUANTIZE},
    ),
    # x (..., K), weight i8 (M, K), multiplier (M,): the same rule.
    Op.QLINEAR: OpSpec(("x", "weight", "bias?", "multiplier"), ("y",), dict(_REQUANTIZE)),
    # weight u8 (M, ceil(K/8)), as BINARY_LINEAR; multiplier (1,) or (M,): the same rule.
    Op.QBINARY_LINEAR: OpSpec(("x", "weight", "bias?", "multiplier"), ("y",), dict(_REQUANTIZE)),
    # All in float32, in this order: f = (a - a_zero) a_scale + (b - b_zero) b_scale; f = act(f)
    # (NONE, RELU, LEAKY, PRELU: f < 0 ? f slope : f);
    # y = saturate(rint_half_even(f / y_scale) + y_zero). One shape; slope over axis 1.
    Op.QADD: OpSpec(
        ("a", "b", "slope?"),
        ("y",),
        {
            "a_scale": "f32",
            "a_zero": "i32",
            "b_scale": "f32",
            "b_zero": "i32",
            "y_scale": "f32",
            "y_zero": "i32",
            **_ACT,
        },
    ),
    # The same with one input; NONE requantizes.
    Op.QACTIVATION: OpSpec(
        ("x", "slope?"),
        ("y",),
        {"x_scale": "f32", "x_zero": "i32", "y_scale": "f32", "y_zero": "i32", **_ACT},
    ),
    # y = table[x taken as u8]: 256 entries of y's type.
    Op.QTABLE: OpSpec(("x", "table"), ("y",), {}),
    # code = number of thresholds <= x: thresholds i32 (T,), T <= 255, never falling.
    Op.QTHRESHOLD: OpSpec(("x", "thresholds"), ("codes",), {}),
    # Sums of x along `axis` up to each element, that element left out if `exclusive` is 1; from the
    # end if `reverse` is 1.
    Op.CUMSUM: OpSpec(("x",), ("y",), {"axis": "u32", "exclusive": "u32", "reverse": "u32"}),
    # Each of M outputs has its own bits B_m, 0 to 8, and 2^B_m values. widths u8 (ceil(M/2),):
    # B_m in 4 bits, the first in the high ones, a tail of 0. thresholds (sum (2^B_m - 1),): those
    # of output 0, then of 1, ..., never falling within an output.
    # code = number of the output's thresholds that are < x, 0 for NaN: u8 (n, M).
    Op.QUANTIZE_CODEBOOK: OpSpec(("x", "thresholds", "widths"), ("codes",), {}),
    # codes u8 (n, M) -> payload u8 (n, ceil(sum B_m / 8)): B_m bits each, MSB first, outputs of 0
    # bits left out, zero pad at the end.
    Op.PACK_WIDTHS: OpSpec(("codes", "widths"), ("payload",), {}),
    Op.UNPACK_WIDTHS: OpSpec(("payload", "widths"), ("codes",), {}),
    # value = book of the output, at the low B_m bits of the code; book (sum 2^B_m,): f32, or i16
    # that holds the bits of IEEE halves.
    Op.DEQUANTIZE_CODEBOOK: OpSpec(("codes", "book", "widths"), ("y",), {}),
    # code = number of the output's thresholds <= x: thresholds i32, as in QUANTIZE_CODEBOOK.
    Op.QCODEBOOK: OpSpec(("x", "thresholds", "widths"), ("codes",), {}),
    # payload u8 (n, K, ceil(B/8)): index q_k of user k in B bits, MSB first; the pad behind them is
    # not read. K <= 16, B <= 16. v (n, K, N, M, 2): v[k, j] is column j of V_k, last (re, im).
    # table (E, K, C, M, 2) f32 or i8, or (E, K, C, M) u8 with re in the high four bits and im in
    # the low ones, -8 to 7. C = N, or C = 1: that column N times; N M <= 65535. E < 2^31 rows:
    #   sorted 0: E = 2^(B K), row = sum q_k 2^(B (K-1-k)), p_k = k;
    #   sorted 1: E = binomial(2^B + K - 1, K), p_k = number of users j with (q_j, j) < (q_k, k),
    #             row = sum binomial(q_k + p_k, p_k + 1).
    # V_k is block p_k of the row: f32 as it is; integers t in float32 and in this order:
    #   v = f32(t) (r / sqrt(f32(max(sum, 1)))), sum = sum of t^2, exact, over a column, r = 1; with
    #   per_user 1 over the C columns of a user, r = sqrt(f32(C)): then tr(V_k^H V_k) = N.
    Op.TABLE_PRECODER: OpSpec(
        ("payload", "table"),
        ("v",),
        {"bits": "u32", "sorted": "u32", "per_user": "u32"},
    ),
    # payload and v as above; codebook (2^B, M, 2), B <= 12. a_k = codebook[q_k], A = [a_0 a_1 ...],
    # W = A (A^H A + loading I)^-1, v[k, j] = w_k / |w_k| for every j < N. In float32:
    # G = A^H A + loading I = L L^H, row by row; Y L^H = A, column 0 first; W L = Y, the last column
    # first. Sums from index 0 up; complex products (re re - im im, re im + im re); divided by L_jj
    # is multiplied by 1 / L_jj. w_k is divided by its largest part, then by the root of the sum of
    # its squares. A pivot that is not above 0 and finite makes all of v 0; a w_k that is 0 or not
    # finite makes v[k] 0.
    Op.RZF_PRECODER: OpSpec(("payload", "codebook"), ("v",), {"bits": "u32", "loading": "f32"}),
    # Fronthaul (paper 003, Sec. IV): M <= 32 RUs. gains (n, M, U) -> classes i32 (n, M).
    # p_ij = sum_u g_iu g_ju in doubles, u from 0 up; RUs i and j have an edge where p_ij is finite
    # and `excluded` or more of the M (M - 1) / 2 products are below it: above the `excluded`-th
    # smallest. A product that is not finite stands above all others and makes no edge.
    # Class after class (recursive largest first): of the RUs without a class that with the most
    # edges among them begins it; Q = its neighbours, P = the other ones; then from P that with the
    # most edges to Q, of those that with the fewest in P, joins and its neighbours go from P to Q,
    # until P is empty. Ties: the lowest RU.
    Op.INTERFERENCE_SCHEDULE: OpSpec(("gains",), ("classes",), {"excluded": "u32"}),
    # effective C (n, L, N, 2), targets d (n, R, L, 2), classes i32 (n, M); rus i32 (M, 2) holds
    # N_m >= 1 and B_m, 1 to 12, of each RU, N = sum N_m; tables (sum 2^B_m N_m 2,): of RU 0, then
    # 1, ..., codeword after codeword. payload u8 (n, sum ceil(R B_m / 8)): RU after RU its R
    # indices in B_m bits, MSB first, zero pad at the end of each RU's.
    # All in doubles and in this order. P_mb (2 L numbers: re and im of l = 0, 1, ...) =
    # sum over antennas of (re re - im im, re im + im re); h_mb = (sum of its squares) / 2.
    # function SEQUENTIAL: r = -d, x_m = 0. Iteration t = 1 to `iterations`: for each RU m of class
    # (t - 1) mod I, I = the largest class + 1: o = r - x_m, b = the lowest index that minimises
    # h_mb + o_0 P_mb0 + o_1 P_mb1 + ...; then r += P_mb - x_m, x_m = P_mb, in order of m. A class
    # outside 0 to M - 1 is 0; without classes m is of class m. An RU that is never visited sends 0.
    # EXHAUSTIVE, no classes, sum B_m <= 20: r_m = (-d + P_0) + ... + P_(m-1); the lowest joint
    # index, RU 0 in its high bits, that minimises |r_(M-1)|^2 / 2 + (h + r_0 P_0 + r_1 P_1 + ...)
    # of the last RU. Nothing that is not finite is ever chosen before index 0.
    # scratch, in the arena: room for (2 L + 1) sum 2^B_m + 32 (2 L (M + 3) + M) doubles.
    Op.TABLE_SEARCH: OpSpec(
        ("effective", "targets", "classes?", "tables", "rus"),
        ("payload", "scratch"),
        {"function": "u32", "iterations": "u32"},
    ),
    # precoded (n, R, N, 2), tables, rus and payload as above: the lowest index that minimises
    # sum (x - c)^2 over re and im of antenna after antenna, in doubles.
    Op.TABLE_NEAREST: OpSpec(("precoded", "tables", "rus"), ("payload",), {}),
    # M <= 32 radio units, sizes i32 (M, 3): unit m has N_m <= 512 antennas, B_m <= 512 bits a
    # channel use and K = `layers` <= 2 hidden layers of D_m <= 512 units, a multiple of 16 (0 if
    # K = 0). f_m: h_0 = q in [0, 1]^B_m, z_k = b_k + W_k h_(k-1), h_k = max(z_k, 0);
    # f_m = b_out + W_out h_K, first the real parts of N_m numbers, then the imaginary ones.
    # effective (n, L, N, 2) = C, N = sum N_m, targets d (n, R, L, 2), L <= 512, R <= 65535: over
    # the bits of all units |C f - d|^2 is made small. Without effective: targets (n, R, N, 2), and
    # each unit makes |f_m - d_m|^2 small. For each of R channel uses: r = 0; then for i = 0 to I-1,
    # I = `iterations`: tau = e^(-5 i / I), q = sigmoid(r / tau), r -= step d|e|^2/dr. Bits: r > 0.
    # payload u8 (n, P), P = sum of ceil(R B_m / 8): unit by unit, the bits of R channel uses one
    # after the other, MSB first, zero pad at the unit's end.
    # weights (W,), unit by unit; ' is a pad of zeros to a multiple of 16: for k = 1 to K: W_k^T
    # (inputs, D), W_k' (D, inputs'), b_k (D); then W_out' (2 N_m, outputs of h_K'), b_out'.
    # In float32 with fused multiply-adds, sums in the order of kernels/products.h: the real form of
    # C, G_m = C_m W_out and its rows times b_out once a block; e = C b_out - d + sum of G_m h,
    # units in order, for odd i backwards; back through G_m, then W_k of those units where z_k > 0.
    # A channel use alone in its group of 24, D_m > 128: 1. the first layer's gradients are inner
    # products; 2. a bit with q (1 - q) < 2^-24 is settled: r stays, and from then on q is taken as
    # it is if above 1/2, else as 0.
    # scratch (S,): any bytes before, 0 after; S as `gradient_rules.scratch_floats` counts.
    Op.GRADIENT_SEARCH: OpSpec(
        ("effective?", "targets", "step", "weights", "sizes"),
        ("payload", "scratch"),
        {"layers": "u32", "iterations": "u32"},
    ),
    # Edges of K users and M antennas (paper 000, eq. 20 and 21): values v, queries q, keys
    # k and y (n, K, M, C): y[i, m, c] = sum over j != i of a[i, j, c] v[j, m, c], where
    # a[i, j, c] = s sum_m q[i, m, c] k[j, m, c]; s = 1 / M, with `average` 1 / (M (K - 1)). For one
    # user y = 0. In float32: sums start at 0 and take m, and j, upwards by fused multiply-adds; s
    # is 1 / float(M), or 1 / (float(M) float(K - 1)).
    Op.EDGE_ATTENTION: OpSpec(("values", "queries", "keys"), ("y",), {"average": "u32"}),
    # One tier of b bits, 1 to 16. feature r (n, D), codebook (2^b, D) q -> codes u8 (n, b), the
    # bits of the index, MSB first, and rest (n, D) = r - q[index]. In float32: the distance of a
    # codeword is d = 0, then d = fma(t, t, d) with t = r_i - q_i, i upwards; the lowest index of
    # the least of them. A distance that is not finite is never the least; without another: index 0.
    Op.RESIDUAL_QUANTIZE: OpSpec(("feature", "codebook"), ("codes", "rest"), {}),
    # codes u8 (n, B), codebook (2^b, D): y (n, D) = codebook[index], the index being the low bits
    # of codes[start] to codes[start + b - 1], MSB first.
    Op.RESIDUAL_DEQUANTIZE: OpSpec(("codes", "codebook"), ("y",), {"start": "u32"}),
    # h (n, K, M, 2), last (re, im), loading (n, 1), K <= 64: w (n, K, M, 2), with
    # X = (h h^H + loading I)^-1 h of complex (K, M), w = conj(X) / sqrt(max(mean |X|^2, 1e-12)).
    # In doubles from h on: L D L^H row by row, sums from index 0 up, the pivot last; L^-1 column by
    # column; the inverse from it; each X rounded to float32 and multiplied by the float32 of 1 over
    # the root. A pivot that is not above 0 and finite, or a mean power beyond float32, makes all of
    # the sample's w 0. scratch (K, 4 k_max): K x K complex doubles; any bytes before, 0 after.
    Op.ZERO_FORCING: OpSpec(("h", "loading"), ("w", "scratch"), {}),
    # Three convolutions, group by group, so that what is M channels wide never exists: x (n, C, H,
    # W), H W > 1, expand (M, C, kh, kw), middle (M, M/groups, kh, kw) f32 or i8, project (O, M, kh,
    # kw). Stride and dilation are 1; kernel - 1 pads in all, so many of them in front, keep H x W.
    # channels (R, M), a row each: bias and slope of `expand`, bias and slope of `middle`, and with
    # an i8 `middle` its multiplier e. In float32 and in the order of CONV2D:
    #   v = expand(x) + bias; v < 0: v = slope v;
    #   f32: m = middle(v) + bias; i8: code = min(max(rint_half_even(v/code_scale) + code_zero,
    #   least), most), a NaN as 0, least and most those of u8, or of i16 with code_bits 16 and
    #   code_zero 0; m = float32(sum (code - code_zero) w, exact) e + bias;
    #   m < 0: m = slope m; y = act(project(m) + bias + residual).
    # With an i8 `middle`, `expand` and `project` may be i16, both. Then `channels` has a last row,
    # the multiplier f of `expand`, and where the above has expand(x), project(m) and their sums:
    #   xq = code16(x / x_scale); v = float32(int32 sum xq w) f + bias; and the codes as above;
    #   mq = code16(m / m_scale); y = act(float32(int32 sum mq w) y_scale + (bias + residual)).
    # code16 is the i16 code around 0, pads are 0, sums are taken modulo 2^32, that of `project`
    # over all groups; a bias or residual that is absent is 0. x_scale and m_scale are powers of two
    # from 2^-126 to 2^126, so that dividing is multiplying by the reciprocal, y_scale any number;
    # in the other forms the three are 1.
    # A slope of 1 is no activation. An f32 `middle` has code_scale 1, code_zero 0, code_bits 8.
    # scratch: P + P floats, P = M/groups H W; with i16 weights P + max(P, ceil(C H W / 2)).
    Op.CONV_BLOCK: OpSpec(
        ("x", "expand", "channels", "middle", "project", "bias?", "slope?", "residual?"),
        ("y", "scratch"),
        {
            "groups": "u32",
            "pad_top_1": "u32",
            "pad_left_1": "u32",
            "pad_top_2": "u32",
            "pad_left_2": "u32",
            "pad_top_3": "u32",
            "pad_left_3": "u32",
            **_ACT,
            "code_scale": "f32",
            "code_zero": "i32",
            "code_bits": "u32",
            "x_scale": "f32",
            "m_scale": "f32",
            "y_scale": "f32",
        },
    ),
    # payload (n, ceil(R B / 8)): R rows of B bits, MSB first, a zero pad at the end; hidden_weight
    # i8 (D, B), weight i8 (M, D), B 8 to 512, D up to 512: y (n, R, M), as two QLINEAR in a row.
    #   h = requantized hidden_bias + sum bits hidden_weight, by hidden_multiplier (D,),
    #   hidden_zero, hidden_low and hidden_high; c = requantized bias + sum (h - hidden_zero)
    #   weight, by multiplier (M,), y_zero, low and high; y = (c - y_zero) y_scale. Codes are u8.
    Op.BITS_NETWORK: OpSpec(
        (
            "payload",
            *("hidden_weight", "hidden_bias?", "hidden_multiplier"),
            *("weight", "bias?", "multiplier"),
        ),
        ("y",),
        {
            **{f"hidden_{name}": "i32" for name in ("zero", "low", "high")},
            **{"y_zero": "i32", "low": "i32", "high": "i32", "y_scale": "f32"},
        },
    ),
    # code = number of thresholds < x, 0 for NaN: thresholds f32 (2^B - 1,), B <= 8, never falling.
    # QUANTIZE_UNIFORM of sigmoid(x), exactly, with those of `sigmoid_thresholds`.
    Op.QUANTIZE_LOGIT: OpSpec(("x", "thresholds"), ("codes",), {}),
}
