/* The convolution of kernels/reference/conv2d.c where neighbours of an output row read neighbours of
   x: the same sums in the same order, so the same bits.

   Rows of x are copied first, with zeros for the pads: then a tap is one place of the copy, whatever
   kernel and dilation are, and a row of outputs needs no limits. As many rows as have room make a
   strip, and as many channels of a group a share; the sums of a share wait in y for the next one.
   A tile of rows and outputs, sixteen or 32 columns wide, stays in registers over all taps: each
   number that a tap reads serves all its outputs, each weight all its rows and columns. With 4 rows,
   2 outputs and 32 columns that is 8 loads and 2 weights for 16 products and 16 sums: arithmetic is
   the limit, not the cache. The activation comes before the only store.

   Zeros that stand for pads change nothing: weights are finite, and a sum that does not start from
   -0 never becomes -0. */
#include "../elementary.h"
#include "../fast.h"
#include "../vectors.h"

/* Of the copy, in floats, and of the list of taps: 44 KiB of the stack together. */
#define PLACES 10240u
#define TAPS 2048u

/* A tile's rows with one or two outputs, half of them with four; and its vectors. */
#ifdef CSD_HAS_AVX512
enum { MOST_ROWS = 4, MOST_VECTORS = 2 };
#else
enum { MOST_ROWS = 2, MOST_VECTORS = 1 };
#endif
enum { MOST_OUTPUTS = 4 };

/* What tiles of a strip have in common. */
typedef struct strip {
    float *places;
    uint16_t *taps; /* where a tap's numbers stand, counted from the first tap's */
    size_t count;   /* of taps */
    size_t weights; /* of an output */
    size_t margin;  /* zeros between rows of the copy */
    size_t pitch;   /* from row to row of the copy */
    size_t step;    /* from an output row's numbers to the next one's */
    size_t width;   /* of an output row */
    size_t plane;   /* of an output */
    uint32_t activation;
} strip;

/* A tile: its first number in the copy, its first output's weights, bias and slope, and its first
   element of y and of what the sums start from. */
typedef struct tile {
    const float *x;
    const float *weight;
    const float *bias;
    const float *slopes;
    size_t slope_step;
    const float *start;
    float *y;
} tile;

#define EACH_SUM                                                                                   \
    CSD_UNROLL                                                                                     \
    for (size_t o = 0; o < outputs; o++)                                                           \
        CSD_UNROLL                                                                                 \
    for (size_t r = 0; r < rows; r++)                                                              \
        CSD_UNROLL                                                                                 \
    for (size_t v = 0; v < vectors; v++)
#define SUM sums[r][o][v]
#define AT (o * plane + r * width + v * CSD_WIDE)

/* Of the last vector, `last` columns exist. */
CSD_INLINE void convolve(const strip *s, const tile *t, size_t last, const size_t rows,
                         const size_t outputs, const size_t vectors) {
    const size_t width = s->width, plane = s->plane, step = s->weights;
    csd_wide sums[MOST_ROWS][MOST_OUTPUTS][MOST_VECTORS], weights[MOST_OUTPUTS];
    const csd_wide zero = csd_wide_all(0.0f);
    const float *x[MOST_ROWS], *weight = t->weight, *const start = t->start;
    CSD_UNROLL
    for (size_t o = 0; o < outputs; o++)
        weights[o] = csd_wide_all((t->bias ? t->bias[o] : 0.0f) + 0.0f); /* never -0 */
    EACH_SUM { SUM = weights[o]; }
    if (start != NULL && last == CSD_WIDE) {
        EACH_SUM { SUM = csd_wide_add(SUM, csd_wide_load(start + AT)); }
    } else if (start != NULL) {
        EACH_SUM {
            const size_t lanes = v + 1u < vectors ? CSD_WIDE : last;
            SUM = csd_wide_add(SUM, csd_wide_load_first(start + AT, lanes));
        }
    }
    /* One register a row, and one load for all outputs: gcc would compute and read again. */
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        x[r] = t->x + r * s->step;
        __asm__("" : "+r"(x[r]));
    }
    for (const uint16_t *tap = s->taps, *end = tap + s->count; tap < end; tap++, weight++) {
        const size_t at = *tap;
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++)
            weights[o] = csd_wide_all(weight[o * step]);
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                csd_wide numbers = csd_wide_load(x[r] + at + v * CSD_WIDE);
                CSD_KEEP(numbers);
                CSD_UNROLL
                for (size_t o = 0; o < outputs; o++)
                    SUM = csd_wide_add(SUM, csd_wide_mul(weights[o], numbers));
            }
        }
    }
    const uint32_t activation = s->activation;
    float *const y = t->y;
    if (activation == CSD_ACT_RELU) {
        EACH_SUM { SUM = csd_wide_if_below(SUM, zero, zero, SUM); }
    } else if (activation == CSD_ACT_LEAKY || activation == CSD_ACT_PRELU) {
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++)
            weights[o] = csd_wide_all(t->slopes[o * t->slope_step]);
        EACH_SUM { SUM = csd_wide_rectify(SUM, weights[o]); }
    }
    if (last == CSD_WIDE) {
        EACH_SUM { csd_wide_store(y + AT, SUM); }
    } else {
        EACH_SUM { csd_wide_store_first(y + AT, SUM, v + 1u < vectors ? CSD_WIDE : last); }
    }
}

