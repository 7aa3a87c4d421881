/* y = requantized bias + conv(x - x_zero, weight): x (n, C, H, W), weight int8 (O, C/groups, kh,
   kw).

   LANES neighbours of an output row are summed at once, for some outputs of a group together. The
   rows of x that they read are copied first, with x_zero taken off, as 32-bit words with zeros for
   the pads: then every tap is LANES words from some place of the copy, times one weight, and the
   innermost loop has a fixed length, no branch and its sums in registers. Nothing is rounded before
   the end, so that order does not matter.

   With 8-bit x the sums fit 32 bits: the verifier holds K 255 128 + |bias| below 2^31. With 16-bit
   x, |x - x_zero| 128 is below 2^23: TAPS products fit 32 bits and are then added to a sum of 64. */
#include "../codes.h"
#include "../window.h"

#define LANES 32
#define OUTPUTS 8
#define TAPS 32
#define PLACES 160

/* A tap's LANES words start at `place` of the copy; `weight` counts from the output's first one.
   The last tap of a list has the place END. */
typedef struct tap {
    uint16_t place;
    uint16_t weight;
} tap;
#define END UINT16_MAX

typedef struct copy {
    int32_t words[PLACES];
    tap taps[TAPS + 1];
    size_t places;
    size_t count;
} copy;

typedef union sums {
    int32_t narrow[OUTPUTS][LANES];
    int64_t wide[OUTPUTS / 2][LANES];
} sums;

/* words[i] = x[i stride] - zero. */
#define COPY(name, type)                                                                           \
    static void name(int32_t *restrict words, size_t count, const type *restrict x, size_t stride, \
                     int32_t zero) {                                                               \
        if (stride == 1)                                                                           \
            for (size_t i = 0; i < count; i++)                                                     \
                words[i] = x[i] - zero;                                                            \
        else                                                                                       \
            for (size_t i = 0; i < count; i++)                                                     \
                words[i] = x[i * stride] - zero;                                                   \
    }
COPY(copy_u8, uint8_t)
COPY(copy_i8, int8_t)
COPY(copy_i16, int16_t)

/* words[i] = x[from + (i - span.first) stride] - zero inside the span, and 0 outside it. */
static void copy_row(int32_t *words, size_t count, csd_span span, const csd_input *x, size_t from,
                     size_t stride, int32_t zero) {
    for (size_t i = 0; i < span.first; i++)
        words[i] = 0;
    for (size_t i = span.end; i < count; i++)
        words[i] = 0;
    words += span.first;
    count = span.end - span.first;
    if (x->shape.dtype == CSD_U8)
        copy_u8(words, count, (const uint8_t *)x->data + from, stride, zero);
    else if (x->shape.dtype == CSD_I8)
        copy_i8(words, count, (const int8_t *)x->data + from, stride, zero);
    else
        copy_i16(words, count, (const int16_t *)x->data + from, stride, zero);
}

/* The list ends by a mark, not by a count: gcc would otherwise turn the loops round and keep the
   sums in memory. */
static void sum_taps(int32_t *restrict sum, const int32_t *restrict words, const tap *taps,
                     const int8_t *weight) {
    int32_t lanes[LANES] = {0};
    for (; taps->place != END; taps++) {
        const int32_t *x = words + taps->place;
        const int32_t w = weight[taps->weight];
        for (size_t i = 0; i < LANES; i++)
            lanes[i] += x[i] * w;
    }
    for (size_t i = 0; i < LANES; i++)
        sum[i] = lanes[i];
}

/* Adds the products of all taps that are copied, for `outputs` outputs of `products` weights. */
static void add_taps(sums *total, int is_wide, size_t outputs, copy *from, const int8_t *weight,
                     size_t products) {
    from->taps[from->count].place = END;
    for (size_t o = 0; o < outputs; o++, weight += products) {
        int32_t sum[LANES];
        sum_taps(sum, from->words, from->taps, weight);
        if (is_wide)
            for (size_t i = 0; i < LANES; i++)
                total->wide[o][i] += sum[i];
        else
            for (size_t i = 0; i < LANES; i++)
                total->narrow[o][i] += sum[i];
    }
    from->places = 0;
    from->count = 0;
}

/* The sums of LANES columns of a row for `outputs` outputs. Their first tap is, for lane i, at
   input row `down` and column right + i stride; `plane` is the number of the first input plane. */
