/* Sixteen sums of products of bytes at once: four products a lane and step, of 16 x 4 signed bytes
   with four bytes that all lanes share. Exact below 2^31.

   x86 multiplies unsigned with signed bytes, so that what is shared is stored with CSD_DOTS_OFFSET
   added, to be taken off by the caller. AVX2 adds two products in 16 bits: there the shared bytes
   have 7 bits, 127 x 127 x 2 < 2^15. */
#ifndef CSIDEPLOY_BYTE_DOTS_H
#define CSIDEPLOY_BYTE_DOTS_H

#include <stdint.h>

#include "../vectors.h"

#if defined(CSD_HAS_AVX512)
#define CSD_HAS_DOTS
#define CSD_DOTS_OFFSET 128
#define CSD_DOTS_MOST 127
/* Tiles that the registers hold: several rows with few words, and one row with many. */
#define CSD_DOTS_ROWS 4u
#define CSD_DOTS_BLOCKS 4u
#define CSD_DOTS_BLOCKS_OF_ONE 16u

typedef __m512i csd_dots;
typedef __m512i csd_shared;
typedef __m512i csd_bytes;

CSD_INLINE csd_bytes csd_bytes_load(const int8_t *p) { return _mm512_loadu_si512(p); }
CSD_INLINE csd_dots csd_dots_load(const int32_t *p) { return _mm512_loadu_si512(p); }
CSD_INLINE csd_shared csd_shared_load(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}
/* As an instruction: of the intrinsic gcc 12 makes a copy of every sum at every step. */
CSD_INLINE csd_dots csd_dots_add(csd_dots sums, csd_bytes bytes, csd_shared four) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(four), "vm"(bytes));
    return sums;
}
CSD_INLINE csd_wide csd_dots_floats(csd_dots sums) { return _mm512_cvtepi32_ps(sums); }
/* In three steps from 0 on: bytes whose bits from the top are the two lowest ones of a, of b and of
   c. Their own two lowest are 0, or in bytes with an odd index the two highest of the byte before in
   c. */
#define CSD_HAS_FOURTHS
CSD_INLINE csd_bytes csd_bytes_fourth(csd_bytes so_far, csd_bytes next, size_t step) {
    if (step == 0)
        return _mm512_slli_epi16(next, 6);
    const __m512i kept = _mm512_set1_epi8(step == 1u ? (char)0xC0 : (char)0xF0);
    return _mm512_ternarylogic_epi32(so_far, _mm512_slli_epi16(next, step == 1u ? 4 : 2), kept,
                                     0xE4);
}
/* Bit i: a[i] <= b[i]. */
CSD_INLINE uint32_t csd_wide_at_most(csd_wide a, csd_wide b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}
/* The greatest of sixteen. */
CSD_INLINE float csd_wide_most(csd_wide a) { return _mm512_reduce_max_ps(a); }
/* `from` + i for each bit i of sixteen in turn; sixteen places at `to` are written to. */
CSD_INLINE size_t csd_collect(uint32_t *to, uint32_t from, uint32_t bits) {
    const __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i all = _mm512_add_epi32(places, _mm512_set1_epi32((int32_t)from));
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32((__mmask16)bits, all));
    return (size_t)__builtin_popcount(bits);
}

#elif defined(CSD_HAS_AVX2)
#define CSD_HAS_DOTS
#define CSD_DOTS_OFFSET 64
#define CSD_DOTS_MOST 63
#define CSD_DOTS_ROWS 2u
#define CSD_DOTS_BLOCKS 2u
#define CSD_DOTS_BLOCKS_OF_ONE 4u

typedef struct csd_dots {
    __m256i a, b;
} csd_dots;
typedef __m256i csd_shared;
typedef csd_dots csd_bytes;

