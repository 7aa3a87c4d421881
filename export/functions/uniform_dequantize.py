"""UniformDequantize: a code of B bits becomes the middle of its cell.

x = (code + 0.5) / 2^B. The ACRNet paper leaves the dequantizer open; the middle has the least
greatest error. Of a code only the low B bits are read.

Input: codes uint8 (n, M). Attribute bits: B, 1 to 8. Output: x float32 (n, M).
"""

from onnx import FunctionProto
from onnx.parser import parse_function

NAME = "UniformDequantize"

_BODY = """
<domain: "csideploy", opset_import: ["" : 21]>
UniformDequantize <bits> (codes) => (x)
{
  b = Constant <value_int: int = @bits> ()
  b_float = Cast <to = 1> (b)
  two = Constant <value = float {2.0}> ()
  unit = Constant <value = float {1.0}> ()
  half = Constant <value = float {0.5}> ()
  levels = Pow (two, b_float)
  top = Sub (levels, unit)
  mask = Cast <to = 2> (top)
  low_bits = BitwiseAnd (codes, mask)
  values = Cast <to = 1> (low_bits)
  middles = Add (values, half)
  x = Div (middles, levels)
}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
