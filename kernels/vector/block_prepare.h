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

/* Weights in the order in which codes meet them. Outputs of a batch are `made` a group, of which the
   first `outputs` are the step's and the others 0; so are what they see, by `taken` and `inputs`. */
typedef struct csd_source {
    const csd_input *weight;
    csd_taps taps;
    size_t pair;
    size_t first_output, outputs, made;
    size_t first_input, inputs, taken;
} csd_source;

/* The weight of output o and channel c of the batch at a row and column, or 0. */
static int32_t csd_code_weight(const csd_source *s, size_t o, size_t c, size_t row,
                                   size_t column) {
    if (o % s->made >= s->outputs || c % s->taken >= s->inputs || column >= s->taps.width)
        return 0;
    const size_t output = s->first_output + o / s->made * s->outputs + o % s->made;
    const size_t input = s->first_input + c / s->taken * s->inputs + c % s->taken;
    const size_t plane = output * s->weight->shape.dims[1] + input;
    const size_t at = (plane * s->taps.height + row) * s->taps.width + column;
    return s->weight->shape.dtype == CSD_I16 ? ((const int16_t *)s->weight->data)[at]
                                             : ((const int8_t *)s->weight->data)[at];
}

/* Words of `outputs` by `most`, by two and the last alone: pair, row, word, output. */
static void csd_pack_words(int32_t *to, const csd_source *s, size_t outputs, size_t pairs,
                               size_t most) {
    const size_t step = csd_code_step(s->pair), words = csd_words(s->taps.width, s->pair);
    for (size_t o = 0, count; o < outputs; o += count) {
        count = outputs - o >= most ? most : outputs - o < 2u ? 1u : 2u;
        for (size_t place = 0; place < pairs * s->taps.height * words; place++) {
            const size_t j = place % words, row = place / words % s->taps.height;
            const size_t c = place / words / s->taps.height * 2u;
            for (size_t i = o; i < o + count; i++) {
                int32_t factors[4];
                for (size_t f = 0; f < 2u * step; f++)
                    factors[f] = csd_code_weight(s, i, c + f % 2u, row, j * step + f / 2u);
                *to++ = csd_code_word(factors, s->pair);
            }
        }
    }
}

/* zero times what each output has above each row of its kernel, and in all. */
static void csd_pack_zeros(int32_t *to, const csd_source *s, int32_t zero) {
    for (size_t o = 0; o < s->made; o++) {
        int32_t sum = 0;
        for (size_t row = 0; row < s->taps.height; row++) {
            *to++ = sum;
            for (size_t c = 0; c < s->taken; c++)
                for (size_t j = 0; j < s->taps.width; j++)
                    sum += zero * csd_code_weight(s, o, c, row, j);
        }
        *to++ = sum;
    }
}

/* Weights of `expand`, of the batch that begins with channel `first` of M, or `project`, which reads
   it. */
static csd_source csd_source_of(const csd_args *args, const csd_block *b, size_t i,
                                    size_t first) {
    csd_source s = {.taps = b->taps[i], .pair = i == 1u ? b->pair : 4u};
    s.weight = &args->in[i == 0 ? CSD_CONV_BLOCK_EXPAND
                                : i == 1u ? CSD_CONV_BLOCK_MIDDLE : CSD_CONV_BLOCK_PROJECT];
    s.first_output = i == 2u ? 0 : first;
    s.outputs = i == 2u ? b->outputs : b->each;
    s.made = i == 0 ? b->taken : i == 1u ? b->made : b->outputs;
    s.first_input = i == 2u ? first : 0;
    s.inputs = i == 0 ? b->inputs : b->each;
    s.taken = i == 0 ? 2u * b->pairs : b->taken;
    return s;
}

#endif

/* The most that |code - zero| reaches, times what the weights of output o add up to; int32 sums have
   no more than 2^31. */
static float csd_most_sum(const csd_input *weight, size_t o, int bits) {
    const size_t products = csd_count(&weight->shape, 1, 4);
    float sum = 0.0f;
    for (size_t at = o * products; at < (o + 1u) * products; at++)
        sum += csd_absolute(weight->shape.dtype == CSD_I16
                                ? (float)((const int16_t *)weight->data)[at]
                                : (float)((const int8_t *)weight->data)[at]);
    sum *= bits == 8 ? 255.0f : 32768.0f;
    return sum < 0x1p31f ? sum : 0x1p31f;
}

/* Codes of rectify(sum multiplier + bias): may multiplier and bias be divided by the scale before?
   By a power of two everything behind them is divided as well, to the last bit, but for numbers
   below 2^-126. With a scale and a slope within 2^60 those are 2^-6 of a code at most, and too small
   to move the rounding of a sum of half a code. No code is beyond 2^30. Nor is the multiplier of a
   sum that is 0 whatever the codes are, which must stay finite all the same: no sum counts as less
   than 1. */
static int csd_may_divide(float sum, float multiplier, float bias, float slope,
                          const csd_coding *coding) {
    const float steep = csd_max(csd_absolute(slope), 1.0f);
    const float most = steep * (csd_max(sum, 1.0f) * multiplier + csd_absolute(bias));
    return (csd_bits(coding->scale) & 0x007FFFFFu) == 0 && coding->scale >= 0x1p-60f &&
           coding->scale <= 0x1p60f && csd_absolute(slope) <= 0x1p60f &&
           most * coding->inverse < 0x1p29f;
}

