/* y = (x - mean) / sqrt(variance + epsilon) * scale + bias over the last axes, K elements; may run
   in place. The mean first, then the variance from the differences, which does not cancel; both
   sums as in kernels/lanes.h. One over the root is rounded twice. */
#include <math.h>

#include "../lanes.h"

static void normalise(float *y, const float *x, size_t count, float epsilon, const float *scale,
                      const float *bias) {
    const float mean = csd_row_sum(x, count) / (float)count;
    const float variance = csd_row_spread(x, mean, count) / (float)count;
    const float by = 1.0f / sqrtf(variance + epsilon);
    CSD_ELEMENTWISE
    for (size_t i = 0; i < count; i++)
        y[i] = (x[i] - mean) * by;
    if (scale)
        for (size_t i = 0; i < count; i++)
            y[i] *= scale[i];
    if (bias)
        for (size_t i = 0; i < count; i++)
            y[i] += bias[i];
}

void CSD_KERNEL(layer_norm)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_LAYER_NORM_X].shape;
    const uint32_t axis = args->params[CSD_LAYER_NORM_P_AXIS].u;
    const float epsilon = args->params[CSD_LAYER_NORM_P_EPSILON].f;
    const size_t rows = csd_count(shape, 0, axis), count = csd_count(shape, axis, shape->rank);
    const float *x = args->in[CSD_LAYER_NORM_X].data;
    float *y = args->out[0].data;
    for (size_t r = 0; r < rows; r++, x += count, y += count)
        normalise(y, x, count, epsilon, args->in[CSD_LAYER_NORM_SCALE].data,
                  args->in[CSD_LAYER_NORM_BIAS].data);
}
