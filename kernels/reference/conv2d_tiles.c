/* The products of a convolution by tiles of 32, 16 or 8 neighbours of an output row, for a block of
   outputs together, where that pays: kernels/reference/conv2d.c says what is computed and in which
   order, which is the same here.

   For each tap a tile reads so many numbers from some place of x, or of a copy of a row of x that
   has zeros for the pads: so the innermost loop has a fixed length and its sums in registers. Pads
   are not multiplied: the copy is not used where a weight is infinite or NaN. */
#include <string.h>

#include "../conv2d.h"
#include "../elementary.h"
#include "../window.h"

#define LANES 32
#define OUTPUTS 8
#define TAPS 21
#define PLACES 114 /* three rows of a kernel seven wide */

typedef struct geometry {
    size_t height, width, out_height, out_width, channels, kernel_h, kernel_w;
    size_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
} geometry;

/* Where a tap's numbers begin, and its weight, counted from the output's first one. The last of a
   list has x NULL. */
typedef struct tap {
    const float *x;
    size_t weight;
} tap;

typedef struct copy {
    float numbers[PLACES];
    tap taps[TAPS + 1];
    size_t places;
    size_t count;
} copy;

/* The list ends by a mark, not by a count: gcc would otherwise turn the loops round and keep the
   sums in memory. Inlined for each size of a tile. */
static inline void sum_taps(float *restrict total, const tap *taps, const float *weight,
                            const size_t lanes) {
    float sums[LANES];
    for (size_t i = 0; i < lanes; i++)
        sums[i] = total[i];
    for (; taps->x != NULL; taps++) {
        const float *x = taps->x;
        const float w = weight[taps->weight];
        for (size_t i = 0; i < lanes; i++)
            sums[i] += w * x[i];
    }
    for (size_t i = 0; i < lanes; i++)
        total[i] = sums[i];
}

/* Adds the products of all taps that are copied, and empties the copy. */
static void add_taps(float total[OUTPUTS][LANES], size_t outputs, copy *from, const float *weight,
                     size_t products, size_t lanes) {
    from->taps[from->count].x = NULL;
    for (size_t o = 0; o < outputs; o++, weight += products) {
        if (lanes == 32)
            sum_taps(total[o], from->taps, weight, 32);
        else if (lanes == 16)
            sum_taps(total[o], from->taps, weight, 16);
        else
            sum_taps(total[o], from->taps, weight, 8);
    }
    from->places = 0;
    from->count = 0;
}

/* The numbers row[right + i stride], with 0 beside the row: in x, or else at `numbers`. */
static const float *place_row(float *restrict numbers, size_t count, const float *row, size_t width,
                              ptrdiff_t right, size_t stride) {
    const csd_span span = csd_inside(width, count, stride, right);
    if (stride == 1 && span.end - span.first == count)
        return row + right;
    for (size_t i = 0; i < span.first; i++)
        numbers[i] = 0.0f;
    for (size_t i = span.end; i < count; i++)
        numbers[i] = 0.0f;
    if (stride == 1 && span.first < span.end)
        memcpy(numbers + span.first, row + ((ptrdiff_t)span.first + right),
               (span.end - span.first) * sizeof *row);
    else
        for (size_t i = span.first; i < span.end; i++)
            numbers[i] = row[(ptrdiff_t)(i * stride) + right];
    return numbers;
}

/* Adds to a tile of 32, 16 or 8 lanes. The first tap is, for lane i, at row `down` and column
   right + i stride of x. */
static void add_tile(float total[OUTPUTS][LANES], size_t outputs, const geometry *g, const float *x,
                     const float *weight, ptrdiff_t down, ptrdiff_t right, size_t lanes) {
    /* The taps of a kernel row share one copy where neighbours of x are neighbours in y. */
    const size_t reach = lanes + (g->kernel_w - 1) * g->dilation_w;
    const int shared = g->stride_w == 1 && g->kernel_w <= TAPS && reach <= PLACES;
    const size_t together = shared ? g->kernel_w : 1, length = shared ? reach : lanes;
    const csd_span rows = csd_inside(g->height, g->kernel_h, g->dilation_h, down);
    const size_t products = g->channels * g->kernel_h * g->kernel_w;
    copy from;
    from.places = 0;
    from.count = 0;
    for (size_t c = 0; c < g->channels; c++, x += g->height * g->width)
        for (size_t i = rows.first; i < rows.end; i++) {
            const float *row = x + (size_t)((ptrdiff_t)(i * g->dilation_h) + down) * g->width;
            for (size_t j = 0; j < g->kernel_w; j += together) {
                if (from.places + length > PLACES || from.count + together > TAPS)
                    add_taps(total, outputs, &from, weight, products, lanes);
                float *room = from.numbers + from.places;
                const ptrdiff_t at = right + (ptrdiff_t)(j * g->dilation_w);
                const float *numbers = place_row(room, length, row, g->width, at, g->stride_w);
                from.places += numbers == room ? length : 0;
                for (size_t t = 0; t < together; t++) {
                    tap *next = &from.taps[from.count++];
                    next->x = numbers + t * g->dilation_w;
                    next->weight = (c * g->kernel_h + i) * g->kernel_w + j + t;
                }
            }
        }
    add_taps(total, outputs, &from, weight, products, lanes);
}

