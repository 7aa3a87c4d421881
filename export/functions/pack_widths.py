"""PackWidths: codes of B_m bits each become the bytes that cross the air.

Codes in order, the most significant bit of each first, outputs of 0 bits left out, zero pad at the
end of each sample; of a code only the low B_m bits are read.

Inputs: codes uint8 (n, M); widths uint8 (ceil(M / 2),), as in CodebookQuantize, not all 0.
Output: payload uint8 (n, ceil(sum B_m / 8)).
"""

from onnx import FunctionProto
from onnx.parser import parse_function

from csideploy.export.functions.widths import WIDTHS

NAME = "PackWidths"

# All eight bits of every code in a row, from which those are picked that are sent. Eight bits are
# summed in int32: ONNX Runtime has no uint8 ReduceSum.
_BODY = f"""
<domain: "csideploy", opset_import: ["" : 21]>
PackWidths (codes, widths) => (payload)
{{
  outputs = Shape <start = 1, end = 2> (codes)
  {WIDTHS}
  shifts = Constant <value = uint8[8] {{7, 6, 5, 4, 3, 2, 1, 0}}> ()
  places = Constant <value = int64[8] {{7, 6, 5, 4, 3, 2, 1, 0}}> ()
  bit = Constant <value = uint8[1] {{1}}> ()
  eight = Constant <value = int64 {{8}}> ()
  weights = Constant <value = int32[8] {{128, 64, 32, 16, 8, 4, 2, 1}}> ()
  flat = Constant <value = int64[2] {{0, -1}}> ()
  by_bytes = Constant <value = int64[3] {{0, -1, 8}}> ()
  no_pads = Constant <value = int64[3] {{0, 0, 0}}> ()
  bits_column = Unsqueeze (bits, last)
  sent = Less (places, bits_column)
  sent_row = Reshape (sent, last)
  found = NonZero (sent_row)
  picked = Reshape (found, last)
  columns = Unsqueeze (codes, last)
  shifted = BitShift <direction = "RIGHT"> (columns, shifts)
  bits_3d = BitwiseAnd (shifted, bit)
  bit_row = Reshape (bits_3d, flat)
  message = Gather <axis = 1> (bit_row, picked)
  length = Shape <start = 0, end = 1> (picked)
  negative = Neg (length)
  tail = Mod (negative, eight)
  pads = Concat <axis = 0> (no_pads, tail)
  message_int = Cast <to = 6> (message)
  padded = Pad (message_int, pads)
  groups = Reshape (padded, by_bytes)
  weighted = Mul (groups, weights)
  sums = ReduceSum <keepdims = 0> (weighted, last)
  payload = Cast <to = 2> (sums)
}}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
