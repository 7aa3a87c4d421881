/* Sixteen float32 at once, with the same bits on every instruction set: + - * / and the fused
   multiply-add round once everywhere, minimum and maximum select by one comparison. AVX-512 and AVX2
   have them as registers; a total joins halves, 0 with 8, then 0 with 4, 2, 1. Elsewhere they are loops over sixteen numbers, with the library's fmaf
   where the processor has no fused multiply-add. */
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

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define CSD_HAS_AVX512
#include <immintrin.h>

typedef __m512 csd_wide;

/* Before a number that is used several times: gcc would rather read it each time. */
#define CSD_KEEP(a) __asm__("" : "+v"(a))

CSD_INLINE csd_wide csd_wide_load(const float *p) { return _mm512_loadu_ps(p); }
CSD_INLINE void csd_wide_store(float *p, csd_wide a) { _mm512_storeu_ps(p, a); }
CSD_INLINE csd_wide csd_wide_all(float x) { return _mm512_set1_ps(x); }
CSD_INLINE csd_wide csd_wide_add(csd_wide a, csd_wide b) { return _mm512_add_ps(a, b); }
CSD_INLINE csd_wide csd_wide_sub(csd_wide a, csd_wide b) { return _mm512_sub_ps(a, b); }
CSD_INLINE csd_wide csd_wide_mul(csd_wide a, csd_wide b) { return _mm512_mul_ps(a, b); }
CSD_INLINE csd_wide csd_wide_div(csd_wide a, csd_wide b) { return _mm512_div_ps(a, b); }
CSD_INLINE csd_wide csd_wide_min(csd_wide a, csd_wide b) { return _mm512_min_ps(a, b); }
CSD_INLINE csd_wide csd_wide_max(csd_wide a, csd_wide b) { return _mm512_max_ps(a, b); }
CSD_INLINE csd_wide csd_wide_fma(csd_wide a, csd_wide b, csd_wide c) {
    return _mm512_fmadd_ps(a, b, c);
}
CSD_INLINE csd_wide csd_wide_fnma(csd_wide a, csd_wide b, csd_wide c) {
    return _mm512_fnmadd_ps(a, b, c);
}
CSD_INLINE csd_wide csd_wide_scale(csd_wide p, csd_wide shifted) {
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
}

CSD_INLINE float csd_wide_total(csd_wide a) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* y[0] to y[3] = the totals of a to d. */
CSD_INLINE void csd_wide_totals(float *y, csd_wide a, csd_wide b, csd_wide c, csd_wide d) {
    const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44),
                                    _mm512_shuffle_f32x4(a, b, 0xEE));
    const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44),
                                    _mm512_shuffle_f32x4(c, d, 0xEE));
    const __m512 four = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88),
                                      _mm512_shuffle_f32x4(ab, cd, 0xDD));
    const __m512 two = _mm512_add_ps(four, _mm512_permute_ps(four, 0x4E));
    const __m512 one = _mm512_add_ps(two, _mm512_permute_ps(two, 0xB1));
    _mm_storeu_ps(y, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, one)));
}

#elif defined(__AVX2__) && defined(__FMA__)
#define CSD_HAS_AVX2
#include <immintrin.h>

typedef struct csd_wide {
    __m256 a, b;
} csd_wide;

#define CSD_KEEP(x) __asm__("" : "+x"((x).a), "+x"((x).b))

#define CSD_HALVES(NAME, expression_a, expression_b)                                               \
    const csd_wide NAME = {(expression_a), (expression_b)};                                        \
    return NAME

CSD_INLINE csd_wide csd_wide_load(const float *p) {
    CSD_HALVES(y, _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
}
CSD_INLINE void csd_wide_store(float *p, csd_wide x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
CSD_INLINE csd_wide csd_wide_all(float x) {
    CSD_HALVES(y, _mm256_set1_ps(x), _mm256_set1_ps(x));
}
CSD_INLINE csd_wide csd_wide_add(csd_wide x, csd_wide z) {
    CSD_HALVES(y, _mm256_add_ps(x.a, z.a), _mm256_add_ps(x.b, z.b));
}
CSD_INLINE csd_wide csd_wide_sub(csd_wide x, csd_wide z) {
    CSD_HALVES(y, _mm256_sub_ps(x.a, z.a), _mm256_sub_ps(x.b, z.b));
}
CSD_INLINE csd_wide csd_wide_mul(csd_wide x, csd_wide z) {
    CSD_HALVES(y, _mm256_mul_ps(x.a, z.a), _mm256_mul_ps(x.b, z.b));
}
CSD_INLINE csd_wide csd_wide_div(csd_wide x, csd_wide z) {
    CSD_HALVES(y, _mm256_div_ps(x.a, z.a), _mm256_div_ps(x.b, z.b));
}
CSD_INLINE csd_wide csd_wide_min(csd_wide x, csd_wide z) {
    CSD_HALVES(y, _mm256_min_ps(x.a, z.a), _mm256_min_ps(x.b, z.b));
}
CSD_INLINE csd_wide csd_wide_max(csd_wide x, csd_wide z) {
    CSD_HALVES(y, _mm256_max_ps(x.a, z.a), _mm256_max_ps(x.b, z.b));
}
CSD_INLINE csd_wide csd_wide_fma(csd_wide x, csd_wide z, csd_wide c) {
    CSD_HALVES(y, _mm256_fmadd_ps(x.a, z.a, c.a), _mm256_fmadd_ps(x.b, z.b, c.b));
}
CSD_INLINE csd_wide csd_wide_fnma(csd_wide x, csd_wide z, csd_wide c) {
    CSD_HALVES(y, _mm256_fnmadd_ps(x.a, z.a, c.a), _mm256_fnmadd_ps(x.b, z.b, c.b));
}
CSD_INLINE __m256 csd_half_scale(__m256 p, __m256 shifted) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}
CSD_INLINE csd_wide csd_wide_scale(csd_wide p, csd_wide shifted) {
    CSD_HALVES(y, csd_half_scale(p.a, shifted.a), csd_half_scale(p.b, shifted.b));
}
CSD_INLINE float csd_wide_total(csd_wide x) {
    const __m256 eight = _mm256_add_ps(x.a, x.b);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
/* y[0] to y[3] = the totals of p to s. */
CSD_INLINE void csd_wide_totals(float *y, csd_wide p, csd_wide q, csd_wide r, csd_wide s) {
    const __m256 e = _mm256_add_ps(p.a, p.b), f = _mm256_add_ps(q.a, q.b);
    const __m256 g = _mm256_add_ps(r.a, r.b), h = _mm256_add_ps(s.a, s.b);
    const __m256 ef = _mm256_add_ps(_mm256_permute2f128_ps(e, f, 0x20),
                                    _mm256_permute2f128_ps(e, f, 0x31));
    const __m256 gh = _mm256_add_ps(_mm256_permute2f128_ps(g, h, 0x20),
                                    _mm256_permute2f128_ps(g, h, 0x31));
    const __m256 two = _mm256_add_ps(_mm256_shuffle_ps(ef, gh, 0x44),
                                     _mm256_shuffle_ps(ef, gh, 0xEE));
    const __m256 one = _mm256_add_ps(_mm256_shuffle_ps(two, two, 0x88),
                                     _mm256_shuffle_ps(two, two, 0xDD));
    const __m128 even = _mm256_castps256_ps128(one), odd = _mm256_extractf128_ps(one, 1);
    _mm_storeu_ps(y, _mm_unpacklo_ps(even, odd));
}

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
