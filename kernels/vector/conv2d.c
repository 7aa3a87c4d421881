/* The convolution of kernels/reference/conv2d.c where neighbours of an output row read neighbours of
   x: the same sums in the same order, so the same bits.

   A group's rows of x are copied first, with zeros for the pads, as many as fit a strip: then a tap
   is one place of the copy, whatever kernel and dilation are, and a row of outputs needs no limits.
   A tile of rows and outputs, sixteen or 32 columns wide, stays in registers over all taps; each
   number that a tap reads serves all outputs of the tile, each weight all its rows and columns. With
   4 rows, 2 outputs and 32 columns that is 8 loads and 2 weights for 16 products and 16 sums, so
   that arithmetic and not the cache is the limit. The activation is applied before the only store.

   Zeros that stand for pads change nothing: weights are finite, and a sum that does not start from
   -0 never becomes -0. */
#include "../elementary.h"
#include "../fast.h"
#include "../vectors.h"

/* Of the strip's copy, in floats, and of the list of taps: 44 KiB of the stack together. */
#define PLACES 10240u
#define TAPS 2048u

/* Sums in registers: of 32, of 16 that are two a number, or of 32 that are four a number. */
#ifdef CSD_HAS_AVX512
enum { MOST_ROWS = 4, MOST_VECTORS = 2 };
#else
enum { MOST_ROWS = 2, MOST_VECTORS = 1 };
#endif
enum { MOST_OUTPUTS = 4 };

/* What tiles of a strip have in common. */
typedef struct strip {
    float *places;
    uint16_t *taps; /* where a tap's first number stands, after the one of the first tap */
    size_t count;   /* of taps */
    size_t margin;  /* zeros between rows of the copy */
    size_t pitch;   /* from row to row of the copy */
    size_t step;    /* from an output row's numbers to the next one's */
    size_t width;   /* of an output row */
    size_t plane;   /* of an output */
    uint32_t activation;
} strip;

/* One tile: its first numbers in the copy, its first output's weights, bias and slope, and its first
   element of y and of the residual. */
typedef struct tile {
    const float *x;
    const float *weight;
    const float *bias;
    const float *slopes;
    size_t slope_step;
    const float *residual;
    float *y;
} tile;

CSD_INLINE csd_wide load(const float *p, size_t lanes) {
    return lanes == CSD_WIDE ? csd_wide_load(p) : csd_wide_load_first(p, lanes);
}

CSD_INLINE csd_wide activate(csd_wide y, uint32_t activation, float slope) {
    const csd_wide zero = csd_wide_all(0.0f);
    if (activation == CSD_ACT_RELU)
        return csd_wide_if_below(y, zero, zero, y);
    if (activation == CSD_ACT_LEAKY || activation == CSD_ACT_PRELU)
        return csd_wide_rectify(y, csd_wide_all(slope));
    return y;
}

/* `last` columns of the last vector exist. */
CSD_INLINE void convolve(const strip *s, const tile *t, size_t last, const size_t rows,
                         const size_t outputs, const size_t vectors) {
    csd_wide sums[MOST_ROWS][MOST_OUTPUTS][MOST_VECTORS];
    CSD_UNROLL
    for (size_t o = 0; o < outputs; o++) {
        const csd_wide start = csd_wide_all((t->bias ? t->bias[o] : 0.0f) + 0.0f); /* never -0 */
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                const size_t at = o * s->plane + r * s->width + v * CSD_WIDE;
                const size_t lanes = v + 1u < vectors ? CSD_WIDE : last;
                sums[r][o][v] =
                    t->residual ? csd_wide_add(start, load(t->residual + at, lanes)) : start;
            }
        }
    }
    const float *weight = t->weight;
    for (const uint16_t *tap = s->taps, *end = tap + s->count; tap < end; tap++, weight++) {
        const float *x = t->x + *tap;
        csd_wide weights[MOST_OUTPUTS];
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++)
            weights[o] = csd_wide_all(weight[o * s->count]);
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                const csd_wide numbers = csd_wide_load(x + r * s->step + v * CSD_WIDE);
                CSD_UNROLL
                for (size_t o = 0; o < outputs; o++)
                    sums[r][o][v] =
                        csd_wide_add(sums[r][o][v], csd_wide_mul(weights[o], numbers));
            }
        }
    }
    CSD_UNROLL
    for (size_t o = 0; o < outputs; o++) {
        const float slope = t->slopes[o * t->slope_step];
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                float *y = t->y + o * s->plane + r * s->width + v * CSD_WIDE;
                const csd_wide done = activate(sums[r][o][v], s->activation, slope);
                if (v + 1u < vectors || last == CSD_WIDE)
                    csd_wide_store(y, done);
                else
                    csd_wide_store_first(y, done, last);
            }
        }
    }
}

