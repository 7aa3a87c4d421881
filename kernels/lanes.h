/* Sums and extremes along a row, in 16 lanes.

   Element k goes to lane k mod 16; the lanes are joined by halves (0 with 8, 1 with 9, ...; then 0
   with 4; ...). Sixteen independent chains fill a vector register of any width, without leave to
   reorder, and shorten the chain of roundings: the error of a sum of K numbers is at most
   (K / 16 + 4) eps sum |x|. */
#ifndef CSIDEPLOY_LANES_H
#define CSIDEPLOY_LANES_H

#include "elementary.h"
#include "kernels.h"

#define CSD_LANES 16

/* Gives `lanes`, filled with `start`, element k by `lanes[lane] = expression`; then joins them by
   `join(a, b)` and returns. */
#define CSD_OVER_LANES(start, expression, join)                                                    \
    float lanes[CSD_LANES];                                                                        \
    size_t k = 0;                                                                                  \
    for (size_t lane = 0; lane < CSD_LANES; lane++)                                                \
        lanes[lane] = (start);                                                                     \
    for (; k + CSD_LANES <= count; k += CSD_LANES)                                                 \
        for (size_t lane = 0; lane < CSD_LANES; lane++) {                                          \
            const size_t i = k + lane;                                                             \
            lanes[lane] = join(lanes[lane], expression);                                           \
        }                                                                                          \
    for (size_t lane = 0; k + lane < count; lane++) {                                              \
        const size_t i = k + lane;                                                                 \
        lanes[lane] = join(lanes[lane], expression);                                               \
    }                                                                                              \
    for (size_t half = CSD_LANES / 2; half > 0; half /= 2)                                         \
        for (size_t lane = 0; lane < half; lane++)                                                 \
            lanes[lane] = join(lanes[lane], lanes[lane + half]);                                   \
    return lanes[0]

static inline float csd_add(float a, float b) { return a + b; }

static inline float csd_multiply(float a, float b) { return a * b; }

static inline float csd_row_sum(const float *x, size_t count) {
    CSD_OVER_LANES(0.0f, x[i], csd_add);
}

static inline float csd_row_dot(const float *x, const float *w, size_t count) {
    CSD_OVER_LANES(0.0f, x[i] * w[i], csd_add);
}

/* sum of (x - mean)^2 */
static inline float csd_row_spread(const float *x, float mean, size_t count) {
    CSD_OVER_LANES(0.0f, (x[i] - mean) * (x[i] - mean), csd_add);
}

static inline float csd_row_product(const float *x, size_t count) {
    CSD_OVER_LANES(1.0f, x[i], csd_multiply);
}

static inline float csd_row_max(const float *x, size_t count) {
    CSD_OVER_LANES(x[0], x[i], csd_max);
}

static inline float csd_row_min(const float *x, size_t count) {
    CSD_OVER_LANES(x[0], x[i], csd_min);
}

#endif
