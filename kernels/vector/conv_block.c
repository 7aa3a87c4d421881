/* CONV_BLOCK where images are narrow and groups small: kernels/reference/conv_block.c says what is
   computed, and the bits are its.

   The planes of one group stay in the first cache, with zeros beside the image so that a tap is one
   place whatever the column: x, then v behind `expand`, m behind `middle`, and y, which each group
   adds to. Higher images go by strips of rows; what a strip needs of v and m above and below itself
   is computed again. With images of 32 x 32, two channels a group, 1x9, 7x7 and 9x1 that is one
   strip: 12 KiB of x, 12 of v, 8 of m, 8 of y, or 8 of two groups' v as codes and 16 of their m.
   With integers in all three x and m are pairs of codes as well: 6 KiB of x, 8 of v, 8 of m, 8 of
   y's sums; 5 of x and 10 of v where v's codes have 16 bits. */
#include "../fast.h"
#include "block_prepare.h"
#include "block_strip.h"

static csd_rows expand_of(const strip *s, const csd_block *b, const csd_record *r,
                          const float *record, size_t count) {
    const csd_rows expand = {.x = s->x_at + s->planes_x.margin - b->taps[0].left,
                             .in = s->planes_x,
                             .channels = b->inputs,
                             .taps = b->taps[0],
                             .weight = record + r->expand,
                             .bias = record + r->expand_bias,
                             .slope = record + r->expand_slope,
                             .y = s->v_at + s->planes_v.margin,
                             .out = s->planes_v,
                             .outputs = count * b->taken,
                             .height = b->height,
                             .columns = s->columns};
    return expand;
}

static csd_rows project_of(const strip *s, const csd_block *b, const csd_record *r,
                           const float *record, size_t count) {
    const csd_rows project = {.x = s->m_at + s->planes_m.margin - b->taps[2].left,
                              .in = s->planes_m,
                              .channels = count * b->each,
                              .taps = b->taps[2],
                              .weight = record + r->project,
                              .y = s->y_at,
                              .out = s->planes_y,
                              .outputs = b->outputs,
                              .height = b->height,
                              .columns = s->columns};
    return project;
}

/* m of one group, number i of its batch. */
static void run_middle(const strip *s, const csd_block *b, const csd_record *r, const float *group,
                       size_t i) {
    const csd_rows middle = {.x = s->v_at + i * b->taken * s->planes_v.plane +
                                  s->planes_v.margin - b->taps[1].left,
                             .in = s->planes_v,
                             .channels = b->each,
                             .taps = b->taps[1],
                             .weight = group + r->middle,
                             .bias = group + r->middle_bias,
                             .slope = group + r->middle_slope,
                             .y = s->m_at + i * b->each * s->planes_m.plane + s->planes_m.margin,
                             .out = s->planes_m,
                             .outputs = b->each,
                             .height = b->height,
                             .columns = s->columns};
    run_floats(&middle, s->m);
}

#ifdef CSD_HAS_CODES
static uint8_t *codes_of(const strip *s) { return (uint8_t *)s->v_at; }

/* Integers in all three: pairs of codes of 16 bits are x and m, and y their sums. */
static void run_whole_expand(const strip *s, const csd_block *b, const csd_record *r,
                             const float *record, size_t count, int tame) {
    const csd_code_rows expand = {
        .x = (const uint8_t *)(s->x_at + s->planes_x.margin - b->taps[0].left),
        .in = s->planes_x,
        .pairs = b->pairs,
        .taps = b->taps[0],
        .weight = (const int32_t *)(const void *)(record + r->expand),
        .multiplier = record + r->expand_multiplier,
        .bias = record + r->expand_bias,
        .slope = record + r->expand_slope,
        .to = CSD_TO_CODES,
        .tame = tame,
        .coding = b->coding,
        .y = codes_of(s) + s->planes_v.margin * b->pair,
        .out = s->planes_v,
        .outputs = count * b->taken,
        .height = b->height,
        .columns = s->columns,
    };
    run_sides(&expand, s->v);
}

