/* CONV_BLOCK where images are narrow and groups small: kernels/reference/conv_block.c says what is
   computed, and the bits are its.

   The planes of one group stay in the first cache, with zeros beside the image so that a tap is one
   place whatever the column: x, then v behind `expand`, m behind `middle`, and y, which each group
   adds to. Higher images go by strips of rows; what a strip needs of v and m above and below itself
   is computed again. With images of 32 x 32, two channels a group, 1x9, 7x7 and 9x1 that is one
   strip: 12 KiB of x, 12 of v, 8 of m, 8 of y, or 8 of two groups' v as codes and 16 of their m. */
#include "../fast.h"
#include "block_prepare.h"

/* Floats of all planes, 45 KiB. */
#define ROOM 11520u
#define LINE 64u

/* Kernels that tiles are made for; others share one whose sizes are variables. */
#define FLOAT_TILES(X) X(1, 9) X(3, 3) X(5, 5) X(7, 7) X(9, 1)
#define CODE_TILES(X) X(3, 3) X(5, 5) X(7, 7)

#define KEY(kh, kw) ((kh) * 16u + (kw))
enum { ANY = 0 };

/* Rows of an image. */
typedef struct span {
    size_t first, end;
} span;

/* How many rows and outputs the next tile has: whole, or single ones of what is left. */
static size_t next_rows(size_t left) { return left < CSD_TILE_ROWS ? 1u : CSD_TILE_ROWS; }
static size_t next_outputs(size_t left) { return left < 2u ? 1u : 2u; }
static size_t key(csd_taps taps, size_t height, size_t outputs) {
    return height == CSD_TILE_ROWS && outputs == 2u ? KEY(taps.height, taps.width) : ANY;
}

/* One row of tiles. */
#define FLOAT_ROW(name, kh, kw, height, outputs, fixed)                                            \
    static void name(const csd_rows *t, size_t row, size_t o) {                                    \
        for (size_t at = 0; at < t->columns; at += CSD_TILE_COLUMNS)                               \
            csd_make_tile(t, row, at, o, kh, kw, height, outputs, fixed);                          \
    }
#define FIXED_ROW(kh, kw) FLOAT_ROW(float_row_##kh##_##kw, kh, kw, CSD_TILE_ROWS, 2, 1)
FLOAT_TILES(FIXED_ROW)
FLOAT_ROW(float_row_whole, t->taps.height, t->taps.width, CSD_TILE_ROWS, 2, 0)
FLOAT_ROW(float_row_low, t->taps.height, t->taps.width, 1, 2, 0)
FLOAT_ROW(float_row_alone, t->taps.height, t->taps.width, CSD_TILE_ROWS, 1, 0)
FLOAT_ROW(float_row_low_alone, t->taps.height, t->taps.width, 1, 1, 0)

static void run_floats(const csd_rows *t, span made) {
    for (size_t o = 0, outputs; o < t->outputs; o += outputs) {
        outputs = next_outputs(t->outputs - o);
        for (size_t row = made.first, height; row < made.end; row += height) {
            height = next_rows(made.end - row);
            switch (key(t->taps, height, outputs)) {
#define FLOAT_CASE(kh, kw)                                                                         \
    case KEY(kh, kw):                                                                              \
        float_row_##kh##_##kw(t, row, o);                                                          \
        break;
                FLOAT_TILES(FLOAT_CASE)
            default:
                if (outputs == 2u)
                    (height > 1u ? float_row_whole : float_row_low)(t, row, o);
                else
                    (height > 1u ? float_row_alone : float_row_low_alone)(t, row, o);
            }
        }
    }
}

#ifdef CSD_HAS_CODES

/* v of floats, which becomes codes. */
typedef struct coded {
    csd_code *codes;
    csd_planes planes;
    csd_coding coding;
    int tame;
} coded;

#define V_ROW(name, kh, kw, height, outputs, fixed)                                                \
    static void name(const csd_rows *t, const coded *to, size_t row, size_t o) {                   \
        for (size_t at = 0; at < t->columns; at += CSD_TILE_COLUMNS)                               \
            csd_code_tile(t, to->codes, &to->planes, row, at, o, &to->coding, kh, kw, height,      \
                          outputs, fixed, to->tame);                                               \
    }
