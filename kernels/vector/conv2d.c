/* The convolution of kernels/reference/conv2d.c by the walk of strips.h: the same sums in the same
   order, so the same bits. The sums of a share of the channels wait in y for the next share. The
   activation comes before the only store of a tile.

   Zeros that stand for pads change nothing: weights are finite, and a sum that does not start from
   -0 never becomes -0. */
#include "../elementary.h"
#include "../fast.h"
#include "strips.h"

typedef struct job {
    const csd_args *args;
    size_t groups;  /* of a sample */
    size_t weights; /* of an output */
} job;

#define SUM sums[r][o][v]
#define AT (o * plane + r * width + v * CSD_WIDE)

CSD_INLINE void convolve(const csd_strips *s, const csd_tile *t, const size_t rows,
                         const size_t outputs, const size_t vectors) {
    const job *j = s->job;
    const csd_args *args = j->args;
    const csd_input *slopes = &args->in[CSD_CONV2D_SLOPE];
    const float *residual = args->in[CSD_CONV2D_RESIDUAL].data;
    const float *bias = args->in[CSD_CONV2D_BIAS].data;
    const uint32_t activation = s->is_last ? args->params[CSD_CONV2D_P_ACTIVATION].u : CSD_ACT_NONE;
    const size_t width = s->out_width, plane = s->out_height * width, last = t->last;
    const size_t output = t->group % j->groups * s->outputs + t->output;
    const size_t at = (t->group * s->outputs + t->output) * plane + t->row * width + t->column;
    float *const y = (float *)args->out[0].data + at;
    const float *const start = t->channel > 0 ? y : residual != NULL ? residual + at : NULL;
    const csd_wide zero = csd_wide_all(0.0f);
    csd_wide sums[CSD_TILE_MOST_ROWS][CSD_TILE_MOST_OUTPUTS][CSD_TILE_MOST_VECTORS];
    csd_wide weights[CSD_TILE_MOST_OUTPUTS];

    CSD_UNROLL
    for (size_t o = 0; o < outputs; o++) /* never -0 */
        weights[o] = csd_wide_all((t->channel == 0 && bias ? bias[output + o] : 0.0f) + 0.0f);
    CSD_EACH_SUM { SUM = weights[o]; }
    if (start != NULL && last == CSD_WIDE) {
        CSD_EACH_SUM { SUM = csd_wide_add(SUM, csd_wide_load(start + AT)); }
    } else if (start != NULL) {
        CSD_EACH_SUM {
            const size_t lanes = v + 1u < vectors ? CSD_WIDE : last;
            SUM = csd_wide_add(SUM, csd_wide_load_first(start + AT, lanes));
        }
    }

    /* One register a row, and one load for all outputs: gcc would compute and read again. */
    const float *x[CSD_TILE_MOST_ROWS];
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        x[r] = (const float *)t->x + r * s->stride_h * s->pitch;
        __asm__("" : "+r"(x[r]));
    }
    const size_t step = j->weights;
    const float *weight = (const float *)args->in[CSD_CONV2D_WEIGHT].data + output * step +
                          t->channel * s->kernel_h * s->kernel_w;
    for (const uint16_t *tap = s->taps, *end = tap + s->count; tap < end; tap++, weight++) {
        const size_t place = *tap;
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++)
            weights[o] = csd_wide_all(weight[o * step]);
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                csd_wide numbers = csd_wide_load(x[r] + place + v * CSD_WIDE);
                CSD_KEEP(numbers);
                CSD_UNROLL
                for (size_t o = 0; o < outputs; o++)
                    SUM = csd_wide_add(SUM, csd_wide_mul(weights[o], numbers));
            }
        }
    }

    if (activation == CSD_ACT_RELU) {
        CSD_EACH_SUM { SUM = csd_wide_if_below(SUM, zero, zero, SUM); }
    } else if (activation == CSD_ACT_LEAKY || activation == CSD_ACT_PRELU) {
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++)
            weights[o] =
                csd_wide_all(csd_slope(slopes, output + o, args->params[CSD_CONV2D_P_ALPHA].f));
        CSD_EACH_SUM { SUM = csd_wide_rectify(SUM, weights[o]); }
    }
    if (last == CSD_WIDE) {
        CSD_EACH_SUM { csd_wide_store(y + AT, SUM); }
    } else {
        CSD_EACH_SUM { csd_wide_store_first(y + AT, SUM, v + 1u < vectors ? CSD_WIDE : last); }
    }
}

