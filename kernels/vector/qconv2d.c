/* The convolution of kernels/reference/qconv2d.c by the walk of strips.h: the same integers.

   A word of the copy holds a place of two channels, as signed halves, and a word of the prepared
   weights the two weights: one instruction adds two products to each sum. Of 8-bit x the zero point
   is taken off in the copy, so that pads are 0. A 16-bit x with its zero point off has no room in
   a half: it is copied as it is, pads are the zero point, and its products with all weights are
   taken off the bias once. Sums are right modulo 2^32, and so right where the result fits: with
   8-bit x the verifier sees to that; with 16-bit x the preparer refuses weights with which the
   farthest x from x_zero could make more. */
#include "../fast.h"
#include "code_words.h"
#include "strips.h"

#define MOST_PREPARED ((size_t)64 << 20)
/* Sums that wait for the next share of the channels, of up to four outputs of a strip. */
#define WAITING 512u /* columns and rows */

typedef struct job {
    const csd_args *args;
    size_t groups;        /* of a sample */
    size_t channels;      /* of a group */
    size_t weights;       /* words of an output */
    const int32_t *start; /* of the sums of each output */
    const int32_t *pairs; /* (output, pair of channels, kernel row, kernel column) */
    int32_t *waiting;
} job;

#define SUM sums[r][o][v]

/* As store_codes of codes.h: products of finite numbers are never NaN. */
CSD_INLINE void store(const csd_output *codes, size_t at, csd_words sum, csd_wide multiplier,
                      const csd_param *p, size_t count) {
    const int32_t zero = p[CSD_QCONV2D_P_Y_ZERO].i;
    const csd_wide least = csd_wide_all((float)(p[CSD_QCONV2D_P_LOW].i - zero));
    const csd_wide most = csd_wide_all((float)(p[CSD_QCONV2D_P_HIGH].i - zero));
    const csd_wide scaled = csd_wide_mul(csd_words_float(sum), multiplier);
    const csd_wide cut = csd_wide_min(csd_wide_max(scaled, least), most);
    const csd_words code = csd_words_add(csd_words_nearest(cut), csd_words_all(zero));
    csd_store_words(codes, at, code, count);
}

