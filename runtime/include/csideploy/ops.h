/* Generated from export/bundle_fields.py: do not edit.
   python -m csideploy.export.bundle_fields --write */
/* Operations: codes, element types and limits. */
#ifndef CSIDEPLOY_OPS_H
#define CSIDEPLOY_OPS_H

typedef enum csd_dtype {
    CSD_F32 = 1,
    CSD_U8 = 2,
    CSD_I8 = 3,
    CSD_I16 = 4,
    CSD_I32 = 5
} csd_dtype;

typedef enum csd_activation {
    CSD_ACT_NONE = 0,
    CSD_ACT_RELU = 1,
    CSD_ACT_LEAKY = 2,
    CSD_ACT_PRELU = 3,
    CSD_ACT_SIGMOID = 4,
    CSD_ACT_TANH = 5
} csd_activation;

typedef enum csd_pad_mode {
    CSD_PAD_MODE_CONSTANT = 0,
    CSD_PAD_MODE_EDGE = 1,
    CSD_PAD_MODE_REFLECT = 2,
    CSD_PAD_MODE_WRAP = 3
} csd_pad_mode;

typedef enum csd_unary {
    CSD_UNARY_NEG = 1,
    CSD_UNARY_ABS = 2,
    CSD_UNARY_EXP = 3,
    CSD_UNARY_LOG = 4,
    CSD_UNARY_SQRT = 5,
    CSD_UNARY_RECIPROCAL = 6,
    CSD_UNARY_ERF = 7,
    CSD_UNARY_FLOOR = 8,
    CSD_UNARY_CEIL = 9,
    CSD_UNARY_ROUND = 10,
    CSD_UNARY_SIGN = 11,
    CSD_UNARY_SOFTPLUS = 12,
    CSD_UNARY_MISH = 13,
    CSD_UNARY_GELU = 14,
    CSD_UNARY_GELU_TANH = 15,
    CSD_UNARY_HARD_SIGMOID = 16,
    CSD_UNARY_CLIP = 17,
    CSD_UNARY_ELU = 18,
    CSD_UNARY_SWISH = 19
} csd_unary;

typedef enum csd_binary {
    CSD_BINARY_ADD = 1,
    CSD_BINARY_SUB = 2,
    CSD_BINARY_MUL = 3,
    CSD_BINARY_DIV = 4,
    CSD_BINARY_POW = 5,
    CSD_BINARY_MIN = 6,
    CSD_BINARY_MAX = 7,
    CSD_BINARY_FMOD = 8
} csd_binary;

typedef enum csd_integer {
    CSD_INTEGER_ADD = 1,
    CSD_INTEGER_SUB = 2,
    CSD_INTEGER_MUL = 3,
    CSD_INTEGER_DIV = 4,
    CSD_INTEGER_MOD = 5,
    CSD_INTEGER_AND = 6,
    CSD_INTEGER_OR = 7,
    CSD_INTEGER_XOR = 8,
    CSD_INTEGER_SHIFT_LEFT = 9,
    CSD_INTEGER_SHIFT_RIGHT = 10,
    CSD_INTEGER_MIN = 11,
    CSD_INTEGER_MAX = 12
} csd_integer;

typedef enum csd_comparison {
    CSD_COMPARISON_EQUAL = 1,
    CSD_COMPARISON_LESS = 2,
    CSD_COMPARISON_LESS_OR_EQUAL = 3,
    CSD_COMPARISON_GREATER = 4,
    CSD_COMPARISON_GREATER_OR_EQUAL = 5
} csd_comparison;

typedef enum csd_reduction {
    CSD_REDUCTION_SUM = 1,
    CSD_REDUCTION_MEAN = 2,
    CSD_REDUCTION_MAX = 3,
    CSD_REDUCTION_MIN = 4,
    CSD_REDUCTION_PROD = 5
} csd_reduction;

typedef enum csd_search {
    CSD_SEARCH_SEQUENTIAL = 1,
    CSD_SEARCH_EXHAUSTIVE = 2
} csd_search;

