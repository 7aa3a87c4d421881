/* y = function(a, b), broadcast. May run in place on an input of y's shape. One rounding each;
   POW is within 0.6 units of the last place, FMOD exact; MIN and MAX give NaN if either is NaN. */
#include "../elementary.h"
#include "../walk.h"

#define EACH(expression)                                                                           \
    CSD_ELEMENTWISE                                                                                \
    for (size_t i = 0; i < count; i++)                                                             \
        y[i] = (expression);                                                                       \
    return

static void combine(float *y, const float *a, const float *b, size_t count, csd_binary function) {
    switch (function) {
    case CSD_BINARY_ADD:
        EACH(a[i] + b[i]);
    case CSD_BINARY_SUB:
        EACH(a[i] - b[i]);
    case CSD_BINARY_MUL:
        EACH(a[i] * b[i]);
    case CSD_BINARY_DIV:
        EACH(a[i] / b[i]);
    case CSD_BINARY_POW:
        EACH(csd_pow(a[i], b[i]));
    case CSD_BINARY_MIN:
        EACH(csd_min(a[i], b[i]));
    case CSD_BINARY_MAX:
        EACH(csd_max(a[i], b[i]));
    case CSD_BINARY_FMOD:
        EACH(csd_fmod(a[i], b[i]));
    }
}

void CSD_KERNEL(binary)(const csd_args *args) {
    const csd_binary function = (csd_binary)args->params[CSD_BINARY_P_FUNCTION].u;
    csd_walk walk = csd_walk_broadcast(args, 2);
    const size_t row = walk.size[0], chunk = csd_walk_chunk(&walk);
    csd_held held[2];
    float *y = args->out[0].data;
    do {
        for (size_t from = 0; from < row; from += chunk) {
            const size_t count = row - from < chunk ? row - from : chunk;
            const float *a = csd_walk_run(&walk, 0, &args->in[0], from, count, &held[0]);
            const float *b = csd_walk_run(&walk, 1, &args->in[1], from, count, &held[1]);
            combine(y, a, b, count, function);
            y += count;
        }
    } while (csd_walk_next(&walk));
}
