/* y = requantized bias + sum (x - x_zero) weight: x (..., K), weight int8 (M, K), in tiles of rows and
   outputs. The weight stays as it is; what is made before is each output's sum of weights, which the
   zero point multiplies: sum (x - zero) w = sum x w - zero sum w, exactly. */
#include <string.h>

#include "../byte_tiles.h"
#include "../codes.h"
#include "../fast.h"
#include "../vectors.h"

#ifdef CSD_HAS_BYTE_TILES

#define ROWS CSD_TILE_ROWS
#define OUTPUTS 64u
#define RUN 256u /* products of 16 with 8 bits whose sum fits 32 bits */

/* What csd_byte_tile says, of 16-bit x: a word of x meets a weight with its sign extended. */
CSD_INLINE void word_tile(int32_t *y, size_t y_step, const int16_t *x, size_t x_step,
                          const int8_t *const *w, size_t inputs, size_t rows) {
    __m512i sums[ROWS][CSD_TILE_OUTPUTS], words[ROWS];
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CSD_UNROLL
        for (size_t m = 0; m < CSD_TILE_OUTPUTS; m++)
            sums[r][m] = _mm512_setzero_si512();
    }
    for (size_t k = 0; k < inputs; k += 32u) {
        const size_t left = inputs - k;
        const __mmask32 here = left < 32u ? ((__mmask32)1 << left) - 1u : ~(__mmask32)0;
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++)
            words[r] = _mm512_maskz_loadu_epi16(here, x + r * x_step + k);
        CSD_UNROLL
        for (size_t m = 0; m < CSD_TILE_OUTPUTS; m++) {
            const __m512i weights =
                _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(here, w[m] + k));
            CSD_UNROLL
            for (size_t r = 0; r < rows; r++)
                sums[r][m] = _mm512_dpwssd_epi32(sums[r][m], words[r], weights);
        }
    }
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++)
        csd_add_up(y + r * y_step, sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
}

/* sums[r][i] = products of `rows` rows of x with `count` rows of the weight, all inputs. */
CSD_INLINE void add_products(int64_t sums[ROWS][OUTPUTS], const csd_input *x, size_t row,
                             const int8_t *weight, size_t inputs, size_t count, size_t rows) {
    const uint8_t flip = x->shape.dtype == CSD_I8 ? 0x80 : 0;
    const size_t longest = x->shape.dtype == CSD_I16 ? RUN : inputs;
    int32_t made[ROWS][CSD_TILE_OUTPUTS];
    for (size_t i = 0; i < count; i += CSD_TILE_OUTPUTS)
        for (size_t at = 0; at < inputs; at += longest) {
            const size_t run = inputs - at < longest ? inputs - at : longest;
            const size_t place = row * inputs + at;
            const int8_t *w[CSD_TILE_OUTPUTS];
            for (size_t m = 0; m < CSD_TILE_OUTPUTS; m++) /* the last one again, if there are fewer */
                w[m] = weight + (i + m < count ? i + m : count - 1u) * inputs + at;
            if (x->shape.dtype == CSD_I16)
                word_tile(made[0], CSD_TILE_OUTPUTS, (const int16_t *)x->data + place, inputs, w,
                          run, rows);
            else
                csd_byte_tile(made[0], CSD_TILE_OUTPUTS, (const uint8_t *)x->data + place, inputs,
                              flip, w, run, rows);
            CSD_UNROLL
            for (size_t r = 0; r < rows; r++) {
                CSD_UNROLL
                for (size_t m = 0; m < CSD_TILE_OUTPUTS; m++)
                    sums[r][i + m] = (at == 0 ? 0 : sums[r][i + m]) + made[r][m];
            }
        }
}

/* `rows` rows of x and `count` outputs from `from` on. */
CSD_INLINE void multiply(const csd_args *args, size_t row, size_t rows, size_t from,
                         size_t count) {
    const csd_input *x = &args->in[CSD_QLINEAR_X];
    const csd_shape *shape = &args->in[CSD_QLINEAR_WEIGHT].shape;
    const size_t outputs = shape->dims[0], inputs = shape->dims[1];
    const int8_t *weight = (const int8_t *)args->in[CSD_QLINEAR_WEIGHT].data + from * inputs;
    const float *multiplier = (const float *)args->in[CSD_QLINEAR_MULTIPLIER].data + from;
    const int32_t *bias = args->in[CSD_QLINEAR_BIAS].data;
    const int32_t *weight_sums = (const int32_t *)args->prepared + from;
    const csd_param *p = args->params;
    const int64_t zero =
        p[CSD_QLINEAR_P_X_ZERO].i + (x->shape.dtype == CSD_I8 ? 0x80 : 0);
    int64_t sums[ROWS][OUTPUTS];
    float scaled[OUTPUTS];
    add_products(sums, x, row, weight, inputs, count, rows);
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < count; i++) {
            const int64_t sum =
                sums[r][i] - zero * weight_sums[i] + (bias ? bias[from + i] : 0);
            scaled[i] = (float)sum * multiplier[i];
        }
        CSD_KERNEL(store_codes)
        (&args->out[0], (row + r) * outputs + from, scaled, count, p[CSD_QLINEAR_P_Y_ZERO].i,
         p[CSD_QLINEAR_P_LOW].i, p[CSD_QLINEAR_P_HIGH].i);
    }
}

int CSD_FAST(qlinear)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_QLINEAR_X].shape;
    const size_t outputs = args->in[CSD_QLINEAR_WEIGHT].shape.dims[0];
    const size_t rows = csd_count(shape, 0, shape->rank - 1u);
    if (args->prepared == NULL)
        return 0;
    for (size_t from = 0; from < outputs; from += OUTPUTS) {
        const size_t count = outputs - from < OUTPUTS ? outputs - from : OUTPUTS;
        size_t r = 0;
        for (; r + ROWS <= rows; r += ROWS)
            multiply(args, r, ROWS, from, count);
        for (; r + 2u <= rows; r += 2u)
            multiply(args, r, 2u, from, count);
        if (r < rows)
            multiply(args, r, 1u, from, count);
    }
    return 1;
}

size_t CSD_PREPARE(qlinear)(const csd_args *args, void *memory) {
    const csd_input *weight = &args->in[CSD_QLINEAR_WEIGHT];
    const size_t outputs = weight->shape.dims[0], inputs = weight->shape.dims[1];
    const int8_t *w = weight->data;
    int32_t *sums = memory;
    if (w == NULL)
        return 0;
    for (size_t m = 0; m < outputs && sums != NULL; m++) {
        sums[m] = 0;
        for (size_t k = 0; k < inputs; k++)
            sums[m] += w[m * inputs + k];
    }
    return outputs * sizeof *sums;
}

#else
CSD_NOTHING_FAST(qlinear)
CSD_NOTHING_PREPARED(qlinear)
#endif