enum { MOST_ROWS = CSD_TILE_ROWS * 2 / CSD_CODED_OUTPUTS };
V_ROW(v_row_1_9, 1, 9, MOST_ROWS, CSD_CODED_OUTPUTS, 1)
V_ROW(v_row_1_9_by_two, 1, 9, CSD_TILE_ROWS, 2, 1)
V_ROW(v_row_any, t->taps.height, t->taps.width, 1, CSD_CODED_OUTPUTS, 0)
V_ROW(v_row_any_by_two, t->taps.height, t->taps.width, 1, 2, 0)

/* The last two outputs may be alone. */
static void run_coding(const csd_rows *t, const coded *to, span made) {
    const int fixed = KEY(t->taps.height, t->taps.width) == KEY(1, 9);
    for (size_t o = 0, outputs; o < t->outputs; o += outputs) {
        const int whole = t->outputs - o >= CSD_CODED_OUTPUTS;
        const size_t most = whole ? MOST_ROWS : CSD_TILE_ROWS;
        outputs = whole ? CSD_CODED_OUTPUTS : 2u;
        for (size_t row = made.first, height; row < made.end; row += height) {
            height = fixed && made.end - row >= most ? most : 1u;
            if (height == most)
                (whole ? v_row_1_9 : v_row_1_9_by_two)(t, to, row, o);
            else
                (whole ? v_row_any : v_row_any_by_two)(t, to, row, o);
        }
    }
}

#define CODE_ROW(name, kh, kw, height, outputs, fixed)                                             \
    static void name(const csd_code_rows *t, size_t row, size_t o) {                               \
        for (size_t at = 0; at < t->columns; at += CSD_TILE_COLUMNS)                               \
            csd_sum_codes(t, row, at, o, kh, csd_words(kw), height, outputs, fixed);               \
    }
#define FIXED_CODE_ROW(kh, kw) CODE_ROW(code_row_##kh##_##kw, kh, kw, CSD_TILE_ROWS, 2, 1)
CODE_TILES(FIXED_CODE_ROW)
CODE_ROW(code_row_whole, t->taps.height, t->taps.width, CSD_TILE_ROWS, 2, 0)
CODE_ROW(code_row_low, t->taps.height, t->taps.width, 1, 2, 0)
CODE_ROW(code_row_alone, t->taps.height, t->taps.width, CSD_TILE_ROWS, 1, 0)
CODE_ROW(code_row_low_alone, t->taps.height, t->taps.width, 1, 1, 0)

static void run_codes(const csd_code_rows *t, span made) {
    for (size_t o = 0, outputs; o < t->outputs; o += outputs) {
        outputs = next_outputs(t->outputs - o);
        for (size_t row = made.first, height; row < made.end; row += height) {
            height = next_rows(made.end - row);
            switch (key(t->taps, height, outputs)) {
#define CODE_CASE(kh, kw)                                                                          \
    case KEY(kh, kw):                                                                              \
        code_row_##kh##_##kw(t, row, o);                                                           \
        break;
                CODE_TILES(CODE_CASE)
            default:
                if (outputs == 2u)
                    (height > 1u ? code_row_whole : code_row_low)(t, row, o);
                else
                    (height > 1u ? code_row_alone : code_row_low_alone)(t, row, o);
            }
        }
    }
}

#endif

/* The planes of a strip, in floats at `room`; the codes of v stand where its floats would. */
typedef struct strip {
    span y, m, v, x; /* rows that are made, or read */
    csd_planes planes_x, planes_v, planes_m, planes_y;
    float *x_at, *v_at, *m_at, *y_at;
    size_t columns;
} strip;

/* Rows that rows `made` see. */
static span seen(span made, csd_taps taps, size_t height) {
    const size_t below = taps.height - 1u - taps.top;
    const span rows = {made.first < taps.top ? 0 : made.first - taps.top,
                       height - made.end < below ? height : made.end + below};
    return rows;
}

/* Planes whose readers see columns beside the image have a margin, and one more behind the last row.
   Returns their size in elements. */
static size_t set_planes(csd_planes *planes, span rows, size_t columns, csd_taps reader,
                         size_t margin, size_t count) {
    planes->margin = reader.width > 1u ? margin : 0;
    planes->pitch = planes->margin + columns;
    planes->plane = planes->pitch * (rows.end - rows.first);
    planes->first = rows.first;
    return planes->plane * count + planes->margin;
}

/* Places the planes of a strip, whose rows are known, in `room`, if they fit; returns how
   many floats they take. Every part is a whole number of cache lines. */
