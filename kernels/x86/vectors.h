/* kernels/vectors.h in the registers of AVX-512 or AVX2. */
#ifndef CSIDEPLOY_X86_VECTORS_H
#define CSIDEPLOY_X86_VECTORS_H

#include <immintrin.h>

/* y[0] to y[3] become top / sqrt(y), with y at least 1. */
CSD_INLINE void csd_four_over_roots(float *y, float top) {
    const __m128 x = _mm_max_ps(_mm_loadu_ps(y), _mm_set1_ps(1.0f));
    _mm_storeu_ps(y, _mm_div_ps(_mm_set1_ps(top), _mm_sqrt_ps(x)));
}

#ifdef CSD_HAS_AVX512

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

/* Lanes below `count`, at most sixteen; no other number is read or written. Loaded ones are 0. */
CSD_INLINE __mmask16 csd_wide_first(size_t count) { return (__mmask16)((1u << count) - 1u); }
CSD_INLINE csd_wide csd_wide_load_first(const float *p, size_t count) {
    return _mm512_maskz_loadu_ps(csd_wide_first(count), p);
}
CSD_INLINE void csd_wide_store_first(float *p, csd_wide a, size_t count) {
    _mm512_mask_storeu_ps(p, csd_wide_first(count), a);
}
/* a < b ? yes : no */
CSD_INLINE csd_wide csd_wide_if_below(csd_wide a, csd_wide b, csd_wide yes, csd_wide no) {
    return _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), yes);
}
/* y < 0 ? slope y : y */
CSD_INLINE csd_wide csd_wide_rectify(csd_wide y, csd_wide slope) {
    const __mmask16 below = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LT_OQ);
    return _mm512_mask_mul_ps(y, below, slope, y);
}

#else

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

CSD_INLINE __m256i csd_half_first(size_t count) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lanes);
}
CSD_INLINE csd_wide csd_wide_load_first(const float *p, size_t count) {
    if (count <= 8u) {
        CSD_HALVES(low, _mm256_maskload_ps(p, csd_half_first(count)), _mm256_setzero_ps());
    }
    CSD_HALVES(y, _mm256_loadu_ps(p), _mm256_maskload_ps(p + 8, csd_half_first(count - 8u)));
}
CSD_INLINE void csd_wide_store_first(float *p, csd_wide x, size_t count) {
    if (count <= 8u) {
        _mm256_maskstore_ps(p, csd_half_first(count), x.a);
        return;
    }
    _mm256_storeu_ps(p, x.a);
    _mm256_maskstore_ps(p + 8, csd_half_first(count - 8u), x.b);
}
CSD_INLINE csd_wide csd_wide_if_below(csd_wide x, csd_wide z, csd_wide yes, csd_wide no) {
    CSD_HALVES(y, _mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(x.a, z.a, _CMP_LT_OQ)),
               _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(x.b, z.b, _CMP_LT_OQ)));
}
CSD_INLINE csd_wide csd_wide_rectify(csd_wide y, csd_wide slope) {
    const csd_wide zero = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    return csd_wide_if_below(y, zero, csd_wide_mul(slope, y), y);
}

#endif
#endif