/* Each size of a tile is a function of its own, so that nothing else wants its registers. */
#define TILE(rows, outputs, vectors)                                                               \
    static __attribute__((noinline)) void tile_##rows##_##outputs##_##vectors(                     \
        const strip *s, const tile *t, size_t last) {                                              \
        convolve(s, t, last, rows, outputs, vectors);                                              \
    }
#define CASE(rows, outputs, vectors)                                                               \
    case (rows) * 100 + (outputs) * 10 + (vectors):                                                \
        tile_##rows##_##outputs##_##vectors(s, t, last);                                           \
        break;
#ifdef CSD_HAS_AVX512
#define TILES(X)                                                                                   \
    X(4, 1, 1) X(4, 2, 1) X(2, 4, 1) X(1, 1, 1) X(1, 2, 1) X(1, 4, 1)                              \
    X(4, 1, 2) X(4, 2, 2) X(2, 4, 2) X(1, 1, 2) X(1, 2, 2) X(1, 4, 2)
#else
#define TILES(X) X(2, 1, 1) X(2, 2, 1) X(1, 4, 1) X(1, 1, 1) X(1, 2, 1)
#endif
TILES(TILE)

static void run_tile(const strip *s, const tile *t, size_t last, size_t rows, size_t outputs,
                     size_t vectors) {
    switch (rows * 100u + outputs * 10u + vectors) {
        TILES(CASE)
    }
}

/* One, two or four outputs of a strip. */
static void run_outputs(const strip *s, const tile *first, size_t rows, size_t outputs) {
    const size_t most = outputs == 4u ? MOST_ROWS / 2 : MOST_ROWS;
    for (size_t row = 0, together; row < rows; row += together) {
        together = rows - row < most ? 1 : most;
        for (size_t column = 0, vectors; column < s->width; column += vectors * CSD_WIDE) {
            const size_t left = s->width - column, at = row * s->width + column;
            tile t = *first;
            vectors = left > CSD_WIDE ? MOST_VECTORS : 1;
            t.x += row * s->step + column;
            t.y += at;
            t.start = t.start ? t.start + at : NULL;
            const size_t last = left - (vectors - 1u) * CSD_WIDE;
            run_tile(s, &t, last < CSD_WIDE ? last : CSD_WIDE, together, outputs, vectors);
        }
    }
}

/* `rows` rows of a plane from row `from` on, which may lie outside of it; zeros for what does. */
static void copy_rows(float *to, const strip *s, const float *plane, size_t height, size_t width,
                      ptrdiff_t from, size_t rows) {
    const csd_wide zero = csd_wide_all(0.0f);
    for (size_t k = 0; k < rows; k++, to += s->pitch) {
        const ptrdiff_t row = from + (ptrdiff_t)k;
        const int inside = row >= 0 && row < (ptrdiff_t)height;
        const float *x = inside ? plane + (size_t)row * width : plane;
        for (size_t i = 0; i < (inside ? s->margin : s->pitch); i += CSD_WIDE)
            csd_wide_store(to + i, zero);
        for (size_t i = 0; inside && i < width; i += CSD_WIDE)
            csd_wide_store(to + s->margin + i, width - i >= CSD_WIDE
                                                   ? csd_wide_load(x + i)
                                                   : csd_wide_load_first(x + i, width - i));
    }
}

