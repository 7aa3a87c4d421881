/* y = activation(conv(x, weight) + bias + residual): x (n, C, H, W), weight (O, C/groups, kh, kw).

   Order of summation of one output: bias, residual, then products by input channel, kernel row
   and kernel column. The innermost loop runs along a row of the output, where neighbours do not
   depend on one another, so that it vectorises without a change of that order. The residual may
   lie in y itself. Zero padding is not multiplied: rows and columns outside the input are left
   out. Where one window is all of x, its products are summed as in kernels/lanes.h, before bias
   and residual. */
#include "../conv2d.h"
#include "../lanes.h"
#include "../window.h"

/* Tiles pay where a compiler that keeps to C's order still fills vector registers. */
#if defined(__SSE2__) || defined(__aarch64__) || defined(__riscv_vector)
#define VECTORS 1
#else
#define VECTORS 0
#endif

static void add_row(float *restrict y, const float *restrict x, float w, size_t count,
                    size_t stride) {
    if (stride == 1) {
        for (size_t i = 0; i < count; i++)
            y[i] += w * x[i];
    } else {
        for (size_t i = 0; i < count; i++)
            y[i] += w * x[i * stride];
    }
}

/* One output plane gets the products with one input plane. */
static void add_plane(float *y, const csd_shape *out, const float *x, const csd_shape *in,
                      const float *w, const csd_shape *kernel, const csd_param *p) {
    const size_t stride_h = p[CSD_CONV2D_P_STRIDE_H].u, stride_w = p[CSD_CONV2D_P_STRIDE_W].u;
    const size_t height = in->dims[2], width = in->dims[3], out_width = out->dims[3];
    for (size_t i = 0; i < kernel->dims[2]; i++) {
        const ptrdiff_t down = (ptrdiff_t)(i * p[CSD_CONV2D_P_DILATION_H].u) -
                               (ptrdiff_t)p[CSD_CONV2D_P_PAD_TOP].u;
        const csd_span rows = csd_inside(height, out->dims[2], stride_h, down);
        for (size_t j = 0; j < kernel->dims[3]; j++, w++) {
            const ptrdiff_t right = (ptrdiff_t)(j * p[CSD_CONV2D_P_DILATION_W].u) -
                                    (ptrdiff_t)p[CSD_CONV2D_P_PAD_LEFT].u;
            const csd_span columns = csd_inside(width, out_width, stride_w, right);
            if (columns.first == columns.end)
                continue;
            const size_t x_column = (size_t)((ptrdiff_t)(columns.first * stride_w) + right);
            for (size_t row = rows.first; row < rows.end; row++) {
                const size_t x_row = (size_t)((ptrdiff_t)(row * stride_h) + down);
                add_row(y + row * out_width + columns.first, x + x_row * width + x_column, *w,
                        columns.end - columns.first, stride_w);
            }
        }
    }
}

/* Everything but the activation where the only window is all of x; else 0 and nothing. */
static int take_all(const csd_args *args) {
    const csd_shape *in = &args->in[CSD_CONV2D_X].shape, *out = &args->out[0].shape;
    const csd_shape *kernel = &args->in[CSD_CONV2D_WEIGHT].shape;
    const csd_param *p = args->params;
    const size_t products = csd_count(kernel, 1, 4);
    const size_t groups = p[CSD_CONV2D_P_GROUPS].u, group_outputs = out->dims[1] / groups;
    const float *bias = args->in[CSD_CONV2D_BIAS].data;
    const float *residual = args->in[CSD_CONV2D_RESIDUAL].data;
    const float *x = args->in[CSD_CONV2D_X].data, *weight = args->in[CSD_CONV2D_WEIGHT].data;
    float *y = args->out[0].data;
    if (in->dims[2] != kernel->dims[2] || in->dims[3] != kernel->dims[3] ||
        csd_count(out, 2, 4) != 1 || p[CSD_CONV2D_P_PAD_TOP].u + p[CSD_CONV2D_P_PAD_LEFT].u > 0 ||
        (p[CSD_CONV2D_P_DILATION_H].u > 1 && kernel->dims[2] > 1) ||
        (p[CSD_CONV2D_P_DILATION_W].u > 1 && kernel->dims[3] > 1))
        return 0;
    for (size_t n = 0; n < out->dims[0]; n++, x += products * groups)
        for (size_t o = 0; o < out->dims[1]; o++, y++) {
            const float *group = x + o / group_outputs * products;
            const float sum = csd_row_dot(group, weight + o * products, products);
            const float with_bias = bias ? sum + bias[o] : sum;
            *y = residual ? with_bias + *residual++ : with_bias;
        }
    return 1;
}

void CSD_KERNEL(conv2d)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_CONV2D_X];
    const csd_input *weight = &args->in[CSD_CONV2D_WEIGHT];
    const csd_shape *out = &args->out[0].shape;
    const csd_param *p = args->params;
    const float *bias = args->in[CSD_CONV2D_BIAS].data;
    const float *residual = args->in[CSD_CONV2D_RESIDUAL].data;
    const size_t channels = weight->shape.dims[1]; /* of one group */
    const size_t group_outputs = out->dims[1] / p[CSD_CONV2D_P_GROUPS].u;
    const size_t plane = (size_t)out->dims[2] * out->dims[3];
    const size_t x_plane = (size_t)input->shape.dims[2] * input->shape.dims[3];
    const size_t taps = (size_t)weight->shape.dims[2] * weight->shape.dims[3];
    float *y = args->out[0].data;
    const float *x = input->data;
    /* All but the activation? */
    const int done = take_all(args) || (VECTORS && CSD_KERNEL(conv2d_tiles)(args));

    for (size_t n = 0; n < out->dims[0]; n++, x += x_plane * input->shape.dims[1]) {
        for (size_t o = 0; o < out->dims[1]; o++, y += plane) {
            const float start = (bias ? bias[o] : 0.0f) + 0.0f; /* never -0 */
            for (size_t i = 0; i < plane && !done; i++)
                y[i] = residual ? start + residual[i] : start;
            if (residual)
                residual += plane;
            const float *x_group = x + o / group_outputs * channels * x_plane;
            const float *w = (const float *)weight->data + o * channels * taps;
            for (size_t c = 0; c < channels && !done; c++)
                add_plane(y, out, x_group + c * x_plane, &input->shape, w + c * taps,
                          &weight->shape, p);
            CSD_KERNEL(activate)
            (y, plane, p[CSD_CONV2D_P_ACTIVATION].u,
             csd_slope(&args->in[CSD_CONV2D_SLOPE], o, p[CSD_CONV2D_P_ALPHA].f));
        }
    }
}
