/* y = x in another type. f32 to integers: towards zero, bounded by the type's range, a NaN as 0.
   Integers to smaller ones: the low bits. Integers to f32: half to even. With `truth`: 1 for all
   but 0, a NaN too. */
#include "../widen.h"

#define CHUNK 128

/* x as 32-bit integers that y's type holds, or whose low bits it takes. */
static void to_integers(int32_t *to, const csd_input *x, size_t from, size_t count, uint32_t dtype,
                        int truth) {
    const uint8_t *data = (const uint8_t *)x->data + from * x->shape.element;
    const float *floats = (const void *)data;
    if (x->shape.dtype != CSD_F32)
        csd_widen(to, data, x->shape.dtype, count);
    else if (!truth)
        csd_to_integers(to, floats, dtype, count);
    else
        for (size_t i = 0; i < count; i++)
            to[i] = floats[i] != 0.0f;
    for (size_t i = 0; truth && i < count; i++)
        to[i] = to[i] != 0;
}

void CSD_KERNEL(cast)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_CAST_X];
    const csd_shape *out = &args->out[0].shape;
    const int truth = args->params[CSD_CAST_P_TRUTH].u == 1;
    const size_t total = csd_size(out);
    int32_t wide[CHUNK];
    uint8_t *y = args->out[0].data;
    if (x->shape.dtype == CSD_F32 && out->dtype == CSD_F32 && !truth) {
        memcpy(y, x->data, total * sizeof(float));
        return;
    }
    for (size_t from = 0; from < total; from += CHUNK) {
        const size_t count = total - from < CHUNK ? total - from : CHUNK;
        to_integers(wide, x, from, count, out->dtype, truth);
        if (out->dtype == CSD_F32) {
            float *floats = (float *)args->out[0].data + from;
            for (size_t i = 0; i < count; i++)
                floats[i] = (float)wide[i];
        } else {
            csd_narrow(y + from * out->element, wide, out->element, count);
        }
    }
}
