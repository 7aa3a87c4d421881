/* y = function(a, b), broadcast, for integers of one type; may run in place on an input of y's
   shape. Sums, differences and products wrap. Division truncates, MOD has the sign of b, and both
   give 0 for a divisor of 0. A shift by the width or more, or by a negative amount, gives 0. */
#include "../walk.h"
#include "../widen.h"

/* -2^31 / -1 does not fit and wraps: it is 0 - a. */
static inline int32_t divide(int32_t a, int32_t b) {
    if (b == 0)
        return 0;
    return b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b;
}

static inline int32_t modulo(int32_t a, int32_t b) {
    if (b == 0 || b == -1)
        return 0;
    const int32_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static inline int32_t shift_left(int32_t a, uint32_t by, uint32_t width) {
    return by < width ? (int32_t)((uint32_t)a << by) : 0;
}

/* Rounds down; the complement, since a shift of a negative number is the compiler's choice. */
static inline int32_t shift_right(int32_t a, uint32_t by, uint32_t width) {
    if (by >= width)
        return 0;
    return a < 0 ? ~(~a >> by) : a >> by;
}

#define EACH(expression)                                                                           \
    for (size_t i = 0; i < count; i++)                                                             \
        a[i] = (int32_t)(expression);                                                              \
    return

/* a = function(a, b). */
static void combine(int32_t *restrict a, const int32_t *restrict b, size_t count,
                    csd_integer function, uint32_t width) {
    switch (function) {
    case CSD_INTEGER_ADD:
        EACH((uint32_t)a[i] + (uint32_t)b[i]);
    case CSD_INTEGER_SUB:
        EACH((uint32_t)a[i] - (uint32_t)b[i]);
    case CSD_INTEGER_MUL:
        EACH((uint32_t)a[i] * (uint32_t)b[i]);
    case CSD_INTEGER_DIV:
        EACH(divide(a[i], b[i]));
    case CSD_INTEGER_MOD:
        EACH(modulo(a[i], b[i]));
    case CSD_INTEGER_AND:
        EACH(a[i] & b[i]);
    case CSD_INTEGER_OR:
        EACH(a[i] | b[i]);
    case CSD_INTEGER_XOR:
        EACH(a[i] ^ b[i]);
    case CSD_INTEGER_SHIFT_LEFT:
        EACH(shift_left(a[i], (uint32_t)b[i], width));
    case CSD_INTEGER_SHIFT_RIGHT:
        EACH(shift_right(a[i], (uint32_t)b[i], width));
    case CSD_INTEGER_MIN:
        EACH(a[i] < b[i] ? a[i] : b[i]);
    case CSD_INTEGER_MAX:
        EACH(a[i] > b[i] ? a[i] : b[i]);
    }
}

void CSD_KERNEL(integer)(const csd_args *args) {
    const csd_integer function = (csd_integer)args->params[CSD_INTEGER_P_FUNCTION].u;
    const uint32_t element = args->out[0].shape.element, dtype = args->out[0].shape.dtype;
    csd_walk walk = csd_walk_broadcast(args, 2);
    const size_t row = walk.size[0];
    csd_held held[2];
    int32_t wide[2][CSD_CHUNK];
    uint8_t *y = args->out[0].data;
    do {
        for (size_t from = 0; from < row; from += CSD_CHUNK) {
            const size_t count = row - from < CSD_CHUNK ? row - from : CSD_CHUNK;
            for (uint32_t i = 0; i < 2; i++)
                csd_widen(wide[i], csd_walk_run(&walk, i, &args->in[i], from, count, &held[i]),
                          dtype, count);
            combine(wide[0], wide[1], count, function, 8u * element);
            csd_narrow(y, wide[0], element, count);
            y += count * element;
        }
    } while (csd_walk_next(&walk));
}
