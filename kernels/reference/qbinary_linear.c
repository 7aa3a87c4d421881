/* y = requantized bias + sum (x - x_zero) signs: x (..., K), weight bits (M, ceil(K / 8)), where
   bit 1 is +1 and the first input is the most significant bit.

   Four inputs have only 16 signed sums, looked up by all rows of the weight, as in binary_linear.c.
   Inputs beyond K count as x_zero, so that the tail bits do not matter. Nothing is rounded before
   the end, so that order does not matter; the verifier holds K to 32768, with which the sums of
   16-bit inputs fit 32 bits. */
#include "../arm/helium.h"
#include "../codes.h"
#include "../widen.h"

#define INPUTS 64
#define GROUPS (INPUTS / 4)
#define OUTPUTS 128

static void build_tables(int32_t tables[GROUPS][16], const csd_input *x, size_t at, size_t count,
                         int32_t zero) {
    int32_t words[INPUTS];
    csd_widen(words, (const uint8_t *)x->data + at * x->shape.element, x->shape.dtype, count);
    for (size_t i = 0; i < INPUTS; i++)
        words[i] = i < count ? words[i] - zero : 0;
    for (size_t g = 0; g < GROUPS; g++) {
        const int32_t *four = words + 4 * g;
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

/* What add_products says, by the tables. */
static void add_signed_sums(int32_t *sums, size_t count, const csd_input *x, size_t from,
                            size_t inputs, const uint8_t *weight, int32_t zero) {
    const size_t row_bytes = (inputs + 7) / 8;
    for (size_t at = 0; at < inputs; at += INPUTS, weight += INPUTS / 8) {
        int32_t tables[GROUPS][16];
        const size_t left = inputs - at;
        build_tables(tables, x, from + at, left < INPUTS ? left : INPUTS, zero);
        if (left >= INPUTS) {
            for (size_t i = 0; i < count; i++)
                sums[i] += block_sum(tables, weight + i * row_bytes, INPUTS / 8);
        } else {
            for (size_t i = 0; i < count; i++)
                sums[i] += block_sum(tables, weight + i * row_bytes, (left + 7) / 8);
        }
    }
}

#ifdef CSD_HAS_HELIUM
/* What add_products says, for x - zero of 16 bits. */
static void add_predicated_sums(int32_t *sums, size_t count, const csd_input *x, size_t from,
                                size_t inputs, const uint8_t *weight, int32_t zero) {
    const size_t row_bytes = (inputs + 7) / 8;
    for (size_t at = 0; at < inputs; at += CSD_SIGN_RUN, weight += CSD_SIGN_RUN / 8) {
        csd_sign_planes planes;
        int32_t words[CSD_SIGN_RUN];
        const size_t run = inputs - at < CSD_SIGN_RUN ? inputs - at : CSD_SIGN_RUN;
        csd_widen(words, (const uint8_t *)x->data + (from + at) * x->shape.element, x->shape.dtype,
                  run);
        for (size_t k = 0; k < run; k++)
            words[k] -= zero;
        csd_make_sign_planes(&planes, words, run);
        size_t i = 0;
        for (; i + 2 <= count; i += 2)
            csd_add_signed_pair(sums + i, &planes, weight + i * row_bytes, row_bytes);
        if (i < count) { /* a row beside itself */
            int32_t pair[2] = {sums[i], 0};
            csd_add_signed_pair(pair, &planes, weight + i * row_bytes, 0);
            sums[i] = pair[0];
        }
    }
}
#endif

/* sums[i] += products of one row of x, which starts at `from`, with `count` rows of the weight. */
static void add_products(int32_t *sums, size_t count, const csd_input *x, size_t from,
                         size_t inputs, const uint8_t *weight, int32_t zero) {
#ifdef CSD_HAS_HELIUM
    if (x->shape.dtype != CSD_I16 || zero == 0) {
        add_predicated_sums(sums, count, x, from, inputs, weight, zero);
        return;
    }
#endif
    add_signed_sums(sums, count, x, from, inputs, weight, zero);
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
            int32_t sums[OUTPUTS] = {0};
            float scaled[OUTPUTS];
            const size_t count = outputs - from < OUTPUTS ? outputs - from : OUTPUTS;
            add_products(sums, count, x, row * inputs, inputs,
                         weight + from * ((inputs + 7) / 8), p[CSD_QBINARY_LINEAR_P_X_ZERO].i);
            for (size_t i = 0; i < count; i++) {
                const int64_t sum = (int64_t)sums[i] + (bias ? bias[from + i] : 0);
                scaled[i] = (float)sum * multiplier[(from + i) * multiplier_step];
            }
            CSD_KERNEL(store_codes)
            (&args->out[0], row * outputs + from, scaled, count, p[CSD_QBINARY_LINEAR_P_Y_ZERO].i,
             p[CSD_QBINARY_LINEAR_P_LOW].i, p[CSD_QBINARY_LINEAR_P_HIGH].i);
        }
}
