/* y = condition ? a : b, all three broadcast; elements of any type. May run in place on a or b. */
#include "../walk.h"

#define EACH(type)                                                                                 \
    {                                                                                              \
        type *to = y;                                                                              \
        const type *yes = a, *no = b;                                                              \
        CSD_ELEMENTWISE                                                                            \
        for (size_t i = 0; i < count; i++) {                                                       \
            const type p = yes[i], q = no[i];                                                      \
            to[i] = condition[i] ? p : q;                                                          \
        }                                                                                          \
        return;                                                                                    \
    }

static void choose(void *y, const uint8_t *condition, const void *a, const void *b, size_t count,
                   uint32_t dtype) {
    if (dtype == CSD_F32)
        EACH(float)
    if (dtype == CSD_I32)
        EACH(int32_t)
    if (dtype == CSD_I16)
        EACH(int16_t)
    EACH(uint8_t)
}

void CSD_KERNEL(where)(const csd_args *args) {
    const size_t element = args->out[0].shape.element;
    csd_walk walk = csd_walk_broadcast(args, 3);
    const size_t row = walk.size[0], chunk = csd_walk_chunk(&walk);
    csd_held held[3];
    uint8_t *y = args->out[0].data;
    do {
        for (size_t from = 0; from < row; from += chunk) {
            const size_t count = row - from < chunk ? row - from : chunk;
            const void *run[3];
            for (uint32_t i = 0; i < 3; i++)
                run[i] = csd_walk_run(&walk, i, &args->in[i], from, count, &held[i]);
            choose(y, run[0], run[1], run[2], count, args->out[0].shape.dtype);
            y += count * element;
        }
    } while (csd_walk_next(&walk));
}
