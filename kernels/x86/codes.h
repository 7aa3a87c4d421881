/* kernels/vector/code_rows.h in the registers of AVX-512 VNNI and of AVX2. */
#ifndef CSIDEPLOY_X86_CODES_H
#define CSIDEPLOY_X86_CODES_H

#include <immintrin.h>

#ifdef CSD_HAS_AVX512

/* Codes of 8 bits are bytes. Those of neighbours are four factors of one dot product: two columns of
   the kernel times two channels. A vector of them from an even column on serves the even outputs,
   the next column's the odd ones.
   Codes of 16 bits: two channels are two factors, and the vectors two halves of the columns. */
#define CSD_PAIR_OF_BYTES 2u

typedef struct csd_ints {
    __m512i a, b;
} csd_ints, csd_codes;
typedef __m512i csd_weights;
#define CSD_INTS_NOW(x) __asm__ __volatile__("" : "+v"((x).a), "+v"((x).b))

/* What a code that is a byte has as zero. */
CSD_INLINE int32_t csd_byte_of_zero(int32_t zero) { return zero; }
/* What is in it beside code - zero. */
CSD_INLINE int32_t csd_byte_shift(int32_t zero) { return zero; }

CSD_INLINE csd_ints csd_ints_all(int32_t x) {
    const csd_ints y = {_mm512_set1_epi32(x), _mm512_set1_epi32(x)};
    return y;
}
CSD_INLINE csd_codes csd_codes_load(const uint8_t *p, const size_t pair) {
    csd_codes y = {_mm512_loadu_si512(p), _mm512_loadu_si512(p + (pair == 2u ? 2 : 64))};
    __asm__("" : "+v"(y.a), "+v"(y.b));
    return y;
}
/* Codes of 16 bits leave 32 sums in order. */
CSD_INLINE csd_ints csd_ints_load(const int32_t *p) {
    const csd_ints y = {_mm512_loadu_si512(p), _mm512_loadu_si512(p + 16)};
    return y;
}
CSD_INLINE void csd_ints_store(int32_t *p, csd_ints x) {
    _mm512_storeu_si512(p, x.a);
    _mm512_storeu_si512(p + 16, x.b);
}
/* The weights of two channels, of bytes in two columns each. */
CSD_INLINE csd_weights csd_weights_load(const int32_t *word) {
    __m512i weights = _mm512_set1_epi32(*word);
    __asm__("" : "+v"(weights));
    return weights;
}
/* sum + codes weights. */
CSD_INLINE csd_ints csd_codes_add(csd_ints sum, csd_codes codes, csd_weights weights,
                                  const size_t pair) {
    const csd_ints bytes = {_mm512_dpbusd_epi32(sum.a, codes.a, weights),
                            _mm512_dpbusd_epi32(sum.b, codes.b, weights)};
    const csd_ints halves = {_mm512_dpwssd_epi32(sum.a, codes.a, weights),
                             _mm512_dpwssd_epi32(sum.b, codes.b, weights)};
    return pair == 2u ? bytes : halves;
}
/* The 32 sums in order. */
CSD_INLINE void csd_ints_floats(csd_wide *y, csd_ints x, const size_t pair) {
    if (pair != 2u) {
        y[0] = _mm512_cvtepi32_ps(x.a);
        y[1] = _mm512_cvtepi32_ps(x.b);
        return;
    }
    const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    y[0] = _mm512_cvtepi32_ps(_mm512_permutex2var_epi32(x.a, low, x.b));
    y[1] = _mm512_cvtepi32_ps(_mm512_permutex2var_epi32(x.a, high, x.b));
}

/* The nearest integers of v / scale, below 2^31. `tame`: none is NaN or too large, and the
   reciprocal of the scale is exact, or v has been divided by it. */
CSD_INLINE __m512i csd_nearest_codes(csd_wide v, const csd_coding *coding, const int tame) {
    if (tame == CSD_DIVIDED)
        return _mm512_cvtps_epi32(v);
    if (tame)
        return _mm512_cvtps_epi32(_mm512_mul_ps(v, _mm512_set1_ps(coding->inverse)));
    const __m512 ratio = _mm512_div_ps(v, _mm512_set1_ps(coding->scale));
    const __mmask16 number = _mm512_cmp_ps_mask(ratio, ratio, _CMP_ORD_Q);
    return _mm512_cvtps_epi32(
        _mm512_maskz_min_ps(number, ratio, _mm512_set1_ps(1073741824.0f)));
}
/* 16 columns of codes of 16 bits: of each 128 bits, 4 of a and 4 of b become pairs. */
CSD_INLINE __m512i csd_wide_codes(csd_wide a, csd_wide b, const csd_coding *coding,
                                  const int tame) {
    const __m512i halves =
        _mm512_packs_epi32(csd_nearest_codes(a, coding, tame), csd_nearest_codes(b, coding, tame));
    return _mm512_shuffle_epi8(
        halves, _mm512_broadcast_i32x4(
                    _mm_set_epi8(15, 14, 7, 6, 13, 12, 5, 4, 11, 10, 3, 2, 9, 8, 1, 0)));
}
/* Every narrowing saturates, so that a bound of int16 on the way to one of uint8 changes nothing. */
CSD_INLINE void csd_codes_store(uint8_t *to, const csd_wide *a, const csd_wide *b,
                                const csd_coding *coding, const int tame, const int bits) {
    if (bits != 8) {
        _mm512_storeu_si512(to, csd_wide_codes(a[0], b[0], coding, tame));
        _mm512_storeu_si512(to + 64, csd_wide_codes(a[1], b[1], coding, tame));
        return;
    }
    const __m512i zero = _mm512_set1_epi16((int16_t)coding->zero);
    const __m512i first = _mm512_packs_epi32(csd_nearest_codes(a[0], coding, tame),
                                             csd_nearest_codes(a[1], coding, tame));
    const __m512i second = _mm512_packs_epi32(csd_nearest_codes(b[0], coding, tame),
                                              csd_nearest_codes(b[1], coding, tame));
    /* Of each 128 bits: 4 of a[0], 4 of a[1], 4 of b[0], 4 of b[1]. */
    const __m512i bytes = _mm512_packus_epi16(_mm512_adds_epi16(first, zero),
                                              _mm512_adds_epi16(second, zero));
    const __m512i pairs = _mm512_shuffle_epi8(
        bytes, _mm512_broadcast_i32x4(
                   _mm_set_epi8(15, 7, 14, 6, 13, 5, 12, 4, 11, 3, 10, 2, 9, 1, 8, 0)));
    const __m512i order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi64(order, pairs));
}

