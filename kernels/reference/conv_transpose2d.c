/* y[i stride + k dilation - pad] += x[i] weight[k], and bias: x (n, C, H, W), weight
   (C, O/groups, kh, kw), y (n, O, H', W').

   Computed from the output: the elements ox = q stride + phase of a row take tap j from column
   q + (phase + pad - j dilation) / stride of x, where that is whole. So for one phase neighbours in
   q read neighbours of x, and the innermost loop vectorises. Order of summation of one output:
   bias, then products by input channel, kernel row and kernel column. */
#include <string.h>

#include "../kernels.h"
#include "../window.h"

#define TILE 128 /* outputs of one phase in work */

typedef struct plan {
    const csd_shape *in, *weight, *out;
    size_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    size_t channels, group_outputs; /* of one group */
} plan;

/* Adds tap by tap to sums[0, width): outputs first, first + 1, ... of one phase of row oy. */
static void add_channel(float *restrict sums, size_t first, size_t width, size_t phase, size_t oy,
                        const float *restrict x, const float *w, const plan *p) {
    const size_t height = p->in->dims[2], columns = p->in->dims[3];
    const size_t kernel_h = p->weight->dims[2], kernel_w = p->weight->dims[3];
    for (size_t i = 0; i < kernel_h; i++) {
        const ptrdiff_t down = (ptrdiff_t)(oy + p->pad_top) - (ptrdiff_t)(i * p->dilation_h);
        if (down < 0 || (size_t)down % p->stride_h != 0 || (size_t)down / p->stride_h >= height)
            continue;
        const float *row = x + (size_t)down / p->stride_h * columns;
        for (size_t j = 0; j < kernel_w; j++) {
            const ptrdiff_t right = (ptrdiff_t)(phase + p->pad_left) -
                                    (ptrdiff_t)(j * p->dilation_w);
            const ptrdiff_t stride = (ptrdiff_t)p->stride_w;
            if (right % stride != 0)
                continue;
            const ptrdiff_t offset = right / stride + (ptrdiff_t)first;
            const csd_span span = csd_inside(columns, width, 1, offset);
            const float tap = w[i * kernel_w + j];
            if (span.first == span.end)
                continue;
            const float *from = row + ((ptrdiff_t)span.first + offset);
            for (size_t q = 0; q < span.end - span.first; q++)
                sums[span.first + q] += tap * from[q];
        }
    }
}

/* One row of y; x is the group's first plane, w the output's first tap. */
static void make_row(float *y, size_t oy, float start, const float *x, const float *w,
                     const plan *p) {
    const size_t width = p->out->dims[3];
    const size_t x_plane = (size_t)p->in->dims[2] * p->in->dims[3];
    const size_t taps = (size_t)p->weight->dims[2] * p->weight->dims[3];
    for (size_t phase = 0; phase < p->stride_w && phase < width; phase++) {
        const size_t outputs = (width - phase - 1) / p->stride_w + 1;
        for (size_t first = 0; first < outputs; first += TILE) {
            const size_t count = outputs - first < TILE ? outputs - first : TILE;
            float sums[TILE];
            for (size_t q = 0; q < count; q++)
                sums[q] = start;
            for (size_t c = 0; c < p->channels; c++)
                add_channel(sums, first, count, phase, oy, x + c * x_plane,
                            w + c * p->group_outputs * taps, p);
            for (size_t q = 0; q < count; q++)
                y[(first + q) * p->stride_w + phase] = sums[q];
        }
    }
}

void CSD_KERNEL(conv_transpose2d)(const csd_args *args) {
    const csd_param *param = args->params;
    const uint32_t groups = param[CSD_CONV_TRANSPOSE2D_P_GROUPS].u;
    const csd_shape *in = &args->in[CSD_CONV_TRANSPOSE2D_X].shape, *out = &args->out[0].shape;
    const csd_shape *weight = &args->in[CSD_CONV_TRANSPOSE2D_WEIGHT].shape;
    const plan p = {in,
                    weight,
                    out,
                    param[CSD_CONV_TRANSPOSE2D_P_STRIDE_H].u,
                    param[CSD_CONV_TRANSPOSE2D_P_STRIDE_W].u,
                    param[CSD_CONV_TRANSPOSE2D_P_DILATION_H].u,
                    param[CSD_CONV_TRANSPOSE2D_P_DILATION_W].u,
                    param[CSD_CONV_TRANSPOSE2D_P_PAD_TOP].u,
                    param[CSD_CONV_TRANSPOSE2D_P_PAD_LEFT].u,
                    in->dims[1] / groups,
                    weight->dims[1]};
    const float *bias = args->in[CSD_CONV_TRANSPOSE2D_BIAS].data;
    const float *x = args->in[CSD_CONV_TRANSPOSE2D_X].data;
    const float *w = args->in[CSD_CONV_TRANSPOSE2D_WEIGHT].data;
    const size_t taps = (size_t)weight->dims[2] * weight->dims[3];
    const size_t x_group = p.channels * in->dims[2] * in->dims[3];
    float *y = args->out[0].data;
    for (size_t n = 0; n < out->dims[0]; n++, x += x_group * groups)
        for (size_t o = 0; o < out->dims[1]; o++) {
            const size_t group = o / p.group_outputs, of_group = o % p.group_outputs;
            const float *group_w = w + (group * p.channels * p.group_outputs + of_group) * taps;
            for (size_t oy = 0; oy < out->dims[2]; oy++, y += out->dims[3])
                make_row(y, oy, bias ? bias[o] : 0.0f, x + group * x_group, group_w, &p);
        }
}
