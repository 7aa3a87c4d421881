/* y = requantized bias + sum (x - x_zero) signs, by looking up the sums of four inputs for many
   outputs at once. Nothing is rounded before the end: order does not matter. */
#include "../codes.h"
#include "../fast.h"
#include "../vectors.h"
#include "../widen.h"
#include "sign_words.h"

#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2) || defined(CSD_HAS_NEON)

/* Inputs whose tables are there at once: where there are no more, weights are read from end to end.
   NEON's sums hold 1024. */
#ifdef CSD_HAS_AVX512
#define CHUNK 2048u
#else
#define CHUNK 1024u
#endif
#define PANEL 1024u /* outputs whose sums are */
#define AHEAD 8192  /* bytes of weights that are asked for before they are read */

/* The signed sums of four inputs, of any size: a group that is not whole has inputs of 0. */
typedef int32_t wide_table[16];

/* `count` inputs less the zero point, and 0 up to the end of their last step. */
static void load_numbers(int32_t *numbers, const csd_input *x, size_t at, size_t count,
                         int32_t zero) {
    csd_widen(numbers, (const uint8_t *)x->data + at * x->shape.element, x->shape.dtype, count);
    for (size_t i = 0; i < count; i++)
        numbers[i] -= zero;
    for (size_t i = count; i < csd_sign_steps(count) * CSD_SIGN_STEP; i++)
        numbers[i] = 0;
}

static void build_wide_tables(wide_table *tables, const int32_t *numbers, size_t groups) {
    for (size_t g = 0; g < groups; g++) {
        const int32_t *four = numbers + 4u * g;
        const int32_t high[4] = {-four[0] - four[1], -four[0] + four[1], four[0] - four[1],
                                 four[0] + four[1]};
        const int32_t low[4] = {-four[2] - four[3], -four[2] + four[3], four[2] - four[3],
                                four[2] + four[3]};
        for (size_t bits = 0; bits < 16u; bits++)
            tables[g][bits] = high[bits >> 2] + low[bits & 3u];
    }
}

#if defined(CSD_HAS_AVX512)
#include "../x86/sign_sums_avx512.h"
#elif defined(CSD_HAS_AVX2)
#include "../x86/sign_sums_avx2.h"
#else
#include "../arm/sign_sums_neon.h"
#endif

/* y of one row and the outputs from `from` on, of which sums has `count`. */
static void finish(const csd_args *args, size_t row, size_t from, const int32_t *sums,
                   size_t count) {
    const size_t outputs = args->in[CSD_QBINARY_LINEAR_WEIGHT].shape.dims[0];
    const csd_input *multipliers = &args->in[CSD_QBINARY_LINEAR_MULTIPLIER];
    const float *multiplier = multipliers->data;
    const size_t step = multipliers->shape.dims[0] == 1 ? 0 : 1;
    const int32_t *bias = args->in[CSD_QBINARY_LINEAR_BIAS].data;
    const csd_param *p = args->params;
    for (size_t at = 0; at < count; at += CSD_BLOCK) {
        float scaled[CSD_BLOCK];
        const size_t some = csd_block(count - at), first = from + at;
        for (size_t i = 0; i < some; i++) {
            const int64_t sum = (int64_t)sums[at + i] + (bias ? bias[first + i] : 0);
            scaled[i] = (float)sum * multiplier[(first + i) * step];
        }
        CSD_KERNEL(store_codes)
        (&args->out[0], row * outputs + first, scaled, some, p[CSD_QBINARY_LINEAR_P_Y_ZERO].i,
         p[CSD_QBINARY_LINEAR_P_LOW].i, p[CSD_QBINARY_LINEAR_P_HIGH].i);
    }
}

int CSD_FAST(qbinary_linear)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_QBINARY_LINEAR_X];
    const size_t outputs = args->in[CSD_QBINARY_LINEAR_WEIGHT].shape.dims[0];
    const size_t inputs = x->shape.dims[x->shape.rank - 1u];
    const size_t rows = csd_count(&x->shape, 0, x->shape.rank - 1u);
    const int32_t zero = args->params[CSD_QBINARY_LINEAR_P_X_ZERO].i;
    if (args->prepared == NULL)
        return 0;
    for (size_t row = 0; row < rows; row++)
        for (size_t from = 0; from < outputs; from += PANEL) {
            CSD_ALIGNED(64) int32_t sums[PANEL];
            const size_t count = outputs - from < PANEL ? outputs - from : PANEL;
            memset(sums, 0, csd_sign_tiles(count) * CSD_SIGN_TILE * sizeof *sums);
            for (size_t at = 0; at < inputs; at += CHUNK)
                add_chunk(sums, from, count, outputs, x, row * inputs, at, inputs, zero,
                          args->prepared);
            finish(args, row, from, sums, count);
        }
    return 1;
}

size_t CSD_PREPARE(qbinary_linear)(const csd_args *args, void *memory) {
    const csd_shape *shape = &args->in[CSD_QBINARY_LINEAR_X].shape;
    return csd_sign_prepare(&args->in[CSD_QBINARY_LINEAR_WEIGHT], shape->dims[shape->rank - 1u],
                            memory);
}

#else
CSD_NOTHING_FAST(qbinary_linear)
CSD_NOTHING_PREPARED(qbinary_linear)
#endif
