/* Products of a row of x with strips of weights, with the dot product of bytes. Included by
   vector/qlinear.c. The sums of a strip are sixteen registers: rows come one by one. */

#define ROWS 1u
#define FLIPPED CSD_U8 /* less 128 it is an i8 */
#define SHIFT (-0x80)
#define WORDS 0

#define QUARTERS (STRIP / 4u) /* of registers */

/* The products of four bytes of x, lane `lane` of `some`. */
#define MULTIPLY_LANE(lane)                                                                        \
    CSD_UNROLL                                                                                     \
    for (size_t v = 0; v < QUARTERS; v++)                                                          \
    sums[v] = vdotq_laneq_s32(sums[v], vld1q_s8(w + (lane) * STRIP * 4u + v * 16u), some, lane)

/* made[0] = products of `count` inputs of a row of x with a strip. */
CSD_INLINE void multiply(int32_t made[ROWS][STRIP], const uint8_t *x, size_t pitch, size_t count,
                         const int8_t *w, size_t rows, size_t q, int flip) {
    const uint8x16_t flips = vreinterpretq_u8_s32(vdupq_n_s32(flip));
    int32x4_t sums[QUARTERS];
    (void)pitch;
    (void)rows;
    (void)q;
    CSD_UNROLL
    for (size_t v = 0; v < QUARTERS; v++)
        sums[v] = vdupq_n_s32(0);
    for (; count >= 16u; count -= 16u, x += 16, w += STRIP * 16u) {
        const int8x16_t some = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x), flips));
        MULTIPLY_LANE(0);
        MULTIPLY_LANE(1);
        MULTIPLY_LANE(2);
        MULTIPLY_LANE(3);
    }
    while (count > 0) {
        const size_t here = count < 4u ? count : 4u;
        int32_t dword = 0;
        memcpy(&dword, x, here);
        const int8x16_t some = vreinterpretq_s8_s32(vdupq_n_s32(dword ^ flip));
        MULTIPLY_LANE(0);
        count -= here;
        x += here;
        w += STRIP * 4u;
    }
    CSD_UNROLL
    for (size_t v = 0; v < QUARTERS; v++)
        vst1q_s32(made[0] + 4u * v, sums[v]);
}
