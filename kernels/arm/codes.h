/* kernels/vector/code_rows.h in the registers of AArch64, with the dot product and without. */
#ifndef CSIDEPLOY_ARM_CODES_H
#define CSIDEPLOY_ARM_CODES_H

#include <arm_neon.h>

/* What holds the sums of 16 columns. */
typedef struct csd_ints {
    int32x4_t a, b, c, d;
} csd_ints;
#define CSD_INTS_NOW(x)                                                                            \
    __asm__ __volatile__("" : "+w"((x).a), "+w"((x).b), "+w"((x).c), "+w"((x).d))

CSD_INLINE csd_ints csd_ints_all(int32_t x) {
    const csd_ints y = {vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x)};
    return y;
}

/* v / scale by the reciprocal, where that is exact; to an integer, half to even. NaN gives 0, and
   what is too large the largest integer, so that nothing else hangs on `tame`. */
CSD_INLINE int32x4_t csd_nearest_codes(float32x4_t v, const csd_coding *coding, const int tame) {
    return vcvtnq_s32_f32(tame ? vmulq_f32(v, vdupq_n_f32(coding->inverse))
                               : vdivq_f32(v, vdupq_n_f32(coding->scale)));
}
/* Every narrowing saturates, so that a bound of int16 on the way to one of uint8 changes nothing. */
CSD_INLINE uint8x8_t csd_half_codes(float32x4_t low, float32x4_t high, const csd_coding *coding,
                                    const int tame) {
    const int16x8_t whole = vcombine_s16(vqmovn_s32(csd_nearest_codes(low, coding, tame)),
                                         vqmovn_s32(csd_nearest_codes(high, coding, tame)));
    return vqmovun_s16(vqaddq_s16(whole, vdupq_n_s16((int16_t)coding->zero)));
}

#ifdef __ARM_FEATURE_DOTPROD

/* Codes - 128 of two channels, the first in the low byte: two columns of the kernel times two
   channels are the four factors of one dot product. A vector from an even column on serves the even
   outputs, the next column's the odd ones. */
typedef uint16_t csd_code;
#define CSD_CODE_STEP 2u

typedef struct csd_codes {
    int8x16_t even_low, even_high, odd_low, odd_high;
} csd_codes;

/* Each byte of the code zero. */
CSD_INLINE int csd_code_of_zero(int32_t zero) { return (int)zero ^ 0x80; }
/* Two channels of a column, then of the next. */
CSD_INLINE int32_t csd_code_word(const int32_t *w) {
    return (int32_t)(((uint32_t)w[0] & 0xFFu) | ((uint32_t)w[1] & 0xFFu) << 8 |
                     ((uint32_t)w[2] & 0xFFu) << 16 | (uint32_t)w[3] << 24);
}
/* What is in a stored code beside code - zero. */
CSD_INLINE int32_t csd_code_shift(int32_t zero) { return zero - 128; }

CSD_INLINE int8x16_t csd_codes_at(const csd_code *p) {
    return vreinterpretq_s8_u16(vld1q_u16(p));
}
CSD_INLINE csd_codes csd_codes_load(const csd_code *p) {
    const csd_codes y = {csd_codes_at(p), csd_codes_at(p + 8), csd_codes_at(p + 1),
                         csd_codes_at(p + 9)};
    return y;
}
CSD_INLINE csd_ints csd_codes_add(csd_ints sum, csd_codes codes, const int32_t *word) {
    const int8x16_t weights = vreinterpretq_s8_s32(vdupq_n_s32(*word));
    const csd_ints y = {
        vdotq_s32(sum.a, codes.even_low, weights), vdotq_s32(sum.b, codes.even_high, weights),
        vdotq_s32(sum.c, codes.odd_low, weights), vdotq_s32(sum.d, codes.odd_high, weights)};
    return y;
}
CSD_INLINE void csd_ints_floats(csd_wide *y, csd_ints x) {
    y->a = vcvtq_f32_s32(vzip1q_s32(x.a, x.c));
    y->b = vcvtq_f32_s32(vzip2q_s32(x.a, x.c));
    y->c = vcvtq_f32_s32(vzip1q_s32(x.b, x.d));
    y->d = vcvtq_f32_s32(vzip2q_s32(x.b, x.d));
}
CSD_INLINE void csd_codes_store(csd_code *to, const csd_wide *a, const csd_wide *b,
                                const csd_coding *coding, const int tame) {
    const uint8x16_t middle = vdupq_n_u8(0x80);
    const uint8x16_t first = vcombine_u8(csd_half_codes(a->a, a->b, coding, tame),
                                         csd_half_codes(a->c, a->d, coding, tame));
    const uint8x16_t second = vcombine_u8(csd_half_codes(b->a, b->b, coding, tame),
                                          csd_half_codes(b->c, b->d, coding, tame));
    const uint8x16x2_t pairs = {{veorq_u8(first, middle), veorq_u8(second, middle)}};
    vst2q_u8((uint8_t *)to, pairs);
}

