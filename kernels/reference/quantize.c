/* y = saturate(nearest integer of x / scale, half to even, + zero), a NaN as 0. */
#include "../codes.h"

void CSD_KERNEL(quantize)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_QUANTIZE_X];
    const float scale = args->params[CSD_QUANTIZE_P_SCALE].f;
    const int32_t zero = args->params[CSD_QUANTIZE_P_ZERO].i;
    const float *x = input->data;
    const size_t total = csd_size(&input->shape);
    for (size_t at = 0; at < total; at += CSD_BLOCK) {
        float ratio[CSD_BLOCK];
        const size_t count = csd_block(total - at);
        for (size_t i = 0; i < count; i++)
            ratio[i] = x[at + i] / scale;
        CSD_KERNEL(saturate_codes)(&args->out[0], at, ratio, count, zero);
    }
}
