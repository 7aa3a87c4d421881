/* Sixteen float32 at once, with the same bits on every instruction set: + - * / and the fused
   multiply-add round once everywhere, minimum and maximum select by one comparison, a total joins
   halves, lane 0 with 8, then with 4, 2, 1. AVX-512, AVX2 (kernels/x86/vectors.h) and NEON
   (kernels/arm/vectors.h) have them as registers. Elsewhere, and under CSD_SCALAR, they are loops
   over sixteen numbers, with the library's fmaf where the processor has no fused multiply-add. */
#ifndef CSIDEPLOY_VECTORS_H
#define CSIDEPLOY_VECTORS_H

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "elementary.h"

#define CSD_WIDE 16u
#define CSD_WIDE_BYTES 64u

#if defined(__GNUC__) || defined(__clang__)
#define CSD_INLINE static inline __attribute__((always_inline))
#define CSD_UNROLL _Pragma("GCC unroll 32")
#else
#define CSD_INLINE static inline
#define CSD_UNROLL
#endif

#if defined(CSD_SCALAR)
#elif defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define CSD_HAS_AVX512
#elif defined(__AVX2__) && defined(__FMA__)
#define CSD_HAS_AVX2
#elif defined(__aarch64__) && defined(__ARM_NEON)
#define CSD_HAS_NEON
#endif

#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2)
#include "x86/vectors.h"
#elif defined(CSD_HAS_NEON)
#include "arm/vectors.h"
#else

typedef struct csd_wide {
    float x[CSD_WIDE];
} csd_wide;

#define CSD_KEEP(a) (void)(a)

#define CSD_EACH(expression)                                                                       \
    csd_wide y;                                                                                    \
    for (size_t i = 0; i < CSD_WIDE; i++)                                                          \
        y.x[i] = (expression);                                                                     \
    return y

CSD_INLINE csd_wide csd_wide_load(const float *p) {
    csd_wide y;
    memcpy(y.x, p, sizeof y.x);
    return y;
}
CSD_INLINE void csd_wide_store(float *p, csd_wide a) { memcpy(p, a.x, sizeof a.x); }
CSD_INLINE csd_wide csd_wide_all(float x) { CSD_EACH(x); }
CSD_INLINE csd_wide csd_wide_add(csd_wide a, csd_wide b) { CSD_EACH(a.x[i] + b.x[i]); }
CSD_INLINE csd_wide csd_wide_sub(csd_wide a, csd_wide b) { CSD_EACH(a.x[i] - b.x[i]); }
CSD_INLINE csd_wide csd_wide_mul(csd_wide a, csd_wide b) { CSD_EACH(a.x[i] * b.x[i]); }
CSD_INLINE csd_wide csd_wide_div(csd_wide a, csd_wide b) { CSD_EACH(a.x[i] / b.x[i]); }
CSD_INLINE csd_wide csd_wide_min(csd_wide a, csd_wide b) {
    CSD_EACH(a.x[i] < b.x[i] ? a.x[i] : b.x[i]);
}
CSD_INLINE csd_wide csd_wide_max(csd_wide a, csd_wide b) {
    CSD_EACH(a.x[i] > b.x[i] ? a.x[i] : b.x[i]);
}
CSD_INLINE csd_wide csd_wide_fma(csd_wide a, csd_wide b, csd_wide c) {
    CSD_EACH(fmaf(a.x[i], b.x[i], c.x[i]));
}
CSD_INLINE csd_wide csd_wide_fnma(csd_wide a, csd_wide b, csd_wide c) {
    CSD_EACH(fmaf(-a.x[i], b.x[i], c.x[i]));
}
CSD_INLINE csd_wide csd_wide_scale(csd_wide p, csd_wide shifted) {
    CSD_EACH(csd_float(csd_bits(p.x[i]) + (csd_bits(shifted.x[i]) << 23)));
}
CSD_INLINE float csd_wide_total(csd_wide a) {
    for (size_t half = CSD_WIDE / 2u; half > 0; half /= 2u)
        for (size_t i = 0; i < half; i++)
            a.x[i] += a.x[half + i];
    return a.x[0];
}
/* y[0] to y[3] = the totals of a to d. */
CSD_INLINE void csd_wide_totals(float *y, csd_wide a, csd_wide b, csd_wide c, csd_wide d) {
    y[0] = csd_wide_total(a);
    y[1] = csd_wide_total(b);
    y[2] = csd_wide_total(c);
    y[3] = csd_wide_total(d);
}

/* y[0] to y[3] become top / sqrt(y), with y at least 1. */
CSD_INLINE void csd_four_over_roots(float *y, float top) {
    for (size_t i = 0; i < 4u; i++)
        y[i] = top / sqrtf(y[i] > 1.0f ? y[i] : 1.0f);
}

/* Lanes below `count`, at most sixteen; no other number is read or written. Loaded ones are 0. */
CSD_INLINE csd_wide csd_wide_load_first(const float *p, size_t count) {
    csd_wide y = {{0}};
    memcpy(y.x, p, count * sizeof *p);
    return y;
}
CSD_INLINE void csd_wide_store_first(float *p, csd_wide a, size_t count) {
    memcpy(p, a.x, count * sizeof *p);
}
/* a < b ? yes : no */
CSD_INLINE csd_wide csd_wide_if_below(csd_wide a, csd_wide b, csd_wide yes, csd_wide no) {
    CSD_EACH(a.x[i] < b.x[i] ? yes.x[i] : no.x[i]);
}
/* y < 0 ? slope y : y */
CSD_INLINE csd_wide csd_wide_rectify(csd_wide a, csd_wide slope) {
    CSD_EACH(a.x[i] < 0.0f ? slope.x[i] * a.x[i] : a.x[i]);
}

#endif

/* 1 / (1 + 2^n), with n cut to -125 to 125 (NaN: 125). 2^n = 2^k 2^f with k = round(n): 2^f by a
   polynomial of degree 5, its relative error below 2^-23 (kernels/fit_elementary.py); k goes into the exponent. */
CSD_INLINE csd_wide csd_wide_logistic(csd_wide n) {
    const csd_wide rounder = csd_wide_all(CSD_ROUNDER), one = csd_wide_all(1.0f);
    const csd_wide cut = csd_wide_max(csd_wide_min(n, csd_wide_all(125.0f)), csd_wide_all(-125.0f));
    const csd_wide shifted = csd_wide_add(cut, rounder);
    const csd_wide f = csd_wide_sub(cut, csd_wide_sub(shifted, rounder));
    csd_wide p = csd_wide_all(0.00132695353f);
    p = csd_wide_fma(p, f, csd_wide_all(0.00967129227f));
    p = csd_wide_fma(p, f, csd_wide_all(0.0555071086f));
    p = csd_wide_fma(p, f, csd_wide_all(0.240222469f));
    p = csd_wide_fma(p, f, csd_wide_all(0.693147004f));
    p = csd_wide_fma(p, f, one);
    return csd_wide_div(one, csd_wide_add(one, csd_wide_scale(p, shifted)));
}

#endif
