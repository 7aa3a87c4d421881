"""ResidualDequantize: the codeword of one tier, by its bits among those of all tiers.

Inputs: codes uint8 (n, B), of which the low bit is read; codebook float32 (2^b, D). Output: y
(n, D) = codebook[index], the index being bits start to start + b - 1, MSB first. Attributes start,
and bits: b, 1 to 16. The sum over all tiers, in order, is the feature.
"""

from onnx import FunctionProto
from onnx.parser import parse_function

NAME = "ResidualDequantize"

_TEXT = """
<domain: "csideploy", opset_import: ["" : 21]>
ResidualDequantize <start, bits> (codes, codebook) => (y)
{
  s = Constant <value_int: int = @start> ()
  b = Constant <value_int: int = @bits> ()
  one = Constant <value = int64 {1}> ()
  two = Constant <value = int64 {2}> ()
  minus = Constant <value = int64 {-1}> ()
  last = Constant <value = int64[1] {-1}> ()
  zero_axis = Constant <value = int64[1] {0}> ()
  end = Add (s, b)
  first = Unsqueeze (s, zero_axis)
  behind = Unsqueeze (end, zero_axis)
  own = Slice (codes, first, behind, last)
  wide = Cast <to = 7> (own)
  low = Mod (wide, two)
  top = Sub (b, one)
  places = Range (top, minus, minus)
  weights = Pow (two, places)
  weighted = Mul (low, weights)
  index = ReduceSum <keepdims = 0> (weighted, last)
  y = Gather <axis = 0> (codebook, index)
}
"""


def proto() -> FunctionProto:
    """The function with its standard body, at opset 21."""
    return parse_function(_TEXT)
