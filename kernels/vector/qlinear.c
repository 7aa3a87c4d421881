/* y = requantized bias + sum (x - x_zero) weight: x (..., K), weight int8 (M, K).

   One instruction multiplies four bytes of a row of x with those of sixteen outputs, and adds the
   products of each output to its sum; of 16-bit x, two words. For this the weights of sixteen outputs
   stand side by side, q = 4 or 2 inputs together, and four such vectors, a strip, follow one another
   from the first input to the last, with weights of 0 where there are none:

       bytes[strip][input / q][output mod 64][input mod q]

   An i8 plus 128 is a u8. What the zero point makes of an output is made before, with its bias:
   sum (x - zero) w + bias = sum x w + start. Nothing is rounded before the end: order does not
   matter. */
#include <string.h>

#include "../codes.h"
#include "../fast.h"
#include "../vectors.h"

#if defined(CSD_HAS_AVX512)

#define WIDE 16u   /* outputs of a vector */
#define VECTORS 4u /* of a strip */
#define STRIP (WIDE * VECTORS)
#define ROWS 4u    /* rows of x that share what is read of the weights */
#define RUN 256u   /* inputs of 16 bits whose products with 8 bits fit 32 bits in all */
#define MOST (64u << 20)

static size_t together(const csd_shape *x) { return x->dtype == CSD_I16 ? 2u : 4u; }

static size_t padded(size_t count, size_t to) { return (count + to - 1u) / to * to; }

/* The zero point of x as it is multiplied: as words, or as unsigned bytes. */
static int64_t zero_of(const csd_args *args) {
    return args->params[CSD_QLINEAR_P_X_ZERO].i +
           (args->in[CSD_QLINEAR_X].shape.dtype == CSD_I8 ? 0x80 : 0);
}

/* The products of one dword of each row of x with one of each output. */
CSD_INLINE void multiply_dwords(__m512i sums[ROWS][VECTORS], const uint8_t *x, size_t pitch,
                                size_t bytes, const int8_t *w, size_t rows, size_t q, int flip) {
    __m512i weights[VECTORS];
    CSD_UNROLL
    for (size_t v = 0; v < VECTORS; v++) {
        if (q == 4u)
            weights[v] = _mm512_loadu_si512(w + v * WIDE * 4u);
        else
            weights[v] = _mm512_cvtepi8_epi16(
                _mm256_loadu_si256((const __m256i *)(const void *)(w + v * WIDE * 2u)));
    }
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        int32_t dword = 0;
        memcpy(&dword, x + r * pitch, bytes);
        const __m512i some = _mm512_set1_epi32(dword ^ flip);
        CSD_UNROLL
        for (size_t v = 0; v < VECTORS; v++)
            sums[r][v] = q == 4u ? _mm512_dpbusd_epi32(sums[r][v], some, weights[v])
                                 : _mm512_dpwssd_epi32(sums[r][v], some, weights[v]);
    }
}

/* sums[r][v] = products of `count` inputs of `rows` rows of x, which begin at x, x + pitch, ..., with
   a strip. */
CSD_INLINE void multiply(__m512i sums[ROWS][VECTORS], const uint8_t *x, size_t pitch, size_t count,
                         const int8_t *w, size_t rows, size_t q, int flip) {
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CSD_UNROLL
        for (size_t v = 0; v < VECTORS; v++)
            sums[r][v] = _mm512_setzero_si512();
    }
    for (size_t left = count / q; left > 0; left--, x += 4, w += STRIP * q)
        multiply_dwords(sums, x, pitch, 4u, w, rows, q, flip);
    if (count % q != 0)
        multiply_dwords(sums, x, pitch, count % q * (4u / q), w, rows, q, flip);
}

/* What one call of `strip` works at. */
typedef struct place {
    size_t row, from, count; /* rows of x and outputs, of which the strip has `count` */
    const int8_t *weights;
    const int64_t *start;
} place;