static void run_whole_project(const strip *s, const csd_block *b, const csd_record *r,
                              const float *record, size_t count) {
    const csd_code_rows project = {
        .x = (const uint8_t *)(s->m_at + s->planes_m.margin - b->taps[2].left),
        .in = s->planes_m,
        .pairs = count * b->taken / 2u,
        .taps = b->taps[2],
        .weight = (const int32_t *)(const void *)(record + r->project),
        .to = CSD_TO_INTS,
        .y = s->y_at,
        .out = s->planes_y,
        .outputs = b->outputs,
        .height = b->height,
        .columns = s->columns,
    };
    run_codes(&project, s->y, 4u);
}

static void run_coded_middle(const strip *s, const csd_block *b, const csd_record *r,
                             const float *group, size_t i, int tame) {
    const size_t first = i * b->made / (b->whole ? 2u : 1u); /* planes of pairs, or of floats */
    const csd_code_rows middle = {
        .x = codes_of(s) + (i * (b->taken / 2u) * s->planes_v.plane + s->planes_v.margin -
                            b->taps[1].left) *
                               b->pair,
        .in = s->planes_v,
        .pairs = b->taken / 2u,
        .taps = b->taps[1],
        .weight = (const int32_t *)(const void *)(group + r->middle),
        .zeros = (const int32_t *)(const void *)(group + r->zeros),
        .multiplier = group + r->multiplier,
        .bias = group + r->middle_bias,
        .slope = group + r->middle_slope,
        .to = b->whole ? CSD_TO_CODES : CSD_TO_FLOATS,
        .tame = tame,
        .coding = b->coding_m,
        .y = s->m_at + first * s->planes_m.plane + s->planes_m.margin,
        .out = s->planes_m,
        .outputs = b->made,
        .height = b->height,
        .columns = s->columns,
    };
    run_codes(&middle, s->m, b->pair);
}
#endif

/* v of a batch. */
static void run_expand(const strip *s, const csd_block *b, const csd_record *r, const float *record,
                       size_t count, int tame) {
    const csd_rows expand = expand_of(s, b, r, record, count);
#ifdef CSD_HAS_CODES
    if (b->coded) {
        const coded to = {codes_of(s) + s->planes_v.margin * b->pair, s->planes_v, b->coding, tame};
        if (b->whole)
            run_whole_expand(s, b, r, record, count, tame);
        else
            run_coding(&expand, &to, s->v);
        if (b->width < s->columns)
            clear_behind(codes_of(s), &s->planes_v, s->v, expand.outputs / 2u, b->width, b->pair,
                         csd_code_of_zero(&b->coding));
        return;
    }
#endif
    (void)tame;
    run_floats(&expand, s->v);
    if (b->width < s->columns)
        clear_behind(s->v_at, &s->planes_v, s->v, expand.outputs, b->width, sizeof(float), 0);
}

/* Adds a batch of groups to the strip's y. */
static void run_batch(const strip *s, const csd_block *b, const float *record, size_t count,
                      int tame) {
    const csd_record r = csd_block_record(b, count);
    const csd_rows project = project_of(s, b, &r, record, count);
    run_expand(s, b, &r, record, count, tame);
    for (size_t i = 0; i < count; i++) {
        const float *group = record + r.group + i * r.group_words;
#ifdef CSD_HAS_CODES
        if (b->coded) {
            run_coded_middle(s, b, &r, group, i, tame);
            continue;
        }
#endif
        run_middle(s, b, &r, group, i);
    }
    if (b->width < s->columns)
        clear_behind(s->m_at, &s->planes_m, s->m, count * b->made / (b->whole ? 2u : 1u), b->width,
                     sizeof(float), 0);
#ifdef CSD_HAS_CODES
    if (b->whole) {
        run_whole_project(s, b, &r, record, count);
        return;
    }
#endif
    run_floats(&project, s->y);
}

/* No code is of NaN or of a number beyond 2^30, and the scale is a power of two whose reciprocal
   is one: then v / scale is v times it, to the last bit. */
