/* Tiers of a residual vector quantizer: as many codewords as a tier's bits can name, so that no
   message leads outside. */
#include "verify_shapes.h"

#define MOST_BITS 16u

csd_status csd_check_residual_quantize(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref feature = o->in[CSD_RESIDUAL_QUANTIZE_FEATURE];
    csd_tensor_ref codebook = o->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK];
    csd_tensor_ref codes = o->out[CSD_RESIDUAL_QUANTIZE_OUT_CODES];
    if (feature->rank != 2 || codebook->rank != 2 || codes->rank != 2 ||
        !csd_same_shape(feature, o->out[CSD_RESIDUAL_QUANTIZE_OUT_REST]) ||
        feature->dims[1] != codebook->dims[1] || codes->dims[0] != feature->dims[0] ||
        codes->dims[1] > MOST_BITS || codebook->dims[0] != 1u << codes->dims[1])
        return CSD_BAD_SHAPE;
    return csd_check_finite(codebook, part);
}

/* A power of two, from 2 to 2^16: its bits; else 0. */
static uint32_t bits_of(uint32_t words) {
    for (uint32_t bits = 1; bits <= MOST_BITS; bits++)
        if (words == 1u << bits)
            return bits;
    return 0;
}

csd_status csd_check_residual_dequantize(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref codes = o->in[CSD_RESIDUAL_DEQUANTIZE_CODES], y = o->out[0];
    csd_tensor_ref codebook = o->in[CSD_RESIDUAL_DEQUANTIZE_CODEBOOK];
    if (codes->rank != 2 || codebook->rank != 2 || y->rank != 2 ||
        y->dims[0] != codes->dims[0] || y->dims[1] != codebook->dims[1] ||
        !csd_is_number(codes->dims[1]))
        return CSD_BAD_SHAPE;
    const uint32_t bits = bits_of(codebook->dims[0]);
    const uint64_t end = (uint64_t)o->params[CSD_RESIDUAL_DEQUANTIZE_P_START].u + bits;
    if (bits == 0 || end > codes->dims[1])
        return CSD_BAD_SHAPE;
    return csd_check_finite(codebook, part);
}
