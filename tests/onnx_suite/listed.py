"""The operators that a CSI network may need: what the suite answers for."""

OPSETS = range(13, 26)

_NAMES = """
    Conv ConvTranspose Gemm MatMul BatchNormalization Relu LeakyRelu PRelu Sigmoid HardSigmoid Tanh
    Mish Gelu Erf Softmax LayerNormalization Add Sub Mul Div Constant Identity Shape Expand Where
    Pad Pow Sqrt Exp Softplus Sign Equal Less LessOrEqual Greater GreaterOrEqual BitwiseAnd BitShift
    Mod Concat Split Slice Reshape Flatten Transpose Squeeze Unsqueeze Gather ReduceSum ReduceMean
    GlobalAveragePool AveragePool ArgMin ArgMax Clip Floor Cast DFT QuantizeLinear DequantizeLinear
"""

LISTED = frozenset(_NAMES.split())

TYPES = frozenset({"FLOAT", "UINT8", "INT8", "INT16", "INT32", "INT64", "BOOL"})
"""Element types that the executor carries; a test with another one is out of range.

bool travels as uint8, int64 as int32."""
