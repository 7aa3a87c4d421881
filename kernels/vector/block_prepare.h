/* The preparer of CONV_BLOCK. */
#ifndef CSIDEPLOY_BLOCK_PREPARE_H
#define CSIDEPLOY_BLOCK_PREPARE_H

#include "../elementary.h"
#include "block_layout.h"

#define CSD_MOST_PREPARED (64u << 20)

CSD_INLINE int csd_all_finite(const csd_input *in) {
    const float *x = in->data;
    uint32_t most = 0;
    for (size_t i = 0, count = csd_size(&in->shape); i < count; i++) {
        const uint32_t bits = csd_bits(x[i]) & 0x7FFFFFFFu;
        most = bits > most ? bits : most;
    }
    return most < 0x7F800000u;
}

/* Outputs by two and the last alone: channel, tap, output. Output o of `from` has its channels one
   after the other, `step` after those of output o - 1. */
CSD_INLINE void csd_pack_outputs(float *to, const float *from, size_t step, size_t outputs,
                                 size_t products) {
    for (size_t o = 0, count; o < outputs; o += count) {
        count = outputs - o < 2u ? 1u : 2u;
        for (size_t t = 0; t < products; t++)
            for (size_t i = 0; i < count; i++)
                *to++ = from[(o + i) * step + t];
    }
}

/* Output o of a batch is one of `each` of a group, or 0 if it only fills the group up to `taken`.
   Each has `products` numbers; what becomes codes lies by as many as its tiles take. */
CSD_INLINE void csd_pack_taken(float *to, const float *from, const csd_block *b, size_t groups,
                               size_t products) {
    const size_t outputs = groups * b->taken, most = b->coded ? CSD_CODED_OUTPUTS : 2u;
    for (size_t o = 0, count; o < outputs; o += count) {
        count = outputs - o >= most ? most : outputs - o < 2u ? 1u : 2u;
        for (size_t t = 0; t < products; t++)
            for (size_t i = o; i < o + count; i++) {
                const size_t channel = i % b->taken, at = i / b->taken * b->each + channel;
                *to++ = channel < b->each ? from[at * products + t] : 0.0f;
            }
    }
}

#ifdef CSD_HAS_CODES

/* Channels by two, the second may be none: the weight of channel c at a row and column, or 0. */
CSD_INLINE int32_t csd_code_weight(const int8_t *from, const csd_block *b, size_t c, size_t row,
                                   size_t column) {
    if (c >= b->each || column >= b->taps[1].width)
        return 0;
    return from[(c * b->taps[1].height + row) * b->taps[1].width + column];
}

/* Words of outputs by two and the last alone: pair, row, word, output. */
CSD_INLINE void csd_pack_words(int32_t *to, const int8_t *from, const csd_block *b) {
    const size_t step = b->each * csd_block_area(b->taps[1]);
    for (size_t o = 0, count; o < b->each; o += count) {
        count = b->each - o < 2u ? 1u : 2u;
        for (size_t pair = 0; pair < b->taken / 2u; pair++)
            for (size_t row = 0; row < b->taps[1].height; row++)
                for (size_t j = 0; j < csd_words(b->taps[1].width, b->pair); j++)
                    for (size_t i = 0; i < count; i++) {
                        int32_t factors[4];
                        for (size_t f = 0; f < 2u * csd_code_step(b->pair); f++)
                            factors[f] =
                                csd_code_weight(from + (o + i) * step, b, 2u * pair + f % 2u, row,
                                                j * csd_code_step(b->pair) + f / 2u);
                        *to++ = csd_code_word(factors, b->pair);
                    }
    }
}

/* zero times what output o has above each row of its kernel, and in all. */
CSD_INLINE void csd_pack_zeros(int32_t *to, const int8_t *from, const csd_block *b) {
    for (size_t o = 0; o < b->each; o++, from += b->each * csd_block_area(b->taps[1])) {
        int32_t sum = 0;
        for (size_t row = 0; row < b->taps[1].height; row++) {
            *to++ = sum;
            for (size_t c = 0; c < b->each; c++)
                for (size_t j = 0; j < b->taps[1].width; j++)
                    sum += csd_code_shift(&b->coding) * csd_code_weight(from, b, c, row, j);
        }
        *to++ = sum;
    }
}

#endif

