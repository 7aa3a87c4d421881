/* y = the index of the largest or smallest element along an axis, i32. Of several the first, or
   the last if `last` is 1. A NaN is taken for the extreme, as NumPy does. */
#include "../kernels.h"

/* Is x to be preferred to best? Two NaNs are equal. */
static int beats(float x, float best, int largest, int ties) {
    if (x != x || best != best)
        return x != x && (best == best || ties);
    if (x == best)
        return ties;
    return largest ? x > best : x < best;
}

void CSD_KERNEL(arg_extreme)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_ARG_EXTREME_X].shape;
    const int largest = args->params[CSD_ARG_EXTREME_P_FUNCTION].u == CSD_REDUCTION_MAX;
    const int ties = args->params[CSD_ARG_EXTREME_P_LAST].u == 1;
    const uint32_t axis = args->params[CSD_ARG_EXTREME_P_AXIS].u;
    const size_t outer = csd_count(shape, 0, axis), count = shape->dims[axis];
    const size_t inner = csd_count(shape, axis + 1u, shape->rank);
    const float *x = args->in[CSD_ARG_EXTREME_X].data;
    int32_t *y = args->out[0].data;
    for (size_t o = 0; o < outer; o++, x += count * inner)
        for (size_t j = 0; j < inner; j++) {
            size_t best = 0;
            for (size_t i = 1; i < count; i++)
                if (beats(x[i * inner + j], x[best * inner + j], largest, ties))
                    best = i;
            *y++ = (int32_t)best;
        }
}
