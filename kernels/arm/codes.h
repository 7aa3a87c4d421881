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

CSD_INLINE csd_ints csd_ints_load(const int32_t *p) {
    const csd_ints y = {vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)};
    return y;
}
CSD_INLINE void csd_ints_store(int32_t *p, csd_ints x) {
    vst1q_s32(p, x.a);
    vst1q_s32(p + 4, x.b);
    vst1q_s32(p + 8, x.c);
    vst1q_s32(p + 12, x.d);
}
/* A word of weights in every lane. */
typedef int32x4_t csd_weights;
CSD_INLINE csd_weights csd_weights_load(const int32_t *word) { return vdupq_n_s32(*word); }

/* v / scale by the reciprocal, where that is exact; to an integer, half to even. NaN gives 0, and
   what is too large the largest integer, so that nothing else hangs on `tame`. */
CSD_INLINE int32x4_t csd_nearest_codes(float32x4_t v, const csd_coding *coding, const int tame) {
    if (tame == CSD_DIVIDED)
        return vcvtnq_s32_f32(v);
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

/* The codes of 16 columns, two channels each. */
typedef struct csd_codes {
    int16x8_t a, b, c, d;
} csd_codes;

/* Codes of 16 bits: two channels of 8 columns, and of the next 8. */
CSD_INLINE csd_codes csd_halves_load(const uint8_t *p) {
    const int16x8x2_t low = vld2q_s16((const int16_t *)(const void *)p);
    const int16x8x2_t high = vld2q_s16((const int16_t *)(const void *)(p + 32));
    const csd_codes y = {low.val[0], low.val[1], high.val[0], high.val[1]};
    return y;
}
CSD_INLINE int32x4_t csd_add_pair(int32x4_t sum, int16x4_t first, int16x4_t second,
                                  int16x4_t w) {
    return vmlal_lane_s16(vmlal_lane_s16(sum, first, w, 0), second, w, 1);
}
CSD_INLINE csd_ints csd_halves_add(csd_ints sum, csd_codes codes, csd_weights weights) {
    const int16x4_t w = vget_low_s16(vreinterpretq_s16_s32(weights));
    const csd_ints y = {
        csd_add_pair(sum.a, vget_low_s16(codes.a), vget_low_s16(codes.b), w),
        csd_add_pair(sum.b, vget_high_s16(codes.a), vget_high_s16(codes.b), w),
        csd_add_pair(sum.c, vget_low_s16(codes.c), vget_low_s16(codes.d), w),
        csd_add_pair(sum.d, vget_high_s16(codes.c), vget_high_s16(codes.d), w)};
    return y;
}
CSD_INLINE void csd_halves_floats(csd_wide *y, csd_ints x) {
    y->a = vcvtq_f32_s32(x.a);
    y->b = vcvtq_f32_s32(x.b);
    y->c = vcvtq_f32_s32(x.c);
    y->d = vcvtq_f32_s32(x.d);
}
/* Code - zero of 8 columns as int16. */
CSD_INLINE int16x8_t csd_half_of(float32x4_t low, float32x4_t high, const csd_coding *coding,
                                 const int tame, const int bits) {
    if (bits != 8)
        return vcombine_s16(vqmovn_s32(csd_nearest_codes(low, coding, tame)),
                            vqmovn_s32(csd_nearest_codes(high, coding, tame)));
    const int16x8_t codes =
        vreinterpretq_s16_u16(vmovl_u8(csd_half_codes(low, high, coding, tame)));
    return vsubq_s16(codes, vdupq_n_s16((int16_t)coding->zero));
}
CSD_INLINE void csd_halves_store(uint8_t *to, const csd_wide *a, const csd_wide *b,
                                 const csd_coding *coding, const int tame, const int bits) {
    const int16x8x2_t low = {{csd_half_of(a->a, a->b, coding, tame, bits),
                              csd_half_of(b->a, b->b, coding, tame, bits)}};
    const int16x8x2_t high = {{csd_half_of(a->c, a->d, coding, tame, bits),
                               csd_half_of(b->c, b->d, coding, tame, bits)}};
    vst2q_s16((int16_t *)(void *)to, low);
    vst2q_s16((int16_t *)(void *)(to + 32), high);
}

#ifdef __ARM_FEATURE_DOTPROD

/* Codes of 8 bits are bytes, code - 128: two columns of the kernel times two channels are the four
   factors of one dot product. A vector from an even column on serves the even outputs, the next
   column's the odd ones. */
#define CSD_PAIR_OF_BYTES 2u

/* What a code that is a byte has as zero. */
CSD_INLINE int32_t csd_byte_of_zero(int32_t zero) { return zero ^ 0x80; }
/* What is in it beside code - zero. */
CSD_INLINE int32_t csd_byte_shift(int32_t zero) { return zero - 128; }

/* a and b from the even column on, c and d from the odd one. */
CSD_INLINE csd_codes csd_codes_load(const uint8_t *p, const size_t pair) {
    if (pair != 2u)
        return csd_halves_load(p);
    const csd_codes y = {
        vreinterpretq_s16_u8(vld1q_u8(p)), vreinterpretq_s16_u8(vld1q_u8(p + 16)),
        vreinterpretq_s16_u8(vld1q_u8(p + 2)), vreinterpretq_s16_u8(vld1q_u8(p + 18))};
    return y;
}
CSD_INLINE int32x4_t csd_add_bytes(int32x4_t sum, int16x8_t codes, int8x16_t weights) {
    return vdotq_s32(sum, vreinterpretq_s8_s16(codes), weights);
}
CSD_INLINE csd_ints csd_codes_add(csd_ints sum, csd_codes codes, csd_weights weights,
                                  const size_t pair) {
    if (pair != 2u)
        return csd_halves_add(sum, codes, weights);
    const int8x16_t w = vreinterpretq_s8_s32(weights);
    const csd_ints y = {csd_add_bytes(sum.a, codes.a, w), csd_add_bytes(sum.b, codes.b, w),
                        csd_add_bytes(sum.c, codes.c, w), csd_add_bytes(sum.d, codes.d, w)};
    return y;
}
CSD_INLINE void csd_ints_floats(csd_wide *y, csd_ints x, const size_t pair) {
    if (pair != 2u) {
        csd_halves_floats(y, x);
        return;
    }
    y->a = vcvtq_f32_s32(vzip1q_s32(x.a, x.c));
    y->b = vcvtq_f32_s32(vzip2q_s32(x.a, x.c));
    y->c = vcvtq_f32_s32(vzip1q_s32(x.b, x.d));
    y->d = vcvtq_f32_s32(vzip2q_s32(x.b, x.d));
}
CSD_INLINE void csd_codes_store(uint8_t *to, const csd_wide *a, const csd_wide *b,
                                const csd_coding *coding, const int tame, const int bits) {
    if (bits != 8) {
        csd_halves_store(to, a, b, coding, tame, bits);
        return;
    }
    const uint8x16_t middle = vdupq_n_u8(0x80);
    const uint8x16_t first = vcombine_u8(csd_half_codes(a->a, a->b, coding, tame),
                                         csd_half_codes(a->c, a->d, coding, tame));
    const uint8x16_t second = vcombine_u8(csd_half_codes(b->a, b->b, coding, tame),
                                          csd_half_codes(b->c, b->d, coding, tame));
    const uint8x16x2_t pairs = {{veorq_u8(first, middle), veorq_u8(second, middle)}};
    vst2q_u8(to, pairs);
}

#else

/* All codes are int16. */
#define CSD_PAIR_OF_BYTES 4u

CSD_INLINE csd_codes csd_codes_load(const uint8_t *p, const size_t pair) {
    (void)pair;
    return csd_halves_load(p);
}
CSD_INLINE csd_ints csd_codes_add(csd_ints sum, csd_codes codes, csd_weights weights,
                                  const size_t pair) {
    (void)pair;
    return csd_halves_add(sum, codes, weights);
}
CSD_INLINE void csd_ints_floats(csd_wide *y, csd_ints x, const size_t pair) {
    (void)pair;
    csd_halves_floats(y, x);
}
CSD_INLINE void csd_codes_store(uint8_t *to, const csd_wide *a, const csd_wide *b,
                                const csd_coding *coding, const int tame, const int bits) {
    csd_halves_store(to, a, b, coding, tame, bits);
}

#endif
#endif
