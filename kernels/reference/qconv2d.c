/* y = requantized bias + conv(x - x_zero, weight): x (n, C, H, W), weight int8 (O, C/groups, kh,
   kw).

   LANES neighbours of an output row are summed at once, for some outputs of a group together. The
   rows of x that they read are copied first, with x_zero taken off, as 32-bit words with zeros for
   the pads: then every tap is LANES words from some place of the copy, times one weight, and the
   innermost loop has a fixed length, no branch and its sums in registers. Nothing is rounded before
   the end, so that order does not matter.

   With 8-bit x the sums fit 32 bits: the verifier holds K 255 128 + |bias| below 2^31. With 16-bit
   x, |x - x_zero| 128 is below 2^23: TAPS products fit 32 bits and then join a sum of 64. */
#include "../arm/helium.h"
#include "../codes.h"
#include "../window.h"

/* The table of machines without vectors, and where no other is built. */
#if !defined(CSD_ISA) && !defined(CSD_HAS_HELIUM)
#define SUMS_OF_FOUR
#endif

#define LANES 32
#define TAPS 32
#ifdef __AVX2__
#define OUTPUTS 8
#define PLACES 192
#else /* within 2 KiB of stack */
#define OUTPUTS 4
#define PLACES 224
#endif

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

/* Adds one output's products. */
#if defined(CSD_HAS_HELIUM)
static void sum_taps(int32_t *restrict sum, const int32_t *restrict words, const tap *taps,
                     const int8_t *weight) {
    for (size_t i = 0; i < LANES; i += 16) {
        int32x4_t a = vldrwq_s32(sum + i), b = vldrwq_s32(sum + i + 4);
        int32x4_t c = vldrwq_s32(sum + i + 8), d = vldrwq_s32(sum + i + 12);
        for (const tap *at = taps; at->place != END; at++) {
            const int32_t *x = words + i + at->place;
            const int32_t w = weight[at->weight];
            a = vmlaq_n_s32(a, vldrwq_s32(x), w);
            b = vmlaq_n_s32(b, vldrwq_s32(x + 4), w);
            c = vmlaq_n_s32(c, vldrwq_s32(x + 8), w);
            d = vmlaq_n_s32(d, vldrwq_s32(x + 12), w);
        }
        vstrwq_s32(sum + i, a);
        vstrwq_s32(sum + i + 4, b);
        vstrwq_s32(sum + i + 8, c);
        vstrwq_s32(sum + i + 12, d);
    }
}
#elif defined(SUMS_OF_FOUR)
static void sum_taps(int32_t *restrict sum, const int32_t *restrict words, const tap *taps,
                     const int8_t *weight) {
    for (size_t i = 0; i < LANES; i += 4) {
        int32_t a = sum[i], b = sum[i + 1], c = sum[i + 2], d = sum[i + 3];
        for (const tap *at = taps; at->place != END; at++) {
            const int32_t *x = words + i + at->place;
            const int32_t w = weight[at->weight];
            a += x[0] * w;
            b += x[1] * w;
            c += x[2] * w;
            d += x[3] * w;
        }
        sum[i] = a;
        sum[i + 1] = b;
        sum[i + 2] = c;
        sum[i + 3] = d;
    }
}
#else
/* The list ends by a mark, not by a count: gcc would otherwise turn the loops round and keep the
   sums in memory. */
static void sum_taps(int32_t *restrict sum, const int32_t *restrict words, const tap *taps,
                     const int8_t *weight) {
    int32_t lanes[LANES];
    for (size_t i = 0; i < LANES; i++)
        lanes[i] = sum[i];
    for (; taps->place != END; taps++) {
        const int32_t *x = words + taps->place;
        const int32_t w = weight[taps->weight];
        for (size_t i = 0; i < LANES; i++)
            lanes[i] += x[i] * w;
    }
    for (size_t i = 0; i < LANES; i++)
        sum[i] = lanes[i];
}
#endif

/* Adds the products of all taps that are copied, for `outputs` outputs of `products` weights. */
static void add_taps(sums *total, int is_wide, size_t outputs, copy *lines, const int8_t *weight,
                     size_t products) {
    lines->taps[lines->count].place = END;
    for (size_t o = 0; o < outputs; o++, weight += products) {
        if (is_wide) {
            int32_t sum[LANES] = {0};
            sum_taps(sum, lines->words, lines->taps, weight);
            for (size_t i = 0; i < LANES; i++)
                total->wide[o][i] += sum[i];
        } else {
            sum_taps(total->narrow[o], lines->words, lines->taps, weight);
        }
    }
    lines->places = 0;
    lines->count = 0;
}

/* LANES columns of one output row, for some outputs of one group. */
typedef struct block {
    size_t sample;
    size_t output; /* the first */
    size_t outputs;
    size_t row;
    size_t column; /* the first */
} block;

