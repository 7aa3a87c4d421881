/* How a kernel of csideploy/angular_delay.h works in its scratch: what the kernel and the one who
   counts the bytes must agree on. */
#ifndef CSIDEPLOY_KERNELS_ANGULAR_DELAY_H
#define CSIDEPLOY_KERNELS_ANGULAR_DELAY_H

#include "csideploy/angular_delay.h"

/* Numbers of a vector, and vectors of a row that are in work at once. */
#define CSD_AD_WIDE 16u
#define CSD_AD_CHUNK 4u

/* Terms times slots of a block: 32 KiB, so that they stay in the first cache. */
#define CSD_AD_BLOCK 128u

static inline size_t csd_ad_whole(size_t count) {
    return (count + CSD_AD_WIDE - 1u) / CSD_AD_WIDE * CSD_AD_WIDE;
}

/* A tap's numbers, two an antenna, as whole vectors. */
static inline size_t csd_ad_row(const csd_angular_delay *plan) {
    return csd_ad_whole(2u * (size_t)plan->antennas);
}

/* Of one block, with an empty term for each of up to 16 slots. */
static inline size_t csd_ad_block_numbers(void) {
    return (CSD_AD_BLOCK + 16u) * (size_t)CSD_AD_CHUNK * CSD_AD_WIDE;
}

/* Sums with cos, and with sin. */
static inline size_t csd_ad_sum_numbers(const csd_angular_delay *plan) {
    return plan->delays * csd_ad_row(plan);
}

/* Taps, real and imaginary parts apart, an antenna a row. */
static inline size_t csd_ad_plane_numbers(const csd_angular_delay *plan) {
    return plan->antennas * csd_ad_whole(plan->delays);
}

#endif
