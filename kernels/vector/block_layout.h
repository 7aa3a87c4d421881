/* What the fast CONV_BLOCK knows of a step, and where its preparer puts what. */
#ifndef CSIDEPLOY_BLOCK_LAYOUT_H
#define CSIDEPLOY_BLOCK_LAYOUT_H

#include "code_rows.h"

#ifndef CSD_HAS_CODES
CSD_INLINE size_t csd_words(size_t kw, size_t pair) { return kw * pair; }
CSD_INLINE size_t csd_pair_of(int bits) { return bits > 0; }
#endif

enum { CSD_BLOCK_MOST = 4, CSD_BLOCK_TAPS = 9, CSD_BLOCK_WIDTH = 64 };

/* A step's sizes. `taken` is `each`, the channels of a group, in whole pairs where codes lie so;
   `made` is what a group's `middle` makes of them, `pairs` those of x where it is codes as well.
   Groups are run by `batch`: two, where tiles that make codes take their outputs together. */
typedef struct csd_block {
    size_t samples, inputs, outputs, groups, batch, each, taken, made, pairs, height, width;
    csd_taps taps[3];
    int coded, whole;
    csd_coding coding, coding_x, coding_m;
    size_t pair; /* bytes of the codes of two channels */
} csd_block;

CSD_INLINE csd_taps csd_block_taps(const csd_args *args, uint32_t weight, uint32_t pads) {
    const csd_shape *shape = &args->in[weight].shape;
    const csd_taps taps = {.height = shape->dims[2],
                           .width = shape->dims[3],
                           .top = args->params[pads].u,
                           .left = args->params[pads + 1u].u};
    return taps;
}

CSD_INLINE csd_coding csd_coding_of(float scale, int32_t zero, int bits) {
    const csd_coding coding = {.scale = scale, .inverse = 1.0f / scale, .zero = zero, .bits = bits};
    return coding;
}

/* 1 if the kernel is made for its sizes. */
CSD_INLINE int csd_read_block(csd_block *b, const csd_args *args) {
    const csd_shape *y = &args->out[CSD_CONV_BLOCK_OUT_Y].shape;
    const csd_shape *middle = &args->in[CSD_CONV_BLOCK_MIDDLE].shape;
    const csd_param *p = args->params;
    b->samples = y->dims[0];
    b->inputs = args->in[CSD_CONV_BLOCK_X].shape.dims[1];
    b->outputs = y->dims[1];
    b->groups = p[CSD_CONV_BLOCK_P_GROUPS].u;
    b->each = middle->dims[1];
    b->height = y->dims[2];
    b->width = y->dims[3];
    b->coded = middle->dtype == CSD_I8;
    b->taken = b->coded ? (b->each + 1u) / 2u * 2u : b->each;
    b->batch = b->coded && b->taken * 2u == CSD_CODED_OUTPUTS && b->groups > 1u ? 2u : 1u;
    b->whole = args->in[CSD_CONV_BLOCK_EXPAND].shape.dtype == CSD_I16;
    b->made = b->whole ? b->taken : b->each;
    b->pairs = (b->inputs + 1u) / 2u;
    b->coding = csd_coding_of(p[CSD_CONV_BLOCK_P_CODE_SCALE].f, p[CSD_CONV_BLOCK_P_CODE_ZERO].i,
                              (int)p[CSD_CONV_BLOCK_P_CODE_BITS].u);
    b->coding_x = csd_coding_of(p[CSD_CONV_BLOCK_P_X_SCALE].f, 0, 16);
    b->coding_m = csd_coding_of(p[CSD_CONV_BLOCK_P_M_SCALE].f, 0, 16);
    b->pair = csd_pair_of(b->coding.bits);
    b->taps[0] = csd_block_taps(args, CSD_CONV_BLOCK_EXPAND, CSD_CONV_BLOCK_P_PAD_TOP_1);
    b->taps[1] = csd_block_taps(args, CSD_CONV_BLOCK_MIDDLE, CSD_CONV_BLOCK_P_PAD_TOP_2);
    b->taps[2] = csd_block_taps(args, CSD_CONV_BLOCK_PROJECT, CSD_CONV_BLOCK_P_PAD_TOP_3);
    for (size_t i = 0; i < 3u; i++)
        if (b->taps[i].height > CSD_BLOCK_TAPS || b->taps[i].width > CSD_BLOCK_TAPS)
            return 0;
#ifndef CSD_HAS_CODES
    if (b->coded)
        return 0;
#endif
    return b->inputs <= CSD_BLOCK_MOST && b->outputs <= CSD_BLOCK_MOST &&
           b->each <= CSD_BLOCK_MOST && b->width <= CSD_BLOCK_WIDTH;
}

/* What is prepared: how large numbers become, then a record a batch; places in words of four bytes.
   Weights lie as conv_rows.h and code_rows.h read them. */
typedef struct csd_bounds {
    float weights, bias, slope; /* |v| <= slope (weights max|x| + bias) before any code */
    uint32_t divided; /* integers in all three: multipliers and biases are by the scale behind */
} csd_bounds;

typedef struct csd_record {
    size_t expand, expand_bias, expand_slope, expand_multiplier;
    size_t group; /* the first group's own, from which the next five are counted */
    size_t middle, zeros, middle_bias, middle_slope, multiplier;
    size_t group_words;
    size_t project;
    size_t words;
} csd_record;

CSD_INLINE size_t csd_block_area(csd_taps taps) { return taps.height * taps.width; }

/* Words of the weights of one output of convolution i, where they meet `pairs` of codes. */
CSD_INLINE size_t csd_block_words(const csd_block *b, size_t i, size_t pairs) {
    return pairs * b->taps[i].height * csd_words(b->taps[i].width, i == 1u ? b->pair : 4u);
}

/* The record of `count` groups, of which the last batch may have fewer. */
CSD_INLINE csd_record csd_block_record(const csd_block *b, size_t count) {
    csd_record r;
    const size_t wide = count * b->taken, made = b->made;
    const size_t floats[3] = {b->inputs * csd_block_area(b->taps[0]),
                              b->each * csd_block_area(b->taps[1]),
                              count * b->each * csd_block_area(b->taps[2])};
    r.expand = 0;
    r.expand_bias =
        r.expand + wide * (b->whole ? csd_block_words(b, 0, b->pairs) : floats[0]);
    r.expand_slope = r.expand_bias + wide;
    r.expand_multiplier = r.expand_slope + wide;
    r.group = r.expand_multiplier + (b->whole ? wide : 0);
    r.middle = 0;
    r.zeros = r.middle + made * (b->coded ? csd_block_words(b, 1, b->taken / 2u) : floats[1]);
    r.middle_bias = r.zeros + (b->coded ? made * (b->taps[1].height + 1u) : 0);
    r.middle_slope = r.middle_bias + made;
    r.multiplier = r.middle_slope + made;
    r.group_words = r.multiplier + (b->coded ? made : 0);
    r.project = r.group + count * r.group_words;
    r.words = r.project +
              b->outputs * (b->whole ? csd_block_words(b, 2, wide / 2u) : floats[2]);
    return r;
}

CSD_INLINE size_t csd_batch_at(const csd_block *b, size_t first) {
    return b->groups - first < b->batch ? b->groups - first : b->batch;
}

#endif