/* |v| <= slope (weights max|x| + bias): all the largest of their channels. */
CSD_INLINE csd_bounds csd_find_bounds(const csd_args *args, const csd_block *b) {
    const size_t taps = b->inputs * csd_block_area(b->taps[0]), wide = b->groups * b->each;
    const float *w = args->in[CSD_CONV_BLOCK_EXPAND].data;
    const float *bias = args->in[CSD_CONV_BLOCK_CHANNELS].data, *slope = bias + wide;
    csd_bounds most = {.weights = 0.0f, .bias = 0.0f, .slope = 1.0f, .none = 0.0f};
    for (size_t m = 0; m < wide; m++) {
        float sum = 0.0f;
        for (size_t t = 0; t < taps; t++)
            sum += csd_absolute(*w++);
        most.weights = csd_max(sum, most.weights);
        most.bias = csd_max(csd_absolute(bias[m]), most.bias);
        most.slope = csd_max(csd_absolute(slope[m]), most.slope);
    }
    return most;
}

/* What one group has alone. */
CSD_INLINE void csd_pack_group(float *to, const csd_args *args, const csd_block *b,
                               const csd_record *r, size_t group) {
    const size_t wide = b->groups * b->each, first = group * b->each;
    const size_t products = b->each * csd_block_area(b->taps[1]);
    const float *rows = (const float *)args->in[CSD_CONV_BLOCK_CHANNELS].data + first;
    const void *middle = args->in[CSD_CONV_BLOCK_MIDDLE].data;
    memcpy(to + r->middle_bias, rows + 2u * wide, b->each * sizeof *to);
    memcpy(to + r->middle_slope, rows + 3u * wide, b->each * sizeof *to);
#ifdef CSD_HAS_CODES
    if (b->coded) {
        const int8_t *weights = (const int8_t *)middle + first * products;
        memcpy(to + r->multiplier, rows + 4u * wide, b->each * sizeof *to);
        csd_pack_words((int32_t *)(void *)(to + r->middle), weights, b);
        csd_pack_zeros((int32_t *)(void *)(to + r->zeros), weights, b);
        return;
    }
#endif
    csd_pack_outputs(to + r->middle, (const float *)middle + first * products, products, b->each,
                     products);
}

CSD_INLINE void csd_pack_batch(float *to, const csd_args *args, const csd_block *b, size_t group) {
    const size_t count = csd_batch_at(b, group);
    const csd_record r = csd_block_record(b, count);
    const size_t wide = b->groups * b->each, first = group * b->each;
    const size_t seen = b->inputs * csd_block_area(b->taps[0]), area = csd_block_area(b->taps[2]);
    const float *rows = (const float *)args->in[CSD_CONV_BLOCK_CHANNELS].data + first;
    const float *expand = args->in[CSD_CONV_BLOCK_EXPAND].data;
    const float *project = args->in[CSD_CONV_BLOCK_PROJECT].data;
    csd_pack_taken(to + r.expand, expand + first * seen, b, count, seen);
    csd_pack_taken(to + r.expand_bias, rows, b, count, 1);
    csd_pack_taken(to + r.expand_slope, rows + wide, b, count, 1);
    for (size_t i = 0; i < count; i++)
        csd_pack_group(to + r.group + i * r.group_words, args, b, &r, group + i);
    csd_pack_outputs(to + r.project, project + first * area, wide * area, b->outputs,
                     count * b->each * area);
}

/* Zeros stand for pads beside the image: infinite weights would make NaN of them. */
size_t CSD_PREPARE(conv_block)(const csd_args *args, void *memory) {
    const csd_input *expand = &args->in[CSD_CONV_BLOCK_EXPAND];
    const csd_input *middle = &args->in[CSD_CONV_BLOCK_MIDDLE];
    const csd_input *project = &args->in[CSD_CONV_BLOCK_PROJECT];
    csd_block b;
    if (expand->data == NULL || middle->data == NULL || project->data == NULL ||
        args->in[CSD_CONV_BLOCK_CHANNELS].data == NULL || !csd_read_block(&b, args) ||
        !csd_all_finite(expand) || !csd_all_finite(project) ||
        (!b.coded && !csd_all_finite(middle)))
        return 0;
    /* Every batch has all its words, though the last may need fewer. */
    const size_t words = csd_block_record(&b, b.batch).words;
    const size_t batches = (b.groups + b.batch - 1u) / b.batch;
    if (batches > (CSD_MOST_PREPARED - sizeof(csd_bounds)) / (words * sizeof(float)))
        return 0;
    if (memory != NULL) {
        csd_bounds *bounds = memory;
        float *to = (float *)(void *)(bounds + 1);
        *bounds = csd_find_bounds(args, &b);
        for (size_t i = 0; i < batches; i++)
            csd_pack_batch(to + i * words, args, &b, i * b.batch);
    }
    return sizeof(csd_bounds) + batches * words * sizeof(float);
}

#endif