CSD_INLINE void convolve(const csd_strips *s, const csd_tile *t, const size_t rows,
                         const size_t outputs, const size_t vectors) {
    const job *j = s->job;
    const csd_args *args = j->args;
    const float *multiplier = args->in[CSD_QCONV2D_MULTIPLIER].data;
    const size_t width = s->out_width, plane = s->out_height * width;
    const size_t output = t->group % j->groups * s->outputs + t->output;
    const size_t pitch = csd_whole(width);
    int32_t *waiting =
        j->waiting + (t->output % 4u * s->rows + t->row % s->rows) * pitch + t->column;
    csd_words sums[CSD_TILE_MOST_ROWS][CSD_TILE_MOST_OUTPUTS][CSD_TILE_MOST_VECTORS];
    csd_words weights[CSD_TILE_MOST_OUTPUTS];

    if (t->channel == 0) {
        CSD_EACH_SUM { SUM = csd_words_all(j->start[output + o]); }
    } else {
        CSD_EACH_SUM {
            SUM = csd_words_load(waiting + (o * s->rows + r) * pitch + v * CSD_WIDE);
        }
    }
    /* One register a row, and one load for all outputs: gcc would compute and read again. */
    const int32_t *x[CSD_TILE_MOST_ROWS];
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        x[r] = (const int32_t *)t->x + r * s->stride_h * s->pitch;
        __asm__("" : "+r"(x[r]));
    }
    const size_t step = j->weights;
    const int32_t *weight = j->pairs + output * step + t->channel * s->kernel_h * s->kernel_w;
    for (const uint16_t *tap = s->taps, *end = tap + s->count; tap < end; tap++, weight++) {
        const size_t place = *tap;
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++)
            weights[o] = csd_words_all(weight[o * step]);
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                csd_words numbers = csd_words_load(x[r] + place + v * CSD_WIDE);
                CSD_KEEP_WORDS(numbers);
                CSD_UNROLL
                for (size_t o = 0; o < outputs; o++)
                    SUM = csd_words_dot(SUM, numbers, weights[o]);
            }
        }
    }
    if (s->is_last) {
        const size_t at = (t->group * s->outputs + t->output) * plane + t->row * width + t->column;
        CSD_EACH_SUM {
            store(&args->out[0], at + o * plane + r * width + v * CSD_WIDE, SUM,
                  csd_wide_all(multiplier[output + o]), args->params,
                  v + 1u < vectors ? CSD_WIDE : t->last);
        }
    } else {
        CSD_EACH_SUM {
            csd_words_store(waiting + (o * s->rows + r) * pitch + v * CSD_WIDE, SUM);
        }
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

CSD_INLINE csd_words load(const void *x, size_t at, size_t count, const uint32_t dtype) {
    if (dtype == CSD_U8)
        return csd_words_u8((const uint8_t *)x + at, count);
    if (dtype == CSD_I8)
        return csd_words_i8((const int8_t *)x + at, count);
    return csd_words_i16((const int16_t *)x + at, count);
}

/* `channel` is a pair; without a second one its halves are the first one's, times weights of 0. */
CSD_INLINE void copy_pairs(const csd_strips *s, int32_t *to, size_t group, size_t channel,
                           ptrdiff_t from, size_t rows, const uint32_t dtype) {
    const job *j = s->job;
    const csd_input *x = &j->args->in[CSD_QCONV2D_X];
    const int32_t x_zero = j->args->params[CSD_QCONV2D_P_X_ZERO].i;
    const csd_words zero = csd_words_all(dtype == CSD_I16 ? 0 : x_zero);
    const csd_words z = csd_words_all(dtype == CSD_I16 ? x_zero : 0), pad = csd_words_pair(z, z);
    const size_t plane = s->height * s->width, first = group * j->channels + 2u * channel;
    const size_t next = 2u * channel + 1u < j->channels ? plane : 0;
    for (size_t k = 0; k < rows; k++, to += s->pitch) {
        const ptrdiff_t row = from + (ptrdiff_t)k;
        const int inside = row >= 0 && row < (ptrdiff_t)s->height;
        const size_t at = first * plane + (inside ? (size_t)row * s->width : 0);
        for (size_t i = 0; i < (inside ? s->margin : s->pitch); i += CSD_WIDE)
            csd_words_store(to + i, pad);
        for (size_t i = 0; inside && i < s->width; i += CSD_WIDE) {
            const size_t count = s->width - i < CSD_WIDE ? s->width - i : CSD_WIDE;
            csd_words a = load(x->data, at + i, count, dtype);
            csd_words b = load(x->data, at + next + i, count, dtype);
            csd_words_store(to + s->margin + i,
                            csd_words_pair(csd_words_sub(a, zero), csd_words_sub(b, zero)));
        }
        /* What the last vector has beyond the row. */
        for (size_t i = s->width; inside && i % CSD_WIDE != 0; i++)
            memcpy(to + s->margin + i, &pad, sizeof *to);
    }
    for (size_t i = 0; i < s->margin; i += CSD_WIDE) /* of the next row, or after the last */
        csd_words_store(to + i, pad);
}

static void copy_rows(const csd_strips *s, void *places, size_t group, size_t channel,
                      ptrdiff_t from, size_t rows) {
    const job *j = s->job;
    const uint32_t dtype = j->args->in[CSD_QCONV2D_X].shape.dtype;
    if (dtype == CSD_U8)
        copy_pairs(s, places, group, channel, from, rows, CSD_U8);
    else if (dtype == CSD_I8)
        copy_pairs(s, places, group, channel, from, rows, CSD_I8);
    else
        copy_pairs(s, places, group, channel, from, rows, CSD_I16);
}

/* The walk of this shape, without memory; 0 if it has none. */
static int plan(csd_strips *s, const csd_args *args) {
    const csd_shape *in = &args->in[CSD_QCONV2D_X].shape, *out = &args->out[0].shape;
    const csd_shape *kernel = &args->in[CSD_QCONV2D_WEIGHT].shape;
    const csd_param *p = args->params;
    const csd_strips made = {.channels = (kernel->dims[1] + 1u) / 2u,
                             .outputs = out->dims[1] / p[CSD_QCONV2D_P_GROUPS].u,
                             .height = in->dims[2],
                             .width = in->dims[3],
                             .out_height = out->dims[2],
                             .out_width = out->dims[3],
                             .kernel_h = kernel->dims[2],
                             .kernel_w = kernel->dims[3],
                             .stride_h = p[CSD_QCONV2D_P_STRIDE_H].u,
                             .dilation_h = p[CSD_QCONV2D_P_DILATION_H].u,
                             .dilation_w = p[CSD_QCONV2D_P_DILATION_W].u,
                             .pad_top = p[CSD_QCONV2D_P_PAD_TOP].u,
                             .pad_left = p[CSD_QCONV2D_P_PAD_LEFT].u,
                             .copy = copy_rows,
                             .tile = run_tile};
    *s = made;
    if (p[CSD_QCONV2D_P_STRIDE_W].u != 1 || !csd_divide(s))
        return 0;
    if (s->share == s->channels)
        return 1;
    const size_t rows = WAITING / csd_whole(s->out_width);
    s->rows = s->rows < rows ? s->rows : rows;
    return rows > 0;
}

size_t CSD_PREPARE(qconv2d)(const csd_args *args, void *memory) {
    const csd_shape *kernel = &args->in[CSD_QCONV2D_WEIGHT].shape;
    const csd_input *bias = &args->in[CSD_QCONV2D_BIAS];
    const int8_t *weight = args->in[CSD_QCONV2D_WEIGHT].data;
    const int is_wide = args->in[CSD_QCONV2D_X].shape.dtype == CSD_I16;
    const int32_t zero = args->params[CSD_QCONV2D_P_X_ZERO].i;
    const int64_t farthest = zero < 0 ? INT16_MAX - zero : zero - INT16_MIN;
    const size_t taps = csd_count(kernel, 2, 4), channels = kernel->dims[1];
    const size_t outputs = kernel->dims[0], words = (channels + 1u) / 2u * taps;
    csd_strips s;
    if (weight == NULL || (bias->data == NULL && bias->shape.rank != 0) ||
        args->in[CSD_QCONV2D_MULTIPLIER].data == NULL || !plan(&s, args) ||
        words >= MOST_PREPARED / sizeof(int32_t) / outputs)
        return 0;
    int32_t *start = memory, *pairs = start == NULL ? NULL : start + outputs;
    for (size_t o = 0; o < outputs; o++, weight += channels * taps) {
        int64_t sum = 0, size = 0;
        const int64_t first = bias->data != NULL ? ((const int32_t *)bias->data)[o] : 0;
        for (size_t i = 0; i < channels * taps; i++) {
            sum += weight[i];
            size += weight[i] < 0 ? -weight[i] : weight[i];
        }
        if (is_wide && size * farthest + (first < 0 ? -first : first) > INT32_MAX)
            return 0;
        if (memory == NULL)
            continue;
        start[o] = (int32_t)(uint32_t)(first - (is_wide ? sum * zero : 0));
        for (size_t i = 0; i < words; i++, pairs++) {
            const size_t c = i / taps * 2u, tap = i % taps;
            const int8_t low = weight[c * taps + tap];
            const int8_t high = c + 1u < channels ? weight[(c + 1u) * taps + tap] : 0;
            *pairs = (int32_t)((uint32_t)(uint16_t)low | (uint32_t)(uint16_t)high << 16);
        }
    }
    return (outputs + outputs * words) * sizeof(int32_t);
}

int CSD_FAST(qconv2d)(const csd_args *args) {
    const csd_shape *out = &args->out[0].shape;
    const csd_shape *kernel = &args->in[CSD_QCONV2D_WEIGHT].shape;
    CSD_ALIGNED(CSD_WIDE_BYTES) int32_t places[CSD_PLACES], waiting[4u * WAITING];
    uint16_t taps[CSD_TAPS];
    csd_strips s;
    if (args->prepared == NULL || !plan(&s, args))
        return 0;
    const job j = {.args = args,
                   .groups = args->params[CSD_QCONV2D_P_GROUPS].u,
                   .channels = kernel->dims[1],
                   .weights = s.channels * csd_count(kernel, 2, 4),
                   .start = args->prepared,
                   .pairs = (const int32_t *)args->prepared + kernel->dims[0],
                   .waiting = waiting};
    s.job = &j;
    s.places = places;
    s.taps = taps;
    csd_walk(&s, out->dims[0] * j.groups, s.share == s.channels ? s.outputs : 4u);
    return 1;
}
