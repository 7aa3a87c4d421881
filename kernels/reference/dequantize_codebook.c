/* y = the output's value number `code`; only the low B_m bits of a code are read. Values are float32
   or IEEE halves, which are all float32 numbers too. */
#include "../elementary.h"
#include "../widths.h"

/* Exact: a subnormal half is its fraction times 2^-24. */
static float from_half(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = half >> 10 & 31u, fraction = half & 0x3FFu;
    if (exponent == 0)
        return csd_float(sign | csd_bits((float)fraction * 5.9604644775390625e-8f));
    /* An infinity or NaN, which no verified bundle holds, stays one. */
    const uint32_t moved = exponent == 31u ? 255u : exponent + 112u;
    return csd_float(sign | moved << 23 | fraction << 13);
}

void CSD_KERNEL(dequantize_codebook)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_DEQUANTIZE_CODEBOOK_CODES];
    const csd_input *book = &args->in[CSD_DEQUANTIZE_CODEBOOK_BOOK];
    const uint8_t *widths = args->in[CSD_DEQUANTIZE_CODEBOOK_WIDTHS].data;
    const float *wide = book->shape.dtype == CSD_F32 ? book->data : NULL;
    const uint16_t *halves = book->data;
    const uint8_t *codes = input->data;
    float *y = args->out[0].data;
    for (uint32_t n = 0; n < input->shape.dims[0]; n++) {
        size_t first = 0; /* of the output's values */
        for (uint32_t m = 0; m < input->shape.dims[1]; m++) {
            const uint32_t levels = 1u << csd_width(widths, m);
            const size_t at = first + (*codes++ & (levels - 1u));
            *y++ = wide != NULL ? wide[at] : from_half(halves[at]);
            first += levels;
        }
    }
}
