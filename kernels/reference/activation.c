/* y = activation(x), x (n, C, ...), slope (C) or (1). May run in place. */
#include <string.h>

#include "../kernels.h"

void CSD_KERNEL(activation)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_ACTIVATION_X];
    const csd_input *slopes = &args->in[CSD_ACTIVATION_SLOPE];
    const uint32_t kind = args->params[CSD_ACTIVATION_P_ACTIVATION].u;
    const float alpha = args->params[CSD_ACTIVATION_P_ALPHA].f;
    float *y = args->out[0].data;
    const size_t total = csd_size(&x->shape);
    if (y != x->data)
        memcpy(y, x->data, total * sizeof *y);
    if (slopes->data == NULL || slopes->shape.dims[0] == 1) {
        CSD_KERNEL(activate)(y, total, kind, csd_slope(slopes, 0, alpha));
        return;
    }
    const size_t channels = x->shape.dims[1];
    const size_t plane = csd_count(&x->shape, 2, x->shape.rank);
    for (size_t c = 0; c < x->shape.dims[0] * channels; c++, y += plane)
        CSD_KERNEL(activate)(y, plane, kind, csd_slope(slopes, c % channels, alpha));
}
