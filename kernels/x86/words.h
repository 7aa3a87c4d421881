/* Sixteen 32-bit integers at once, and the codes that they become: kernels/vector/qconv2d.c. */
#ifndef CSIDEPLOY_X86_WORDS_H
#define CSIDEPLOY_X86_WORDS_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* The signed halves of eight bytes as sixteen bytes, a byte's high half first. */
CSD_INLINE __m128i csd_nibbles(__m128i x) {
    const __m128i low = _mm_set1_epi8(15);
    const __m128i values = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1);
    return _mm_shuffle_epi8(values, _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi16(x, 4), low),
                                                      _mm_and_si128(x, low)));
}

#ifdef CSD_HAS_AVX512

typedef __m512i csd_words;

#define CSD_KEEP_WORDS(x) __asm__("" : "+v"(x))

CSD_INLINE csd_words csd_words_load(const void *p) { return _mm512_loadu_si512(p); }
CSD_INLINE void csd_words_store(void *p, csd_words x) { _mm512_storeu_si512(p, x); }
CSD_INLINE csd_words csd_words_all(int32_t x) { return _mm512_set1_epi32(x); }
CSD_INLINE csd_words csd_words_add(csd_words x, csd_words z) { return _mm512_add_epi32(x, z); }
CSD_INLINE csd_words csd_words_sub(csd_words x, csd_words z) { return _mm512_sub_epi32(x, z); }
CSD_INLINE csd_wide csd_words_float(csd_words x) { return _mm512_cvtepi32_ps(x); }
/* The nearest integers, half to even. */
CSD_INLINE csd_words csd_words_nearest(csd_wide x) { return _mm512_cvtps_epi32(x); }

/* sum + the products of the low halves + those of the high ones, as signed numbers. */
CSD_INLINE csd_words csd_words_dot(csd_words sum, csd_words x, csd_words z) {
    return _mm512_dpwssd_epi32(sum, x, z);
}
/* The low halves of both in one word, the second's above. */
CSD_INLINE csd_words csd_words_pair(csd_words low, csd_words high) {
    return _mm512_mask_blend_epi16(0xAAAAAAAAu, low, _mm512_slli_epi32(high, 16));
}

/* `count` codes, at most sixteen. */
CSD_INLINE csd_words csd_words_u8(const uint8_t *p, size_t count) {
    const __mmask16 first = csd_wide_first(count);
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first, p));
}
CSD_INLINE csd_words csd_words_i8(const int8_t *p, size_t count) {
    const __mmask16 first = csd_wide_first(count);
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first, p));
}
/* Of four bits each, two a byte; `count` is even. */
CSD_INLINE csd_words csd_words_i4(const uint8_t *p, size_t count) {
    const __mmask16 first = csd_wide_first(count / 2u);
    return _mm512_cvtepi8_epi32(csd_nibbles(_mm_maskz_loadu_epi8(first, p)));
}
CSD_INLINE csd_words csd_words_i16(const int16_t *p, size_t count) {
    const __mmask16 first = csd_wide_first(count);
    return _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(first, p));
}
/* Stores the low bytes, or halves, of the first `count` words. */
CSD_INLINE void csd_words_to_8(uint8_t *p, csd_words x, size_t count) {
    _mm_mask_storeu_epi8(p, csd_wide_first(count), _mm512_cvtepi32_epi8(x));
}
CSD_INLINE void csd_words_to_16(int16_t *p, csd_words x, size_t count) {
    _mm256_mask_storeu_epi16(p, csd_wide_first(count), _mm512_cvtepi32_epi16(x));
}

#else

typedef struct csd_words {
    __m256i a, b;
} csd_words;

#define CSD_KEEP_WORDS(x) __asm__("" : "+x"((x).a), "+x"((x).b))

#define CSD_WORD_HALVES(NAME, expression_a, expression_b)                                          \
    const csd_words NAME = {(expression_a), (expression_b)};                                       \
    return NAME

