/* Integers on Helium (the M-profile vector extension of Cortex-M55 and M85): the inner loops of the
   kernels that an encoder spends its time in. Exact as the loops that they stand in for. */
#ifndef CSIDEPLOY_HELIUM_H
#define CSIDEPLOY_HELIUM_H

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CSD_HAS_HELIUM

/* Signed sums without a multiplication, and without unpacking a weight.

       sum of s_k v_k = 2 (sum of v_k where the bit is 1) - sum of v_k,      s_k = +1 for bit 1, else -1

   A predicate is 16 bits, one for each byte of a vector: two bytes of a weight as they are stored.
   So v goes in two planes of bytes, v = 256 high + low with low unsigned, and VADDVA adds up the
   bytes of a plane whose bits are set. Bits are stored with the first input highest, lanes count
   from the lowest bit: bytes of each eight inputs stand in reverse. Sums wrap as uint32, and the
   result, below 2^31, is right. */
#define CSD_SIGN_RUN 128u

typedef struct csd_sign_planes {
    uint8_t low[CSD_SIGN_RUN];
    int8_t high[CSD_SIGN_RUN];
    uint32_t total;
    size_t bytes; /* of a row of weights; lanes beyond the inputs hold 0 */
} csd_sign_planes;

/* The planes of `count` numbers of 16 bits. */
static inline void csd_make_sign_planes(csd_sign_planes *planes, const int32_t *v, size_t count) {
    planes->total = 0;
    planes->bytes = (count + 7u) / 8u;
    for (size_t i = 0; i < (count + 15u) / 16u * 16u; i++) {
        const int32_t number = i < count ? v[i] : 0;
        planes->low[i ^ 7u] = (uint8_t)number;
        planes->high[i ^ 7u] = (int8_t)(number >> 8);
        planes->total += (uint32_t)number;
    }
}

/* What the bits of two rows pick from sixteen lanes. */
typedef struct csd_picked {
    uint32_t low[2];
    int32_t high[2];
} csd_picked;

static inline void csd_pick(csd_picked *sum, const csd_sign_planes *planes, size_t at, uint32_t row,
                            uint32_t other) {
    const uint8x16_t low = vldrbq_u8(planes->low + at);
    const int8x16_t high = vldrbq_s8(planes->high + at);
    sum->low[0] = vaddvaq_p_u8(sum->low[0], low, (mve_pred16_t)row);
    sum->high[0] = vaddvaq_p_s8(sum->high[0], high, (mve_pred16_t)row);
    sum->low[1] = vaddvaq_p_u8(sum->low[1], low, (mve_pred16_t)other);
    sum->high[1] = vaddvaq_p_s8(sum->high[1], high, (mve_pred16_t)other);
}

static inline uint32_t csd_two_bytes(const uint8_t *w) {
    uint16_t bits;
    memcpy(&bits, w, sizeof bits);
    return bits;
}

/* Two rows, `step` bytes apart, share what is read of the planes. */
static inline void csd_add_signed_pair(int32_t *sums, const csd_sign_planes *planes,
                                       const uint8_t *row, size_t step) {
    csd_picked sum = {{0, 0}, {0, 0}};
    size_t i = 0;
    for (; i + 2u <= planes->bytes; i += 2u)
        csd_pick(&sum, planes, 8u * i, csd_two_bytes(row + i), csd_two_bytes(row + step + i));
    if (i < planes->bytes)
        csd_pick(&sum, planes, 8u * i, row[i], row[step + i]);
    for (size_t r = 0; r < 2; r++) {
        const uint32_t set = sum.low[r] + ((uint32_t)sum.high[r] << 8);
        sums[r] = (int32_t)((uint32_t)sums[r] + 2u * set - planes->total);
    }
}

/* sum of x[k] w[k] in 32 bits. */
static inline int32_t csd_helium_dot(const int16_t *x, const int8_t *w, size_t count) {
    int32_t sum = 0;
    for (size_t k = 0; k < count; k += 8u) {
        const mve_pred16_t here = vctp16q((uint32_t)(count - k));
        sum = vmladavaq_p_s16(sum, vldrhq_z_s16(x + k, here), vldrbq_z_s16(w + k, here), here);
    }
    return sum;
}

#endif
#endif
