"""BinaryLinear: a fully connected layer whose weights are one bit each.

y = scale * (x . S^T) + bias, where S is a matrix of +1 and -1 (BACRNet and BCsiNet: W = alpha
sign(W), alpha = mean |W|).

Inputs: x float32 (n, K); packed uint8 (M, ceil(K / 8)), one row an output, bit 1 = +1 and bit
0 = -1, the first input in the most significant bit, tail bits ignored; scale float32 (1,) or
(M,); bias float32 (M,). Attribute in_features: K. Output: y float32 (n, M).

The file holds the bits. A runtime that folds constants unpacks them once, when it loads.
"""

from onnx import FunctionProto
from onnx.parser import parse_function

NAME = "BinaryLinear"

_BODY = """
<domain: "csideploy", opset_import: ["" : 21]>
BinaryLinear <in_features> (x, packed, scale, bias) => (y)
{
  shifts = Constant <value = uint8[8] {7, 6, 5, 4, 3, 2, 1, 0}> ()
  one = Constant <value = uint8[1] {1}> ()
  last = Constant <value = int64[1] {-1}> ()
  begin = Constant <value = int64[1] {0}> ()
  rows = Constant <value = int64[2] {0, -1}> ()
  two = Constant <value = float {2.0}> ()
  unit = Constant <value = float {1.0}> ()
  k = Constant <value_int: int = @in_features> ()
  end = Reshape (k, last)
  bytes = Unsqueeze (packed, last)
  shifted = BitShift <direction = "RIGHT"> (bytes, shifts)
  bits = BitwiseAnd (shifted, one)
  row_bits = Reshape (bits, rows)
  kept = Slice (row_bits, begin, end, last)
  ones = Cast <to = 1> (kept)
  doubled = Mul (ones, two)
  signs = Sub (doubled, unit)
  columns = Transpose <perm = [1, 0]> (signs)
  product = MatMul (x, columns)
  scaled = Mul (product, scale)
  y = Add (scaled, bias)
}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
