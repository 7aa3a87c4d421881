/* y[i0, i1, ...] = x[start_0 + i0 step_0, ...]; elements of any type, steps of either sign. */
#include "../walk.h"

void CSD_KERNEL(slice)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_SLICE_X];
    const csd_shape *y = &args->out[0].shape;
    csd_walk walk = csd_walk_start(1);
    ptrdiff_t passed = 1;
    for (uint32_t axis = y->rank; axis-- > 0;) {
        /* A step that is never taken may be any number. */
        const int32_t step = y->dims[axis] == 1 ? 0 : args->params[CSD_SLICE_P_STEP_0 + axis].i;
        const ptrdiff_t stride = passed * step;
        walk.at[0] += passed * (ptrdiff_t)args->params[CSD_SLICE_P_START_0 + axis].u;
        csd_walk_axis(&walk, y->dims[axis], &stride);
        passed *= (ptrdiff_t)x->shape.dims[axis];
    }
    csd_copy_walk(&walk, &args->out[0], x);
}