static void convolve(sums *total, size_t outputs, const csd_args *args, const int8_t *weight,
                     size_t plane, ptrdiff_t down, ptrdiff_t right) {
    const csd_input *x = &args->in[CSD_QCONV2D_X];
    const csd_shape *kernel = &args->in[CSD_QCONV2D_WEIGHT].shape;
    const csd_param *p = args->params;
    const size_t height = x->shape.dims[2], width = x->shape.dims[3];
    const size_t kernel_h = kernel->dims[2], kernel_w = kernel->dims[3];
    const size_t products = csd_count(kernel, 1, 4);
    const size_t dilation_h = p[CSD_QCONV2D_P_DILATION_H].u;
    const size_t dilation_w = p[CSD_QCONV2D_P_DILATION_W].u;
    const size_t stride = p[CSD_QCONV2D_P_STRIDE_W].u;
    const int is_wide = x->shape.dtype == CSD_I16;
    /* The taps of a kernel row share one copy where neighbours of x are neighbours in y. */
    const size_t reach = LANES + (kernel_w - 1) * dilation_w;
    const int shared = stride == 1 && kernel_w <= TAPS && reach <= PLACES;
    const size_t together = shared ? kernel_w : 1, length = shared ? reach : LANES;
    const csd_span rows = csd_inside(height, kernel_h, dilation_h, down);
    copy from;
    from.places = 0;
    from.count = 0;
    for (size_t j = 0; j < kernel_w; j += together) {
        const ptrdiff_t at = right + (ptrdiff_t)(j * dilation_w);
        const csd_span span = csd_inside(width, length, stride, at);
        if (span.first == span.end)
            continue;
        const size_t column = (size_t)((ptrdiff_t)(span.first * stride) + at);
        for (size_t c = 0; c < kernel->dims[1]; c++)
            for (size_t i = rows.first; i < rows.end; i++) {
                const size_t row = (size_t)((ptrdiff_t)(i * dilation_h) + down);
                if (from.places + length > PLACES || from.count + together > TAPS)
                    add_taps(total, is_wide, outputs, &from, weight, products);
                copy_row(from.words + from.places, length, span, x,
                         ((plane + c) * height + row) * width + column, stride,
                         p[CSD_QCONV2D_P_X_ZERO].i);
                for (size_t t = 0; t < together; t++) {
                    tap *next = &from.taps[from.count++];
                    next->place = (uint16_t)(from.places + t * dilation_w);
                    next->weight = (uint16_t)((c * kernel_h + i) * kernel_w + j + t);
                }
                from.places += length;
            }
    }
    add_taps(total, is_wide, outputs, &from, weight, products);
}

/* Stores the first `count` lanes of `outputs` outputs, the first of which is number `first`. */
static void store(const csd_args *args, const sums *total, size_t first, size_t outputs, size_t at,
                  size_t count) {
    const csd_param *p = args->params;
    const int32_t *bias = args->in[CSD_QCONV2D_BIAS].data;
    const float *multiplier = args->in[CSD_QCONV2D_MULTIPLIER].data;
    const size_t plane = csd_count(&args->out[0].shape, 2, 4);
    for (size_t o = 0; o < outputs; o++) {
        float scaled[LANES];
        const int32_t b = bias ? bias[first + o] : 0;
        const float m = multiplier[first + o];
        if (args->in[CSD_QCONV2D_X].shape.dtype == CSD_I16)
            for (size_t i = 0; i < LANES; i++)
                scaled[i] = (float)(total->wide[o][i] + b) * m;
        else
            for (size_t i = 0; i < LANES; i++)
                scaled[i] = (float)(total->narrow[o][i] + b) * m;
        CSD_KERNEL(store_codes)
        (&args->out[0], at + o * plane, scaled, count, p[CSD_QCONV2D_P_Y_ZERO].i,
         p[CSD_QCONV2D_P_LOW].i, p[CSD_QCONV2D_P_HIGH].i);
    }
}

void CSD_KERNEL(qconv2d)(const csd_args *args) {
    const csd_shape *in = &args->in[CSD_QCONV2D_X].shape, *out = &args->out[0].shape;
    const csd_shape *kernel = &args->in[CSD_QCONV2D_WEIGHT].shape;
    const csd_param *p = args->params;
    const int8_t *weight = args->in[CSD_QCONV2D_WEIGHT].data;
    const size_t height = out->dims[2], width = out->dims[3];
    const size_t groups = p[CSD_QCONV2D_P_GROUPS].u, group_outputs = out->dims[1] / groups;
    const size_t most = in->dtype == CSD_I16 ? OUTPUTS / 2 : OUTPUTS;
    for (size_t n = 0; n < out->dims[0]; n++)
        for (size_t o = 0; o < out->dims[1];) {
            const size_t group = o / group_outputs, left = (group + 1) * group_outputs - o;
            const size_t outputs = left < most ? left : most;
            const size_t plane = n * in->dims[1] + group * kernel->dims[1];
            for (size_t row = 0; row < height; row++)
                for (size_t column = 0; column < width; column += LANES) {
                    const size_t count = width - column < LANES ? width - column : LANES;
                    const ptrdiff_t down = (ptrdiff_t)(row * p[CSD_QCONV2D_P_STRIDE_H].u) -
                                           (ptrdiff_t)p[CSD_QCONV2D_P_PAD_TOP].u;
                    const ptrdiff_t right = (ptrdiff_t)(column * p[CSD_QCONV2D_P_STRIDE_W].u) -
                                            (ptrdiff_t)p[CSD_QCONV2D_P_PAD_LEFT].u;
                    sums total = {{{0}}};
                    convolve(&total, outputs, args, weight + o * csd_count(kernel, 1, 4), plane,
                             down, right);
                    store(args, &total, o, outputs, ((n * out->dims[1] + o) * height + row) * width
                          + column, count);
                }
            o += outputs;
        }
}
