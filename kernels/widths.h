/* Codes of a number of bits each: the table of widths, 4 bits an output, the first in the high ones.
   The verifier has seen that none is above 8, and that what the kernels walk through, thresholds,
   values and payload, is exactly as long as the widths say. */
#ifndef CSIDEPLOY_WIDTHS_H
#define CSIDEPLOY_WIDTHS_H

#include "kernels.h"

static inline uint32_t csd_width(const uint8_t *widths, uint32_t m) {
    return (uint32_t)widths[m / 2u] >> (m % 2u ? 0u : 4u) & 15u;
}

#endif
