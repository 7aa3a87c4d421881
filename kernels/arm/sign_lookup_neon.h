/* Tables of the signed sums of four float32, and sums of what stands in them, with NEON. Included by
   vector/binary_linear.c.

   One look-up reads a table of 16 bytes for 16 outputs. So a table of 16 float32 is kept as four
   planes, the first bytes of all entries, then the second, ...; what is found in the planes is zipped
   to bytes of one number again. */

/* Planes of a table, as they stand in memory. */
CSD_INLINE void build_tables(four_sums *tables, const float *x, size_t count) {
    for (size_t g = 0; g < csd_sign_steps(count) * 4u; g++) {
        float four[4] = {0}, entries[16];
        for (size_t i = 0; i < 4u && 4u * g + i < count; i++)
            four[i] = x[4u * g + i];
        const float high[4] = {-four[0] - four[1], -four[0] + four[1], four[0] - four[1],
                               four[0] + four[1]};
        const float lows[4] = {-four[2] - four[3], -four[2] + four[3], four[2] - four[3],
                               four[2] + four[3]};
        const float32x4_t low = vld1q_f32(lows);
        for (size_t i = 0; i < 4u; i++)
            vst1q_f32(entries + 4u * i, vaddq_f32(vdupq_n_f32(high[i]), low));
        const uint8x16x4_t planes = vld4q_u8((const uint8_t *)entries);
        for (size_t i = 0; i < 4u; i++)
            vst1q_u8((uint8_t *)tables[g] + 16u * i, planes.val[i]);
    }
}

CSD_INLINE float32x4_t zipped(uint8x16_t low, uint8x16_t high, const int second) {
    const uint16x8_t a = vreinterpretq_u16_u8(low), b = vreinterpretq_u16_u8(high);
    return vreinterpretq_f32_u16(second ? vzip2q_u16(a, b) : vzip1q_u16(a, b));
}

/* sums += entries of 16 outputs. */
CSD_INLINE void add_found(float32x4_t sums[4], const uint8x16_t planes[4], uint8x16_t places) {
    const uint8x16_t a = vqtbl1q_u8(planes[0], places), b = vqtbl1q_u8(planes[1], places);
    const uint8x16_t c = vqtbl1q_u8(planes[2], places), d = vqtbl1q_u8(planes[3], places);
    const uint8x16_t low = vzip1q_u8(a, b), high = vzip1q_u8(c, d);
    const uint8x16_t low2 = vzip2q_u8(a, b), high2 = vzip2q_u8(c, d);
    sums[0] = vaddq_f32(sums[0], zipped(low, high, 0));
    sums[1] = vaddq_f32(sums[1], zipped(low, high, 1));
    sums[2] = vaddq_f32(sums[2], zipped(low2, high2, 0));
    sums[3] = vaddq_f32(sums[3], zipped(low2, high2, 1));
    /* Here, or what is found is kept, and the sums are spilt. */
    __asm__ __volatile__("" : "+w"(sums[0]), "+w"(sums[1]), "+w"(sums[2]), "+w"(sums[3])::"memory");
}

/* The four groups of a step of one tile, whose outputs 16 h on are sums 4 h on. */
CSD_INLINE void add_step(float32x4_t sums[8], const four_sums *tables, const uint16_t *words) {
    const uint8x16x4_t bytes = vld4q_u8((const uint8_t *)words);
    CSD_UNROLL
    for (unsigned g = 0; g < 4u; g++) {
        uint8x16_t planes[4];
        CSD_UNROLL
        for (unsigned i = 0; i < 4u; i++)
            planes[i] = vld1q_u8((const uint8_t *)tables[g] + 16u * i);
        CSD_UNROLL
        for (unsigned half = 0; half < 2u; half++) {
            const uint8x16_t two = bytes.val[g / 2u + 2u * half];
            add_found(sums + 4u * half, planes,
                      g % 2u == 0 ? vandq_u8(two, vdupq_n_u8(15)) : vshrq_n_u8(two, 4));
        }
    }
}

static void add_tile_row(float *y, size_t left, int first, const four_sums *tables,
                         const uint16_t *words, size_t steps, size_t pitch) {
    float held[CSD_SIGN_TILE] = {0};
    float *const to = left < CSD_SIGN_TILE ? held : y;
    const size_t kept = left < CSD_SIGN_TILE ? left : CSD_SIGN_TILE;
    if (to == held && !first)
        memcpy(held, y, kept * sizeof *y);
    if (to == y && first)
        memset(y, 0, CSD_SIGN_TILE * sizeof *y);
    while (steps > 0) {
        const size_t here = steps < BLOCK_STEPS ? steps : BLOCK_STEPS;
        float32x4_t block[8];
        CSD_UNROLL
        for (size_t v = 0; v < 8u; v++)
            block[v] = vdupq_n_f32(0.0f);
        for (size_t step = 0; step < here; step++, words += pitch * CSD_SIGN_TILE, tables += 4)
            add_step(block, tables, words);
        CSD_UNROLL
        for (size_t v = 0; v < 8u; v++)
            vst1q_f32(to + 4u * v, vaddq_f32(vld1q_f32(to + 4u * v), block[v]));
        steps -= here;
    }
    if (to == held)
        memcpy(y, held, kept * sizeof *y);
}

#include "../vector/sign_rows.h"
