/* y = 1 where the comparison holds, else 0, broadcast; a and b of one type. Any comparison with a
   NaN is 0. */
#include "../walk.h"
#include "../widen.h"

#define EACH(comparison)                                                                           \
    for (size_t i = 0; i < count; i++)                                                             \
        y[i] = (uint8_t)(a[i] comparison b[i]);                                                    \
    return

#define COMPARE(name, type)                                                                        \
    static void name(uint8_t *restrict y, const type *a, const type *b, size_t count,              \
                     csd_comparison function) {                                                    \
        switch (function) {                                                                        \
        case CSD_COMPARISON_EQUAL:                                                                 \
            EACH(==);                                                                              \
        case CSD_COMPARISON_LESS:                                                                  \
            EACH(<);                                                                               \
        case CSD_COMPARISON_LESS_OR_EQUAL:                                                         \
            EACH(<=);                                                                              \
        case CSD_COMPARISON_GREATER:                                                               \
            EACH(>);                                                                               \
        case CSD_COMPARISON_GREATER_OR_EQUAL:                                                      \
            EACH(>=);                                                                              \
        }                                                                                          \
    }

COMPARE(compare_floats, float)
COMPARE(compare_integers, int32_t)

static void compare(uint8_t *y, const void *a, const void *b, size_t count,
                    csd_comparison function, uint32_t dtype) {
    int32_t wide[2][CSD_CHUNK];
    if (dtype == CSD_F32) {
        compare_floats(y, a, b, count, function);
        return;
    }
    csd_widen(wide[0], a, dtype, count);
    csd_widen(wide[1], b, dtype, count);
    compare_integers(y, wide[0], wide[1], count, function);
}

void CSD_KERNEL(compare)(const csd_args *args) {
    const csd_comparison function = (csd_comparison)args->params[CSD_COMPARE_P_FUNCTION].u;
    const uint32_t dtype = args->in[CSD_COMPARE_A].shape.dtype;
    csd_walk walk = csd_walk_broadcast(args, 2);
    const size_t row = walk.size[0];
    csd_held held[2];
    uint8_t *y = args->out[0].data;
    do {
        for (size_t from = 0; from < row; from += CSD_CHUNK) {
            const size_t count = row - from < CSD_CHUNK ? row - from : CSD_CHUNK;
            const void *a = csd_walk_run(&walk, 0, &args->in[0], from, count, &held[0]);
            const void *b = csd_walk_run(&walk, 1, &args->in[1], from, count, &held[1]);
            compare(y, a, b, count, function, dtype);
            y += count;
        }
    } while (csd_walk_next(&walk));
}
