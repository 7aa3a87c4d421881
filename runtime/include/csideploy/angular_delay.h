/* From a channel estimate to the input of an encoder, on a hosted machine: subcarriers x antennas to
   the angular-delay domain, cut to the first delays, scaled to [0, 1].

       t[l, a] = sum_k h[k, a] exp(j 2 pi k l / K) / K,                      l below `delays`
       H[i, l] = sum_a t[l, a] exp(-j 2 pi a f / A) / sqrt(A),               f = i - A/2 (mod A)
       x = 0.5 + H / (2 max|H|)

       csd_angular_delay plan;
       status = csd_angular_delay_open(&plan, 1024, 32, 32, memory, bytes);   csd_angular_delay_bytes
       isa.angular_delay(&plan, h, 1, x, &absmax, scratch);                   csd_choose_isa

   h: (count, subcarrier, antenna, 2) float32; x: (count, 2, antenna, delay) float32 in [0, 1];
   absmax: (count) float32, the max|H| that each sample was divided by. A sample that is zero gives
   absmax 0 and x 0.5; a sample that is not finite gives an absmax that is not finite. All instruction
   sets give the same bits. */
#ifndef CSIDEPLOY_ANGULAR_DELAY_H
#define CSIDEPLOY_ANGULAR_DELAY_H

#include <stddef.h>
#include <stdint.h>

#include "csideploy/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Tables of one size of problem. Any number of threads may share them, each with its own scratch.
   Read its members, write none. */
typedef struct csd_angular_delay {
    uint32_t subcarriers, antennas, delays;
    uint32_t radix; /* 16, 4 or 1 */
    uint32_t terms; /* of a tap's sum, after the short transforms */
    /* cos and sin of 2 pi q l / subcarriers: (delays, 2, terms) */
    const float *frequency;
    /* cos and sin of 2 pi a f / antennas, with 1 / (K sqrt(A)): (2, f, a), each to antennas / 2 */
    const float *angle;
} csd_angular_delay;

typedef void (*csd_angular_delay_kernel)(const csd_angular_delay *plan, const float *h,
                                         size_t count, float *x, float *absmax, float *scratch);

/* Bytes of the tables, aligned to 4; 0 for a size that is not taken: up to 65,536 subcarriers and 512
   antennas, 1 to `subcarriers` delays, less than 1 GiB. */
size_t csd_angular_delay_bytes(uint32_t subcarriers, uint32_t antennas, uint32_t delays);

/* Makes the tables. BAD_CALL: a size that is not taken; ARENA_SMALL, ARENA_MISALIGNED: the memory
   does not fit. */
csd_status csd_angular_delay_open(csd_angular_delay *plan, uint32_t subcarriers, uint32_t antennas,
                                  uint32_t delays, void *memory, size_t bytes);

/* Bytes that a kernel works in, aligned to 4, better to 64. */
size_t csd_angular_delay_scratch_bytes(const csd_angular_delay *plan);

#ifdef __cplusplus
}
#endif

#endif
