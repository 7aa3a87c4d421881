"""EdgeAttention: a user's edges take in those of the others, at the same antenna.

Inputs: values v, queries q, keys k, float32 (n, K, M, C), K users and M antennas; output y like
them. Attribute average: 0 or 1. Channel by channel (paper 000, eq. 20 and 21),

    y[i, m] = s sum_{j != i} a[i, j] v[j, m],   a[i, j] = (1 / M) sum_m q[i, m] k[j, m],

s = 1, or 1 / (K - 1) with average 1. One user alone has y = 0. The own term is left out, not taken
off again, so that nothing is lost to cancellation, and a number that is not finite stays away from
its own edges.
"""

from onnx import FunctionProto
from onnx.parser import parse_function

NAME = "EdgeAttention"

_TEXT = """
<domain: "csideploy", opset_import: ["" : 21]>
EdgeAttention <average> (values, queries, keys) => (y)
{
  mean = Constant <value_int: int = @average> ()
  zero = Constant <value = int64 {0}> ()
  one = Constant <value = int64 {1}> ()
  nothing = Constant <value = float {0}> ()
  front = Constant <value = int64[1] {0}> ()
  last = Constant <value = int64[1] {-1}> ()
  q = Transpose <perm = [0, 3, 1, 2]> (queries)
  k = Transpose <perm = [0, 3, 2, 1]> (keys)
  v = Transpose <perm = [0, 3, 1, 2]> (values)
  products = MatMul (q, k)
  users = Shape <start = 1, end = 2> (values)
  antennas = Shape <start = 2, end = 3> (values)
  user_count = Squeeze (users)
  numbers = Range (zero, user_count, one)
  rows = Unsqueeze (numbers, last)
  columns = Unsqueeze (numbers, front)
  own = Equal (rows, columns)
  others = Where (own, nothing, products)
  less = Sub (users, one)
  at_least = Max (less, one)
  more = Sub (at_least, one)
  counted = Mul (more, mean)
  count = Add (counted, one)
  whole = Mul (antennas, count)
  divisor = Cast <to = 1> (whole)
  scores = Div (others, divisor)
  joined = MatMul (scores, v)
  y = Transpose <perm = [0, 2, 3, 1]> (joined)
}
"""


def proto() -> FunctionProto:
    """The function with its standard body, at opset 21."""
    return parse_function(_TEXT)
