/* Over all 2^32 float32 in ascending order: the 8-bit code of the sigmoid never falls, and is 0 for
   every NaN. With fewer bits the code is the high bits of that. Less than a minute:

     cc -std=c99 -O3 -march=native -ffp-contract=off tests/kernels/every_logit.c -o every_logit
     ./every_logit
*/
#include <stdio.h>

#include "../../kernels/elementary.h"

#define BLOCK 4096u
#define INFINITE 0x7F800000u

/* As kernels/reference/quantize_uniform.c. */
static int32_t code_of(float x) {
    const float scaled = csd_sigmoid(x) * 256.0f;
    const float above = scaled > 0.0f ? scaled : 0.0f;
    return (int32_t)(above < 255.0f ? above : 255.0f);
}

/* Patterns `from` to `last`, a multiple of BLOCK and one: away from zero. */
static uint64_t falls(uint32_t from, uint32_t last, int sign, uint64_t *steps) {
    uint64_t wrong = 0;
    int32_t codes[BLOCK + 1u];
    for (uint64_t at = from; at < last; at += BLOCK) {
        for (uint32_t i = 0; i <= BLOCK; i++)
            codes[i] = code_of(csd_float((uint32_t)(at + i)));
        for (uint32_t i = 0; i < BLOCK; i++) {
            const int32_t rise = (codes[i + 1u] - codes[i]) * sign;
            wrong += rise < 0;
            *steps += rise > 0;
        }
    }
    return wrong;
}

int main(void) {
    const uint32_t minus = 0x80000000u;
    uint64_t steps = 0;
    uint64_t wrong = falls(minus, minus | INFINITE, -1, &steps) + falls(0, INFINITE, 1, &steps);
    wrong += code_of(csd_float(minus)) != code_of(0.0f);
    for (uint32_t bits = INFINITE + 1u; bits < minus; bits++)
        wrong += code_of(csd_float(bits)) != 0 || code_of(csd_float(minus | bits)) != 0;
    printf("%llu falls and wrong NaNs, %llu steps\n", (unsigned long long)wrong,
           (unsigned long long)steps);
    return wrong != 0;
}
