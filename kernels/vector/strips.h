/* The walk of a convolution whose neighbours in an output row read neighbours of x.

   Rows of x are copied first, one 32-bit word an element, with pads: then a tap is one place of the
   copy, whatever kernel and dilation are, and a row of outputs needs no limits. As many rows as have
   room make a strip, and as many channels a share. A tile of rows and outputs, sixteen or 32 columns
   wide, stays in registers over all taps of a share: each word that a tap reads serves all its
   outputs, each weight all its rows and columns. With 4 rows, 2 outputs and 32 columns that is 8
   loads and 2 weights for 16 vectors of products: arithmetic is the limit, not the cache. */
#ifndef CSIDEPLOY_STRIPS_H
#define CSIDEPLOY_STRIPS_H

#include <stddef.h>
#include <stdint.h>

#include "../vectors.h"

/* Of the copy and of the list of taps: 38 KiB of the stack together. */
#define CSD_PLACES 9216u
#define CSD_TAPS 1024u

/* A tile's rows with one or two outputs, half of them with four; and its vectors. */
#ifdef CSD_HAS_AVX512
enum { CSD_TILE_MOST_ROWS = 4, CSD_TILE_MOST_VECTORS = 2 };
#else
enum { CSD_TILE_MOST_ROWS = 2, CSD_TILE_MOST_VECTORS = 1 };
#endif
enum { CSD_TILE_MOST_OUTPUTS = 4 };

/* CASE(rows, outputs, vectors) for each size of a tile. */
#ifdef CSD_HAS_AVX512
#define CSD_FOR_EACH_TILE(CASE)                                                                    \
    CASE(4, 1, 1) CASE(4, 2, 1) CASE(2, 4, 1) CASE(1, 1, 1) CASE(1, 2, 1) CASE(1, 4, 1)            \
    CASE(4, 1, 2) CASE(4, 2, 2) CASE(2, 4, 2) CASE(1, 1, 2) CASE(1, 2, 2) CASE(1, 4, 2)
#else
#define CSD_FOR_EACH_TILE(CASE)                                                                    \
    CASE(2, 1, 1) CASE(2, 2, 1) CASE(1, 4, 1) CASE(1, 1, 1) CASE(1, 2, 1)
#endif

#define CSD_EACH_SUM                                                                               \
    CSD_UNROLL                                                                                     \
    for (size_t o = 0; o < outputs; o++)                                                           \
        CSD_UNROLL                                                                                 \
    for (size_t r = 0; r < rows; r++)                                                              \
        CSD_UNROLL                                                                                 \
    for (size_t v = 0; v < vectors; v++)

typedef struct csd_strips csd_strips;

/* A tile, in its group: of the last vector, `last` columns exist. */
typedef struct csd_tile {
    size_t group; /* of all samples' */
    size_t output;
    size_t row;
    size_t column;
    size_t channel; /* the share's first */
    const void *x;  /* what the first tap reads first, in the copy */
    size_t rows, outputs, vectors, last;
} csd_tile;

struct csd_strips {
    /* Given, of one group; a `channel` is what fills one word. */
    size_t channels, outputs, height, width, out_height, out_width;
    size_t kernel_h, kernel_w, stride_h, dilation_h, dilation_w, pad_top, pad_left;
    /* Copies `rows` rows of a channel from row `from` on, which may lie outside of it. */
    void (*copy)(const csd_strips *s, void *to, size_t group, size_t channel, ptrdiff_t from,
                 size_t rows);
    void (*tile)(const csd_strips *s, const csd_tile *tile);
    const void *job; /* for the two */
    void *places;
    uint16_t *taps; /* where a tap's words stand, counted from the first tap's */
    /* By csd_divide. */
    size_t rows;   /* of a strip */
    size_t share;  /* channels that are copied at once */
    size_t margin; /* pads between rows of the copy */
    size_t pitch;  /* from row to row of the copy */
    /* By csd_walk. */
    size_t count; /* taps of the share */
    int is_last;  /* share */
};

static inline size_t csd_whole(size_t count) {
    return (count + CSD_WIDE - 1u) / CSD_WIDE * CSD_WIDE;
}

/* Rows of x that `rows` rows of the output read. */
static inline size_t csd_rows_read(const csd_strips *s, size_t rows) {
    return (rows - 1u) * s->stride_h + (s->kernel_h - 1u) * s->dilation_h + 1u;
}

/* Enough rows that few are copied twice, then all channels that have room. Returns 0 where not one
   row of one channel has, and for rows so narrow that most of a vector would be idle. */
