/* Codes of the integer operations, u8, i8 or i16, and how a float32 becomes one. The rules stand in
   docs/numerics.md; export/integer/rounding.py is their specification.

   Kernels work through blocks on the stack: a value is loaded as float32 or int32, and stored by one
   function that knows all types, which keeps the code small and its loops free of branches. */
#ifndef CSIDEPLOY_CODES_H
#define CSIDEPLOY_CODES_H

#include "kernels.h"

/* Elements of a block. */
#define CSD_BLOCK 128

/* x[i] = codes[at + i] - zero, exact: i < count. */
void CSD_KERNEL(load_codes)(float *x, const csd_input *codes, size_t at, size_t count,
                            int32_t zero);

/* codes[at + i] = min(max(nearest integer of x[i], half to even, + zero, low), high); NaN as 0.
   low and high lie inside the type of the codes, zero inside its range, so that all numbers in
   between are integers below 2^17. */
void CSD_KERNEL(store_codes)(const csd_output *codes, size_t at, const float *x, size_t count,
                             int32_t zero, int32_t low, int32_t high);

/* The same over the whole range of the type. */
void CSD_KERNEL(saturate_codes)(const csd_output *codes, size_t at, const float *x, size_t count,
                                int32_t zero);

/* x[i] = x[i] < 0 ? x[i] slope : x[i], then codes of x / scale. */
void CSD_KERNEL(activate_codes)(const csd_output *codes, size_t at, float *x, size_t count,
                                float slope, float scale, int32_t zero);

/* One slope for each index of axis 1? */
static inline int csd_has_slopes(const csd_input *slopes) {
    return slopes->data != NULL && slopes->shape.dims[0] > 1;
}

/* What multiplies negative values: 1 without an activation, 0 for RELU. */
static inline float csd_code_slope(const csd_input *slopes, size_t channel, uint32_t activation,
                                   float alpha) {
    if (activation == CSD_ACT_NONE)
        return 1.0f;
    return activation == CSD_ACT_RELU ? 0.0f : csd_slope(slopes, channel, alpha);
}

/* Element i of codes: u8, i8 or i16. */
static inline int32_t csd_code_at(const csd_input *codes, size_t i) {
    if (codes->shape.dtype == CSD_U8)
        return ((const uint8_t *)codes->data)[i];
    if (codes->shape.dtype == CSD_I8)
        return ((const int8_t *)codes->data)[i];
    return ((const int16_t *)codes->data)[i];
}

static inline size_t csd_block(size_t left) { return left < CSD_BLOCK ? left : CSD_BLOCK; }

#endif
