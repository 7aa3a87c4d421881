/* code = number of thresholds < x, sixteen at a time.

   Four bits are a search by halving in a table of sixteen, 15 thresholds and an infinity: a look-up
   by position and a comparison for each bit. With B = 4 + f bits the table holds every 2^f-th
   threshold, and so says the group g of 2^f codes; the 2^f - 1 thresholds inside a group are so
   many further tables, number i of them with threshold i of each group, looked up by g:

     row 0: t[2^f (j + 1) - 1], j = 0 .. 14;   row i + 1: t[2^f g + i], g = 0 .. 15.

   Inside the group halving goes on; which row decides depends on the sixteen numbers, so all rows of
   a step are looked up, 1, 2, 4, 8, and the decisions before say which counts. With fewer bits f = 0
   and infinities fill the table. A NaN is above nothing: code 0. */
#include <math.h>
#include <string.h>

#include "../fast.h"
#include "code_words.h"

#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2)
#include "../x86/searches.h"
#else
#include "../arm/searches.h"
#endif

#define ENTRIES 16u
#define MOST_ROWS 16u
#define MOST_STEPS 4u

/* 2^f */
static size_t group_of(const csd_args *args) {
    const size_t codes = args->in[CSD_QUANTIZE_LOGIT_THRESHOLDS].shape.dims[0] + 1u;
    return codes <= ENTRIES ? 1u : codes / ENTRIES;
}

static void lay_out(float *table, const float *thresholds, size_t count, size_t group) {
    for (size_t j = 0; j < ENTRIES; j++)
        table[j] = group * (j + 1u) <= count ? thresholds[group * (j + 1u) - 1u] : INFINITY;
    for (size_t i = 0; i + 1u < group; i++)
        for (size_t g = 0; g < ENTRIES; g++)
            table[(i + 1u) * ENTRIES + g] = thresholds[group * g + i];
}

/* Sixteen thresholds are laid out faster than a table is found. */
size_t CSD_PREPARE(quantize_logit)(const csd_args *args, void *memory) {
    const csd_input *thresholds = &args->in[CSD_QUANTIZE_LOGIT_THRESHOLDS];
    const size_t group = group_of(args);
    if (group == 1u)
        return 0;
    if (memory != NULL)
        lay_out(memory, thresholds->data, thresholds->shape.dims[0], group);
    return group * ENTRIES * sizeof(float);
}

CSD_INLINE csd_words search(csd_wide x, csd_wide first, const float *table, size_t group) {
    csd_words at = csd_words_all(0);
    CSD_UNROLL
    for (int32_t step = 8; step > 0; step /= 2) {
        const csd_words probe = csd_words_add(at, csd_words_all(step - 1));
        at = csd_words_step(at, csd_wide_at(first, probe), x, csd_words_all(step));
    }
    if (group == 1u)
        return at;
    csd_words code = at;
    for (size_t i = 1; i < group; i *= 2u)
        code = csd_words_add(code, code);
    csd_wide decided[MOST_STEPS], found[MOST_ROWS / 2u];
    size_t steps = 0;
    CSD_UNROLL
    for (size_t step = group / 2u; step > 0; step /= 2u, steps++) {
        size_t rows = group / (2u * step);
        CSD_UNROLL
        for (size_t j = 0; j < rows; j++)
            found[j] = csd_wide_at(csd_wide_load(table + (2u * j + 1u) * step * ENTRIES), at);
        /* The last decision is the lowest bit of j. */
        CSD_UNROLL
        for (size_t last = steps; last > 0; last--) {
            rows /= 2u;
            CSD_UNROLL
            for (size_t j = 0; j < rows; j++)
                found[j] = csd_wide_if_below(decided[last - 1u], x, found[2u * j + 1u],
                                             found[2u * j]);
        }
        decided[steps] = found[0];
        code = csd_words_step(code, found[0], x, csd_words_all((int32_t)step));
    }
    return code;
}

CSD_INLINE void search_all(const csd_args *args, const float *table, size_t group) {
    const csd_input *input = &args->in[CSD_QUANTIZE_LOGIT_X];
    const float *x = input->data;
    uint8_t *codes = args->out[0].data;
    const size_t total = csd_size(&input->shape);
    const csd_wide first = csd_wide_load(table);
    size_t i = 0;
    for (; i + CSD_WIDE <= total; i += CSD_WIDE)
        csd_words_to_8(codes + i, search(csd_wide_load(x + i), first, table, group), CSD_WIDE);
    if (i < total) {
        const csd_wide rest = csd_wide_load_first(x + i, total - i);
        csd_words_to_8(codes + i, search(rest, first, table, group), total - i);
    }
}

int CSD_FAST(quantize_logit)(const csd_args *args) {
    const csd_input *thresholds = &args->in[CSD_QUANTIZE_LOGIT_THRESHOLDS];
    const size_t group = group_of(args);
    float held[MOST_ROWS * ENTRIES];
    const float *table = args->prepared;
    if (table == NULL) {
        lay_out(held, thresholds->data, thresholds->shape.dims[0], group);
        table = held;
    }
    switch (group) {
    case 1:
        search_all(args, table, 1);
        return 1;
    case 2:
        search_all(args, table, 2);
        return 1;
    case 4:
        search_all(args, table, 4);
        return 1;
    case 8:
        search_all(args, table, 8);
        return 1;
    default:
        search_all(args, table, 16);
        return 1;
    }
}
