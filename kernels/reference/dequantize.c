/* y = (x - zero) scale; the difference is rounded to float32 first, which only an i32 needs. */
#include "../codes.h"

void CSD_KERNEL(dequantize)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_DEQUANTIZE_X];
    const float scale = args->params[CSD_DEQUANTIZE_P_SCALE].f;
    const int32_t zero = args->params[CSD_DEQUANTIZE_P_ZERO].i;
    const size_t total = csd_size(&x->shape);
    float *y = args->out[0].data;
    if (x->shape.dtype == CSD_I32) {
        const int32_t *wide = x->data;
        for (size_t i = 0; i < total; i++)
            y[i] = (float)((int64_t)wide[i] - zero);
    } else {
        CSD_KERNEL(load_codes)(y, x, 0, total, zero);
    }
    for (size_t i = 0; i < total; i++)
        y[i] *= scale;
}
