/* Eight codes of B bits and their B bytes of payload, most significant bit first. A word of 64 bits
   has the codes in its bytes, the first in the highest; three steps join neighbours, or part them:
   fields of 8 bits with B in use, then of 16 with 2 B, of 32 with 4 B. */
#ifndef CSIDEPLOY_EIGHT_CODES_H
#define CSIDEPLOY_EIGHT_CODES_H

#include <stdint.h>
#include <string.h>

#include "../vectors.h"

/* `bytes` bytes, up to eight, the first the highest of those in use. */
CSD_INLINE uint64_t csd_bytes_in(const uint8_t *from, size_t bytes) {
    uint64_t word = 0;
    CSD_UNROLL
    for (size_t i = 0; i < bytes; i++)
        word = word << 8 | from[i];
    return word;
}

CSD_INLINE void csd_bytes_out(uint8_t *to, uint64_t word, size_t bytes) {
    CSD_UNROLL
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(word >> 8u * (bytes - 1u - i));
}

/* 1 at the lowest bit of every field of `width` bits. */
CSD_INLINE uint64_t csd_lowest_bits(unsigned width) {
    return width == 64u ? 1u : UINT64_MAX / ((UINT64_C(1) << width) - 1u);
}

/* The low `bits` bits of every field. */
CSD_INLINE uint64_t csd_low_bits(unsigned width, unsigned bits) {
    return csd_lowest_bits(width) * (((UINT64_C(1) << (bits - 1u)) - 1u) * 2u + 1u);
}

CSD_INLINE uint64_t csd_join_eight(uint64_t codes, unsigned bits) {
    uint64_t word = codes & csd_low_bits(8u, bits);
    CSD_UNROLL
    for (unsigned width = 16u, used = bits; width <= 64u; width *= 2u, used *= 2u) {
        const uint64_t low = csd_low_bits(width, used);
        word = (word & low) | (word >> (width / 2u - used) & low << used);
    }
    return word;
}

CSD_INLINE uint64_t csd_part_eight(uint64_t word, unsigned bits) {
    CSD_UNROLL
    for (unsigned width = 64u, used = 4u * bits; width >= 16u; width /= 2u, used /= 2u) {
        const uint64_t low = csd_low_bits(width, used);
        word = (word & low) | (word & low << used) << (width / 2u - used);
    }
    return word;
}

/* case B: CALL with the constant B, for every width. */
#define CSD_EACH_WIDTH(CALL)                                                                       \
    case 1:                                                                                        \
        CALL(1u);                                                                                  \
        return 1;                                                                                  \
    case 2:                                                                                        \
        CALL(2u);                                                                                  \
        return 1;                                                                                  \
    case 3:                                                                                        \
        CALL(3u);                                                                                  \
        return 1;                                                                                  \
    case 4:                                                                                        \
        CALL(4u);                                                                                  \
        return 1;                                                                                  \
    case 5:                                                                                        \
        CALL(5u);                                                                                  \
        return 1;                                                                                  \
    case 6:                                                                                        \
        CALL(6u);                                                                                  \
        return 1;                                                                                  \
    case 7:                                                                                        \
        CALL(7u);                                                                                  \
        return 1;                                                                                  \
    case 8:                                                                                        \
        CALL(8u);                                                                                  \
        return 1

#endif
