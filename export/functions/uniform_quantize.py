"""UniformQuantize: a feature in [0, 1] becomes a code of B bits.

code = min(floor(x 2^B), 2^B - 1): the number of thresholds k / 2^B, k = 1 .. 2^B - 1, that are
<= x (ACRNet paper, equation 12; the minimum is ours, for x = 1, which the equation would send to
the code 2^B that B bits cannot hold). x below 0 and NaN give 0.

Input: x float32 (n, M). Attribute bits: B, 1 to 8. Output: codes uint8 (n, M).
"""

from onnx import FunctionProto
from onnx.parser import parse_function

NAME = "UniformQuantize"

# The comparison is false for NaN, so that no NaN and nothing negative reaches the Cast, whose
# result would be undefined.
_BODY = """
<domain: "csideploy", opset_import: ["" : 21]>
UniformQuantize <bits> (x) => (codes)
{
  b = Constant <value_int: int = @bits> ()
  b_float = Cast <to = 1> (b)
  two = Constant <value = float {2.0}> ()
  unit = Constant <value = float {1.0}> ()
  zero = Constant <value = float {0.0}> ()
  levels = Pow (two, b_float)
  top = Sub (levels, unit)
  scaled = Mul (x, levels)
  floored = Floor (scaled)
  valid = GreaterOrEqual (x, zero)
  lower = Where (valid, floored, zero)
  clamped = Min (lower, top)
  codes = Cast <to = 2> (clamped)
}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