#else

/* All codes are int16: sums of products of u8 and i8 would saturate. */
#define CSD_PAIR_OF_BYTES 4u

typedef struct csd_ints {
    __m256i a, b;
} csd_ints, csd_codes;
typedef __m256i csd_weights;
#define CSD_INTS_NOW(x) __asm__ __volatile__("" : "+x"((x).a), "+x"((x).b))

CSD_INLINE csd_ints csd_ints_all(int32_t x) {
    const csd_ints y = {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
    return y;
}
CSD_INLINE csd_codes csd_codes_load(const uint8_t *p, const size_t pair) {
    (void)pair;
    const csd_codes y = {_mm256_loadu_si256((const __m256i *)(const void *)p),
                         _mm256_loadu_si256((const __m256i *)(const void *)(p + 32))};
    return y;
}
CSD_INLINE csd_ints csd_ints_load(const int32_t *p) {
    const csd_ints y = {_mm256_loadu_si256((const __m256i *)(const void *)p),
                        _mm256_loadu_si256((const __m256i *)(const void *)(p + 8))};
    return y;
}
CSD_INLINE void csd_ints_store(int32_t *p, csd_ints x) {
    _mm256_storeu_si256((__m256i *)(void *)p, x.a);
    _mm256_storeu_si256((__m256i *)(void *)(p + 8), x.b);
}
/* The weights of two channels. */
CSD_INLINE csd_weights csd_weights_load(const int32_t *word) { return _mm256_set1_epi32(*word); }
/* sum + codes weights. */
CSD_INLINE csd_ints csd_codes_add(csd_ints sum, csd_codes codes, csd_weights weights,
                                  const size_t pair) {
    (void)pair;
    const csd_ints y = {_mm256_add_epi32(sum.a, _mm256_madd_epi16(codes.a, weights)),
                        _mm256_add_epi32(sum.b, _mm256_madd_epi16(codes.b, weights))};
    return y;
}
CSD_INLINE void csd_ints_floats(csd_wide *y, csd_ints x, const size_t pair) {
    (void)pair;
    y->a = _mm256_cvtepi32_ps(x.a);
    y->b = _mm256_cvtepi32_ps(x.b);
}

CSD_INLINE __m256i csd_nearest_codes(__m256 v, const csd_coding *coding, const int tame) {
    if (tame == CSD_DIVIDED)
        return _mm256_cvtps_epi32(v);
    if (tame)
        return _mm256_cvtps_epi32(_mm256_mul_ps(v, _mm256_set1_ps(coding->inverse)));
    const __m256 ratio = _mm256_div_ps(v, _mm256_set1_ps(coding->scale));
    const __m256 number = _mm256_cmp_ps(ratio, ratio, _CMP_ORD_Q);
    return _mm256_cvtps_epi32(
        _mm256_and_ps(number, _mm256_min_ps(ratio, _mm256_set1_ps(1073741824.0f))));
}
/* Of each 128 bits: 4 of the first half, 4 of the second. */
CSD_INLINE __m256i csd_codes_of(csd_wide v, const csd_coding *coding, const int tame,
                                const int bits) {
    const __m256i zero = _mm256_set1_epi16((int16_t)coding->zero);
    const __m256i whole = _mm256_packs_epi32(csd_nearest_codes(v.a, coding, tame),
                                             csd_nearest_codes(v.b, coding, tame));
    if (bits != 8)
        return whole;
    const __m256i code = _mm256_max_epi16(_mm256_adds_epi16(whole, zero), _mm256_setzero_si256());
    return _mm256_sub_epi16(_mm256_min_epi16(code, _mm256_set1_epi16(255)), zero);
}
CSD_INLINE void csd_codes_store(uint8_t *to, const csd_wide *a, const csd_wide *b,
                                const csd_coding *coding, const int tame, const int bits) {
    const __m256i first = csd_codes_of(a[0], coding, tame, bits);
    const __m256i second = csd_codes_of(b[0], coding, tame, bits);
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_unpacklo_epi16(first, second));
    _mm256_storeu_si256((__m256i *)(void *)(to + 32), _mm256_unpackhi_epi16(first, second));
}

#endif
#endif
