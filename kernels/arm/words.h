/* Sixteen 32-bit integers at once, and the codes that they become: kernels/vector/qconv2d.c. */
#ifndef CSIDEPLOY_ARM_WORDS_H
#define CSIDEPLOY_ARM_WORDS_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

typedef struct csd_words {
    int32x4_t a, b, c, d;
} csd_words;

#define CSD_KEEP_WORDS(x) CSD_KEEP(x)

CSD_INLINE csd_words csd_words_load(const void *p) {
    const int32_t *at = p;
    const csd_words y = {vld1q_s32(at), vld1q_s32(at + 4), vld1q_s32(at + 8), vld1q_s32(at + 12)};
    return y;
}
CSD_INLINE void csd_words_store(void *p, csd_words x) {
    int32_t *at = p;
    vst1q_s32(at, x.a);
    vst1q_s32(at + 4, x.b);
    vst1q_s32(at + 8, x.c);
    vst1q_s32(at + 12, x.d);
}
CSD_INLINE csd_words csd_words_all(int32_t x) {
    const csd_words y = {vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x)};
    return y;
}
CSD_INLINE csd_words csd_words_add(csd_words x, csd_words z) {
    const csd_words y = CSD_QUARTERS_2(vaddq_s32, x, z);
    return y;
}
CSD_INLINE csd_words csd_words_sub(csd_words x, csd_words z) {
    const csd_words y = CSD_QUARTERS_2(vsubq_s32, x, z);
    return y;
}
CSD_INLINE csd_wide csd_words_float(csd_words x) {
    const csd_wide y = {vcvtq_f32_s32(x.a), vcvtq_f32_s32(x.b), vcvtq_f32_s32(x.c),
                        vcvtq_f32_s32(x.d)};
    return y;
}
/* The nearest integers, half to even. */
CSD_INLINE csd_words csd_words_nearest(csd_wide x) {
    const csd_words y = {vcvtnq_s32_f32(x.a), vcvtnq_s32_f32(x.b), vcvtnq_s32_f32(x.c),
                         vcvtnq_s32_f32(x.d)};
    return y;
}

/* sum + the products of the low halves + those of the high ones, as signed numbers. */
CSD_INLINE int32x4_t csd_quarter_dot(int32x4_t sum, int32x4_t x, int32x4_t z) {
    const int16x8_t halves = vreinterpretq_s16_s32(x), others = vreinterpretq_s16_s32(z);
    return vaddq_s32(sum, vpaddq_s32(vmull_s16(vget_low_s16(halves), vget_low_s16(others)),
                                     vmull_high_s16(halves, others)));
}
CSD_INLINE csd_words csd_words_dot(csd_words sum, csd_words x, csd_words z) {
    const csd_words y = CSD_QUARTERS_3(csd_quarter_dot, sum, x, z);
    return y;
}
/* The low halves of both in one word, the second's above. */
CSD_INLINE int32x4_t csd_quarter_pair(int32x4_t low, int32x4_t high) { return vsliq_n_s32(low, high, 16); }
CSD_INLINE csd_words csd_words_pair(csd_words low, csd_words high) {
    const csd_words y = CSD_QUARTERS_2(csd_quarter_pair, low, high);
    return y;
}

CSD_INLINE csd_words csd_halves_to_words(int16x8_t low, int16x8_t high) {
    const csd_words y = {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low),
                         vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)};
    return y;
}
/* `count` codes, at most sixteen. */
CSD_INLINE csd_words csd_words_u8(const uint8_t *p, size_t count) {
    uint8_t held[16] = {0};
    if (count < 16u)
        memcpy(held, p, count);
    const uint8x16_t x = vld1q_u8(count < 16u ? held : p);
    return csd_halves_to_words(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x))),
                               vreinterpretq_s16_u16(vmovl_high_u8(x)));
}
CSD_INLINE csd_words csd_words_i8(const int8_t *p, size_t count) {
    int8_t held[16] = {0};
    if (count < 16u)
        memcpy(held, p, count);
    const int8x16_t x = vld1q_s8(count < 16u ? held : p);
    return csd_halves_to_words(vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x));
}
/* Of four bits each, two a byte, the high half first; `count` is even. */
CSD_INLINE csd_words csd_words_i4(const uint8_t *p, size_t count) {
    uint8_t held[8] = {0};
    if (count < 16u)
        memcpy(held, p, count / 2u);
    const int8x8_t x = vreinterpret_s8_u8(vld1_u8(count < 16u ? held : p));
    const int8x8_t high = vshr_n_s8(x, 4), low = vshr_n_s8(vshl_n_s8(x, 4), 4);
    return csd_halves_to_words(vmovl_s8(vzip1_s8(high, low)), vmovl_s8(vzip2_s8(high, low)));
}
CSD_INLINE csd_words csd_words_i16(const int16_t *p, size_t count) {
    int16_t held[16] = {0};
    if (count < 16u)
        memcpy(held, p, count * sizeof *p);
    p = count < 16u ? held : p;
    return csd_halves_to_words(vld1q_s16(p), vld1q_s16(p + 8));
}
/* Stores the low bytes, or halves, of the first `count` words. */
CSD_INLINE void csd_words_to_16(int16_t *p, csd_words x, size_t count) {
    int16_t held[16];
    int16_t *to = count < 16u ? held : p;
    vst1q_s16(to, vcombine_s16(vmovn_s32(x.a), vmovn_s32(x.b)));
    vst1q_s16(to + 8, vcombine_s16(vmovn_s32(x.c), vmovn_s32(x.d)));
    if (count < 16u)
        memcpy(p, held, count * sizeof *p);
}
CSD_INLINE void csd_words_to_8(uint8_t *p, csd_words x, size_t count) {
    const int16x8_t low = vcombine_s16(vmovn_s32(x.a), vmovn_s32(x.b));
    const int16x8_t high = vcombine_s16(vmovn_s32(x.c), vmovn_s32(x.d));
    uint8_t held[16];
    vst1q_u8(count < 16u ? held : p,
             vreinterpretq_u8_s8(vcombine_s8(vmovn_s16(low), vmovn_s16(high))));
    if (count < 16u)
        memcpy(p, held, count);
}

#endif
