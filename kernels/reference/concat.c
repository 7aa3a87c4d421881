/* y = a and b joined along an axis; elements of any type. */
#include <string.h>

#include "../kernels.h"

void CSD_KERNEL(concat)(const csd_args *args) {
    const csd_input *a = &args->in[CSD_CONCAT_A];
    const csd_input *b = &args->in[CSD_CONCAT_B];
    const uint32_t axis = args->params[CSD_CONCAT_P_AXIS].u;
    const size_t rows = csd_count(&a->shape, 0, axis);
    const size_t a_bytes = csd_count(&a->shape, axis, a->shape.rank) * a->shape.element;
    const size_t b_bytes = csd_count(&b->shape, axis, b->shape.rank) * b->shape.element;
    const uint8_t *from_a = a->data;
    const uint8_t *from_b = b->data;
    uint8_t *y = args->out[0].data;
    for (size_t n = 0; n < rows; n++) {
        memcpy(y, from_a + n * a_bytes, a_bytes);
        memcpy(y + a_bytes, from_b + n * b_bytes, b_bytes);
        y += a_bytes + b_bytes;
    }
}
