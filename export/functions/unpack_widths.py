"""UnpackWidths: the inverse of PackWidths.

Every payload of the right length is a message: the pad is ignored. An output of 0 bits gets code 0.

Inputs: payload uint8 (n, ceil(sum B_m / 8)); widths uint8 (ceil(M / 2),), as in CodebookQuantize,
not all 0. Attribute count: M. Output: codes uint8 (n, M).
"""

from onnx import FunctionProto
from onnx.parser import parse_function

from csideploy.export.functions.widths import WIDTHS

NAME = "UnpackWidths"

# Bit b of code m stands at place end_m - 1 - b of the message. For the bits that a code does not
# have, that is some other place, by a negative index at worst, and its weight is 0.
_BODY = f"""
<domain: "csideploy", opset_import: ["" : 21]>
UnpackWidths <count> (payload, widths) => (codes)
{{
  m = Constant <value_int: int = @count> ()
  whole = Constant <value = int64[1] {{-1}}> ()
  outputs = Reshape (m, whole)
  {WIDTHS}
  byte_shifts = Constant <value = uint8[8] {{7, 6, 5, 4, 3, 2, 1, 0}}> ()
  places = Constant <value = int64[8] {{0, 1, 2, 3, 4, 5, 6, 7}}> ()
  weights = Constant <value = int32[8] {{1, 2, 4, 8, 16, 32, 64, 128}}> ()
  bit = Constant <value = uint8[1] {{1}}> ()
  flat = Constant <value = int64[2] {{0, -1}}> ()
  ends = CumSum (bits, axis)
  ends_column = Unsqueeze (ends, last)
  lasts = Sub (ends_column, one)
  index = Sub (lasts, places)
  bits_column = Unsqueeze (bits, last)
  there = Less (places, bits_column)
  there_int = Cast <to = 6> (there)
  own_weights = Mul (there_int, weights)
  bytes = Unsqueeze (payload, last)
  byte_shifted = BitShift <direction = "RIGHT"> (bytes, byte_shifts)
  bits_3d = BitwiseAnd (byte_shifted, bit)
  bit_row = Reshape (bits_3d, flat)
  picked = Gather <axis = 1> (bit_row, index)
  picked_int = Cast <to = 6> (picked)
  weighted = Mul (picked_int, own_weights)
  sums = ReduceSum <keepdims = 0> (weighted, last)
  codes = Cast <to = 2> (sums)
}}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
