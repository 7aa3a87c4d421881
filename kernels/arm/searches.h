/* Look-ups and steps of a search, sixteen at once: kernels/vector/quantize_logit.c. */
#ifndef CSIDEPLOY_ARM_SEARCHES_H
#define CSIDEPLOY_ARM_SEARCHES_H

/* Byte k of number i stands at 4 i + k. */
CSD_INLINE float32x4_t csd_quarter_at(uint8x16x4_t table, int32x4_t index) {
    const int32x4_t bytes = vmlaq_s32(vdupq_n_s32(0x03020100), index, vdupq_n_s32(0x04040404));
    return vreinterpretq_f32_u8(vqtbl4q_u8(table, vreinterpretq_u8_s32(bytes)));
}
/* Numbers index[0], index[1], ... of a table of sixteen. */
CSD_INLINE csd_wide csd_wide_at(csd_wide table, csd_words index) {
    const uint8x16x4_t all = {{vreinterpretq_u8_f32(table.a), vreinterpretq_u8_f32(table.b),
                               vreinterpretq_u8_f32(table.c), vreinterpretq_u8_f32(table.d)}};
    const csd_wide y = {csd_quarter_at(all, index.a), csd_quarter_at(all, index.b),
                        csd_quarter_at(all, index.c), csd_quarter_at(all, index.d)};
    return y;
}
CSD_INLINE int32x4_t csd_quarter_step(int32x4_t x, float32x4_t a, float32x4_t b, int32x4_t step) {
    return vaddq_s32(x, vandq_s32(vreinterpretq_s32_u32(vcltq_f32(a, b)), step));
}
/* x + (a < b ? step : 0) */
CSD_INLINE csd_words csd_words_step(csd_words x, csd_wide a, csd_wide b, csd_words step) {
    const csd_words y = {csd_quarter_step(x.a, a.a, b.a, step.a),
                         csd_quarter_step(x.b, a.b, b.b, step.b),
                         csd_quarter_step(x.c, a.c, b.c, step.c),
                         csd_quarter_step(x.d, a.d, b.d, step.d)};
    return y;
}

#endif
