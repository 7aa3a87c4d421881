"""CodebookDequantize: a code becomes its output's codebook value (paper 001).

Of a code only the low B_m bits are read; an output of 0 bits has one value.

Inputs: codes uint8 (n, M); book float32 or float16 (sum 2^B_m,), the values of output 0, then of
1, ...; widths uint8 (ceil(M / 2),), as in CodebookQuantize. Output: x float32 (n, M).
"""

from onnx import FunctionProto
from onnx.parser import parse_function

from csideploy.export.functions.widths import WIDTHS

NAME = "CodebookDequantize"

_BODY = f"""
<domain: "csideploy", opset_import: ["" : 21]>
CodebookDequantize (codes, book, widths) => (x)
{{
  outputs = Shape <start = 1, end = 2> (codes)
  {WIDTHS}
  ends = CumSum (sizes, axis)
  begins = Sub (ends, sizes)
  masks = Sub (sizes, one)
  codes_int = Cast <to = 7> (codes)
  low_bits = BitwiseAnd (codes_int, masks)
  places = Add (low_bits, begins)
  values = Gather (book, places)
  x = Cast <to = 1> (values)
}}
"""


def proto() -> FunctionProto:
    """The function with its standard body at opset 21."""
    return parse_function(_BODY)