/* A row of `outputs` output planes by tiles, of which the last may reach a little beyond the row;
   y, bias and residual are the first plane's. */
static void convolve_row(float *y, size_t outputs, size_t row, const geometry *g, const float *x,
                         const float *weight, const float *bias, const float *residual) {
    const ptrdiff_t down = (ptrdiff_t)(row * g->stride_h) - (ptrdiff_t)g->pad_top;
    const size_t plane = g->out_height * g->out_width;
    for (size_t column = 0, lanes; column < g->out_width; column += lanes) {
        const ptrdiff_t right = (ptrdiff_t)(column * g->stride_w) - (ptrdiff_t)g->pad_left;
        const size_t at = row * g->out_width + column, left = g->out_width - column;
        float total[OUTPUTS][LANES] = {{0}};
        lanes = left >= 24 ? 32 : left >= 12 ? 16 : 8;
        const size_t count = left < lanes ? left : lanes;
        for (size_t o = 0; o < outputs; o++)
            for (size_t i = 0; i < count; i++) {
                const float start = (bias ? bias[o] : 0.0f) + 0.0f; /* never -0 */
                total[o][i] = residual ? start + residual[o * plane + at + i] : start;
            }
        add_tile(total, outputs, g, x, weight, down, right, lanes);
        for (size_t o = 0; o < outputs; o++)
            memcpy(y + o * plane + at, total[o], count * sizeof *y);
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

static geometry make_geometry(const csd_args *args) {
    const csd_shape *in = &args->in[CSD_CONV2D_X].shape, *out = &args->out[0].shape;
    const csd_shape *kernel = &args->in[CSD_CONV2D_WEIGHT].shape;
    const csd_param *p = args->params;
    const geometry g = {.height = in->dims[2],
                        .width = in->dims[3],
                        .out_height = out->dims[2],
                        .out_width = out->dims[3],
                        .channels = kernel->dims[1],
                        .kernel_h = kernel->dims[2],
                        .kernel_w = kernel->dims[3],
                        .stride_h = p[CSD_CONV2D_P_STRIDE_H].u,
                        .stride_w = p[CSD_CONV2D_P_STRIDE_W].u,
                        .dilation_h = p[CSD_CONV2D_P_DILATION_H].u,
                        .dilation_w = p[CSD_CONV2D_P_DILATION_W].u,
                        .pad_top = p[CSD_CONV2D_P_PAD_TOP].u,
                        .pad_left = p[CSD_CONV2D_P_PAD_LEFT].u};
    return g;
}

/* Few outputs do not pay for the copy, nor a wide plane without a window. */
static int pays(const geometry *g, size_t group_outputs) {
    return group_outputs >= 4 &&
           (g->kernel_h * g->kernel_w > 1 || g->out_height * g->out_width < 64);
}

int CSD_KERNEL(conv2d_tiles)(const csd_args *args) {
    const csd_shape *in = &args->in[CSD_CONV2D_X].shape, *out = &args->out[0].shape;
    const geometry g = make_geometry(args);
    const float *bias = args->in[CSD_CONV2D_BIAS].data;
    const float *residual = args->in[CSD_CONV2D_RESIDUAL].data;
    const float *weight = args->in[CSD_CONV2D_WEIGHT].data;
    const size_t group_outputs = out->dims[1] / args->params[CSD_CONV2D_P_GROUPS].u;
    const size_t plane = g.out_height * g.out_width, x_plane = g.height * g.width;
    const size_t products = g.channels * g.kernel_h * g.kernel_w;
    const float *x = args->in[CSD_CONV2D_X].data;
    float *y = args->out[0].data;
    if (!pays(&g, group_outputs) || !all_finite(weight, out->dims[1] * products))
        return 0;
    for (size_t n = 0; n < out->dims[0]; n++, x += x_plane * in->dims[1])
        for (size_t o = 0, outputs; o < out->dims[1]; o += outputs, y += outputs * plane) {
            const size_t group = o / group_outputs, left = (group + 1) * group_outputs - o;
            outputs = left < OUTPUTS ? left : OUTPUTS;
            for (size_t row = 0; row < g.out_height; row++)
                convolve_row(y, outputs, row, &g, x + group * g.channels * x_plane,
                             weight + o * products, bias ? bias + o : NULL, residual);
            if (residual)
                residual += outputs * plane;
        }
    return 1;
}