/* Each size of a tile is a function of its own, so that nothing else wants its registers. */
#define TILE(rows, outputs, vectors)                                                               \
    static __attribute__((noinline)) void tile_##rows##_##outputs##_##vectors(const csd_strips *s, \
                                                                              const csd_tile *t) { \
        convolve(s, t, rows, outputs, vectors);                                                    \
    }
CSD_FOR_EACH_TILE(TILE)

#define CASE(rows, outputs, vectors)                                                               \
    case (rows) * 100 + (outputs) * 10 + (vectors):                                                \
        tile_##rows##_##outputs##_##vectors(s, t);                                                 \
        break;
static void run_tile(const csd_strips *s, const csd_tile *t) {
    switch (t->rows * 100u + t->outputs * 10u + t->vectors) {
        CSD_FOR_EACH_TILE(CASE)
    }
}

static void copy_rows(const csd_strips *s, void *places, size_t group, size_t channel,
                      ptrdiff_t from, size_t rows) {
    const job *j = s->job;
    const float *plane = (const float *)j->args->in[CSD_CONV2D_X].data +
                         (group * s->channels + channel) * s->height * s->width;
    const csd_wide zero = csd_wide_all(0.0f);
    float *to = places;
    for (size_t k = 0; k < rows; k++, to += s->pitch) {
        const ptrdiff_t row = from + (ptrdiff_t)k;
        const int inside = row >= 0 && row < (ptrdiff_t)s->height;
        const float *x = inside ? plane + (size_t)row * s->width : plane;
        for (size_t i = 0; i < (inside ? s->margin : s->pitch); i += CSD_WIDE)
            csd_wide_store(to + i, zero);
        for (size_t i = 0; inside && i < s->width; i += CSD_WIDE)
            csd_wide_store(to + s->margin + i, s->width - i >= CSD_WIDE
                                                   ? csd_wide_load(x + i)
                                                   : csd_wide_load_first(x + i, s->width - i));
    }
    for (size_t i = 0; i < s->margin; i += CSD_WIDE) /* of the next row, or after the last */
        csd_wide_store(to + i, zero);
}

static int all_finite(const float *x, size_t count) {
    uint32_t most = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = csd_bits(x[i]) & 0x7FFFFFFFu;
        most = bits > most ? bits : most;
    }
    return most < 0x7F800000u;
}

int CSD_FAST(conv2d)(const csd_args *args) {
    const csd_shape *in = &args->in[CSD_CONV2D_X].shape, *out = &args->out[0].shape;
    const csd_shape *kernel = &args->in[CSD_CONV2D_WEIGHT].shape;
    const csd_param *p = args->params;
    const uint32_t activation = p[CSD_CONV2D_P_ACTIVATION].u;
    const job j = {args, p[CSD_CONV2D_P_GROUPS].u, csd_count(kernel, 1, 4)};
    CSD_ALIGNED(CSD_WIDE_BYTES) float places[CSD_PLACES];
    uint16_t taps[CSD_TAPS];
    csd_strips s = {.channels = kernel->dims[1],
                    .outputs = out->dims[1] / j.groups,
                    .height = in->dims[2],
                    .width = in->dims[3],
                    .out_height = out->dims[2],
                    .out_width = out->dims[3],
                    .kernel_h = kernel->dims[2],
                    .kernel_w = kernel->dims[3],
                    .stride_h = p[CSD_CONV2D_P_STRIDE_H].u,
                    .dilation_h = p[CSD_CONV2D_P_DILATION_H].u,
                    .dilation_w = p[CSD_CONV2D_P_DILATION_W].u,
                    .pad_top = p[CSD_CONV2D_P_PAD_TOP].u,
                    .pad_left = p[CSD_CONV2D_P_PAD_LEFT].u,
                    .copy = copy_rows,
                    .tile = run_tile,
                    .job = &j,
                    .places = places,
                    .taps = taps};
    if (p[CSD_CONV2D_P_STRIDE_W].u != 1 || !csd_divide(&s) ||
        !all_finite(args->in[CSD_CONV2D_WEIGHT].data, out->dims[1] * j.weights))
        return 0;
    csd_walk(&s, out->dims[0] * j.groups, s.outputs);
    if (activation == CSD_ACT_SIGMOID || activation == CSD_ACT_TANH)
        CSD_KERNEL(activate)(args->out[0].data, csd_size(out), activation, 0.0f);
    return 1;
}

CSD_NOTHING_PREPARED(conv2d)
