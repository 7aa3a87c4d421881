/* What precoders share: each user's index in its message, B bits, MSB first, and rows of tables of
   sets. */
#ifndef CSIDEPLOY_PRECODER_H
#define CSIDEPLOY_PRECODER_H

#include "kernels.h"

/* The verifier lets no more through. */
#define CSD_MOST_USERS 16u

/* index[k] below 2^bits, whatever the bytes are; `bits` is at most 16. */
static inline void csd_read_indices(uint32_t *index, const uint8_t *payload, uint32_t users,
                                    uint32_t bits) {
    if (bits <= 8)
        for (uint32_t k = 0; k < users; k++)
            index[k] = (uint32_t)payload[k] >> (8u - bits);
    else
        for (uint32_t k = 0; k < users; k++)
            index[k] = ((uint32_t)payload[2u * k] << 8 | payload[2u * k + 1u]) >> (16u - bits);
}

/* x / t, where t divides x and the quotient is below 2^32: the odd part's inverse modulo 2^32. */
static inline uint32_t csd_divide_exactly(uint64_t x, uint32_t t) {
    static const uint32_t inverse[CSD_MOST_USERS + 1u] = {
        0,           1u, 1u,          0xAAAAAAABu, 1u, 0xCCCCCCCDu, 0xAAAAAAABu, 0xB6DB6DB7u, 1u,
        0x38E38E39u, 0xCCCCCCCDu, 0xBA2E8BA3u, 0xAAAAAAABu, 0xC4EC4EC5u, 0xB6DB6DB7u, 0xEEEEEEEFu,
        1u};
    static const uint8_t twos[CSD_MOST_USERS + 1u] = {0, 0, 1, 0, 2, 0, 1, 0, 3,
                                                      0, 1, 0, 2, 0, 1, 0, 4};
    return (uint32_t)(x >> twos[t]) * inverse[t];
}

/* binomial(q + place, place + 1): q (q + 1) / 2 (q + 2) / 3 ..., each a binomial that does not
   fall, and the last is below the number of rows: all below 2^31, the products below 2^48. */
static inline uint32_t csd_rows_before(uint32_t q, uint32_t place) {
    uint32_t rows = q;
    for (uint32_t t = 2; t <= place + 1u; t++)
        rows = csd_divide_exactly((uint64_t)rows * (q + t - 1u), t);
    return rows;
}

#endif
