/* y = x.take(indices, axis): x shape with the axis replaced by the shape of indices; elements of
   any type. A negative index counts from the end; one out of range is clamped, whatever it is. */
#include <string.h>

#include "../kernels.h"

void CSD_KERNEL(gather)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_GATHER_X], *picks = &args->in[CSD_GATHER_INDICES];
    const uint32_t axis = args->params[CSD_GATHER_P_AXIS].u;
    const size_t outer = csd_count(&x->shape, 0, axis), count = x->shape.dims[axis];
    const size_t bytes = csd_count(&x->shape, axis + 1u, x->shape.rank) * x->shape.element;
    const size_t picked = csd_size(&picks->shape);
    const int32_t *index = picks->data;
    const uint8_t *from = x->data;
    uint8_t *y = args->out[0].data;
    for (size_t o = 0; o < outer; o++, from += count * bytes)
        for (size_t i = 0; i < picked; i++, y += bytes) {
            int64_t at = index[i] < 0 ? (int64_t)index[i] + (int64_t)count : index[i];
            at = at < 0 ? 0 : at;
            at = at < (int64_t)count ? at : (int64_t)count - 1;
            memcpy(y, from + (size_t)at * bytes, bytes);
        }
}
