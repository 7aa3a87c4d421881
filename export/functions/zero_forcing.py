"""ZeroForcing: channels of K users to the regularized zero-forcing precoder.

Inputs: h float32 (n, K, M, 2), last axis (re, im); loading float32 (n, 1), above 0.
Output: w float32 (n, K, M, 2): W^T = h^H (h h^H + loading I)^-1 of complex (K, M), divided by the
root of the mean of |entry|^2 over its K M entries, or of 1e-12 where that is less.

With X = (h h^H + loading I)^-1 h, W = conj(X). The body solves for X as a real system,

    [Re G  -Im G] [Re X]   [Re h]
    [Im G   Re G] [Im X] = [Im h],   G = h h^H + loading I,

by Gauss-Jordan elimination in float64 without a choice of pivots, of which a positive definite
matrix has no need: step j divides row j by its pivot and takes it from all other rows. The relative
error of W is a few times 2^-53 cond(G), and float32's rounding of the result: for condition numbers
up to 10^8 only the latter is seen. Where G is not positive definite ONNX runtimes make NaN; the
operation of the executor makes zeros.
"""

from onnx import FunctionProto
from onnx.parser import parse_function

NAME = "ZeroForcing"

_BODY = """
<domain: "csideploy", opset_import: ["" : 21]>
ZeroForcing (h, loading) => (w)
{
  zero = Constant <value = int64 {0}> ()
  one = Constant <value = int64 {1}> ()
  first = Constant <value = int64[1] {0}> ()
  middle = Constant <value = int64[1] {1}> ()
  last = Constant <value = int64[1] {-1}> ()
  largest = Constant <value = int64[1] {9223372036854775807}> ()
  entries = Constant <value = int64[2] {1, 2}> ()
  two = Constant <value = double {2.0}> ()
  least = Constant <value = double {1e-12}> ()
  parts = Cast <to = 11> (h)
  re_4d, im_4d = Split <axis = -1, num_outputs = 2> (parts)
  re = Squeeze (re_4d, last)
  im = Squeeze (im_4d, last)
  re_turned = Transpose <perm = [0, 2, 1]> (re)
  im_turned = Transpose <perm = [0, 2, 1]> (im)
  re_re = MatMul (re, re_turned)
  im_im = MatMul (im, im_turned)
  im_re = MatMul (im, re_turned)
  re_im = MatMul (re, im_turned)
  gram_re = Add (re_re, im_im)
  gram_im = Sub (im_re, re_im)
  gram_minus = Neg (gram_im)
  top = Concat <axis = 2> (gram_re, gram_minus)
  bottom = Concat <axis = 2> (gram_im, gram_re)
  gram = Concat <axis = 1> (top, bottom)
  size = Shape <start = 1, end = 2> (gram)
  count = Squeeze (size, first)
  numbers = Range (zero, count, one)
  column = Unsqueeze (numbers, last)
  diagonal = Equal (column, numbers)
  eye = Cast <to = 11> (diagonal)
  loading_wide = Cast <to = 11> (loading)
  loading_3d = Unsqueeze (loading_wide, last)
  loaded = Mul (loading_3d, eye)
  matrix = Add (gram, loaded)
  right = Concat <axis = 1> (re, im)
  system = Concat <axis = 2> (matrix, right)
  goes = Constant <value = bool {1}> ()
  solved = Loop (count, goes, system) <body = eliminate
    (int64 j, bool goes_on, double[N, R, C] x) => (bool still, double[N, R, C] next)
    {
      still = Identity (goes_on)
      row = Gather <axis = 1> (x, j)
      factors = Gather <axis = 2> (x, j)
      pivots = Gather <axis = 1> (row, j)
      pivots_2d = Unsqueeze (pivots, last)
      unit = Div (row, pivots_2d)
      own_row = Equal (numbers, j)
      own = Cast <to = 11> (own_row)
      taken = Sub (factors, own)
      taken_3d = Unsqueeze (taken, last)
      unit_3d = Unsqueeze (unit, middle)
      change = Mul (taken_3d, unit_3d)
      next = Sub (x, change)
    }>
  solution = Slice (solved, size, largest, last)
  squares = Mul (solution, solution)
  half_power = ReduceMean <keepdims = 1> (squares, entries)
  power = Mul (half_power, two)
  power_above = Max (power, least)
  length = Sqrt (power_above)
  scaled = Div (solution, length)
  w_re, w_im = Split <axis = 1, num_outputs = 2> (scaled)
  w_minus = Neg (w_im)
  w_re_4d = Unsqueeze (w_re, last)
  w_im_4d = Unsqueeze (w_minus, last)
  w_wide = Concat <axis = -1> (w_re_4d, w_im_4d)
  w = Cast <to = 1> (w_wide)
}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
