/* code = number of the output's 2^B - 1 thresholds that are < x, found by halving: they are a full
   tree of B levels. Any comparison with a NaN is false, which leaves 0. */
#include "../widths.h"

void CSD_KERNEL(quantize_codebook)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_QUANTIZE_CODEBOOK_X];
    const uint8_t *widths = args->in[CSD_QUANTIZE_CODEBOOK_WIDTHS].data;
    const float *x = input->data;
    uint8_t *codes = args->out[0].data;
    for (uint32_t n = 0; n < input->shape.dims[0]; n++) {
        const float *thresholds = args->in[CSD_QUANTIZE_CODEBOOK_THRESHOLDS].data;
        for (uint32_t m = 0; m < input->shape.dims[1]; m++) {
            const uint32_t levels = 1u << csd_width(widths, m);
            const float value = *x++;
            uint32_t code = 0;
            for (uint32_t half = levels / 2u; half > 0; half /= 2u)
                code += thresholds[code + half - 1u] < value ? half : 0u;
            *codes++ = (uint8_t)code;
            thresholds += levels - 1u;
        }
    }
}
