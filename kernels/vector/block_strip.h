/* The planes of a strip of rows: where they lie, what they begin with, and what becomes of y. */
#ifndef CSIDEPLOY_BLOCK_STRIP_H
#define CSIDEPLOY_BLOCK_STRIP_H

#include "block_layout.h"
#include "block_rows.h"

/* Floats of all planes, 45 KiB. */
#define ROOM 11520u
#define LINE 64u

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

/* Floats of the lines of so many bytes. */
static size_t whole_lines(size_t bytes) { return (bytes + LINE - 1u) / LINE * LINE / sizeof(float); }

/* Places the planes of a strip, whose rows are known, in `room`, if they fit; returns how
   many floats they take. Every part is a whole number of cache lines. */
static size_t place_planes(strip *s, const csd_block *b, float *room) {
    /* Two groups of wide codes fit in one strip with half the margins: eight columns, of which no
       reader sees more. */
    const size_t least = b->batch > 1u && b->pair == 4u ? 2u : 1u;
    const csd_taps nothing = {1, 1, 0, 0};
    size_t element = sizeof(float), share = 1, inputs = b->inputs;
    size_t made = b->batch * b->made;
#ifdef CSD_HAS_CODES
    if (b->coded) {
        element = b->pair;
        share = 2;
    }
    if (b->whole) { /* pairs have the size of a float */
        inputs = b->pairs;
        made /= 2u;
    }
#endif
    s->columns = (b->width + CSD_TILE_COLUMNS - 1u) / CSD_TILE_COLUMNS * CSD_TILE_COLUMNS;
    const size_t x = whole_lines(
        set_planes(&s->planes_x, s->x, s->columns, b->taps[0], CSD_WIDE / least, inputs) *
        sizeof(float));
    const size_t v =
        whole_lines(set_planes(&s->planes_v, s->v, s->columns, b->taps[1], LINE / element / least,
                               b->batch * b->taken / share) *
                    element);
    const size_t m = set_planes(&s->planes_m, s->m, s->columns, b->taps[2], CSD_WIDE, made);
    const size_t y = set_planes(&s->planes_y, s->y, s->columns, nothing, 0, b->outputs);
    if (x + v + m + y <= ROOM) {
        s->x_at = room;
        s->v_at = s->x_at + x;
        s->m_at = s->v_at + v;
        s->y_at = s->m_at + m;
    }
    return x + v + m + y;
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

#ifdef CSD_HAS_CODES

/* x as codes, channels by two. What stands behind the image's columns is the code of 0. */
static void encode_x(const strip *s, const csd_block *b, const float *x) {
    float rows[2][CSD_BLOCK_WIDTH] = {{0.0f}};
    for (size_t c = 0; c < b->inputs; c += 2u) {
        const int both = c + 1u < b->inputs;
        if (!both)
            memset(rows[1], 0, sizeof rows[1]);
        for (size_t row = s->x.first; row < s->x.end; row++) {
            uint8_t *to = (uint8_t *)(s->x_at + c / 2u * s->planes_x.plane +
                                      (row - s->x.first) * s->planes_x.pitch + s->planes_x.margin);
            memcpy(rows[0], x + (c * b->height + row) * b->width, b->width * sizeof *x);
            if (both)
                memcpy(rows[1], x + ((c + 1u) * b->height + row) * b->width, b->width * sizeof *x);
            for (size_t at = 0; at < s->columns; at += CSD_TILE_COLUMNS) {
                csd_wide first[CSD_TILE_VECTORS], second[CSD_TILE_VECTORS];
                for (size_t v = 0; v < CSD_TILE_VECTORS; v++) {
                    first[v] = csd_wide_load(rows[0] + at + v * CSD_WIDE);
                    second[v] = csd_wide_load(rows[1] + at + v * CSD_WIDE);
                }
                csd_codes_store(to + at * 4u, first, second, &b->coding_x, CSD_WILD, 16);
            }
        }
    }
}

/* y of the strip's sums, before its activation. */
static void decode_y(const strip *s, const csd_block *b, float *y, const float *bias,
                     const float *residual, float scale) {
    for (size_t o = 0; o < b->outputs; o++) {
        const float start = bias ? bias[o] : 0.0f;
        for (size_t row = s->y.first; row < s->y.end; row++) {
            const int32_t *sums =
                (const int32_t *)(const void *)(s->y_at + o * s->planes_y.plane +
                                                (row - s->y.first) * s->planes_y.pitch);
            const size_t at = (o * b->height + row) * b->width;
            for (size_t i = 0; i < b->width; i++) {
                const float rest = start + (residual ? residual[at + i] : 0.0f);
                const float scaled = (float)sums[i] * scale;
                y[at + i] = scaled + rest;
            }
        }
    }
}

#endif

#endif