/* Each size of a tile is a function of its own. */
#define TILE(rows, outputs, vectors)                                                               \
    static void tile_##rows##_##outputs##_##vectors(const strip *s, const tile *t, size_t last) {  \
        convolve(s, t, last, rows, outputs, vectors);                                              \
    }
#define CASE(rows, outputs, vectors)                                                               \
    case (rows)*100 + (outputs)*10 + (vectors):                                                    \
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

/* Some outputs of a strip, from its first row. */
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
            t.residual = t.residual ? t.residual + at : NULL;
            const size_t before = (vectors - 1u) * CSD_WIDE;
            const size_t last = left - before < CSD_WIDE ? left - before : CSD_WIDE;
            run_tile(s, &t, last, together, outputs, vectors);
        }
    }
}

/* `rows` rows of a plane from row `from` on, which may lie outside of it; zeros for what does. */
static void copy_rows(float *to, const strip *s, const float *plane, size_t height, size_t width,
                      ptrdiff_t from, size_t rows) {
    const csd_wide zero = csd_wide_all(0.0f);
    for (size_t k = 0; k < rows; k++, to += s->pitch) {
        const ptrdiff_t row = from + (ptrdiff_t)k;
        if (row < 0 || row >= (ptrdiff_t)height) {
            for (size_t i = 0; i < s->pitch; i += CSD_WIDE)
                csd_wide_store(to + i, zero);
            continue;
        }
        const float *x = plane + (size_t)row * width;
        size_t column = 0;
        for (size_t i = 0; i < s->margin; i += CSD_WIDE)
            csd_wide_store(to + i, zero);
        for (; column + CSD_WIDE <= width; column += CSD_WIDE)
            csd_wide_store(to + s->margin + column, csd_wide_load(x + column));
        if (column < width)
            csd_wide_store(to + s->margin + column, csd_wide_load_first(x + column, width - column));
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

static size_t round_up(size_t count) { return (count + CSD_WIDE - 1u) / CSD_WIDE * CSD_WIDE; }

/* One group of one sample: y, bias, residual and weights are its first output's. */
typedef struct group {
    const float *x;
    size_t channels;
    size_t outputs;
    size_t height;
    size_t width;
    size_t rows; /* of the output */
    size_t stride;
    size_t pad_top;
    size_t window; /* rows that an output row reads, from the first to the last */
    size_t strip_rows;
    tile first;
} group;

static void run_group(strip *s, const group *g) {
    for (size_t row = 0, rows; row < g->rows; row += rows) {
        rows = g->rows - row < g->strip_rows ? g->rows - row : g->strip_rows;
        const size_t read = (rows - 1u) * g->stride + g->window;
        const size_t copied = (g->strip_rows - 1u) * g->stride + g->window;
        const ptrdiff_t from = (ptrdiff_t)(row * g->stride) - (ptrdiff_t)g->pad_top;
        for (size_t c = 0; c < g->channels; c++)
            copy_rows(s->places + c * copied * s->pitch, s, g->x + c * g->height * g->width,
                      g->height, g->width, from, read);
        for (size_t o = 0, outputs; o < g->outputs; o += outputs) {
            const size_t left = g->outputs - o, at = o * s->plane + row * s->width;
            tile t = g->first;
            outputs = left >= 4u ? 4u : left >= 2u ? 2u : 1u;
            t.weight += o * s->count;
            t.bias = t.bias ? t.bias + o : NULL;
            t.slopes += o * t.slope_step;
            t.residual = t.residual ? t.residual + at : NULL;
            t.y += at;
            run_outputs(s, &t, rows, outputs);
        }
    }
}

/* Fills in what all groups share; 0 where a strip of one row has no room. */
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
    g->rows = out->dims[2];
    g->stride = p[CSD_CONV2D_P_STRIDE_H].u;
    g->pad_top = p[CSD_CONV2D_P_PAD_TOP].u;
    g->window = (kernel_h - 1u) * down + 1u;
    s->width = out->dims[3];
    s->plane = g->rows * s->width;
    s->activation = p[CSD_CONV2D_P_ACTIVATION].u;
    s->count = csd_count(kernel, 1, 4);
    if (p[CSD_CONV2D_P_STRIDE_W].u != 1 || s->count > TAPS || g->width > PLACES ||
        s->width > PLACES || left > PLACES || kernel_w > PLACES || right > PLACES)
        return 0;

    /* From the first number of a copied row to the last that a tile's last vector reads. */
    const size_t columns = round_up(g->width);
    const size_t reach = round_up(s->width) + (kernel_w - 1u) * right;
    const size_t beyond = reach > left + columns ? reach - left - columns : 0;
    s->margin = round_up(beyond > left ? beyond : left);
    s->pitch = s->margin + columns;
    if (s->pitch > PLACES || g->channels > PLACES / s->pitch)
        return 0;
    const size_t most = (PLACES - s->margin) / (s->pitch * g->channels); /* rows of a channel */
    if (most < g->window)
        return 0;
    g->strip_rows = (most - g->window) / g->stride + 1u;
    if (g->strip_rows > MOST_ROWS)
        g->strip_rows -= g->strip_rows % MOST_ROWS;
    if (g->strip_rows > g->rows)
        g->strip_rows = g->rows;
    const size_t copied = (g->strip_rows - 1u) * g->stride + g->window;
    uint16_t *tap = s->taps;
    for (size_t c = 0; c < g->channels; c++)
        for (size_t i = 0; i < kernel_h; i++)
            for (size_t j = 0; j < kernel_w; j++)
                *tap++ = (uint16_t)((c * copied + i * down) * s->pitch + j * right);
    s->step = g->stride * s->pitch;
    return 1;
}

/* Narrow rows would leave most of a vector idle. */
static int pays(const csd_shape *out) { return out->dims[3] > CSD_WIDE / 4u; }

int CSD_FAST(conv2d)(const csd_args *args) {
    const csd_shape *out = &args->out[0].shape;
    const csd_input *slopes = &args->in[CSD_CONV2D_SLOPE];
    const csd_param *p = args->params;
    const float *bias = args->in[CSD_CONV2D_BIAS].data;
    const float *residual = args->in[CSD_CONV2D_RESIDUAL].data;
    const float *weight = args->in[CSD_CONV2D_WEIGHT].data;
    const float alpha = p[CSD_CONV2D_P_ALPHA].f;
    float places[PLACES];
    uint16_t taps[TAPS];
    strip s = {.places = places, .taps = taps};
    group g;
    if (!pays(out) || !plan(&s, &g, args) || !all_finite(weight, out->dims[1] * s.count))
        return 0;
    const size_t groups = p[CSD_CONV2D_P_GROUPS].u;
    const size_t x_size = g.channels * g.height * g.width, y_size = g.outputs * s.plane;
    const csd_wide zero = csd_wide_all(0.0f);
    const size_t rows = (g.strip_rows - 1u) * g.stride + g.window;
    for (size_t i = 0; i < s.margin; i += CSD_WIDE)
        csd_wide_store(places + g.channels * rows * s.pitch + i, zero);
    for (size_t n = 0; n < out->dims[0]; n++)
        for (size_t k = 0; k < groups; k++) {
            const size_t sample = n * groups + k, o = k * g.outputs;
            const size_t slope_step = slopes->data != NULL && slopes->shape.dims[0] > 1;
            g.x = (const float *)args->in[CSD_CONV2D_X].data + sample * x_size;
            g.first.x = places + s.margin - p[CSD_CONV2D_P_PAD_LEFT].u;
            g.first.weight = weight + o * s.count;
            g.first.bias = bias ? bias + o : NULL;
            g.first.slopes = slopes->data ? (const float *)slopes->data + o * slope_step : &alpha;
            g.first.slope_step = slope_step;
            g.first.residual = residual ? residual + sample * y_size : NULL;
            g.first.y = (float *)args->out[0].data + sample * y_size;
            run_group(&s, &g);
            if (s.activation == CSD_ACT_SIGMOID || s.activation == CSD_ACT_TANH)
                CSD_KERNEL(activate)(g.first.y, y_size, s.activation, 0.0f);
        }
    return 1;
}

CSD_NOTHING_PREPARED(conv2d)
