/* y = x, where the shapes may differ as long as the bytes do not. In place it is nothing. */
#include <string.h>

#include "../kernels.h"

void CSD_KERNEL(copy)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_COPY_X];
    if (args->out[0].data != x->data)
        memcpy(args->out[0].data, x->data, csd_size(&x->shape) * x->shape.element);
}