static int all_finite(const float *x, size_t count) {
    uint32_t most = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = csd_bits(x[i]) & 0x7FFFFFFFu;
        most = bits > most ? bits : most;
    }
    return most < 0x7F800000u;
}

/* One group of one sample; `first` is its first output's. */
typedef struct group {
    const float *x;
    size_t channels;
    size_t share; /* channels that are copied at once */
    size_t outputs;
    size_t height;
    size_t width;
    size_t taps; /* of a channel */
    size_t rows; /* of the output */
    size_t strip;
    size_t stride;
    size_t pad_top;
    size_t window; /* rows that an output row reads, from the first to the last */
    tile first;
} group;

static size_t copied_rows(const group *g, size_t rows) {
    return (rows - 1u) * g->stride + g->window;
}

/* The products of `channels` channels from number `c` on, for some rows of all outputs. */
static void run_share(strip *s, const group *g, size_t row, size_t rows, size_t c,
                      size_t channels) {
    const ptrdiff_t from = (ptrdiff_t)(row * g->stride) - (ptrdiff_t)g->pad_top;
    for (size_t i = 0; i < channels; i++)
        copy_rows(s->places + i * copied_rows(g, g->strip) * s->pitch, s,
                  g->x + (c + i) * g->height * g->width, g->height, g->width, from,
                  copied_rows(g, rows));
    s->count = channels * g->taps;
    for (size_t o = 0, outputs; o < g->outputs; o += outputs) {
        const size_t left = g->outputs - o, at = o * s->plane + row * s->width;
        tile t = g->first;
        outputs = left >= 4u ? 4u : left >= 2u ? 2u : 1u;
        t.weight += o * s->weights + c * g->taps;
        t.slopes += o * t.slope_step;
        t.y += at;
        t.bias = t.bias && c == 0 ? t.bias + o : NULL;
        t.start = c > 0 ? t.y : t.start ? t.start + at : NULL;
        run_outputs(s, &t, rows, outputs);
    }
}

static void run_group(strip *s, const group *g, uint32_t activation) {
    for (size_t row = 0, rows; row < g->rows; row += rows) {
        rows = g->rows - row < g->strip ? g->rows - row : g->strip;
        for (size_t c = 0, channels; c < g->channels; c += channels) {
            channels = g->channels - c < g->share ? g->channels - c : g->share;
            s->activation = c + channels < g->channels ? (uint32_t)CSD_ACT_NONE : activation;
            run_share(s, g, row, rows, c, channels);
        }
    }
}

static size_t round_up(size_t count) { return (count + CSD_WIDE - 1u) / CSD_WIDE * CSD_WIDE; }

/* Strips and shares: enough rows that few are copied twice, then all channels that have room.
   Returns 0 where not one row of one channel has. */
static int divide(strip *s, group *g, size_t left, size_t reach) {
    const size_t columns = round_up(g->width);
    const size_t beyond = reach > left + columns ? reach - left - columns : 0;
    s->margin = round_up(beyond > left ? beyond : left);
    s->pitch = s->margin + columns;
    const size_t room = s->pitch < PLACES ? (PLACES - s->margin) / s->pitch : 0;
    if (room < g->window || g->taps > TAPS)
        return 0;
    const size_t wanted = round_up(2u * g->window), most = (room - g->window) / g->stride + 1u;
    g->strip = wanted < most ? wanted : most;
    if (g->strip > g->rows)
        g->strip = g->rows;
    g->share = room / copied_rows(g, g->strip);
    if (g->share > TAPS / g->taps)
        g->share = TAPS / g->taps;
    if (g->share > g->channels)
        g->share = g->channels;
    /* Shares of nearly one size. */
    const size_t shares = (g->channels + g->share - 1u) / g->share;
    g->share = (g->channels + shares - 1u) / shares;
    return 1;
}