typedef enum csd_op {
    CSD_OP_CONV2D = 1,
    CSD_OP_LINEAR = 2,
    CSD_OP_BINARY_LINEAR = 3,
    CSD_OP_ADD = 4,
    CSD_OP_ACTIVATION = 5,
    CSD_OP_CONCAT = 6,
    CSD_OP_QUANTIZE_UNIFORM = 7,
    CSD_OP_PACK_BITS = 8,
    CSD_OP_UNPACK_BITS = 9,
    CSD_OP_DEQUANTIZE_UNIFORM = 10,
    CSD_OP_COPY = 11,
    CSD_OP_UNARY = 12,
    CSD_OP_BINARY = 13,
    CSD_OP_INTEGER = 14,
    CSD_OP_COMPARE = 15,
    CSD_OP_WHERE = 16,
    CSD_OP_MATMUL = 17,
    CSD_OP_SOFTMAX = 18,
    CSD_OP_LAYER_NORM = 19,
    CSD_OP_REDUCE = 20,
    CSD_OP_ARG_EXTREME = 21,
    CSD_OP_POOL2D = 22,
    CSD_OP_CONV_TRANSPOSE2D = 23,
    CSD_OP_TRANSPOSE = 24,
    CSD_OP_SLICE = 25,
    CSD_OP_PAD = 26,
    CSD_OP_EXPAND = 27,
    CSD_OP_GATHER = 28,
    CSD_OP_CAST = 29,
    CSD_OP_QUANTIZE = 30,
    CSD_OP_DEQUANTIZE = 31,
    CSD_OP_QCONV2D = 32,
    CSD_OP_QLINEAR = 33,
    CSD_OP_QBINARY_LINEAR = 34,
    CSD_OP_QADD = 35,
    CSD_OP_QACTIVATION = 36,
    CSD_OP_QTABLE = 37,
    CSD_OP_QTHRESHOLD = 38,
    CSD_OP_CUMSUM = 39,
    CSD_OP_QUANTIZE_CODEBOOK = 40,
    CSD_OP_PACK_WIDTHS = 41,
    CSD_OP_UNPACK_WIDTHS = 42,
    CSD_OP_DEQUANTIZE_CODEBOOK = 43,
    CSD_OP_QCODEBOOK = 44,
    CSD_OP_TABLE_PRECODER = 45,
    CSD_OP_RZF_PRECODER = 46,
    CSD_OP_INTERFERENCE_SCHEDULE = 47,
    CSD_OP_TABLE_SEARCH = 48,
    CSD_OP_TABLE_NEAREST = 49,
    CSD_OP_GRADIENT_SEARCH = 50,
    CSD_OP_EDGE_ATTENTION = 51,
    CSD_OP_RESIDUAL_QUANTIZE = 52,
    CSD_OP_RESIDUAL_DEQUANTIZE = 53,
    CSD_OP_ZERO_FORCING = 54,
    CSD_OP_CONV_BLOCK = 55,
    CSD_OP_BITS_NETWORK = 56,
    CSD_OP_QUANTIZE_LOGIT = 57
} csd_op;

#define CSD_OP_LAST 57u
#define CSD_FOR_EACH_OP(X) \
    X(CONV2D, conv2d) \
    X(LINEAR, linear) \
    X(BINARY_LINEAR, binary_linear) \
    X(ADD, add) \
    X(ACTIVATION, activation) \
    X(CONCAT, concat) \
    X(QUANTIZE_UNIFORM, quantize_uniform) \
    X(PACK_BITS, pack_bits) \
    X(UNPACK_BITS, unpack_bits) \
    X(DEQUANTIZE_UNIFORM, dequantize_uniform) \
    X(COPY, copy) \
    X(UNARY, unary) \
    X(BINARY, binary) \
    X(INTEGER, integer) \
    X(COMPARE, compare) \
    X(WHERE, where) \
    X(MATMUL, matmul) \
    X(SOFTMAX, softmax) \
    X(LAYER_NORM, layer_norm) \
    X(REDUCE, reduce) \
    X(ARG_EXTREME, arg_extreme) \
    X(POOL2D, pool2d) \
    X(CONV_TRANSPOSE2D, conv_transpose2d) \
    X(TRANSPOSE, transpose) \
    X(SLICE, slice) \
    X(PAD, pad) \
    X(EXPAND, expand) \
    X(GATHER, gather) \
    X(CAST, cast) \
    X(QUANTIZE, quantize) \
    X(DEQUANTIZE, dequantize) \
    X(QCONV2D, qconv2d) \
    X(QLINEAR, qlinear) \
    X(QBINARY_LINEAR, qbinary_linear) \
    X(QADD, qadd) \
    X(QACTIVATION, qactivation) \
    X(QTABLE, qtable) \
    X(QTHRESHOLD, qthreshold) \
    X(CUMSUM, cumsum) \
    X(QUANTIZE_CODEBOOK, quantize_codebook) \
    X(PACK_WIDTHS, pack_widths) \
    X(UNPACK_WIDTHS, unpack_widths) \
    X(DEQUANTIZE_CODEBOOK, dequantize_codebook) \
    X(QCODEBOOK, qcodebook) \
    X(TABLE_PRECODER, table_precoder) \
    X(RZF_PRECODER, rzf_precoder) \
    X(INTERFERENCE_SCHEDULE, interference_schedule) \
    X(TABLE_SEARCH, table_search) \
    X(TABLE_NEAREST, table_nearest) \
    X(GRADIENT_SEARCH, gradient_search) \
    X(EDGE_ATTENTION, edge_attention) \
    X(RESIDUAL_QUANTIZE, residual_quantize) \
    X(RESIDUAL_DEQUANTIZE, residual_dequantize) \
    X(ZERO_FORCING, zero_forcing) \
    X(CONV_BLOCK, conv_block) \
    X(BITS_NETWORK, bits_network) \
    X(QUANTIZE_LOGIT, quantize_logit)
#define CSD_MAX_RANK 6u
#define CSD_MAX_INPUTS 8u
#define CSD_MAX_OUTPUTS 2u
#define CSD_MAX_PARAMS 16u

#include "csideploy/op_roles.h"

#endif
