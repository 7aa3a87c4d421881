"""CodebookQuantize: every output of an encoder becomes the rank of its nearest codebook value.

code_m = number of thresholds of output m that are < x_m (paper 001, equation 1: the thresholds
are the midpoints of neighbouring values, and a midpoint goes to the lower one). NaN gives 0.

Inputs: x float32 (n, M); thresholds float32 (sum (2^B_m - 1),), those of output 0, then of 1, ...,
never falling within an output, at least one; widths uint8 (ceil(M / 2),): B_m, 0 to 8, in 4 bits,
the first output in the high ones, 0 behind the last. Output: codes uint8 (n, M).
"""

from onnx import FunctionProto
from onnx.parser import parse_function

from csideploy.export.functions.widths import WIDTHS

NAME = "CodebookQuantize"

# Halving, from the most bits to the least: the thresholds of an output are a full tree. Outputs
# that have fewer bits stay at code 0 in the first rounds: what they are compared with, at worst
# the last threshold of all by the index -1, is multiplied by 0.
_ROUND = """
  step{b} = Constant <value = int64 {{{step}}}> ()
  fits{b} = LessOrEqual (step{b}, tops)
  fits_int{b} = Cast <to = 7> (fits{b})
  own{b} = Mul (fits_int{b}, step{b})
  reach{b} = Add (codes{above}, own{b})
  at{b} = Add (before, reach{b})
  threshold{b} = Gather (thresholds, at{b})
  passed{b} = Less (threshold{b}, x)
  passed_int{b} = Cast <to = 7> (passed{b})
  gain{b} = Mul (passed_int{b}, own{b})
  codes{b} = Add (codes{above}, gain{b})
"""

_BODY = f"""
<domain: "csideploy", opset_import: ["" : 21]>
CodebookQuantize (x, thresholds, widths) => (codes)
{{
  outputs = Shape <start = 1, end = 2> (x)
  {WIDTHS}
  tops = Sub (sizes, one)
  ends = CumSum (tops, axis)
  begins = Sub (ends, tops)
  before = Sub (begins, one)
  codes8 = Sub (tops, tops)
  {"".join(_ROUND.format(b=b, step=1 << b, above=b + 1) for b in range(7, -1, -1))}
  codes = Cast <to = 2> (codes0)
}}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
