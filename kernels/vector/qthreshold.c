/* code = number of thresholds <= x. All thresholds are compared with 64 words at once, which beats
   halving: neighbours share them, and nothing is looked up. */
#include <string.h>

#include "../codes.h"
#include "../fast.h"
#include "../vectors.h"

#if defined(__GNUC__) || defined(__clang__)

#define WORDS 64u

#if defined(CSD_HAS_AVX512)
#define VECTOR 64u
#elif defined(CSD_HAS_AVX2)
#define VECTOR 32u
#else
#define VECTOR 16u
#endif
#define VECTORS (2u * WORDS / VECTOR)

typedef int16_t words __attribute__((vector_size(VECTOR)));

CSD_INLINE void load_words(int16_t *to, const csd_input *x, size_t at, size_t count) {
    if (x->shape.dtype == CSD_I16) {
        memcpy(to, (const int16_t *)x->data + at, count * sizeof *to);
    } else if (x->shape.dtype == CSD_U8) {
        for (size_t i = 0; i < count; i++)
            to[i] = ((const uint8_t *)x->data)[at + i];
    } else {
        for (size_t i = 0; i < count; i++)
            to[i] = ((const int8_t *)x->data)[at + i];
    }
}

int CSD_FAST(qthreshold)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_QTHRESHOLD_X];
    const int32_t *thresholds = args->in[CSD_QTHRESHOLD_THRESHOLDS].data;
    size_t most = args->in[CSD_QTHRESHOLD_THRESHOLDS].shape.dims[0], always = 0;
    uint8_t *codes = args->out[0].data;
    const size_t total = csd_size(&x->shape);
    /* They never fall: those that every word reaches, and those that none does, are at the ends. */
    while (always < most && thresholds[always] <= INT16_MIN)
        always++;
    while (most > always && thresholds[most - 1u] > INT16_MAX)
        most--;
    for (size_t at = 0; at < total; at += WORDS) {
        const size_t count = total - at < WORDS ? total - at : WORDS;
        int16_t held[WORDS] = {0};
        words parts[VECTORS], reached[VECTORS];
        if (count == WORDS)
            load_words(held, x, at, WORDS);
        else
            load_words(held, x, at, count);
        memcpy(parts, held, sizeof parts);
        memset(reached, 0, sizeof reached);
        for (size_t t = always; t < most; t++) {
            const words threshold = (words){0} + (int16_t)thresholds[t];
            CSD_UNROLL
            for (size_t v = 0; v < VECTORS; v++)
                reached[v] -= parts[v] >= threshold;
        }
        memcpy(held, reached, sizeof held);
        for (size_t i = 0; i < WORDS; i++)
            held[i] = (int16_t)(held[i] + (int16_t)always);
        for (size_t i = 0; i < count; i++)
            codes[at + i] = (uint8_t)held[i];
    }
    return 1;
}

CSD_NOTHING_PREPARED(qthreshold)

#else
CSD_NOTHING_FAST(qthreshold)
CSD_NOTHING_PREPARED(qthreshold)
#endif