/* Fills in what all groups have in common; returns 0 for a shape that other kernels take. */
static int plan(strip *s, group *g, const csd_args *args) {
    const csd_shape *in = &args->in[CSD_CONV2D_X].shape, *out = &args->out[0].shape;
    const csd_shape *kernel = &args->in[CSD_CONV2D_WEIGHT].shape;
    const csd_param *p = args->params;
    const size_t kernel_h = kernel->dims[2], kernel_w = kernel->dims[3];
    const size_t down = p[CSD_CONV2D_P_DILATION_H].u, right = p[CSD_CONV2D_P_DILATION_W].u;
    const size_t left = p[CSD_CONV2D_P_PAD_LEFT].u;
    g->channels = kernel->dims[1];
    g->outputs = out->dims[1] / p[CSD_CONV2D_P_GROUPS].u;
    g->height = in->dims[2];
    g->width = in->dims[3];
    g->taps = kernel_h * kernel_w;
    g->rows = out->dims[2];
    g->stride = p[CSD_CONV2D_P_STRIDE_H].u;
    g->pad_top = p[CSD_CONV2D_P_PAD_TOP].u;
    g->window = (kernel_h - 1u) * down + 1u;
    s->width = out->dims[3];
    s->plane = g->rows * s->width;
    s->weights = g->channels * g->taps;
    /* Narrow rows would leave most of a vector idle. */
    if (p[CSD_CONV2D_P_STRIDE_W].u != 1 || s->width <= CSD_WIDE / 4u || s->width > PLACES ||
        g->width > PLACES || left > PLACES || kernel_w > PLACES || right > PLACES ||
        !divide(s, g, left, round_up(s->width) + (kernel_w - 1u) * right))
        return 0;
    uint16_t *tap = s->taps;
    for (size_t c = 0; c < g->share; c++)
        for (size_t i = 0; i < kernel_h; i++)
            for (size_t j = 0; j < kernel_w; j++) {
                const size_t row = c * copied_rows(g, g->strip) + i * down;
                *tap++ = (uint16_t)(row * s->pitch + j * right);
            }
    s->step = g->stride * s->pitch;
    return 1;
}

int CSD_FAST(conv2d)(const csd_args *args) {
    const csd_shape *out = &args->out[0].shape;
    const csd_input *slopes = &args->in[CSD_CONV2D_SLOPE];
    const csd_param *p = args->params;
    const float *bias = args->in[CSD_CONV2D_BIAS].data;
    const float *residual = args->in[CSD_CONV2D_RESIDUAL].data;
    const float *weight = args->in[CSD_CONV2D_WEIGHT].data;
    const size_t groups = p[CSD_CONV2D_P_GROUPS].u;
    const size_t slope_step = slopes->data != NULL && slopes->shape.dims[0] > 1;
    const uint32_t activation = p[CSD_CONV2D_P_ACTIVATION].u;
    __attribute__((aligned(CSD_WIDE_BYTES))) float places[PLACES];
    uint16_t taps[TAPS];
    strip s = {.places = places, .taps = taps};
    group g;
    if (!plan(&s, &g, args) || !all_finite(weight, out->dims[1] * s.weights))
        return 0;
    const size_t x_size = g.channels * g.height * g.width, y_size = g.outputs * s.plane;
    for (size_t i = 0; i < s.margin; i++) /* after the last row */
        places[g.share * copied_rows(&g, g.strip) * s.pitch + i] = 0.0f;
    for (size_t n = 0; n < out->dims[0] * groups; n++) {
        const size_t o = n % groups * g.outputs;
        g.x = (const float *)args->in[CSD_CONV2D_X].data + n * x_size;
        g.first.x = places + s.margin - p[CSD_CONV2D_P_PAD_LEFT].u;
        g.first.weight = weight + o * s.weights;
        g.first.bias = bias ? bias + o : NULL;
        g.first.slopes = slopes->data ? (const float *)slopes->data + o * slope_step
                                      : &p[CSD_CONV2D_P_ALPHA].f;
        g.first.slope_step = slope_step;
        g.first.start = residual ? residual + n * y_size : NULL;
        g.first.y = (float *)args->out[0].data + n * y_size;
        run_group(&s, &g, activation);
        if (activation == CSD_ACT_SIGMOID || activation == CSD_ACT_TANH)
            CSD_KERNEL(activate)(g.first.y, y_size, activation, 0.0f);
    }
    return 1;
}

CSD_NOTHING_PREPARED(conv2d)
