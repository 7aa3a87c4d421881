/* code = number of thresholds < x, which never fall; 0 for a NaN.

   There are 2^B - 1 of them, so that halving takes B comparisons, whatever x is: before a step of s,
   the code lies in code .. code + 2 s - 1, and threshold number code + s - 1 says in which half. */
#include "../kernels.h"

void CSD_KERNEL(quantize_logit)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_QUANTIZE_LOGIT_X];
    const csd_input *thresholds = &args->in[CSD_QUANTIZE_LOGIT_THRESHOLDS];
    const uint32_t most = thresholds->shape.dims[0];
    const float *values = thresholds->data;
    const float *x = input->data;
    uint8_t *codes = args->out[0].data;
    const size_t total = csd_size(&input->shape);
    for (size_t i = 0; i < total; i++) {
        const float *from = values; /* behind what is known to be below x */
        for (size_t step = (most + 1u) / 2u; step > 0; step /= 2u) {
            const float *half = from + step;
            from = half[-1] < x[i] ? half : from;
        }
        codes[i] = (uint8_t)(from - values);
    }
}
