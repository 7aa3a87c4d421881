"""UnpackBits: the inverse of PackBits.

Every payload of the right length is a message: the pad is ignored.

Input: payload uint8 (n, ceil(count B / 8)). Attributes count: codes a sample; bits: B, 1 to 8.
Output: codes uint8 (n, count).
"""

from onnx import FunctionProto
from onnx.parser import parse_function

NAME = "UnpackBits"

_BODY = """
<domain: "csideploy", opset_import: ["" : 21]>
UnpackBits <count, bits> (payload) => (codes)
{
  b = Constant <value_int: int = @bits> ()
  m = Constant <value_int: int = @count> ()
  zero = Constant <value = int64 {0}> ()
  step = Constant <value = int64 {-1}> ()
  last = Constant <value = int64[1] {-1}> ()
  begin = Constant <value = int64[1] {0}> ()
  one = Constant <value = uint8[1] {1}> ()
  byte_shifts = Constant <value = uint8[8] {7, 6, 5, 4, 3, 2, 1, 0}> ()
  flat = Constant <value = int64[2] {0, -1}> ()
  bytes = Unsqueeze (payload, last)
  byte_shifted = BitShift <direction = "RIGHT"> (bytes, byte_shifts)
  bits_3d = BitwiseAnd (byte_shifted, one)
  bit_row = Reshape (bits_3d, flat)
  length = Mul (m, b)
  end = Reshape (length, last)
  kept = Slice (bit_row, begin, end, last)
  m_row = Reshape (m, last)
  b_row = Reshape (b, last)
  by_codes = Concat <axis = 0> (begin, m_row, b_row)
  groups = Reshape (kept, by_codes)
  top = Add (b, step)
  shifts_int = Range (top, step, step)
  shifts = Cast <to = 2> (shifts_int)
  placed = BitShift <direction = "LEFT"> (groups, shifts)
  placed_int = Cast <to = 6> (placed)
  sums = ReduceSum <keepdims = 0> (placed_int, last)
  codes = Cast <to = 2> (sums)
}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