static uint32_t csd_may_divide_all(const csd_args *args, const csd_block *b) {
    const size_t wide = b->groups * b->each;
    const csd_input *expand = &args->in[CSD_CONV_BLOCK_EXPAND];
    const csd_input *middle = &args->in[CSD_CONV_BLOCK_MIDDLE];
    const float *row = args->in[CSD_CONV_BLOCK_CHANNELS].data;
    for (size_t m = 0; m < wide; m++, row++)
        if (!csd_may_divide(csd_most_sum(expand, m, 16), row[5u * wide], row[0], row[wide],
                            &b->coding) ||
            !csd_may_divide(csd_most_sum(middle, m, b->coding.bits), row[4u * wide],
                            row[2u * wide], row[3u * wide], &b->coding_m))
            return 0;
    return 1;
}

/* |v| <= slope (weights max|x| + bias): all the largest of their channels. */
CSD_INLINE csd_bounds csd_find_bounds(const csd_args *args, const csd_block *b) {
    const size_t taps = b->inputs * csd_block_area(b->taps[0]), wide = b->groups * b->each;
    const float *w = args->in[CSD_CONV_BLOCK_EXPAND].data;
    const float *bias = args->in[CSD_CONV_BLOCK_CHANNELS].data, *slope = bias + wide;
    csd_bounds most = {.weights = 0.0f, .bias = 0.0f, .slope = 1.0f, .divided = 0};
    if (b->whole) {
        most.divided = csd_may_divide_all(args, b);
        return most;
    }
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

/* `count` numbers times `factor`, then zeros up to `made`. */
static void csd_pack_row(float *to, const float *from, size_t count, size_t made,
                             float factor) {
    for (size_t i = 0; i < made; i++)
        to[i] = i < count ? from[i] * factor : 0.0f;
}

/* What one group has alone, of those from channel `first` of M on; `factor` divides m. */
static void csd_pack_group(float *to, const csd_args *args, const csd_block *b,
                               const csd_record *r, size_t first, float factor) {
    const size_t wide = b->groups * b->each, products = b->each * csd_block_area(b->taps[1]);
    const float *rows = (const float *)args->in[CSD_CONV_BLOCK_CHANNELS].data + first;
    csd_pack_row(to + r->middle_bias, rows + 2u * wide, b->each, b->made, factor);
    csd_pack_row(to + r->middle_slope, rows + 3u * wide, b->each, b->made, 1.0f);
#ifdef CSD_HAS_CODES
    if (b->coded) {
        const csd_source source = csd_source_of(args, b, 1, first);
        csd_pack_row(to + r->multiplier, rows + 4u * wide, b->each, b->made, factor);
        csd_pack_words((int32_t *)(void *)(to + r->middle), &source, b->made, b->taken / 2u, 2u);
        csd_pack_zeros((int32_t *)(void *)(to + r->zeros), &source, csd_code_shift(&b->coding));
        return;
    }
#endif
    csd_pack_outputs(to + r->middle,
                     (const float *)args->in[CSD_CONV_BLOCK_MIDDLE].data + first * products,
                     products, b->each, products);
}

#ifdef CSD_HAS_CODES
/* `expand` and `project` of a batch whose numbers are integers; `factor` divides v. */
static void csd_pack_whole(float *to, const csd_args *args, const csd_block *b,
                               const csd_record *r, size_t first, size_t count, float factor) {
    const size_t wide = b->groups * b->each;
    const float *rows = (const float *)args->in[CSD_CONV_BLOCK_CHANNELS].data + first;
    const csd_source expand = csd_source_of(args, b, 0, first);
    const csd_source project = csd_source_of(args, b, 2, first);
    csd_pack_words((int32_t *)(void *)(to + r->expand), &expand, count * b->taken, b->pairs,
                   csd_most_sides(b->taps[0]));
    for (size_t i = 0; i < count; i++, rows += b->each) {
        float *bias = to + r->expand_bias + i * b->taken;
        float *multiplier = to + r->expand_multiplier + i * b->taken;
        csd_pack_row(bias, rows, b->each, b->taken, factor);
        csd_pack_row(to + r->expand_slope + i * b->taken, rows + wide, b->each, b->taken, 1.0f);
        csd_pack_row(multiplier, rows + 5u * wide, b->each, b->taken, factor);
    }
    csd_pack_words((int32_t *)(void *)(to + r->project), &project, b->outputs,
                   count * b->taken / 2u, 2u);
}
#endif

static void csd_pack_batch(float *to, const csd_args *args, const csd_block *b, size_t group,
                               int divided) {
    const size_t count = csd_batch_at(b, group);
    const csd_record r = csd_block_record(b, count);
    const size_t wide = b->groups * b->each, first = group * b->each;
    const size_t seen = b->inputs * csd_block_area(b->taps[0]), area = csd_block_area(b->taps[2]);
    const float *rows = (const float *)args->in[CSD_CONV_BLOCK_CHANNELS].data + first;
    const float *expand = args->in[CSD_CONV_BLOCK_EXPAND].data;
    const float *project = args->in[CSD_CONV_BLOCK_PROJECT].data;
    for (size_t i = 0; i < count; i++)
        csd_pack_group(to + r.group + i * r.group_words, args, b, &r, first + i * b->each,
                       divided ? b->coding_m.inverse : 1.0f);
#ifdef CSD_HAS_CODES
    if (b->whole) {
        csd_pack_whole(to, args, b, &r, first, count, divided ? b->coding.inverse : 1.0f);
        return;
    }
#endif
    csd_pack_taken(to + r.expand, expand + first * seen, b, count, seen);
    csd_pack_taken(to + r.expand_bias, rows, b, count, 1);
    csd_pack_taken(to + r.expand_slope, rows + wide, b, count, 1);
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
        (!b.whole && !(csd_all_finite(expand) && csd_all_finite(project))) ||
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
            csd_pack_batch(to + i * words, args, &b, i * b.batch, bounds->divided == 1);
    }
    return sizeof(csd_bounds) + batches * words * sizeof(float);
}

#endif
