/* kernels/vectors.h in the registers of AArch64. */
#ifndef CSIDEPLOY_ARM_VECTORS_H
#define CSIDEPLOY_ARM_VECTORS_H

#include <arm_neon.h>

typedef struct csd_wide {
    float32x4_t a, b, c, d;
} csd_wide;

#define CSD_KEEP(x) __asm__("" : "+w"((x).a), "+w"((x).b), "+w"((x).c), "+w"((x).d))

/* `name` over the four quarters of its operands. */
#define CSD_QUARTERS_2(name, x, z)                                                                 \
    {name((x).a, (z).a), name((x).b, (z).b), name((x).c, (z).c), name((x).d, (z).d)}
#define CSD_QUARTERS_3(name, x, z, w)                                                              \
    {name((x).a, (z).a, (w).a), name((x).b, (z).b, (w).b), name((x).c, (z).c, (w).c),              \
     name((x).d, (z).d, (w).d)}

CSD_INLINE csd_wide csd_wide_load(const float *p) {
    const csd_wide y = {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
    return y;
}
CSD_INLINE void csd_wide_store(float *p, csd_wide x) {
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
    vst1q_f32(p + 8, x.c);
    vst1q_f32(p + 12, x.d);
}
CSD_INLINE csd_wide csd_wide_all(float x) {
    const csd_wide y = {vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x)};
    return y;
}
CSD_INLINE csd_wide csd_wide_add(csd_wide x, csd_wide z) {
    const csd_wide y = CSD_QUARTERS_2(vaddq_f32, x, z);
    return y;
}
CSD_INLINE csd_wide csd_wide_sub(csd_wide x, csd_wide z) {
    const csd_wide y = CSD_QUARTERS_2(vsubq_f32, x, z);
    return y;
}
CSD_INLINE csd_wide csd_wide_mul(csd_wide x, csd_wide z) {
    const csd_wide y = CSD_QUARTERS_2(vmulq_f32, x, z);
    return y;
}
CSD_INLINE csd_wide csd_wide_div(csd_wide x, csd_wide z) {
    const csd_wide y = CSD_QUARTERS_2(vdivq_f32, x, z);
    return y;
}
/* vminq and vmaxq would make a NaN of a NaN on either side. */
CSD_INLINE float32x4_t csd_quarter_min(float32x4_t x, float32x4_t z) {
    return vbslq_f32(vcltq_f32(x, z), x, z);
}
CSD_INLINE float32x4_t csd_quarter_max(float32x4_t x, float32x4_t z) {
    return vbslq_f32(vcgtq_f32(x, z), x, z);
}
CSD_INLINE csd_wide csd_wide_min(csd_wide x, csd_wide z) {
    const csd_wide y = CSD_QUARTERS_2(csd_quarter_min, x, z);
    return y;
}
CSD_INLINE csd_wide csd_wide_max(csd_wide x, csd_wide z) {
    const csd_wide y = CSD_QUARTERS_2(csd_quarter_max, x, z);
    return y;
}
CSD_INLINE csd_wide csd_wide_fma(csd_wide x, csd_wide z, csd_wide c) {
    const csd_wide y = CSD_QUARTERS_3(vfmaq_f32, c, x, z);
    return y;
}
CSD_INLINE csd_wide csd_wide_fnma(csd_wide x, csd_wide z, csd_wide c) {
    const csd_wide y = CSD_QUARTERS_3(vfmsq_f32, c, x, z);
    return y;
}
CSD_INLINE float32x4_t csd_quarter_scale(float32x4_t p, float32x4_t shifted) {
    const uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(shifted), 23);
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(p), exponent));
}
CSD_INLINE csd_wide csd_wide_scale(csd_wide p, csd_wide shifted) {
    const csd_wide y = CSD_QUARTERS_2(csd_quarter_scale, p, shifted);
    return y;
}
CSD_INLINE float32x4_t csd_four(csd_wide x) {
    return vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
}
CSD_INLINE float csd_wide_total(csd_wide x) {
    const float32x4_t four = csd_four(x);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
/* y[0] to y[3] = the totals of p to s. */
CSD_INLINE void csd_wide_totals(float *y, csd_wide p, csd_wide q, csd_wide r, csd_wide s) {
    const float32x4_t e = csd_four(p), f = csd_four(q), g = csd_four(r), h = csd_four(s);
    const float32x4_t ef = vaddq_f32(vcombine_f32(vget_low_f32(e), vget_low_f32(f)),
                                     vcombine_f32(vget_high_f32(e), vget_high_f32(f)));
    const float32x4_t gh = vaddq_f32(vcombine_f32(vget_low_f32(g), vget_low_f32(h)),
                                     vcombine_f32(vget_high_f32(g), vget_high_f32(h)));
    vst1q_f32(y, vpaddq_f32(ef, gh));
}

/* y[0] to y[3] become top / sqrt(y), with y at least 1. */
CSD_INLINE void csd_four_over_roots(float *y, float top) {
    const float32x4_t x = csd_quarter_max(vld1q_f32(y), vdupq_n_f32(1.0f));
    vst1q_f32(y, vdivq_f32(vdupq_n_f32(top), vsqrtq_f32(x)));
}

/* Lanes below `count`, at most sixteen; no other number is read or written. Loaded ones are 0. */
CSD_INLINE csd_wide csd_wide_load_first(const float *p, size_t count) {
    float held[16] = {0};
    if (count == 16u)
        return csd_wide_load(p);
    memcpy(held, p, count * sizeof *p);
    return csd_wide_load(held);
}
CSD_INLINE void csd_wide_store_first(float *p, csd_wide x, size_t count) {
    float held[16];
    if (count == 16u) {
        csd_wide_store(p, x);
        return;
    }
    csd_wide_store(held, x);
    memcpy(p, held, count * sizeof *p);
}
/* a < b ? yes : no */
CSD_INLINE csd_wide csd_wide_if_below(csd_wide x, csd_wide z, csd_wide yes, csd_wide no) {
    const csd_wide y = {vbslq_f32(vcltq_f32(x.a, z.a), yes.a, no.a),
                        vbslq_f32(vcltq_f32(x.b, z.b), yes.b, no.b),
                        vbslq_f32(vcltq_f32(x.c, z.c), yes.c, no.c),
                        vbslq_f32(vcltq_f32(x.d, z.d), yes.d, no.d)};
    return y;
}
/* y < 0 ? slope y : y */
CSD_INLINE csd_wide csd_wide_rectify(csd_wide x, csd_wide slope) {
    return csd_wide_if_below(x, csd_wide_all(0.0f), csd_wide_mul(slope, x), x);
}

#endif
