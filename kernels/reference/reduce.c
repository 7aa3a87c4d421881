/* y = function over the axes whose bit is set in `axes`; they have size 1 in y.

   Order: x is read from front to back, row by row, where a row is as many last axes as are all
   reduced or all kept. A reduced row is summed as in kernels/lanes.h and added to its element of
   y; a kept row is added to a row of y. So the chain of roundings is that of a row and one for
   each row that meets the same element: (rows + K / 16 + 4) eps sum |x|. MAX and MIN give NaN if
   any element is NaN. */
#include "../lanes.h"
#include "../walk.h"

static float reduce_row(const float *x, size_t count, csd_reduction function) {
    switch (function) {
    case CSD_REDUCTION_SUM:
    case CSD_REDUCTION_MEAN:
        return csd_row_sum(x, count);
    case CSD_REDUCTION_MAX:
        return csd_row_max(x, count);
    case CSD_REDUCTION_MIN:
        return csd_row_min(x, count);
    case CSD_REDUCTION_PROD:
        return csd_row_product(x, count);
    }
    return 0.0f;
}

static void join_rows(float *restrict y, const float *restrict x, size_t count,
                      csd_reduction function) {
    switch (function) {
    case CSD_REDUCTION_SUM:
    case CSD_REDUCTION_MEAN:
        for (size_t i = 0; i < count; i++)
            y[i] += x[i];
        return;
    case CSD_REDUCTION_MAX:
        for (size_t i = 0; i < count; i++)
            y[i] = csd_max(y[i], x[i]);
        return;
    case CSD_REDUCTION_MIN:
        for (size_t i = 0; i < count; i++)
            y[i] = csd_min(y[i], x[i]);
        return;
    case CSD_REDUCTION_PROD:
        for (size_t i = 0; i < count; i++)
            y[i] *= x[i];
        return;
    }
}

/* What leaves any number as it is. */
static float neutral(csd_reduction function) {
    switch (function) {
    case CSD_REDUCTION_SUM:
    case CSD_REDUCTION_MEAN:
        return 0.0f;
    case CSD_REDUCTION_MAX:
        return csd_float(0xFF800000u);
    case CSD_REDUCTION_MIN:
        return csd_float(0x7F800000u);
    case CSD_REDUCTION_PROD:
        return 1.0f;
    }
    return 0.0f;
}

void CSD_KERNEL(reduce)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_REDUCE_X].shape;
    const csd_reduction function = (csd_reduction)args->params[CSD_REDUCE_P_FUNCTION].u;
    const uint32_t axes = args->params[CSD_REDUCE_P_AXES].u;
    const size_t total = csd_size(&args->out[0].shape);
    const float start = neutral(function);
    const float *x = args->in[CSD_REDUCE_X].data;
    float *y = args->out[0].data;
    csd_walk walk = csd_walk_start(1); /* over x, with y as the operand */
    ptrdiff_t passed = 1;
    for (uint32_t axis = shape->rank; axis-- > 0;) {
        const int reduced = axes >> axis & 1u;
        const ptrdiff_t stride = reduced ? 0 : passed;
        csd_walk_axis(&walk, shape->dims[axis], &stride);
        passed *= reduced ? 1 : (ptrdiff_t)shape->dims[axis];
    }
    const size_t row = walk.size[0];
    for (size_t i = 0; i < total; i++)
        y[i] = start;
    do {
        float *to = y + walk.at[0];
        if (walk.stride[0][0] == 0) {
            const float joined = reduce_row(x, row, function);
            join_rows(to, &joined, 1, function);
        } else {
            join_rows(to, x, row, function);
        }
        x += row;
    } while (csd_walk_next(&walk));
    if (function == CSD_REDUCTION_MEAN) {
        const float count = (float)(csd_size(shape) / total);
        for (size_t i = 0; i < total; i++)
            y[i] /= count;
    }
}