#else

/* Code - zero of two channels as int16, the first in the low half. */
typedef uint32_t csd_code;
#define CSD_CODE_STEP 1u

typedef struct csd_codes {
    int16x8x2_t low, high; /* the channels of 8 columns, and of the next 8 */
} csd_codes;

CSD_INLINE int csd_code_of_zero(int32_t zero) {
    (void)zero;
    return 0;
}
CSD_INLINE int32_t csd_code_word(const int32_t *w) {
    return (int32_t)(((uint32_t)w[0] & 0xFFFFu) | (uint32_t)w[1] << 16);
}
CSD_INLINE int32_t csd_code_shift(int32_t zero) {
    (void)zero;
    return 0;
}
CSD_INLINE csd_codes csd_codes_load(const csd_code *p) {
    const csd_codes y = {vld2q_s16((const int16_t *)(const void *)p),
                         vld2q_s16((const int16_t *)(const void *)(p + 8))};
    return y;
}
CSD_INLINE int32x4_t csd_add_pair(int32x4_t sum, int16x4_t first, int16x4_t second,
                                  const int16_t *w) {
    return vmlal_n_s16(vmlal_n_s16(sum, first, w[0]), second, w[1]);
}
CSD_INLINE csd_ints csd_codes_add(csd_ints sum, csd_codes codes, const int32_t *word) {
    const int16_t w[2] = {(int16_t)(*word & 0xFFFF), (int16_t)(*word >> 16)};
    const csd_ints y = {
        csd_add_pair(sum.a, vget_low_s16(codes.low.val[0]), vget_low_s16(codes.low.val[1]), w),
        csd_add_pair(sum.b, vget_high_s16(codes.low.val[0]), vget_high_s16(codes.low.val[1]), w),
        csd_add_pair(sum.c, vget_low_s16(codes.high.val[0]), vget_low_s16(codes.high.val[1]), w),
        csd_add_pair(sum.d, vget_high_s16(codes.high.val[0]), vget_high_s16(codes.high.val[1]), w)};
    return y;
}
CSD_INLINE void csd_ints_floats(csd_wide *y, csd_ints x) {
    y->a = vcvtq_f32_s32(x.a);
    y->b = vcvtq_f32_s32(x.b);
    y->c = vcvtq_f32_s32(x.c);
    y->d = vcvtq_f32_s32(x.d);
}
CSD_INLINE int16x8_t csd_centred_codes(float32x4_t low, float32x4_t high, const csd_coding *coding,
                                       const int tame) {
    const int16x8_t codes =
        vreinterpretq_s16_u16(vmovl_u8(csd_half_codes(low, high, coding, tame)));
    return vsubq_s16(codes, vdupq_n_s16((int16_t)coding->zero));
}
CSD_INLINE void csd_codes_store(csd_code *to, const csd_wide *a, const csd_wide *b,
                                const csd_coding *coding, const int tame) {
    const int16x8x2_t low = {{csd_centred_codes(a->a, a->b, coding, tame),
                              csd_centred_codes(b->a, b->b, coding, tame)}};
    const int16x8x2_t high = {{csd_centred_codes(a->c, a->d, coding, tame),
                               csd_centred_codes(b->c, b->d, coding, tame)}};
    vst2q_s16((int16_t *)(void *)to, low);
    vst2q_s16((int16_t *)(void *)(to + 8), high);
}

#endif
#endif