CSD_INLINE void strip(const csd_args *args, place at, size_t rows, size_t q) {
    const csd_shape *shape = &args->in[CSD_QLINEAR_WEIGHT].shape;
    const size_t outputs = shape->dims[0], inputs = shape->dims[1], pitch = inputs * (4u / q);
    const float *multiplier = (const float *)args->in[CSD_QLINEAR_MULTIPLIER].data + at.from;
    const int flip = args->in[CSD_QLINEAR_X].shape.dtype == CSD_I8 ? (int)0x80808080u : 0;
    const uint8_t *x = (const uint8_t *)args->in[CSD_QLINEAR_X].data + at.row * pitch;
    const size_t longest = q == 2u ? RUN : inputs;
    const csd_param *p = args->params;
    int64_t all[ROWS][STRIP];
    for (size_t r = 0; r < rows; r++)
        memcpy(all[r], at.start, sizeof all[r]);
    for (size_t k = 0; k < inputs; k += longest) {
        __m512i sums[ROWS][VECTORS];
        const size_t run = inputs - k < longest ? inputs - k : longest;
        multiply(sums, x + k * (4u / q), pitch, run, at.weights + k * STRIP, rows, q, flip);
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            int32_t made[STRIP];
            CSD_UNROLL
            for (size_t v = 0; v < VECTORS; v++)
                _mm512_storeu_si512(made + v * WIDE, sums[r][v]);
            for (size_t i = 0; i < STRIP; i++)
                all[r][i] += made[i];
        }
    }
    for (size_t r = 0; r < rows; r++) {
        float scaled[STRIP];
        for (size_t i = 0; i < STRIP; i++)
            scaled[i] = (float)all[r][i];
        for (size_t i = 0; i < at.count; i++)
            scaled[i] *= multiplier[i];
        CSD_KERNEL(store_codes)
        (&args->out[0], (at.row + r) * outputs + at.from, scaled, at.count,
         p[CSD_QLINEAR_P_Y_ZERO].i, p[CSD_QLINEAR_P_LOW].i, p[CSD_QLINEAR_P_HIGH].i);
    }
}

static void strip_of_one(const csd_args *args, place at, size_t q) {
    if (q == 4u)
        strip(args, at, 1u, 4u);
    else
        strip(args, at, 1u, 2u);
}

static void strip_of_two(const csd_args *args, place at, size_t q) {
    if (q == 4u)
        strip(args, at, 2u, 4u);
    else
        strip(args, at, 2u, 2u);
}

static void strip_of_rows(const csd_args *args, place at, size_t q) {
    if (q == 4u)
        strip(args, at, ROWS, 4u);
    else
        strip(args, at, ROWS, 2u);
}

int CSD_FAST(qlinear)(const csd_args *args) {
    const csd_shape *x = &args->in[CSD_QLINEAR_X].shape;
    const csd_shape *shape = &args->in[CSD_QLINEAR_WEIGHT].shape;
    const size_t outputs = shape->dims[0], q = together(x), inputs = padded(shape->dims[1], q);
    const size_t rows = csd_count(x, 0, x->rank - 1u);
    const int64_t *start = args->prepared;
    if (start == NULL)
        return 0;
    const int8_t *weights = (const int8_t *)(start + padded(outputs, STRIP));
    for (size_t from = 0; from < outputs; from += STRIP) {
        const size_t count = outputs - from < STRIP ? outputs - from : STRIP;
        place at = {0, from, count, weights + from * inputs, start + from};
        for (; at.row + ROWS <= rows; at.row += ROWS)
            strip_of_rows(args, at, q);
        for (; at.row + 2u <= rows; at.row += 2u)
            strip_of_two(args, at, q);
        if (at.row < rows)
            strip_of_one(args, at, q);
    }
    return 1;
}

size_t CSD_PREPARE(qlinear)(const csd_args *args, void *memory) {
    const csd_input *weight = &args->in[CSD_QLINEAR_WEIGHT], *bias = &args->in[CSD_QLINEAR_BIAS];
    const size_t outputs = weight->shape.dims[0], inputs = weight->shape.dims[1];
    const size_t q = together(&args->in[CSD_QLINEAR_X].shape), all = padded(outputs, STRIP);
    const uint64_t size = (uint64_t)all * (sizeof(int64_t) + padded(inputs, q));
    const int8_t *w = weight->data;
    int64_t *start = memory;
    if (w == NULL || (bias->data == NULL && bias->shape.rank > 0) || size > MOST)
        return 0;
    if (memory == NULL)
        return (size_t)size;
    for (size_t m = 0; m < all; m++) {
        int64_t sum = 0;
        for (size_t k = 0; m < outputs && k < inputs; k++)
            sum += w[m * inputs + k];
        start[m] = -zero_of(args) * sum;
        if (m < outputs && bias->data != NULL)
            start[m] += ((const int32_t *)bias->data)[m];
    }
    int8_t *to = (int8_t *)(start + all);
    for (size_t from = 0; from < all; from += STRIP)
        for (size_t k = 0; k < inputs; k += q)
            for (size_t m = from; m < from + STRIP; m++)
                for (size_t i = k; i < k + q; i++)
                    *to++ = m < outputs && i < inputs ? w[m * inputs + i] : (int8_t)0;
    return (size_t)size;
}

#else
CSD_NOTHING_FAST(qlinear)
CSD_NOTHING_PREPARED(qlinear)
#endif