static void convolve(sums *total, const csd_args *args, const block *b) {
    const csd_input *x = &args->in[CSD_QCONV2D_X];
    const csd_shape *kernel = &args->in[CSD_QCONV2D_WEIGHT].shape;
    const csd_param *p = args->params;
    const size_t height = x->shape.dims[2], width = x->shape.dims[3];
    const size_t channels = kernel->dims[1], kernel_h = kernel->dims[2];
    const size_t kernel_w = kernel->dims[3], products = channels * kernel_h * kernel_w;
    const size_t dilation_h = p[CSD_QCONV2D_P_DILATION_H].u;
    const size_t dilation_w = p[CSD_QCONV2D_P_DILATION_W].u;
    const size_t stride = p[CSD_QCONV2D_P_STRIDE_W].u;
    const size_t group = b->output / (args->out[0].shape.dims[1] / p[CSD_QCONV2D_P_GROUPS].u);
    const size_t plane = b->sample * x->shape.dims[1] + group * channels;
    const int8_t *weight = (const int8_t *)args->in[CSD_QCONV2D_WEIGHT].data + b->output * products;
    const int is_wide = x->shape.dtype == CSD_I16;
    /* Where the first tap of the first column lies in x. */
    const ptrdiff_t down = (ptrdiff_t)(b->row * p[CSD_QCONV2D_P_STRIDE_H].u) -
                           (ptrdiff_t)p[CSD_QCONV2D_P_PAD_TOP].u;
    const ptrdiff_t right = (ptrdiff_t)(b->column * stride) -
                            (ptrdiff_t)p[CSD_QCONV2D_P_PAD_LEFT].u;
    /* The taps of a kernel row share one copy where neighbours of x are neighbours in y. */
    const size_t reach = LANES + (kernel_w - 1) * dilation_w;
    const int shared = stride == 1 && kernel_w <= TAPS && reach <= PLACES;
    const size_t together = shared ? kernel_w : 1, length = shared ? reach : LANES;
    const csd_span rows = csd_inside(height, kernel_h, dilation_h, down);
    copy lines;
    lines.places = 0;
    lines.count = 0;
    for (size_t j = 0; j < kernel_w; j += together) {
        const ptrdiff_t at = right + (ptrdiff_t)(j * dilation_w);
        const csd_span span = csd_inside(width, length, stride, at);
        if (span.first == span.end)
            continue;
        const size_t column = (size_t)((ptrdiff_t)(span.first * stride) + at);
        for (size_t c = 0; c < channels; c++)
            for (size_t i = rows.first; i < rows.end; i++) {
                const size_t row = (size_t)((ptrdiff_t)(i * dilation_h) + down);
                if (lines.places + length > PLACES || lines.count + together > TAPS)
                    add_taps(total, is_wide, b->outputs, &lines, weight, products);
                copy_row(lines.words + lines.places, length, span, x,
                         ((plane + c) * height + row) * width + column, stride,
                         p[CSD_QCONV2D_P_X_ZERO].i);
                for (size_t t = 0; t < together; t++) {
                    tap *next = &lines.taps[lines.count++];
                    next->place = (uint16_t)(lines.places + t * dilation_w);
                    next->weight = (uint16_t)((c * kernel_h + i) * kernel_w + j + t);
                }
                lines.places += length;
            }
    }
    add_taps(total, is_wide, b->outputs, &lines, weight, products);
}

static void store(const csd_args *args, const sums *total, const block *b) {
    const csd_param *p = args->params;
    const csd_shape *out = &args->out[0].shape;
    const int32_t *bias = args->in[CSD_QCONV2D_BIAS].data;
    const float *multiplier = args->in[CSD_QCONV2D_MULTIPLIER].data;
    const size_t height = out->dims[2], width = out->dims[3], left = width - b->column;
    for (size_t i = 0; i < b->outputs; i++) {
        float scaled[LANES];
        const size_t o = b->output + i;
        const size_t line = (b->sample * out->dims[1] + o) * height + b->row;
        const int32_t start = bias ? bias[o] : 0;
        if (args->in[CSD_QCONV2D_X].shape.dtype == CSD_I16)
            for (size_t lane = 0; lane < LANES; lane++)
                scaled[lane] = (float)(total->wide[i][lane] + start) * multiplier[o];
        else
            for (size_t lane = 0; lane < LANES; lane++)
                scaled[lane] = (float)(total->narrow[i][lane] + start) * multiplier[o];
        CSD_KERNEL(store_codes)
        (&args->out[0], line * width + b->column, scaled, left < LANES ? left : LANES,
         p[CSD_QCONV2D_P_Y_ZERO].i, p[CSD_QCONV2D_P_LOW].i, p[CSD_QCONV2D_P_HIGH].i);
    }
}

void CSD_KERNEL(qconv2d)(const csd_args *args) {
    const csd_shape *out = &args->out[0].shape;
    const size_t group_outputs = out->dims[1] / args->params[CSD_QCONV2D_P_GROUPS].u;
    const size_t most = args->in[CSD_QCONV2D_X].shape.dtype == CSD_I16 ? OUTPUTS / 2 : OUTPUTS;
    block b;
    for (b.sample = 0; b.sample < out->dims[0]; b.sample++)
        for (b.output = 0; b.output < out->dims[1]; b.output += b.outputs) {
            const size_t left = group_outputs - b.output % group_outputs;
            b.outputs = left < most ? left : most;
            for (b.row = 0; b.row < out->dims[2]; b.row++)
                for (b.column = 0; b.column < out->dims[3]; b.column += LANES) {
                    sums total = {{{0}}};
                    convolve(&total, args, &b);
                    store(args, &total, &b);
                }
        }
}
