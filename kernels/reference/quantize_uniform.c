/* code = min(floor(x 2^B), 2^B - 1); 0 for x below 0 and for a NaN.

   x 2^B is exact in float32 (a power of two; subnormal x gives code 0 anyway; an overflow to
   infinity saturates), so floor decides exactly where the thresholds k / 2^B lie. */
#include "../kernels.h"

void CSD_KERNEL(quantize_uniform)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_QUANTIZE_UNIFORM_X];
    const uint32_t levels = 1u << args->params[CSD_QUANTIZE_UNIFORM_P_BITS].u;
    const float top = (float)(levels - 1u);
    const float *x = input->data;
    uint8_t *codes = args->out[0].data;
    const size_t total = csd_size(&input->shape);
    for (size_t i = 0; i < total; i++) {
        const float scaled = x[i] * (float)levels;
        /* A comparison with a NaN is false, which leaves 0. */
        const float floored = scaled > 0.0f ? scaled : 0.0f;
        codes[i] = (uint8_t)(floored < top ? floored : top);
    }
}
