"""TablePrecoder and its kin: all users' messages choose one row of a table of precoders.

Inputs: payload uint8 (n, K, ceil(B / 8)), each user's index of B bits, MSB first, the pad is
ignored; table (E, K, C, M, 2), last axis (re, im), C = N or C = 1; terms int64 (K, 2^B + K), what
the user of place i adds to the number of the row, at c:

    sorted 0: at c = q_k, c 2^(B (K - 1 - i)); the place is the user's number, E = 2^(B K);
    sorted 1: at c = q_k + i, binomial(c, i + 1); the place is the rank of the index, ties by the
              user's number, E = binomial(2^B + K - 1, K).

Output: v float32 (n, K, N, M, 2), block i of the row for the user of place i.
Attributes bits: B, 1 to 16; sorted: 0 or 1; streams: N.

TablePrecoder: table float32, as it is. TablePrecoderInt8: int8, and TablePrecoderInt4: uint8
(E, K, C, M), re in the high four bits and im in the low ones, -8 to 7; attribute per_user 0: every
column gets length 1; 1: all C columns of a user together length sqrt(C). Zeros stay zeros.
"""

from collections.abc import Callable

from onnx import FunctionProto
from onnx.parser import parse_function

# The place of a user is the number of users with a smaller (index, number).
_BLOCKS = """
  b = Constant <value_int: int = @bits> ()
  s = Constant <value_int: int = @sorted> ()
  zero = Constant <value = int64 {0}> ()
  one = Constant <value = int64 {1}> ()
  eight = Constant <value = int64 {8}> ()
  last = Constant <value = int64[1] {-1}> ()
  middle = Constant <value = int64[1] {1}> ()
  two = Constant <value = int64[1] {2}> ()
  byte_weights = Constant <value = int64[2] {256, 1}> ()
  powers = Constant <value = int64[8] {1, 2, 4, 8, 16, 32, 64, 128}> ()
  size = Shape <start = 2, end = 3> (payload)
  users = Shape <start = 1, end = 2> (payload)
  user_count = Squeeze (users)
  skipped = Sub (two, size)
  weights = Slice (byte_weights, skipped, two)
  payload_int = Cast <to = 7> (payload)
  weighted = Mul (payload_int, weights)
  words = ReduceSum <keepdims = 0> (weighted, last)
  all_bits = Mul (size, eight)
  pad = Sub (all_bits, b)
  divisor = Gather (powers, pad)
  q = Div (words, divisor)
  numbers = Range (zero, user_count, one)
  q_wide = Mul (q, users)
  keys = Add (q_wide, numbers)
  mine = Unsqueeze (keys, last)
  others = Unsqueeze (keys, middle)
  before = Less (others, mine)
  before_int = Cast <to = 7> (before)
  ranks = ReduceSum <keepdims = 0> (before_int, last)
  ordered = Sub (one, s)
  sorted_places = Mul (ranks, s)
  own_places = Mul (numbers, ordered)
  places = Add (sorted_places, own_places)
  at = Add (q, sorted_places)
  places_3d = Unsqueeze (places, last)
  at_3d = Unsqueeze (at, last)
  address = Concat <axis = -1> (places_3d, at_3d)
  added = GatherND (terms, address)
  row = ReduceSum <keepdims = 0> (added, last)
  rows = Gather <axis = 0> (table, row)
  blocks = GatherND <batch_dims = 1> (rows, places_3d)
"""

_INT8 = """
  t = Cast <to = 7> (blocks)
"""

_INT4 = """
  four = Constant <value = uint8 {4}> ()
  fifteen = Constant <value = uint8 {15}> ()
  high = BitShift <direction = "RIGHT"> (blocks, four)
  low = BitwiseAnd (blocks, fifteen)
  high_5d = Unsqueeze (high, last)
  low_5d = Unsqueeze (low, last)
  parts = Concat <axis = -1> (high_5d, low_5d)
  parts_int = Cast <to = 7> (parts)
  flipped = BitwiseXor (parts_int, eight)
  t = Sub (flipped, eight)
"""

_SCALED = """
  p = Constant <value_int: int = @per_user> ()
  numbers_axes = Constant <value = int64[2] {3, 4}> ()
  squares = Mul (t, t)
  column_sums = ReduceSum <keepdims = 1> (squares, numbers_axes)
  user_sums = ReduceSum <keepdims = 1> (column_sums, two)
  alone = Sub (one, p)
  user_part = Mul (user_sums, p)
  column_part = Mul (column_sums, alone)
  sums = Add (user_part, column_part)
  above = Max (sums, one)
  above_real = Cast <to = 1> (above)
  lengths = Sqrt (above_real)
  columns = Shape <start = 2, end = 3> (blocks)
  more = Sub (columns, one)
  counted = Mul (more, p)
  count = Add (counted, one)
  count_real = Cast <to = 1> (count)
  root = Sqrt (count_real)
  factors = Div (root, lengths)
  real = Cast <to = 1> (t)
  unit = Mul (real, factors)
"""

_SPREAD = """
  n = Constant <value_int: int = @streams> ()
  ones = Constant <value = int64[2] {{1, 1}}> ()
  n_row = Reshape (n, last)
  wanted = Concat <axis = 0> (ones, n_row, ones)
  v = Expand ({source}, wanted)
"""


def _builder(name: str, body: str, attributes: str) -> Callable[[], FunctionProto]:
    text = f"""
<domain: "csideploy", opset_import: ["" : 21]>
{name} <{attributes}> (payload, table, terms) => (v)
{{
  {_BLOCKS}{body}
}}
"""

    def proto() -> FunctionProto:
        return parse_function(text)

    return proto


_UNIT = _SCALED + _SPREAD.format(source="unit")
FUNCTIONS: dict[str, Callable[[], FunctionProto]] = {
    "TablePrecoder": _builder(
        "TablePrecoder", _SPREAD.format(source="blocks"), "bits, sorted, streams"
    ),
    "TablePrecoderInt8": _builder(
        "TablePrecoderInt8", _INT8 + _UNIT, "bits, sorted, streams, per_user"
    ),
    "TablePrecoderInt4": _builder(
        "TablePrecoderInt4", _INT4 + _UNIT, "bits, sorted, streams, per_user"
    ),
}
"""Name -> what builds the function, with its standard body at opset 21."""