CSD_INLINE csd_bytes csd_bytes_load(const int8_t *p) {
    const csd_bytes y = {_mm256_loadu_si256((const void *)p),
                         _mm256_loadu_si256((const void *)(p + 32))};
    return y;
}
CSD_INLINE csd_dots csd_dots_load(const int32_t *p) {
    const csd_dots y = {_mm256_loadu_si256((const void *)p),
                        _mm256_loadu_si256((const void *)(p + 8))};
    return y;
}
CSD_INLINE csd_shared csd_shared_load(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}
CSD_INLINE __m256i csd_half_dots(__m256i sums, __m256i bytes, csd_shared four) {
    const __m256i pairs = _mm256_maddubs_epi16(four, bytes);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
CSD_INLINE csd_dots csd_dots_add(csd_dots sums, csd_bytes bytes, csd_shared four) {
    sums.a = csd_half_dots(sums.a, bytes.a, four);
    sums.b = csd_half_dots(sums.b, bytes.b, four);
    return sums;
}
CSD_INLINE csd_wide csd_dots_floats(csd_dots sums) {
    const csd_wide y = {_mm256_cvtepi32_ps(sums.a), _mm256_cvtepi32_ps(sums.b)};
    return y;
}
CSD_INLINE uint32_t csd_wide_at_most(csd_wide x, csd_wide z) {
    const int low = _mm256_movemask_ps(_mm256_cmp_ps(x.a, z.a, _CMP_LE_OQ));
    const int high = _mm256_movemask_ps(_mm256_cmp_ps(x.b, z.b, _CMP_LE_OQ));
    return (uint32_t)low | (uint32_t)high << 8;
}
CSD_INLINE float csd_wide_most(csd_wide x) {
    const __m256 eight = _mm256_max_ps(x.a, x.b);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#elif defined(__ARM_NEON) && defined(__aarch64__)
#define CSD_HAS_DOTS
#define CSD_DOTS_OFFSET 0
#define CSD_DOTS_MOST 127
#define CSD_DOTS_ROWS 2u
#define CSD_DOTS_BLOCKS 2u
#define CSD_DOTS_BLOCKS_OF_ONE 4u

typedef struct csd_dots {
    int32x4_t a, b, c, d;
} csd_dots;
typedef int8x16_t csd_shared;
typedef struct csd_bytes {
    int8x16_t a, b, c, d;
} csd_bytes;

CSD_INLINE csd_bytes csd_bytes_load(const int8_t *p) {
    const csd_bytes y = {vld1q_s8(p), vld1q_s8(p + 16), vld1q_s8(p + 32), vld1q_s8(p + 48)};
    return y;
}
CSD_INLINE csd_dots csd_dots_load(const int32_t *p) {
    const csd_dots y = {vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)};
    return y;
}
CSD_INLINE csd_shared csd_shared_load(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}
CSD_INLINE int32x4_t csd_quarter_dots(int32x4_t sums, int8x16_t read, csd_shared four) {
#ifdef __ARM_FEATURE_DOTPROD
    return vdotq_s32(sums, read, four);
#else
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(read), vget_low_s8(four)));
    const int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(read), vget_high_s8(four)));
    return vaddq_s32(sums, vpaddq_s32(low, high));
#endif
}
CSD_INLINE csd_dots csd_dots_add(csd_dots sums, csd_bytes bytes, csd_shared four) {
    sums.a = csd_quarter_dots(sums.a, bytes.a, four);
    sums.b = csd_quarter_dots(sums.b, bytes.b, four);
    sums.c = csd_quarter_dots(sums.c, bytes.c, four);
    sums.d = csd_quarter_dots(sums.d, bytes.d, four);
    return sums;
}
CSD_INLINE csd_wide csd_dots_floats(csd_dots sums) {
    const csd_wide y = {vcvtq_f32_s32(sums.a), vcvtq_f32_s32(sums.b), vcvtq_f32_s32(sums.c),
                        vcvtq_f32_s32(sums.d)};
    return y;
}
CSD_INLINE uint32_t csd_quarter_mask(uint32x4_t yes) {
    const uint32x4_t place = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(yes, place));
}
CSD_INLINE uint32_t csd_wide_at_most(csd_wide x, csd_wide z) {
    return csd_quarter_mask(vcleq_f32(x.a, z.a)) | csd_quarter_mask(vcleq_f32(x.b, z.b)) << 4 |
           csd_quarter_mask(vcleq_f32(x.c, z.c)) << 8 | csd_quarter_mask(vcleq_f32(x.d, z.d)) << 12;
}
CSD_INLINE float csd_wide_most(csd_wide x) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.a, x.b), vmaxq_f32(x.c, x.d)));
}
#endif

#if defined(CSD_HAS_DOTS) && !defined(CSD_HAS_AVX512)
CSD_INLINE size_t csd_collect(uint32_t *to, uint32_t from, uint32_t bits) {
    size_t count = 0;
    for (; bits != 0; bits &= bits - 1u)
        to[count++] = from + (uint32_t)__builtin_ctz(bits);
    return count;
}
#endif

#endif