static size_t place_planes(strip *s, const csd_block *b, float *room) {
    const csd_taps nothing = {1, 1, 0, 0};
    size_t element = sizeof(float), share = 1;
#ifdef CSD_HAS_CODES
    if (b->coded) {
        element = sizeof(csd_code);
        share = 2;
    }
#endif
    s->columns = (b->width + CSD_TILE_COLUMNS - 1u) / CSD_TILE_COLUMNS * CSD_TILE_COLUMNS;
    const size_t x =
        set_planes(&s->planes_x, s->x, s->columns, b->taps[0], CSD_WIDE, b->inputs);
    const size_t v = set_planes(&s->planes_v, s->v, s->columns, b->taps[1], LINE / element,
                                b->batch * b->taken / share) *
                     element / sizeof(float);
    const size_t m =
        set_planes(&s->planes_m, s->m, s->columns, b->taps[2], CSD_WIDE, b->batch * b->each);
    const size_t y = set_planes(&s->planes_y, s->y, s->columns, nothing, 0, b->outputs);
    if (x + v + m + y <= ROOM) {
        s->x_at = room;
        s->v_at = s->x_at + x;
        s->m_at = s->v_at + v;
        s->y_at = s->m_at + m;
    }
    return x + v + m + y;
}

/* Columns behind an image that ends inside a tile: what its readers see must be `byte` again. */
static void clear_behind(void *planes, const csd_planes *p, span rows, size_t count, size_t from,
                         size_t element, int byte) {
    uint8_t *at = (uint8_t *)planes + (p->margin + from) * element;
    for (size_t i = 0; i < count; i++, at += p->plane * element)
        for (size_t row = 0; row < rows.end - rows.first; row++)
            memset(at + row * p->pitch * element, byte, (p->pitch - p->margin - from) * element);
}

/* y = bias + residual, the beginning of all its sums. */
static void begin_y(const strip *s, const csd_block *b, const float *bias, const float *residual) {
    for (size_t o = 0; o < b->outputs; o++) {
        const float start = (bias ? bias[o] : 0.0f) + 0.0f; /* never -0 */
        for (size_t row = s->y.first; row < s->y.end; row++) {
            float *to = s->y_at + o * s->planes_y.plane + (row - s->y.first) * s->planes_y.pitch;
            const size_t at = (o * b->height + row) * b->width;
            for (size_t i = 0; i < b->width; i++)
                to[i] = residual ? start + residual[at + i] : start;
            for (size_t i = b->width; i < s->columns; i++)
                to[i] = 0.0f;
        }
    }
}

static void copy_x(const strip *s, const csd_block *b, const float *x) {
    for (size_t c = 0; c < b->inputs; c++)
        for (size_t row = s->x.first; row < s->x.end; row++)
            memcpy(s->x_at + c * s->planes_x.plane + (row - s->x.first) * s->planes_x.pitch +
                       s->planes_x.margin,
                   x + (c * b->height + row) * b->width, b->width * sizeof *x);
}

static void copy_y(const strip *s, const csd_block *b, float *y) {
    for (size_t o = 0; o < b->outputs; o++)
        for (size_t row = s->y.first; row < s->y.end; row++)
            memcpy(y + (o * b->height + row) * b->width,
                   s->y_at + o * s->planes_y.plane + (row - s->y.first) * s->planes_y.pitch,
                   b->width * sizeof *y);
}

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
static csd_code *codes_of(const strip *s) { return (csd_code *)(void *)s->v_at; }

static void run_coded_middle(const strip *s, const csd_block *b, const csd_record *r,
                             const float *group, size_t i) {
    const csd_code_rows middle = {
        .x = codes_of(s) + i * (b->taken / 2u) * s->planes_v.plane + s->planes_v.margin -
             b->taps[1].left,
        .in = s->planes_v,
        .pairs = b->taken / 2u,
        .taps = b->taps[1],
        .weight = (const int32_t *)(const void *)(group + r->middle),
        .zeros = (const int32_t *)(const void *)(group + r->zeros),
        .multiplier = group + r->multiplier,
        .bias = group + r->middle_bias,
        .slope = group + r->middle_slope,
        .y = s->m_at + i * b->each * s->planes_m.plane + s->planes_m.margin,
        .out = s->planes_m,
        .outputs = b->each,
        .height = b->height,
        .columns = s->columns,
    };
    run_codes(&middle, s->m);
}
#endif

