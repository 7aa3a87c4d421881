/* codes (n, B) -> the codeword that the bits of one tier name. */
#include <string.h>

#include "../kernels.h"

void CSD_KERNEL(residual_dequantize)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_RESIDUAL_DEQUANTIZE_CODES].shape;
    const csd_shape *words = &args->in[CSD_RESIDUAL_DEQUANTIZE_CODEBOOK].shape;
    const uint8_t *codes = args->in[CSD_RESIDUAL_DEQUANTIZE_CODES].data;
    const float *book = args->in[CSD_RESIDUAL_DEQUANTIZE_CODEBOOK].data;
    const size_t width = words->dims[1];
    float *y = args->out[0].data;
    codes += args->params[CSD_RESIDUAL_DEQUANTIZE_P_START].u;
    for (uint32_t n = 0; n < shape->dims[0]; n++, codes += shape->dims[1], y += width) {
        size_t index = 0;
        uint32_t read = 0;
        for (uint32_t left = words->dims[0]; left > 1; left /= 2u)
            index = index * 2u + (codes[read++] & 1u);
        memcpy(y, book + index * width, width * sizeof *y);
    }
}
