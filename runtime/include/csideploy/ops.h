/* Generated from export/bundle_fields.py: do not edit.
   python -m csideploy.export.bundle_fields --write */
/* Operations: codes, element types, and the order of their inputs and parameters. */
#ifndef CSIDEPLOY_OPS_H
#define CSIDEPLOY_OPS_H

typedef enum csd_dtype {
    CSD_F32 = 1,
    CSD_U8 = 2
} csd_dtype;

typedef enum csd_activation {
    CSD_ACT_NONE = 0,
    CSD_ACT_RELU = 1,
    CSD_ACT_LEAKY = 2,
    CSD_ACT_PRELU = 3,
    CSD_ACT_SIGMOID = 4,
    CSD_ACT_TANH = 5
} csd_activation;

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
    CSD_OP_COPY = 11
} csd_op;

#define CSD_OP_LAST 11u
#define CSD_MAX_RANK 6u
#define CSD_MAX_INPUTS 8u
#define CSD_MAX_OUTPUTS 2u
#define CSD_MAX_PARAMS 16u

enum {
    CSD_CONV2D_X = 0,
    CSD_CONV2D_WEIGHT = 1,
    CSD_CONV2D_BIAS = 2,
    CSD_CONV2D_SLOPE = 3,
    CSD_CONV2D_RESIDUAL = 4,
    CSD_CONV2D_OUT_Y = 0,
    CSD_CONV2D_P_GROUPS = 0,
    CSD_CONV2D_P_STRIDE_H = 1,
    CSD_CONV2D_P_STRIDE_W = 2,
    CSD_CONV2D_P_DILATION_H = 3,
    CSD_CONV2D_P_DILATION_W = 4,
    CSD_CONV2D_P_PAD_TOP = 5,
    CSD_CONV2D_P_PAD_LEFT = 6,
    CSD_CONV2D_P_PAD_BOTTOM = 7,
    CSD_CONV2D_P_PAD_RIGHT = 8,
    CSD_CONV2D_P_ACTIVATION = 9,
    CSD_CONV2D_P_ALPHA = 10
};

enum {
    CSD_LINEAR_X = 0,
    CSD_LINEAR_WEIGHT = 1,
    CSD_LINEAR_BIAS = 2,
    CSD_LINEAR_SLOPE = 3,
    CSD_LINEAR_OUT_Y = 0,
    CSD_LINEAR_P_ACTIVATION = 0,
    CSD_LINEAR_P_ALPHA = 1
};

enum {
    CSD_BINARY_LINEAR_X = 0,
    CSD_BINARY_LINEAR_WEIGHT = 1,
    CSD_BINARY_LINEAR_SCALE = 2,
    CSD_BINARY_LINEAR_BIAS = 3,
    CSD_BINARY_LINEAR_SLOPE = 4,
    CSD_BINARY_LINEAR_OUT_Y = 0,
    CSD_BINARY_LINEAR_P_ACTIVATION = 0,
    CSD_BINARY_LINEAR_P_ALPHA = 1
};

enum {
    CSD_ADD_A = 0,
    CSD_ADD_B = 1,
    CSD_ADD_SLOPE = 2,
    CSD_ADD_OUT_Y = 0,
    CSD_ADD_P_ACTIVATION = 0,
    CSD_ADD_P_ALPHA = 1
};

enum {
    CSD_ACTIVATION_X = 0,
    CSD_ACTIVATION_SLOPE = 1,
    CSD_ACTIVATION_OUT_Y = 0,
    CSD_ACTIVATION_P_ACTIVATION = 0,
    CSD_ACTIVATION_P_ALPHA = 1
};

enum {
    CSD_CONCAT_A = 0,
    CSD_CONCAT_B = 1,
    CSD_CONCAT_OUT_Y = 0
};

enum {
    CSD_QUANTIZE_UNIFORM_X = 0,
    CSD_QUANTIZE_UNIFORM_OUT_CODES = 0,
    CSD_QUANTIZE_UNIFORM_P_BITS = 0
};

enum {
    CSD_PACK_BITS_CODES = 0,
    CSD_PACK_BITS_OUT_PAYLOAD = 0,
    CSD_PACK_BITS_P_BITS = 0
};

enum {
    CSD_UNPACK_BITS_PAYLOAD = 0,
    CSD_UNPACK_BITS_OUT_CODES = 0,
    CSD_UNPACK_BITS_P_BITS = 0
};

enum {
    CSD_DEQUANTIZE_UNIFORM_CODES = 0,
    CSD_DEQUANTIZE_UNIFORM_OUT_Y = 0,
    CSD_DEQUANTIZE_UNIFORM_P_BITS = 0
};

enum {
    CSD_COPY_X = 0,
    CSD_COPY_OUT_Y = 0
};

#endif