/* v of a batch. */
static void run_expand(const strip *s, const csd_block *b, const csd_rows *expand, int tame) {
    #ifdef CSD_HAS_CODES
    if (b->coded) {
        const coded to = {codes_of(s) + s->planes_v.margin, s->planes_v, b->coding, tame};
        run_coding(expand, &to, s->v);
        if (b->width < s->columns)
            clear_behind(codes_of(s), &s->planes_v, s->v, expand->outputs / 2u, b->width,
                         sizeof(csd_code), csd_code_of_zero(b->coding.zero));
        return;
    }
#endif
    (void)tame;
    run_floats(expand, s->v);
    if (b->width < s->columns)
        clear_behind(s->v_at, &s->planes_v, s->v, expand->outputs, b->width, sizeof(float), 0);
}

/* Adds a batch of groups to the strip's y. */
static void run_batch(const strip *s, const csd_block *b, const float *record, size_t count,
                      int tame) {
    const csd_record r = csd_block_record(b, count);
    const csd_rows expand = expand_of(s, b, &r, record, count);
    const csd_rows project = project_of(s, b, &r, record, count);
    run_expand(s, b, &expand, tame);
    for (size_t i = 0; i < count; i++) {
        const float *group = record + r.group + i * r.group_words;
#ifdef CSD_HAS_CODES
        if (b->coded) {
            run_coded_middle(s, b, &r, group, i);
            continue;
        }
#endif
        run_middle(s, b, &r, group, i);
    }
    if (b->width < s->columns)
        clear_behind(s->m_at, &s->planes_m, s->m, count * b->each, b->width,
                     sizeof(float), 0);
    run_floats(&project, s->y);
}

/* A strip of y's rows. */
static size_t place_strip(strip *s, const csd_block *b, span y, float *room) {
    s->y = y;
    s->m = seen(s->y, b->taps[2], b->height);
    s->v = seen(s->m, b->taps[1], b->height);
    s->x = seen(s->v, b->taps[0], b->height);
    return place_planes(s, b, room);
}

/* The first `rows` with what they see above and below, which is never more than the image. */
static span widest(span rows, csd_taps taps, size_t height) {
    const span all = {0, rows.end + taps.height - 1u};
    return all.end < height ? all : (span){0, height};
}

/* How many rows of y a strip has: all that fit the room, 0 for none. */
static size_t strip_rows(const csd_block *b, float *room) {
    const size_t most = ROOM / CSD_TILE_COLUMNS;
    for (size_t count = b->height < most ? b->height : most; count > 0; count--) {
        strip s = {.y = {0, count}};
        s.m = widest(s.y, b->taps[2], b->height);
        s.v = widest(s.m, b->taps[1], b->height);
        s.x = widest(s.v, b->taps[0], b->height);
        if (place_planes(&s, b, room) <= ROOM)
            return count;
    }
    return 0;
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

int CSD_FAST(conv_block)(const csd_args *args) {
    float room[ROOM + LINE / sizeof(float)];
    float *start = room + (LINE - (uintptr_t)room % LINE) % LINE / sizeof(float);
    const csd_bounds *bounds = args->prepared;
    const float *x = args->in[CSD_CONV_BLOCK_X].data;
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
        const int tame = b.coded && is_tame(&b, bounds, x);
        for (size_t row = 0; row < b.height; row += most) {
            const span made = {row, b.height - row < most ? b.height : row + most};
            strip s;
            const size_t taken = place_strip(&s, &b, made, start);
            memset(start, 0, taken * sizeof *start);
#ifdef CSD_HAS_CODES
            if (b.coded)
                memset(s.v_at, csd_code_of_zero(b.coding.zero),
                       (size_t)(s.m_at - s.v_at) * sizeof *start);
#endif
            copy_x(&s, &b, x);
            begin_y(&s, &b, args->in[CSD_CONV_BLOCK_BIAS].data, residual);
            const float *record = (const float *)(const void *)(bounds + 1);
            for (size_t g = 0; g < b.groups; g += b.batch, record += words)
                run_batch(&s, &b, record, csd_batch_at(&b, g), tame);
            copy_y(&s, &b, y);
        }
        for (size_t o = 0; o < b.outputs; o++)
            CSD_KERNEL(activate)
            (y + o * plane, plane, p[CSD_CONV_BLOCK_P_ACTIVATION].u,
             csd_slope(&args->in[CSD_CONV_BLOCK_SLOPE], o, p[CSD_CONV_BLOCK_P_ALPHA].f));
        residual = residual ? residual + b.outputs * plane : NULL;
    }
    return 1;
}