static int is_tame(const csd_block *b, const csd_bounds *bounds, const float *x) {
    const uint32_t scale = csd_bits(b->coding.scale), exponent = scale >> 23;
    uint32_t most = 0;
    for (size_t i = 0, count = b->inputs * b->height * b->width; i < count; i++) {
        const uint32_t bits = csd_bits(x[i]) & 0x7FFFFFFFu;
        most = bits > most ? bits : most;
    }
    /* Half of what is allowed, for the roundings of the sums; NaN is below nothing. */
    const float v = bounds->slope * (bounds->weights * csd_float(most) + bounds->bias);
    return (scale & 0x007FFFFFu) == 0 && exponent > 0 && exponent < 254u && v < 1e37f &&
           v * b->coding.inverse < 536870912.0f;
}

/* What x and y begin with. */
static void begin_strip(const strip *s, const csd_block *b, const float *x, const float *bias,
                        const float *residual) {
#ifdef CSD_HAS_CODES
    if (b->whole) { /* y's sums are 0 already */
        encode_x(s, b, x);
        return;
    }
#endif
    copy_x(s, b, x);
    begin_y(s, b, bias, residual);
}

static void end_strip(const strip *s, const csd_block *b, float *y, const float *bias,
                      const float *residual, float scale) {
#ifdef CSD_HAS_CODES
    if (b->whole) {
        decode_y(s, b, y, bias, residual, scale);
        return;
    }
#endif
    (void)bias;
    (void)residual;
    (void)scale;
    copy_y(s, b, y);
}

int CSD_FAST(conv_block)(const csd_args *args) {
    float room[ROOM + LINE / sizeof(float)];
    float *start = room + (LINE - (uintptr_t)room % LINE) % LINE / sizeof(float);
    const csd_bounds *bounds = args->prepared;
    const float *x = args->in[CSD_CONV_BLOCK_X].data;
    const float *bias = args->in[CSD_CONV_BLOCK_BIAS].data;
    const float *residual = args->in[CSD_CONV_BLOCK_RESIDUAL].data;
    const csd_param *p = args->params;
    float *y = args->out[CSD_CONV_BLOCK_OUT_Y].data;
    csd_block b;
    if (bounds == NULL || !csd_read_block(&b, args))
        return 0;
    const size_t most = strip_rows(&b, start), plane = b.height * b.width;
    if (most == 0)
        return 0;
    const size_t words = csd_block_record(&b, b.batch).words;
    for (size_t n = 0; n < b.samples; n++, x += b.inputs * plane, y += b.outputs * plane) {
        const int tame = b.whole ? (bounds->divided ? CSD_DIVIDED : CSD_WILD)
                                 : b.coded && is_tame(&b, bounds, x) ? CSD_TAME : CSD_WILD;
        for (size_t row = 0; row < b.height; row += most) {
            const span made = {row, b.height - row < most ? b.height : row + most};
            strip s;
            const size_t taken = place_strip(&s, &b, made, start);
            memset(start, 0, taken * sizeof *start);
#ifdef CSD_HAS_CODES
            if (b.coded)
                memset(s.v_at, csd_code_of_zero(&b.coding),
                       (size_t)(s.m_at - s.v_at) * sizeof *start);
#endif
            begin_strip(&s, &b, x, bias, residual);
            const float *record = (const float *)(const void *)(bounds + 1);
            for (size_t g = 0; g < b.groups; g += b.batch, record += words)
                run_batch(&s, &b, record, csd_batch_at(&b, g), tame);
            end_strip(&s, &b, y, bias, residual, p[CSD_CONV_BLOCK_P_Y_SCALE].f);
        }
        for (size_t o = 0; o < b.outputs; o++)
            CSD_KERNEL(activate)
            (y + o * plane, plane, p[CSD_CONV_BLOCK_P_ACTIVATION].u,
             csd_slope(&args->in[CSD_CONV_BLOCK_SLOPE], o, p[CSD_CONV_BLOCK_P_ALPHA].f));
        residual = residual ? residual + b.outputs * plane : NULL;
    }
    return 1;
}
