/* y = requantized bias + conv(x - x_zero, weight): x (n, C, H, W), weight int8 (O, C/groups, kh,
   kw).

   A block of one output row is summed on the stack, one tap at a time; the innermost loop runs
   along the row, so that it vectorises. Nothing is rounded before the end: order does not matter.
   Taps outside the image add nothing, as a pad of x_zero would.

   With 8-bit x a product fits 16 bits (255 128 < 2^15) and the sum 32: the verifier holds
   K 255 128 + |bias| below 2^31. With 16-bit x, |x - x_zero| 128 is below 2^23: RUN products fit
   32 bits and are then added to a sum of 64. */
#include "../codes.h"

#define COLUMNS 64
#define RUN 255

/* Places [first, end) on a line whose input `place * stride + offset` lies inside [0, in). */
typedef struct span {
    size_t first;
    size_t end;
} span;

static span inside(size_t in, size_t places, size_t stride, ptrdiff_t offset) {
    span s = {0, 0};
    if (offset < 0)
        s.first = ((size_t)-offset + stride - 1) / stride;
    if (offset < (ptrdiff_t)in)
        s.end = (size_t)((ptrdiff_t)in - 1 - offset) / stride + 1;
    if (s.end > places)
        s.end = places;
    if (s.first > s.end)
        s.first = s.end;
    return s;
}

/* sum[i] += (x[i stride] - zero) w. */
#define ADD_TAP(name, type, product)                                                               \
    static void name(int32_t *restrict sum, const type *restrict x, int16_t w, int32_t zero,       \
                     size_t count, size_t stride) {                                                \
        if (stride == 1) {                                                                         \
            for (size_t i = 0; i < count; i++)                                                     \
                sum[i] += (product)((product)(x[i] - zero) * w);                                   \
        } else {                                                                                   \
            for (size_t i = 0; i < count; i++)                                                     \
                sum[i] += (product)((product)(x[i * stride] - zero) * w);                          \
        }                                                                                          \
    }
ADD_TAP(add_u8, uint8_t, int16_t)
ADD_TAP(add_i8, int8_t, int16_t)
ADD_TAP(add_i16, int16_t, int32_t)

static void add_tap(int32_t *sum, const csd_input *x, size_t at, int16_t w, int32_t zero,
                    size_t count, size_t stride) {
    if (x->shape.dtype == CSD_U8)
        add_u8(sum, (const uint8_t *)x->data + at, w, zero, count, stride);
    else if (x->shape.dtype == CSD_I8)
        add_i8(sum, (const int8_t *)x->data + at, w, zero, count, stride);
    else
        add_i16(sum, (const int16_t *)x->data + at, w, zero, count, stride);
}

/* Sums of 16-bit inputs, every RUN taps. */
static void add_run(int64_t *total, int32_t *sum, size_t count) {
    for (size_t i = 0; i < count; i++) {
        total[i] += sum[i];
        sum[i] = 0;
    }
}

/* `count` sums of an output row: those whose first tap lies at input row `down` and, for column i,
   at input column i stride + right. `plane` is the number of the first input plane. */
static void sum_row(int64_t *total, size_t count, const csd_args *args, size_t plane,
                    const int8_t *weight, ptrdiff_t down, ptrdiff_t right) {
    const csd_input *x = &args->in[CSD_QCONV2D_X];
    const csd_shape *kernel = &args->in[CSD_QCONV2D_WEIGHT].shape;
    const csd_param *p = args->params;
    const size_t height = x->shape.dims[2], width = x->shape.dims[3];
    const size_t kernel_h = kernel->dims[2], kernel_w = kernel->dims[3];
    const size_t dilation_h = p[CSD_QCONV2D_P_DILATION_H].u;
    const size_t dilation_w = p[CSD_QCONV2D_P_DILATION_W].u;
    const size_t stride = p[CSD_QCONV2D_P_STRIDE_W].u;
    const size_t run = x->shape.dtype == CSD_I16 ? RUN : SIZE_MAX;
    const span rows = inside(height, kernel_h, dilation_h, down);
    int32_t sum[COLUMNS] = {0};
    size_t taps = 0;
    for (size_t j = 0; j < kernel_w; j++) {
        const ptrdiff_t along = right + (ptrdiff_t)(j * dilation_w);
        const span columns = inside(width, count, stride, along);
        if (columns.first == columns.end)
            continue;
        const size_t column = (size_t)((ptrdiff_t)(columns.first * stride) + along);
        for (size_t c = 0; c < kernel->dims[1]; c++)
            for (size_t i = rows.first; i < rows.end; i++) {
                const size_t row = (size_t)((ptrdiff_t)(i * dilation_h) + down);
                add_tap(sum + columns.first, x, ((plane + c) * height + row) * width + column,
                        weight[(c * kernel_h + i) * kernel_w + j], p[CSD_QCONV2D_P_X_ZERO].i,
                        columns.end - columns.first, stride);
                if (++taps == run) {
                    add_run(total, sum, count);
                    taps = 0;
                }
            }
    }
    add_run(total, sum, count);
}

void CSD_KERNEL(qconv2d)(const csd_args *args) {
    const csd_shape *in = &args->in[CSD_QCONV2D_X].shape;
    const csd_shape *kernel = &args->in[CSD_QCONV2D_WEIGHT].shape;
    const csd_shape *out = &args->out[0].shape;
    const csd_param *p = args->params;
    const int32_t *bias = args->in[CSD_QCONV2D_BIAS].data;
    const float *multiplier = args->in[CSD_QCONV2D_MULTIPLIER].data;
    const int8_t *weight = args->in[CSD_QCONV2D_WEIGHT].data;
    const size_t outputs = out->dims[1], height = out->dims[2], width = out->dims[3];
    const size_t channels = kernel->dims[1];
    const size_t group_outputs = outputs / p[CSD_QCONV2D_P_GROUPS].u;
    const size_t stride_h = p[CSD_QCONV2D_P_STRIDE_H].u, stride_w = p[CSD_QCONV2D_P_STRIDE_W].u;
    for (size_t line = 0; line < out->dims[0] * outputs * height; line++) {
        const size_t n = line / height / outputs, o = line / height % outputs;
        const size_t plane = n * in->dims[1] + o / group_outputs * channels;
        const int8_t *w = weight + o * channels * kernel->dims[2] * kernel->dims[3];
        const ptrdiff_t down = (ptrdiff_t)(line % height * stride_h) -
                               (ptrdiff_t)p[CSD_QCONV2D_P_PAD_TOP].u;
        for (size_t at = 0; at < width; at += COLUMNS) {
            const size_t count = width - at < COLUMNS ? width - at : COLUMNS;
            const ptrdiff_t right = (ptrdiff_t)(at * stride_w) -
                                    (ptrdiff_t)p[CSD_QCONV2D_P_PAD_LEFT].u;
            int64_t total[COLUMNS];
            float scaled[COLUMNS];
            for (size_t i = 0; i < count; i++)
                total[i] = bias ? bias[o] : 0;
            sum_row(total, count, args, plane, w, down, right);
            for (size_t i = 0; i < count; i++)
                scaled[i] = (float)total[i] * multiplier[o];
            CSD_KERNEL(store_codes)
            (&args->out[0], line * width + at, scaled, count, p[CSD_QCONV2D_P_Y_ZERO].i,
             p[CSD_QCONV2D_P_LOW].i, p[CSD_QCONV2D_P_HIGH].i);
        }
    }
}
