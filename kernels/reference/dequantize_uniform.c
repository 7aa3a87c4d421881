/* y = (code + 0.5) / 2^B; only the low B bits of a code are read. Exact in float32. */
#include "../kernels.h"

void CSD_KERNEL(dequantize_uniform)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_DEQUANTIZE_UNIFORM_CODES];
    const uint32_t levels = 1u << args->params[CSD_DEQUANTIZE_UNIFORM_P_BITS].u;
    const float step = 1.0f / (float)levels;
    const uint8_t *codes = input->data;
    float *y = args->out[0].data;
    const size_t total = csd_size(&input->shape);
    for (size_t i = 0; i < total; i++)
        y[i] = ((float)(codes[i] & (levels - 1u)) + 0.5f) * step;
}
