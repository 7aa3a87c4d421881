/* y[i stride + k dilation - pad] += x[i] weight[k], and bias: x (n, C, H, W), weight
   (C, O/groups, kh, kw), y (n, O, H', W').

   Computed from the output: the elements ox = q stride + phase of a row take tap j from column
   q + (phase + pad - j dilation) / stride of x, where that is whole. So for one phase neighbours in
   q read neighbours of x, and the innermost loop vectorises. Order of summation of one output:
   bias, then products by kernel row, kernel column and input channel. Where x is one element a
   channel and y is the kernel, the loop runs along all outputs of a group. */
#include "../kernels.h"
#include "../window.h"

#define TILE 128 /* outputs of one phase in work */

typedef struct geometry {
    size_t height, width, kernel_h, kernel_w, out_width;
    size_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    size_t channels, group_outputs; /* of one group */
} geometry;

/* One tap of all input channels; x points at the row, w at the tap. */
static void add_tap(float *restrict sums, const csd_span *span, const float *restrict x,
                    const float *w, const geometry *g) {
    const size_t x_plane = g->height * g->width;
    const size_t w_step = g->group_outputs * g->kernel_h * g->kernel_w;
    for (size_t c = 0; c < g->channels; c++, x += x_plane, w += w_step) {
        const float tap = *w;
        for (size_t q = 0; q < span->end - span->first; q++)
            sums[span->first + q] += tap * x[q];
    }
}

/* The elements first, first + 1, ... of one phase of row oy. */
static void add_taps(float *sums, size_t first, size_t count, size_t phase, size_t oy,
                     const float *x, const float *w, const geometry *g) {
    for (size_t i = 0; i < g->kernel_h; i++) {
        const ptrdiff_t down = (ptrdiff_t)(oy + g->pad_top) - (ptrdiff_t)(i * g->dilation_h);
        if (down < 0 || (size_t)down % g->stride_h != 0 || (size_t)down / g->stride_h >= g->height)
            continue;
        const float *row = x + (size_t)down / g->stride_h * g->width;
        for (size_t j = 0; j < g->kernel_w; j++) {
            const ptrdiff_t right = (ptrdiff_t)(phase + g->pad_left) -
                                    (ptrdiff_t)(j * g->dilation_w);
            if (right % (ptrdiff_t)g->stride_w != 0)
                continue;
            const ptrdiff_t offset = right / (ptrdiff_t)g->stride_w + (ptrdiff_t)first;
            const csd_span span = csd_inside(g->width, count, 1, offset);
            if (span.first < span.end)
                add_tap(sums, &span, row + ((ptrdiff_t)span.first + offset),
                        w + i * g->kernel_w + j, g);
        }
    }
}

/* One row of y; x is the group's first plane, w the output's first tap. */
static void make_row(float *y, size_t oy, float start, const float *x, const float *w,
                     const geometry *g) {
    for (size_t phase = 0; phase < g->stride_w && phase < g->out_width; phase++) {
        const size_t outputs = (g->out_width - phase - 1) / g->stride_w + 1;
        for (size_t first = 0; first < outputs; first += TILE) {
            const size_t count = outputs - first < TILE ? outputs - first : TILE;
            float sums[TILE];
            for (size_t q = 0; q < count; q++)
                sums[q] = start;
            add_taps(sums, first, count, phase, oy, x, w, g);
            for (size_t q = 0; q < count; q++)
                y[(first + q) * g->stride_w + phase] = sums[q];
        }
    }
}

/* The outputs of a group from one element a channel: y = bias + sum over c of x[c] weight[c]. */
static void spread(float *restrict y, const float *x, const float *restrict w, const float *bias,
                   const geometry *g) {
    const size_t taps = g->kernel_h * g->kernel_w, outputs = g->group_outputs * taps;
    for (size_t i = 0; i < outputs; i++)
        y[i] = bias ? bias[i / taps] : 0.0f;
    for (size_t c = 0; c < g->channels; c++, w += outputs)
        for (size_t i = 0; i < outputs; i++)
            y[i] += x[c] * w[i];
}

void CSD_KERNEL(conv_transpose2d)(const csd_args *args) {
    const csd_param *p = args->params;
    const uint32_t groups = p[CSD_CONV_TRANSPOSE2D_P_GROUPS].u;
    const csd_shape *in = &args->in[CSD_CONV_TRANSPOSE2D_X].shape, *out = &args->out[0].shape;
    const csd_shape *weight = &args->in[CSD_CONV_TRANSPOSE2D_WEIGHT].shape;
    const geometry g = {.height = in->dims[2],
                        .width = in->dims[3],
                        .kernel_h = weight->dims[2],
                        .kernel_w = weight->dims[3],
                        .out_width = out->dims[3],
                        .stride_h = p[CSD_CONV_TRANSPOSE2D_P_STRIDE_H].u,
                        .stride_w = p[CSD_CONV_TRANSPOSE2D_P_STRIDE_W].u,
                        .dilation_h = p[CSD_CONV_TRANSPOSE2D_P_DILATION_H].u,
                        .dilation_w = p[CSD_CONV_TRANSPOSE2D_P_DILATION_W].u,
                        .pad_top = p[CSD_CONV_TRANSPOSE2D_P_PAD_TOP].u,
                        .pad_left = p[CSD_CONV_TRANSPOSE2D_P_PAD_LEFT].u,
                        .channels = in->dims[1] / groups,
                        .group_outputs = weight->dims[1]};
    const float *bias = args->in[CSD_CONV_TRANSPOSE2D_BIAS].data;
    const float *x = args->in[CSD_CONV_TRANSPOSE2D_X].data;
    const float *w = args->in[CSD_CONV_TRANSPOSE2D_WEIGHT].data;
    const size_t taps = g.kernel_h * g.kernel_w;
    const size_t x_group = g.channels * g.height * g.width;
    const int spreads = g.height * g.width == 1 && g.pad_top + g.pad_left == 0 &&
                        out->dims[2] == g.kernel_h && g.out_width == g.kernel_w &&
                        (g.dilation_h == 1 || g.kernel_h == 1) &&
                        (g.dilation_w == 1 || g.kernel_w == 1);
    float *y = args->out[0].data;
    for (size_t i = 0; spreads && i < (size_t)out->dims[0] * groups; i++) {
        const size_t first = i % groups * g.group_outputs; /* output of the group */
        spread(y + i * g.group_outputs * taps, x + i * g.channels,
               w + first * g.channels * taps, bias ? bias + first : NULL, &g);
    }
    for (size_t n = 0; !spreads && n < out->dims[0]; n++, x += x_group * groups)
        for (size_t o = 0; o < out->dims[1]; o++) {
            const size_t group = o / g.group_outputs, of_group = o % g.group_outputs;
            const float *group_w = w + (group * g.channels * g.group_outputs + of_group) * taps;
            for (size_t oy = 0; oy < out->dims[2]; oy++, y += g.out_width)
                make_row(y, oy, bias ? bias[o] : 0.0f, x + group * x_group, group_w, &g);
        }
}
