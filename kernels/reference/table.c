#include "../kernels.h"

extern const csd_kernel csd_reference_kernels[CSD_OP_LAST + 1u];

const csd_kernel csd_reference_kernels[CSD_OP_LAST + 1u] = {
    [CSD_OP_CONV2D] = csd_reference_conv2d,
    [CSD_OP_LINEAR] = csd_reference_linear,
    [CSD_OP_BINARY_LINEAR] = csd_reference_binary_linear,
    [CSD_OP_ADD] = csd_reference_add,
    [CSD_OP_ACTIVATION] = csd_reference_activation,
    [CSD_OP_CONCAT] = csd_reference_concat,
    [CSD_OP_QUANTIZE_UNIFORM] = csd_reference_quantize_uniform,
    [CSD_OP_PACK_BITS] = csd_reference_pack_bits,
    [CSD_OP_UNPACK_BITS] = csd_reference_unpack_bits,
    [CSD_OP_DEQUANTIZE_UNIFORM] = csd_reference_dequantize_uniform,
    [CSD_OP_COPY] = csd_reference_copy,
};
