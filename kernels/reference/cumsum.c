/* y = sums of x along an axis up to each element; may run in place.

   Order of summation: from the first element on, or from the last if `reverse`. The error of the
   sum of K elements is at most K eps sum |x|. Neighbours along the axes behind are summed side by
   side, 64 at a time. */
#include "../kernels.h"

#define TILE 64

/* `step` leads from one element of the axis to the next, backwards for a reverse sum. */
static void sum_columns(float *y, const float *x, size_t count, ptrdiff_t step, size_t width,
                        uint32_t exclusive) {
    float sums[TILE] = {0};
    for (size_t i = 0; i < count; i++, x += step, y += step)
        for (size_t j = 0; j < width; j++) {
            const float before = sums[j];
            sums[j] += x[j];
            y[j] = exclusive ? before : sums[j];
        }
}

void CSD_KERNEL(cumsum)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_CUMSUM_X].shape;
    const csd_param *p = args->params;
    const uint32_t axis = p[CSD_CUMSUM_P_AXIS].u, reverse = p[CSD_CUMSUM_P_REVERSE].u;
    const size_t outer = csd_count(shape, 0, axis), count = shape->dims[axis];
    const size_t inner = csd_count(shape, axis + 1u, shape->rank);
    const ptrdiff_t step = reverse ? -(ptrdiff_t)inner : (ptrdiff_t)inner;
    const size_t first = reverse ? (count - 1) * inner : 0;
    const float *x = args->in[CSD_CUMSUM_X].data;
    float *y = args->out[0].data;
    for (size_t o = 0; o < outer; o++, x += count * inner, y += count * inner)
        for (size_t from = 0; from < inner; from += TILE)
            sum_columns(y + first + from, x + first + from, count, step,
                        inner - from < TILE ? inner - from : TILE, p[CSD_CUMSUM_P_EXCLUSIVE].u);
}
