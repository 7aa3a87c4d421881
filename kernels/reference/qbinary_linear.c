/* y = requantized bias + sum (x - x_zero) signs: x (..., K), weight bits (M, ceil(K / 8)), where
   bit 1 is +1 and the first input is the most significant bit.

   Four inputs have only 16 signed sums, looked up by all rows of the weight, as in binary_linear.c.
   Inputs beyond K count as x_zero, so that the tail bits do not matter. A block of 64 inputs fits
   32 bits whatever their type; blocks add up in 64. */
#include "../codes.h"

#define INPUTS 64
#define GROUPS (INPUTS / 4)
#define OUTPUTS 64

static int32_t load(const csd_input *x, size_t i, int32_t zero) {
    if (x->shape.dtype == CSD_U8)
        return ((const uint8_t *)x->data)[i] - zero;
    if (x->shape.dtype == CSD_I8)
        return ((const int8_t *)x->data)[i] - zero;
    return ((const int16_t *)x->data)[i] - zero;
}

static void build_tables(int32_t tables[GROUPS][16], const csd_input *x, size_t at, size_t count,
                         int32_t zero) {
    for (size_t g = 0; g < GROUPS; g++) {
        int32_t four[4] = {0};
        for (size_t i = 0; i < 4 && 4 * g + i < count; i++)
            four[i] = load(x, at + 4 * g + i, zero);
        const int32_t high[4] = {-four[0] - four[1], -four[0] + four[1], four[0] - four[1],
                                 four[0] + four[1]};
        const int32_t low[4] = {-four[2] - four[3], -four[2] + four[3], four[2] - four[3],
                                four[2] + four[3]};
        for (size_t bits = 0; bits < 16; bits++)
            tables[g][bits] = high[bits >> 2] + low[bits & 3];
    }
}

/* One block of one row; `bytes` may end early in the last block. */
static int32_t block_sum(int32_t tables[GROUPS][16], const uint8_t *weight, size_t bytes) {
    int32_t sum = 0;
    for (size_t i = 0; i < bytes; i++) {
        sum += tables[2 * i][weight[i] >> 4];
        sum += tables[2 * i + 1][weight[i] & 15];
    }
    return sum;
}

/* sums[i] += products of one row of x, which starts at `from`, with `count` rows of the weight. */
static void add_products(int64_t *sums, size_t count, const csd_input *x, size_t from,
                         size_t inputs, const uint8_t *weight, int32_t zero) {
    const size_t row_bytes = (inputs + 7) / 8;
    for (size_t at = 0; at < inputs; at += INPUTS) {
        int32_t tables[GROUPS][16];
        const size_t left = row_bytes - at / 8;
        const uint8_t *w = weight + at / 8;
        build_tables(tables, x, from + at, inputs - at, zero);
        for (size_t i = 0; i < count; i++, w += row_bytes)
            sums[i] += left >= INPUTS / 8 ? block_sum(tables, w, INPUTS / 8)
                                          : block_sum(tables, w, left);
    }
}

void CSD_KERNEL(qbinary_linear)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_QBINARY_LINEAR_X];
    const csd_input *multipliers = &args->in[CSD_QBINARY_LINEAR_MULTIPLIER];
    const uint8_t *weight = args->in[CSD_QBINARY_LINEAR_WEIGHT].data;
    const size_t outputs = args->in[CSD_QBINARY_LINEAR_WEIGHT].shape.dims[0];
    const size_t inputs = x->shape.dims[x->shape.rank - 1];
    const size_t rows = csd_count(&x->shape, 0, x->shape.rank - 1);
    const int32_t *bias = args->in[CSD_QBINARY_LINEAR_BIAS].data;
    const float *multiplier = multipliers->data;
    const size_t multiplier_step = multipliers->shape.dims[0] == 1 ? 0 : 1;
    const csd_param *p = args->params;
    for (size_t row = 0; row < rows; row++)
        for (size_t from = 0; from < outputs; from += OUTPUTS) {
            int64_t sums[OUTPUTS];
            float scaled[OUTPUTS];
            const size_t count = outputs - from < OUTPUTS ? outputs - from : OUTPUTS;
            for (size_t i = 0; i < count; i++)
                sums[i] = bias ? bias[from + i] : 0;
            add_products(sums, count, x, row * inputs, inputs,
                         weight + from * ((inputs + 7) / 8), p[CSD_QBINARY_LINEAR_P_X_ZERO].i);
            for (size_t i = 0; i < count; i++)
                scaled[i] = (float)sums[i] * multiplier[(from + i) * multiplier_step];
            CSD_KERNEL(store_codes)
            (&args->out[0], row * outputs + from, scaled, count, p[CSD_QBINARY_LINEAR_P_Y_ZERO].i,
             p[CSD_QBINARY_LINEAR_P_LOW].i, p[CSD_QBINARY_LINEAR_P_HIGH].i);
        }
}
