/* The tables of csideploy/angular_delay.h. */
#include "csideploy/angular_delay.h"

#include <math.h>

#include "../../kernels/angular_delay.h"

enum { MOST_SUBCARRIERS = 65536, MOST_ANTENNAS = 512 };

/* cos and sin of 2 pi m / of, m below `of`. A quarter turn is split off exactly, then what is beyond
   an eighth is reflected, so that x is at most pi / 4: there the series to x^17 is exact to a double's
   last digits, and no library's cos makes tables differ. */
static void root(uint64_t m, uint64_t of, double *cosine, double *sine) {
    const uint64_t quarter = 4u * m / of, rest = 4u * m % of;
    const int reflected = 2u * rest > of;
    const double x = 1.5707963267948966 * (double)(reflected ? of - rest : rest) / (double)of;
    double c = 1.0, s = x, term = x;
    for (int i = 2; i <= 17; i++) {
        term *= x / i;
        const double signed_term = i & 2 ? -term : term;
        if (i & 1)
            s += signed_term;
        else
            c += signed_term;
    }
    const double a = reflected ? s : c, b = reflected ? c : s;
    *cosine = quarter == 0 ? a : quarter == 1 ? -b : quarter == 2 ? -a : b;
    *sine = quarter == 0 ? b : quarter == 1 ? a : quarter == 2 ? -b : -a;
}

/* One of 16 or 4 divides the subcarriers, or they are paired, k with K - k. */
static void divide(csd_angular_delay *plan) {
    const uint32_t k = plan->subcarriers;
    plan->radix = k % 16u == 0 ? 16u : k % 4u == 0 ? 4u : 1u;
    plan->terms = plan->radix > 1 ? k / plan->radix : k / 2u + 1u;
}

static uint64_t frequency_numbers(const csd_angular_delay *plan) {
    return 2u * (uint64_t)plan->delays * plan->terms;
}

static size_t bytes_of(csd_angular_delay *plan) {
    if (plan->subcarriers < 1 || plan->subcarriers > MOST_SUBCARRIERS || plan->antennas < 1 ||
        plan->antennas > MOST_ANTENNAS || plan->delays < 1 || plan->delays > plan->subcarriers)
        return 0;
    divide(plan);
    const uint64_t half = plan->antennas / 2u + 1u;
    const uint64_t bytes = (frequency_numbers(plan) + 2u * half * half) * sizeof(float);
    return bytes < (uint64_t)1 << 30 ? (size_t)bytes : 0;
}

size_t csd_angular_delay_bytes(uint32_t subcarriers, uint32_t antennas, uint32_t delays) {
    csd_angular_delay plan = {subcarriers, antennas, delays, 0, 0, NULL, NULL};
    return bytes_of(&plan);
}

csd_status csd_angular_delay_open(csd_angular_delay *plan, uint32_t subcarriers, uint32_t antennas,
                                  uint32_t delays, void *memory, size_t bytes) {
    plan->subcarriers = subcarriers;
    plan->antennas = antennas;
    plan->delays = delays;
    const size_t need = bytes_of(plan);
    if (need == 0)
        return CSD_BAD_CALL;
    if (memory == NULL || bytes < need)
        return CSD_ARENA_SMALL;
    if (((uintptr_t)memory & (sizeof(float) - 1u)) != 0)
        return CSD_ARENA_MISALIGNED;
    float *at = memory;
    plan->frequency = at;
    for (uint32_t l = 0; l < delays; l++, at += 2u * plan->terms)
        for (uint32_t q = 0; q < plan->terms; q++) {
            double cosine, sine;
            root((uint64_t)q * l % subcarriers, subcarriers, &cosine, &sine);
            at[q] = (float)cosine;
            at[plan->terms + q] = (float)sine;
        }
    plan->angle = at;
    const uint32_t half = antennas / 2u + 1u;
    const double gain = 1.0 / (subcarriers * sqrt(antennas));
    for (uint32_t f = 0; f < half; f++)
        for (uint32_t a = 0; a < half; a++, at++) {
            double cosine, sine;
            root((uint64_t)f * a % antennas, antennas, &cosine, &sine);
            at[0] = (float)(gain * cosine);
            at[(size_t)half * half] = (float)(gain * sine);
        }
    return CSD_OK;
}

size_t csd_angular_delay_scratch_bytes(const csd_angular_delay *plan) {
    const size_t numbers = csd_ad_block_numbers() + 2u * csd_ad_sum_numbers(plan) +
                           2u * csd_ad_plane_numbers(plan);
    return numbers * sizeof(float);
}
