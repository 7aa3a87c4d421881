/* code = number of the output's 2^B - 1 thresholds that are <= x, found by halving. */
#include "../codes.h"
#include "../widths.h"

void CSD_KERNEL(qcodebook)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_QCODEBOOK_X];
    const uint8_t *widths = args->in[CSD_QCODEBOOK_WIDTHS].data;
    uint8_t *codes = args->out[0].data;
    size_t i = 0;
    for (uint32_t n = 0; n < x->shape.dims[0]; n++) {
        const int32_t *thresholds = args->in[CSD_QCODEBOOK_THRESHOLDS].data;
        for (uint32_t m = 0; m < x->shape.dims[1]; m++, i++) {
            const uint32_t levels = 1u << csd_width(widths, m);
            const int32_t value = csd_code_at(x, i);
            uint32_t code = 0;
            for (uint32_t half = levels / 2u; half > 0; half /= 2u)
                code += thresholds[code + half - 1u] <= value ? half : 0u;
            codes[i] = (uint8_t)code;
            thresholds += levels - 1u;
        }
    }
}
