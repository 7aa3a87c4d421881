/* y = exp(x - max) / sum along an axis of size K; may run in place.

   Order of summation: along the last axis as in kernels/lanes.h; along another one by one, for 64
   neighbours at once. The relative error is at most (K / 16 + 7) eps, or (K + 3) eps, and that of
   x - max, eps |x - max|. */
#include "../lanes.h"

#define TILE 64

static void normalise_row(float *y, const float *x, size_t count) {
    const float most = csd_row_max(x, count);
    CSD_ELEMENTWISE
    for (size_t i = 0; i < count; i++)
        y[i] = csd_exp(x[i] - most);
    const float sum = csd_row_sum(y, count);
    for (size_t i = 0; i < count; i++)
        y[i] /= sum;
}

/* `width` neighbours, each along an axis whose elements are `stride` apart. */
static void normalise_columns(float *y, const float *x, size_t count, size_t stride,
                              size_t width) {
    float most[TILE], sum[TILE] = {0};
    for (size_t j = 0; j < width; j++)
        most[j] = x[j];
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < width; j++)
            most[j] = csd_max(x[i * stride + j], most[j]);
    for (size_t i = 0; i < count; i++)
        CSD_ELEMENTWISE
        for (size_t j = 0; j < width; j++) {
            const float e = csd_exp(x[i * stride + j] - most[j]);
            y[i * stride + j] = e;
            sum[j] += e;
        }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < width; j++)
            y[i * stride + j] /= sum[j];
}

void CSD_KERNEL(softmax)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_SOFTMAX_X].shape;
    const uint32_t axis = args->params[CSD_SOFTMAX_P_AXIS].u;
    const size_t outer = csd_count(shape, 0, axis), count = shape->dims[axis];
    const size_t inner = csd_count(shape, axis + 1u, shape->rank);
    const float *x = args->in[CSD_SOFTMAX_X].data;
    float *y = args->out[0].data;
    for (size_t o = 0; o < outer; o++, x += count * inner, y += count * inner) {
        if (inner == 1) {
            normalise_row(y, x, count);
            continue;
        }
        for (size_t from = 0; from < inner; from += TILE)
            normalise_columns(y + from, x + from, count, inner,
                              inner - from < TILE ? inner - from : TILE);
    }
}
