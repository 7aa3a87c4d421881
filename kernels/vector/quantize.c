/* kernels/reference/quantize.c, sixteen codes at a time. */
#include "../fast.h"
#include "code_words.h"

int CSD_FAST(quantize)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_QUANTIZE_X];
    const csd_output y = args->out[0];
    const csd_code_range range =
        csd_range_of(y.shape.dtype, args->params[CSD_QUANTIZE_P_ZERO].i);
    const csd_wide scale = csd_wide_all(args->params[CSD_QUANTIZE_P_SCALE].f);
    const float *x = input->data;
    const size_t total = csd_size(&input->shape);
    for (size_t at = 0; at < total; at += CSD_WIDE) {
        const size_t count = total - at < CSD_WIDE ? total - at : CSD_WIDE;
        const csd_wide number =
            count == CSD_WIDE ? csd_wide_load(x + at) : csd_wide_load_first(x + at, count);
        csd_store_words(&y, at, csd_saturate_words(csd_wide_div(number, scale), &range), count);
    }
    return 1;
}

CSD_NOTHING_PREPARED(quantize)
