/* y = table[x], x read as a u8. May run in place. */
#include "../codes.h"

void CSD_KERNEL(qtable)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_QTABLE_X];
    const void *table = args->in[CSD_QTABLE_TABLE].data;
    const uint8_t *x = input->data;
    const size_t total = csd_size(&input->shape);
    if (args->out[0].shape.element == 1) {
        const uint8_t *entries = table;
        uint8_t *y = args->out[0].data;
        for (size_t i = 0; i < total; i++)
            y[i] = entries[x[i]];
    } else {
        const uint16_t *entries = table;
        uint16_t *y = args->out[0].data;
        for (size_t i = 0; i < total; i++)
            y[i] = entries[x[i]];
    }
}
