/* y axis i is x axis perm_i; elements of any type. Where the last axes stay last, whole runs are
   copied. */
#include "../walk.h"

void CSD_KERNEL(transpose)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_TRANSPOSE_X];
    const uint32_t rank = x->shape.rank;
    csd_walk walk = csd_walk_start(1);
    for (uint32_t axis = rank; axis-- > 0;) {
        const uint32_t from = args->params[CSD_TRANSPOSE_P_PERM_0 + axis].u;
        const ptrdiff_t stride = (ptrdiff_t)csd_count(&x->shape, from + 1u, rank);
        csd_walk_axis(&walk, x->shape.dims[from], &stride);
    }
    csd_copy_walk(&walk, &args->out[0], x);
}
