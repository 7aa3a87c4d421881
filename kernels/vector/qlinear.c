/* y = requantized bias + sum (x - x_zero) weight: x (..., K), weight int8 (M, K).

   One instruction multiplies four bytes of a row of x with those of sixteen outputs, and adds the
   products of each output to its sum; of 16-bit x, two words. For this the weights of sixteen outputs
   stand side by side, q = 4 or 2 inputs together, and four such vectors, a strip, follow one another
   from the first input to the last, with weights of 0 where there are none:

       bytes[strip][input / q][output mod 64][input mod q]

   x86 multiplies a u8 with an i8, and an i8 plus 128 is a u8; Arm two i8, and a u8 less 128 is one.
   There 16-bit x is left to the general kernel. What the zero point makes of an output is made before, with its bias:
   sum (x - zero) w + bias = sum x w + start. Nothing is rounded before the end: order does not
   matter. */
#include <string.h>

#include "../codes.h"
#include "../fast.h"
#include "../vectors.h"

#if defined(CSD_HAS_AVX512) || (defined(CSD_HAS_NEON) && defined(__ARM_FEATURE_DOTPROD))

#define WIDE 16u   /* outputs of a vector */
#define VECTORS 4u /* of a strip */
#define STRIP (WIDE * VECTORS)
#define RUN 256u   /* inputs of 16 bits whose products with 8 bits fit 32 bits in all */
#define MOST (64u << 20)

static size_t together(const csd_shape *x) { return x->dtype == CSD_I16 ? 2u : 4u; }

static size_t padded(size_t count, size_t to) { return (count + to - 1u) / to * to; }

#if defined(CSD_HAS_AVX512)
#include "../x86/strip_products_avx512.h"
#else
#include "../arm/strip_products_dotprod.h"
#endif

/* The zero point of x as it is multiplied: as words, or as bytes of the one type. */
static int64_t zero_of(const csd_args *args) {
    return args->params[CSD_QLINEAR_P_X_ZERO].i +
           (args->in[CSD_QLINEAR_X].shape.dtype == FLIPPED ? SHIFT : 0);
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
    const int flip = args->in[CSD_QLINEAR_X].shape.dtype == FLIPPED ? (int)0x80808080u : 0;
    const uint8_t *x = (const uint8_t *)args->in[CSD_QLINEAR_X].data + at.row * pitch;
    const size_t longest = q == 2u ? RUN : inputs;
    const csd_param *p = args->params;
    int64_t all[ROWS][STRIP];
    for (size_t r = 0; r < rows; r++)
        memcpy(all[r], at.start, sizeof all[r]);
    for (size_t k = 0; k < inputs; k += longest) {
        int32_t made[ROWS][STRIP];
        const size_t run = inputs - k < longest ? inputs - k : longest;
        multiply(made, x + k * (4u / q), pitch, run, at.weights + k * STRIP, rows, q, flip);
        for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < STRIP; i++)
                all[r][i] += made[r][i];
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

#if ROWS > 1
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
#endif

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
#if ROWS > 1
        for (; at.row + 2u <= rows; at.row += 2u)
            strip_of_two(args, at, q);
        if (at.row < rows)
            strip_of_one(args, at, q);
#endif
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
    if (w == NULL || (bias->data == NULL && bias->shape.rank > 0) || size > MOST ||
        (q == 2u && !WORDS))
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
