/* y = activation(a + b), all of one shape (n, C, ...). May run in place on a or b. */
#include "../kernels.h"

void CSD_KERNEL(add)(const csd_args *args) {
    const csd_shape *shape = &args->out[0].shape;
    const csd_input *slopes = &args->in[CSD_ADD_SLOPE];
    const uint32_t kind = args->params[CSD_ADD_P_ACTIVATION].u;
    const float alpha = args->params[CSD_ADD_P_ALPHA].f;
    const float *a = args->in[CSD_ADD_A].data;
    const float *b = args->in[CSD_ADD_B].data;
    float *y = args->out[0].data;
    const size_t total = csd_size(shape);
    for (size_t i = 0; i < total; i++)
        y[i] = a[i] + b[i];
    if (slopes->data == NULL || slopes->shape.dims[0] == 1) {
        CSD_KERNEL(activate)(y, total, kind, csd_slope(slopes, 0, alpha));
        return;
    }
    const size_t channels = shape->dims[1];
    const size_t plane = csd_count(shape, 2, shape->rank);
    for (size_t c = 0; c < shape->dims[0] * channels; c++, y += plane)
        CSD_KERNEL(activate)(y, plane, kind, csd_slope(slopes, c % channels, alpha));
}