static inline int csd_divide(csd_strips *s) {
    const size_t window = csd_rows_read(s, 1), taps = s->kernel_h * s->kernel_w;
    if (s->out_width <= CSD_WIDE / 4u || s->out_width > CSD_PLACES || s->width > CSD_PLACES ||
        s->pad_left > CSD_PLACES || s->kernel_w > CSD_PLACES || s->dilation_w > CSD_PLACES ||
        taps > CSD_TAPS)
        return 0;
    /* From the first word of a row to the last one that the last vector reads. */
    const size_t reach = csd_whole(s->out_width) + (s->kernel_w - 1u) * s->dilation_w;
    const size_t columns = csd_whole(s->width), inside = s->pad_left + columns;
    const size_t beyond = reach > inside ? reach - inside : 0;
    s->margin = csd_whole(beyond > s->pad_left ? beyond : s->pad_left);
    s->pitch = s->margin + columns;
    const size_t room = s->pitch < CSD_PLACES ? (CSD_PLACES - s->margin) / s->pitch : 0;
    if (room < window)
        return 0;
    const size_t wanted = csd_whole(2u * window), most = (room - window) / s->stride_h + 1u;
    s->rows = wanted < most ? wanted : most;
    if (s->rows > s->out_height)
        s->rows = s->out_height;
    s->share = room / csd_rows_read(s, s->rows);
    if (s->share > CSD_TAPS / taps)
        s->share = CSD_TAPS / taps;
    if (s->share > s->channels)
        s->share = s->channels;
    /* Shares of nearly one size. */
    const size_t shares = (s->channels + s->share - 1u) / s->share;
    s->share = (s->channels + shares - 1u) / shares;
    return 1;
}

static inline void csd_list_taps(const csd_strips *s) {
    uint16_t *tap = s->taps;
    for (size_t c = 0; c < s->share; c++)
        for (size_t i = 0; i < s->kernel_h; i++)
            for (size_t j = 0; j < s->kernel_w; j++) {
                const size_t row = c * csd_rows_read(s, s->rows) + i * s->dilation_h;
                *tap++ = (uint16_t)(row * s->pitch + j * s->dilation_w);
            }
}

/* Two or four outputs, or one, of `rows` rows of the strip that begins at t->row. */
static inline void csd_walk_tiles(const csd_strips *s, csd_tile *t, size_t rows) {
    const size_t most =
        t->outputs == CSD_TILE_MOST_OUTPUTS ? CSD_TILE_MOST_ROWS / 2 : CSD_TILE_MOST_ROWS;
    const size_t first = t->row;
    for (size_t row = 0; row < rows; row += t->rows) {
        t->rows = rows - row < most ? 1 : most;
        t->row = first + row;
        for (t->column = 0; t->column < s->out_width; t->column += t->vectors * CSD_WIDE) {
            const size_t left = s->out_width - t->column;
            const size_t at = s->margin - s->pad_left + row * s->stride_h * s->pitch + t->column;
            t->x = (const uint32_t *)s->places + at;
            t->vectors = left > CSD_WIDE ? CSD_TILE_MOST_VECTORS : 1;
            t->last = left - (t->vectors - 1u) * CSD_WIDE;
            t->last = t->last < CSD_WIDE ? t->last : CSD_WIDE;
            s->tile(s, t);
        }
    }
    t->row = first;
}

/* Calls `tile` for all tiles of `groups` groups, those of a share after those of the one before;
   all shares of `together` outputs come before the next ones. */
static inline void csd_walk(csd_strips *s, size_t groups, size_t together) {
    csd_tile t = {0};
    csd_list_taps(s);
    const size_t pitch = csd_rows_read(s, s->rows) * s->pitch; /* from channel to channel */
    for (t.group = 0; t.group < groups; t.group++)
        for (size_t rows = t.row = 0; t.row < s->out_height; t.row += rows) {
            const ptrdiff_t from = (ptrdiff_t)(t.row * s->stride_h) - (ptrdiff_t)s->pad_top;
            rows = s->out_height - t.row < s->rows ? s->out_height - t.row : s->rows;
            for (size_t first = 0, end; first < s->outputs; first = end) {
                end = s->outputs - first < together ? s->outputs : first + together;
                for (size_t share; t.channel < s->channels; t.channel += share) {
                    share = s->channels - t.channel < s->share ? s->channels - t.channel : s->share;
                    s->count = share * s->kernel_h * s->kernel_w;
                    s->is_last = t.channel + share == s->channels;
                    for (size_t c = 0; c < share; c++)
                        s->copy(s, (uint32_t *)s->places + c * pitch, t.group, t.channel + c, from,
                                csd_rows_read(s, rows));
                    for (t.output = first; t.output < end; t.output += t.outputs) {
                        const size_t left = end - t.output;
                        t.outputs = left >= 4u ? 4u : left >= 2u ? 2u : 1u;
                        csd_walk_tiles(s, &t, rows);
                    }
                }
                t.channel = 0;
            }
        }
}

#endif
