/* What blocks and heads share: planes of an image, convolutions of them, activations and their way
   back. */
#ifndef CSIDEPLOY_TRAINING_PLANES_H
#define CSIDEPLOY_TRAINING_PLANES_H

#include "block.h"

#include "../kernels.h"
#include "../vectors.h"

/* Nothing else computes these sums, so they need not be the same bits everywhere: a product and its
   sum are rounded once where the processor has that. */
#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2) || defined(CSD_HAS_NEON)
#define CSD_ADD_PRODUCT(sum, a, b) csd_wide_fma(a, b, sum)
#endif
#include "gradients.h"

/* Rows of planes are narrow, 32 columns and no more, or have zeros beside them. */
enum {
    SIDE = CSD_BLOCK_SIDE,
    MARGIN = CSD_WIDE,
    PITCH = SIDE + MARGIN,
    PADDED = SIDE * PITCH,
    PADDED_PAIR = 2 * PADDED + MARGIN
};

static const csd_planes narrow = {0, SIDE, CSD_BLOCK_PLANE, 0};
static const csd_planes padded = {MARGIN, PITCH, PADDED, 0};

#define LINES __attribute__((aligned(64)))

/* run_NAME(rows): a convolution of kh x kw. */
#define CONVOLUTION(name, kh, kw)                                                                  \
    static const csd_taps name = {kh, kw, (kh) / 2, (kw) / 2};                                     \
    static __attribute__((noinline)) void run_##name(const csd_rows *t) {                          \
        for (size_t row = 0; row < SIDE; row += CSD_TILE_ROWS)                                     \
            for (size_t column = 0; column < SIDE; column += CSD_TILE_COLUMNS)                     \
                csd_make_tile(t, row, column, 0, kh, kw, CSD_TILE_ROWS, 2, 1);                     \
    }

static const float no_bias[2] = {0.0f, 0.0f}, no_slope[2] = {1.0f, 1.0f};

/* For the above. Without a bias the sums go on from y. */
static csd_rows rows_of(const float *x, csd_planes in, csd_taps taps, const float *weight,
                        const float *bias, float *y, csd_planes out) {
    const csd_rows rows = {.x = x + in.margin - taps.left,
                           .in = in,
                           .channels = 2,
                           .taps = taps,
                           .weight = weight,
                           .bias = bias,
                           .slope = no_slope,
                           .y = y + out.margin,
                           .out = out,
                           .outputs = 2,
                           .height = SIDE,
                           .columns = SIDE};
    return rows;
}

/* (output, input, tap) -> (input, tap, output), and turned. */
static void arrange_taps(float *to, float *turned, const float *weight, size_t taps) {
    for (size_t o = 0; o < 2u; o++)
        for (size_t c = 0; c < 2u; c++)
            for (size_t k = 0; k < taps; k++) {
                to[(c * taps + k) * 2u + o] = weight[(o * 2u + c) * taps + k];
                turned[(o * taps + k) * 2u + c] = weight[(o * 2u + c) * taps + taps - 1u - k];
            }
}

static void clear(float *planes) { memset(planes, 0, PADDED_PAIR * sizeof *planes); }

/* Between the zeros. */
static void pad(float *to, const float *image) {
    for (size_t c = 0; c < 2u; c++)
        for (size_t row = 0; row < SIDE; row++, image += SIDE)
            memcpy(to + MARGIN + c * PADDED + row * PITCH, image, SIDE * sizeof *image);
}

/* Codes as block.h has them, before the step. NaN stays. */
CSD_INLINE csd_wide clamped(csd_wide q) {
    const csd_wide low = csd_wide_all(CSD_BLOCK_LOWEST);
    return csd_wide_min(csd_wide_all(CSD_BLOCK_HIGHEST), csd_wide_max(low, q));
}
CSD_INLINE csd_wide rounded(csd_wide q) {
    const csd_wide rounder = csd_wide_all(CSD_ROUNDER);
    return csd_wide_sub(csd_wide_add(q, rounder), rounder);
}

/* to = prelu(from), then codes where there is a step. */
CSD_INLINE void activate(const float *from, const float *slope, const float *step, float *to,
                         const csd_planes planes) {
    for (size_t c = 0; c < 2u; c++) {
        const csd_wide a = csd_wide_all(slope[c]);
        const csd_wide s = csd_wide_all(step ? step[c] : 1.0f);
        for (size_t row = 0; row < SIDE; row++) {
            float *y = to + planes.margin + c * planes.plane + row * planes.pitch;
            CSD_UNROLL
            for (size_t i = 0; i < SIDE; i += CSD_WIDE, from += CSD_WIDE) {
                csd_wide p = csd_wide_rectify(csd_wide_load(from), a);
                if (step != NULL)
                    p = csd_wide_mul(s, rounded(clamped(csd_wide_div(p, s))));
                csd_wide_store(y + i, p);
            }
        }
    }
}

/* Gradients of two channels' parameters. */
typedef struct csd_way_back {
    float *bias, *slope, *step;
} csd_way_back;

/* The way back: d becomes the gradient of what was activated. Adds to gradients of parameters. At 0
   the slope counts, as in torch. */
CSD_INLINE void go_back(const float *from, const float *slope, const float *step, float *d,
                        const csd_planes planes, csd_way_back to) {
    const csd_wide zero = csd_wide_all(0.0f);
    for (size_t c = 0; c < 2u; c++) {
        const csd_wide a = csd_wide_all(slope[c]);
        const csd_wide s = csd_wide_all(step ? step[c] : 1.0f);
        csd_wide sum = zero, slopes = zero, steps = zero;
        for (size_t row = 0; row < SIDE; row++) {
            float *y = d + planes.margin + c * planes.plane + row * planes.pitch;
            CSD_UNROLL
            for (size_t i = 0; i < SIDE; i += CSD_WIDE, from += CSD_WIDE) {
                const csd_wide u = csd_wide_load(from);
                csd_wide back = csd_wide_load(y + i);
                if (step != NULL) {
                    const csd_wide q = csd_wide_div(csd_wide_rectify(u, a), s), cut = clamped(q);
                    /* Inside, q = cut: rint(q) - q. Outside, the limit, which is its own rint. */
                    steps = CSD_ADD_PRODUCT(steps, back, csd_wide_sub(rounded(cut), cut));
                    const csd_wide limit = csd_wide_mul(back, cut);
                    steps = csd_wide_add(steps, csd_wide_if_below(q, cut, limit, zero));
                    steps = csd_wide_add(steps, csd_wide_if_below(cut, q, limit, zero));
                    back = csd_wide_if_below(q, cut, zero, csd_wide_if_below(cut, q, zero, back));
                }
                const csd_wide taken = csd_wide_if_below(zero, u, zero, csd_wide_mul(back, u));
                back = csd_wide_if_below(zero, u, back, csd_wide_mul(a, back));
                sum = csd_wide_add(sum, back);
                slopes = csd_wide_add(slopes, taken);
                csd_wide_store(y + i, back);
            }
        }
        to.bias[c] += csd_wide_total(sum);
        to.slope[c] += csd_wide_total(slopes);
        if (step != NULL)
            to.step[c] += csd_wide_total(steps);
    }
}

void CSD_KERNEL(head_forward)(const csd_block_job *job, const float *x, float *z, float *y,
                              size_t samples);
void CSD_KERNEL(head_backward)(const csd_block_job *job, const float *x, const float *z,
                               const float *dy, float *dx, float *gradient, size_t samples);

#endif
