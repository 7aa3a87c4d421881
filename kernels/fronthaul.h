/* What the quantizers of the fronthaul share: RUs, their tables, and a message of R indices. */
#ifndef CSIDEPLOY_FRONTHAUL_H
#define CSIDEPLOY_FRONTHAUL_H

#include "kernels.h"

/* The verifier lets no more through. */
#define CSD_MOST_RUS 32u

/* `rus` holds N_m and B_m of each RU. */
static inline size_t csd_ru_antennas(const int32_t *rus, uint32_t m) { return (size_t)rus[2u * m]; }

static inline uint32_t csd_ru_bits(const int32_t *rus, uint32_t m) {
    return (uint32_t)rus[2u * m + 1u];
}

/* Bytes of R indices of `bits` each. */
static inline size_t csd_stream_bytes(uint32_t uses, uint32_t bits) {
    return (size_t)(((uint64_t)uses * bits + 7u) / 8u);
}

/* Puts index number `use` of a stream of zeros; 1 to 12 bits lie in at most three bytes. */
static inline void csd_put_index(uint8_t *stream, uint32_t use, uint32_t bits, uint32_t index) {
    const uint64_t place = (uint64_t)use * bits;
    const uint32_t first = (uint32_t)(place % 8u), last = first + bits;
    const uint32_t word = index << (24u - last);
    stream += place / 8u;
    stream[0] = (uint8_t)(stream[0] | word >> 16);
    if (last > 8)
        stream[1] = (uint8_t)(stream[1] | (word >> 8 & 255u));
    if (last > 16)
        stream[2] = (uint8_t)(stream[2] | (word & 255u));
}

#endif
