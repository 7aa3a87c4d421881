"""PackBits: codes of B bits become the bytes that cross the air.

Codes in order, the most significant bit of each first, zero pad at the end of each sample; of a
code only the low B bits are read.

Input: codes uint8 (n, M). Attribute bits: B, 1 to 8. Output: payload uint8 (n, ceil(M B / 8)).
"""

from onnx import FunctionProto
from onnx.parser import parse_function

NAME = "PackBits"

# Eight bits are summed in int32: ONNX Runtime has no uint8 ReduceSum.
_BODY = """
<domain: "csideploy", opset_import: ["" : 21]>
PackBits <bits> (codes) => (payload)
{
  b = Constant <value_int: int = @bits> ()
  zero = Constant <value = int64 {0}> ()
  step = Constant <value = int64 {-1}> ()
  eight = Constant <value = int64 {8}> ()
  last = Constant <value = int64[1] {-1}> ()
  one = Constant <value = uint8[1] {1}> ()
  weights = Constant <value = int32[8] {128, 64, 32, 16, 8, 4, 2, 1}> ()
  flat = Constant <value = int64[2] {0, -1}> ()
  by_bytes = Constant <value = int64[3] {0, -1, 8}> ()
  no_pads = Constant <value = int64[3] {0, 0, 0}> ()
  top = Add (b, step)
  shifts_int = Range (top, step, step)
  shifts = Cast <to = 2> (shifts_int)
  columns = Unsqueeze (codes, last)
  shifted = BitShift <direction = "RIGHT"> (columns, shifts)
  bits_3d = BitwiseAnd (shifted, one)
  bit_row = Reshape (bits_3d, flat)
  count = Shape <start = 1> (bit_row)
  negative = Neg (count)
  tail = Mod (negative, eight)
  pads = Concat <axis = 0> (no_pads, tail)
  bit_row_int = Cast <to = 6> (bit_row)
  padded = Pad (bit_row_int, pads)
  groups = Reshape (padded, by_bytes)
  weighted = Mul (groups, weights)
  sums = ReduceSum <keepdims = 0> (weighted, last)
  payload = Cast <to = 2> (sums)
}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
