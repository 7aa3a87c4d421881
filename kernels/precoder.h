/* What precoders share: each user's index in its message, B bits, MSB first. */
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

#endif
