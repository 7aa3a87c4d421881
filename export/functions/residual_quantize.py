"""ResidualQuantize: one tier of a residual vector quantizer; the next one takes the rest.

Inputs: residual float32 (n, D); codebook float32 (2^b, D). Outputs: codes uint8 (n, b), the bits of
the index of the nearest codeword, MSB first, the lowest of equally near ones; rest = residual minus
that codeword. Attribute bits: b, 1 to 16.
"""

from onnx import FunctionProto
from onnx.parser import parse_function

NAME = "ResidualQuantize"

_TEXT = """
<domain: "csideploy", opset_import: ["" : 21]>
ResidualQuantize <bits> (residual, codebook) => (codes, rest)
{
  b = Constant <value_int: int = @bits> ()
  one = Constant <value = int64 {1}> ()
  two = Constant <value = int64 {2}> ()
  minus = Constant <value = int64 {-1}> ()
  middle = Constant <value = int64[1] {1}> ()
  last = Constant <value = int64[1] {-1}> ()
  wide = Unsqueeze (residual, middle)
  apart = Sub (wide, codebook)
  squares = Mul (apart, apart)
  distances = ReduceSum <keepdims = 0> (squares, last)
  index = ArgMin <axis = 1, keepdims = 0> (distances)
  chosen = Gather <axis = 0> (codebook, index)
  rest = Sub (residual, chosen)
  top = Sub (b, one)
  places = Range (top, minus, minus)
  weights = Pow (two, places)
  column = Unsqueeze (index, last)
  shifted = Div (column, weights)
  ones = Mod (shifted, two)
  codes = Cast <to = 2> (ones)
}
"""


def proto() -> FunctionProto:
    """The function with its standard body, at opset 21."""
    return parse_function(_TEXT)