CSD_INLINE csd_words csd_words_load(const void *p) {
    const uint8_t *at = p;
    CSD_WORD_HALVES(y, _mm256_loadu_si256((const void *)at),
                    _mm256_loadu_si256((const void *)(at + 32)));
}
CSD_INLINE void csd_words_store(void *p, csd_words x) {
    uint8_t *at = p;
    _mm256_storeu_si256((void *)at, x.a);
    _mm256_storeu_si256((void *)(at + 32), x.b);
}
CSD_INLINE csd_words csd_words_all(int32_t x) {
    CSD_WORD_HALVES(y, _mm256_set1_epi32(x), _mm256_set1_epi32(x));
}
CSD_INLINE csd_words csd_words_add(csd_words x, csd_words z) {
    CSD_WORD_HALVES(y, _mm256_add_epi32(x.a, z.a), _mm256_add_epi32(x.b, z.b));
}
CSD_INLINE csd_words csd_words_sub(csd_words x, csd_words z) {
    CSD_WORD_HALVES(y, _mm256_sub_epi32(x.a, z.a), _mm256_sub_epi32(x.b, z.b));
}
CSD_INLINE csd_wide csd_words_float(csd_words x) {
    CSD_HALVES(y, _mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b));
}
CSD_INLINE csd_words csd_words_nearest(csd_wide x) {
    CSD_WORD_HALVES(y, _mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b));
}
CSD_INLINE csd_words csd_words_dot(csd_words sum, csd_words x, csd_words z) {
    CSD_WORD_HALVES(y, _mm256_add_epi32(sum.a, _mm256_madd_epi16(x.a, z.a)),
                    _mm256_add_epi32(sum.b, _mm256_madd_epi16(x.b, z.b)));
}
CSD_INLINE csd_words csd_words_pair(csd_words low, csd_words high) {
    CSD_WORD_HALVES(y, _mm256_blend_epi16(low.a, _mm256_slli_epi32(high.a, 16), 0xAA),
                    _mm256_blend_epi16(low.b, _mm256_slli_epi32(high.b, 16), 0xAA));
}
/* The first bytes of sixteen that may be read, the others 0. */
CSD_INLINE __m128i csd_first_bytes(const void *p, size_t count) {
    uint8_t held[16] = {0};
    if (count == 16u)
        return _mm_loadu_si128(p);
    memcpy(held, p, count);
    return _mm_loadu_si128((const void *)held);
}
CSD_INLINE csd_words csd_words_u8(const uint8_t *p, size_t count) {
    const __m128i x = csd_first_bytes(p, count);
    CSD_WORD_HALVES(y, _mm256_cvtepu8_epi32(x), _mm256_cvtepu8_epi32(_mm_srli_si128(x, 8)));
}
CSD_INLINE csd_words csd_words_i8(const int8_t *p, size_t count) {
    const __m128i x = csd_first_bytes(p, count);
    CSD_WORD_HALVES(y, _mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)));
}
CSD_INLINE csd_words csd_words_i4(const uint8_t *p, size_t count) {
    const __m128i bytes = count == 16u ? _mm_loadl_epi64((const void *)p)
                                       : csd_first_bytes(p, count / 2u);
    const __m128i x = csd_nibbles(bytes);
    CSD_WORD_HALVES(y, _mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)));
}
CSD_INLINE csd_words csd_words_i16(const int16_t *p, size_t count) {
    const size_t low = count < 8u ? count : 8u;
    CSD_WORD_HALVES(y, _mm256_cvtepi16_epi32(csd_first_bytes(p, 2u * low)),
                    _mm256_cvtepi16_epi32(csd_first_bytes(p + low, 2u * (count - low))));
}
/* The low halves of all words, in order. */
CSD_INLINE __m256i csd_low_halves(csd_words x) {
    const __m256i low = _mm256_set1_epi32(0xFFFF);
    const __m256i mixed = _mm256_packus_epi32(_mm256_and_si256(x.a, low), _mm256_and_si256(x.b, low));
    return _mm256_permute4x64_epi64(mixed, 0xD8);
}
CSD_INLINE void csd_words_to_8(uint8_t *p, csd_words x, size_t count) {
    const __m256i halves = _mm256_and_si256(csd_low_halves(x), _mm256_set1_epi16(0xFF));
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(halves),
                                           _mm256_extracti128_si256(halves, 1));
    uint8_t held[16];
    if (count == 16u) {
        _mm_storeu_si128((void *)p, bytes);
        return;
    }
    _mm_storeu_si128((void *)held, bytes);
    memcpy(p, held, count);
}
CSD_INLINE void csd_words_to_16(int16_t *p, csd_words x, size_t count) {
    int16_t held[16];
    if (count == 16u) {
        _mm256_storeu_si256((void *)p, csd_low_halves(x));
        return;
    }
    _mm256_storeu_si256((void *)held, csd_low_halves(x));
    memcpy(p, held, count * sizeof *p);
}

#endif
#endif
