/* Blocks of codes to float32 and back. */
#include "../codes.h"
#include "../elementary.h"

void CSD_KERNEL(load_codes)(float *x, const csd_input *codes, size_t at, size_t count,
                            int32_t zero) {
    if (codes->shape.dtype == CSD_U8) {
        const uint8_t *from = (const uint8_t *)codes->data + at;
        for (size_t i = 0; i < count; i++)
            x[i] = (float)(from[i] - zero);
    } else if (codes->shape.dtype == CSD_I8) {
        const int8_t *from = (const int8_t *)codes->data + at;
        for (size_t i = 0; i < count; i++)
            x[i] = (float)(from[i] - zero);
    } else {
        const int16_t *from = (const int16_t *)codes->data + at;
        for (size_t i = 0; i < count; i++)
            x[i] = (float)(from[i] - zero);
    }
}

/* Half to even: the sum with the rounder has no room for a fraction, and its low bits are the
   integer. */
static inline int32_t nearest_within(float x, float least, float most) {
    x = x == x ? x : 0.0f;
    x = x < least ? least : x;
    x = x > most ? most : x;
    return (int32_t)(csd_bits(x + CSD_ROUNDER) - CSD_ROUNDER_BITS);
}

void CSD_KERNEL(store_codes)(const csd_output *codes, size_t at, const float *x, size_t count,
                             int32_t zero, int32_t low, int32_t high) {
    const float least = (float)(low - zero), most = (float)(high - zero);
    if (codes->shape.dtype == CSD_I16) {
        int16_t *to = (int16_t *)codes->data + at;
        for (size_t i = 0; i < count; i++)
            to[i] = (int16_t)(nearest_within(x[i], least, most) + zero);
    } else {
        /* An i8 is stored as the u8 of the same bits. */
        uint8_t *to = (uint8_t *)codes->data + at;
        for (size_t i = 0; i < count; i++)
            to[i] = (uint8_t)(nearest_within(x[i], least, most) + zero);
    }
}

void CSD_KERNEL(saturate_codes)(const csd_output *codes, size_t at, const float *x, size_t count,
                                int32_t zero) {
    const uint32_t dtype = codes->shape.dtype;
    const int32_t low = dtype == CSD_U8 ? 0 : dtype == CSD_I8 ? INT8_MIN : INT16_MIN;
    const int32_t high = dtype == CSD_U8 ? UINT8_MAX : dtype == CSD_I8 ? INT8_MAX : INT16_MAX;
    CSD_KERNEL(store_codes)(codes, at, x, count, zero, low, high);
}

void CSD_KERNEL(activate_codes)(const csd_output *codes, size_t at, float *x, size_t count,
                                float slope, float scale, int32_t zero) {
    for (size_t i = 0; i < count; i++) {
        const float active = x[i] < 0.0f ? x[i] * slope : x[i];
        x[i] = active / scale;
    }
    CSD_KERNEL(saturate_codes)(codes, at, x, count, zero);
}
