/* y = requantized bias + sum (x - x_zero) weight: x (..., K), weight int8 (M, K).

   A run of x is copied as 16-bit words, which are x - x_zero for 8-bit x: products of two 16-bit
   words, added up in 32 bits, are what vector units have instructions for. 16-bit x stays as it is,
   and x_zero times the sum of the weights is taken off. Nothing is rounded before the end, so that
   order does not matter; a run fits 32 bits (256 x 2^15 x 2^7), and runs add up in 64. */
#include <string.h>

#include "../arm/helium.h"
#include "../codes.h"

#define RUN 256
#define OUTPUTS 64

static void copy_run(int16_t *words, const csd_input *x, size_t at, size_t count, int32_t zero) {
    if (x->shape.dtype == CSD_U8) {
        const uint8_t *from = (const uint8_t *)x->data + at;
        for (size_t k = 0; k < count; k++)
            words[k] = (int16_t)(from[k] - zero);
    } else if (x->shape.dtype == CSD_I8) {
        const int8_t *from = (const int8_t *)x->data + at;
        for (size_t k = 0; k < count; k++)
            words[k] = (int16_t)(from[k] - zero);
    } else {
        memcpy(words, (const int16_t *)x->data + at, count * sizeof *words);
    }
}

static int32_t dot(const int16_t *x, const int8_t *w, size_t count) {
#ifdef CSD_HAS_HELIUM
    return csd_helium_dot(x, w, count);
#else
    int32_t sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += x[k] * w[k];
    return sum;
#endif
}

static int32_t sum_of(const int8_t *w, size_t count) {
    int32_t sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += w[k];
    return sum;
}

#ifdef __ARM_FEATURE_DOTPROD
/* Here four products of bytes are one addition: 8-bit x stays bytes, a u8 less 128 as an i8. What is
   left in of x_zero comes off as for 16-bit x, with the sum of the weights as a product with ones. */
static int32_t dot_bytes(const int8_t *x, const int8_t *w, size_t count) {
    int32_t sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += x[k] * w[k];
    return sum;
}

static void add_run_of_bytes(int64_t *sums, size_t count, const csd_input *x, size_t at, size_t run,
                             size_t inputs, const int8_t *w, int32_t zero) {
    const uint8_t *from = (const uint8_t *)x->data + at;
    const uint8_t flip = x->shape.dtype == CSD_U8 ? 0x80 : 0;
    const int32_t left_in = zero - flip;
    int8_t bytes[RUN], ones[RUN];
    memset(ones, 1, sizeof ones);
    for (size_t k = 0; k < run; k++)
        bytes[k] = (int8_t)(from[k] ^ flip);
    for (size_t i = 0; i < count; i++, w += inputs)
        sums[i] += dot_bytes(bytes, w, run) - left_in * dot_bytes(ones, w, run);
}
#endif

/* sums[i] += products of `run` elements of x from `at` on with `count` rows of the weight. */
static void add_run(int64_t *sums, size_t count, const csd_input *x, size_t at, size_t run,
                    size_t inputs, const int8_t *w, int32_t zero) {
    const int64_t left_in = x->shape.dtype == CSD_I16 ? zero : 0;
    int16_t words[RUN];
    copy_run(words, x, at, run, zero);
    for (size_t i = 0; i < count; i++, w += inputs) {
        sums[i] += dot(words, w, run);
        if (left_in != 0)
            sums[i] -= left_in * sum_of(w, run);
    }
}

/* The same with one whole row of x, which starts at `from`. */
static void add_products(int64_t *sums, size_t count, const csd_input *x, size_t from,
                         size_t inputs, const int8_t *weight, int32_t zero) {
    for (size_t at = 0; at < inputs; at += RUN) {
        const size_t run = inputs - at < RUN ? inputs - at : RUN;
#ifdef __ARM_FEATURE_DOTPROD
        if (x->shape.dtype != CSD_I16) {
            add_run_of_bytes(sums, count, x, from + at, run, inputs, weight + at, zero);
            continue;
        }
#endif
        add_run(sums, count, x, from + at, run, inputs, weight + at, zero);
    }
}

/* Requantizes `count` sums of a row, and stores them. */
static void store_row(const csd_args *args, size_t at, const int64_t *sums, size_t from,
                      size_t count) {
    const float *multiplier = args->in[CSD_QLINEAR_MULTIPLIER].data;
    const csd_param *p = args->params;
    float scaled[OUTPUTS];
    for (size_t i = 0; i < count; i++)
        scaled[i] = (float)sums[i] * multiplier[from + i];
    CSD_KERNEL(store_codes)
    (&args->out[0], at, scaled, count, p[CSD_QLINEAR_P_Y_ZERO].i, p[CSD_QLINEAR_P_LOW].i,
     p[CSD_QLINEAR_P_HIGH].i);
}

void CSD_KERNEL(qlinear)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_QLINEAR_X];
    const csd_shape *shape = &args->in[CSD_QLINEAR_WEIGHT].shape;
    const size_t outputs = shape->dims[0], inputs = shape->dims[1];
    const size_t rows = csd_count(&x->shape, 0, x->shape.rank - 1);
    const int8_t *weight = args->in[CSD_QLINEAR_WEIGHT].data;
    const int32_t *bias = args->in[CSD_QLINEAR_BIAS].data;
    for (size_t from = 0; from < outputs; from += OUTPUTS) {
        const size_t count = outputs - from < OUTPUTS ? outputs - from : OUTPUTS;
        for (size_t row = 0; row < rows; row++) {
            int64_t sums[OUTPUTS];
            for (size_t i = 0; i < count; i++)
                sums[i] = bias ? bias[from + i] : 0;
            add_products(sums, count, x, row * inputs, inputs, weight + from * inputs,
                         args->params[CSD_QLINEAR_P_X_ZERO].i);
            store_row(args, row * outputs + from, sums, from, count);
        }
    }
}
