/* y = requantized bias + sum (x - x_zero) weight: x (..., K), weight int8 (M, K).

   The sum is taken as sum x w - x_zero sum w: plain dot products of narrow integers, for which
   compilers know instructions, and one sum of weights for several rows of x. Nothing is rounded
   before the end, so that order does not matter. For 8-bit x all fits 32 bits: the verifier holds
   K 255 128 + |bias| below 2^31. For 16-bit x a run of RUN products fits, and runs add up in 64. */
#include "../codes.h"

#define ROWS 4
#define OUTPUTS 32
#define RUN 256

static int32_t dot_u8(const uint8_t *x, const int8_t *w, size_t count) {
    int32_t sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += x[k] * w[k];
    return sum;
}

static int32_t dot_i8(const int8_t *x, const int8_t *w, size_t count) {
    int32_t sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += x[k] * w[k];
    return sum;
}

static int64_t dot_i16(const int16_t *x, const int8_t *w, size_t count) {
    int64_t total = 0;
    for (size_t at = 0; at < count; at += RUN) {
        const size_t run = count - at < RUN ? count - at : RUN;
        int32_t sum = 0;
        for (size_t k = 0; k < run; k++)
            sum += x[at + k] * w[at + k];
        total += sum;
    }
    return total;
}

static int32_t sum_of(const int8_t *w, size_t count) {
    int32_t sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += w[k];
    return sum;
}

/* The sum for one row of x and one output, where weights_sum is that of w. */
static float total(const csd_input *x, size_t row, const int8_t *w, size_t inputs,
                   int32_t weights_sum, int32_t zero, int32_t bias) {
    if (x->shape.dtype == CSD_I16) {
        const int64_t sum = dot_i16((const int16_t *)x->data + row * inputs, w, inputs);
        return (float)(sum - (int64_t)zero * weights_sum + bias);
    }
    const int32_t sum = x->shape.dtype == CSD_U8
                            ? dot_u8((const uint8_t *)x->data + row * inputs, w, inputs)
                            : dot_i8((const int8_t *)x->data + row * inputs, w, inputs);
    return (float)(sum - zero * weights_sum + bias);
}

void CSD_KERNEL(qlinear)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_QLINEAR_X];
    const csd_shape *shape = &args->in[CSD_QLINEAR_WEIGHT].shape;
    const size_t outputs = shape->dims[0], inputs = shape->dims[1];
    const size_t rows = csd_count(&x->shape, 0, x->shape.rank - 1);
    const int8_t *weight = args->in[CSD_QLINEAR_WEIGHT].data;
    const int32_t *bias = args->in[CSD_QLINEAR_BIAS].data;
    const float *multiplier = args->in[CSD_QLINEAR_MULTIPLIER].data;
    const csd_param *p = args->params;
    const int32_t x_zero = p[CSD_QLINEAR_P_X_ZERO].i;
    for (size_t row = 0; row < rows; row += ROWS) {
        const size_t some = rows - row < ROWS ? rows - row : ROWS;
        for (size_t from = 0; from < outputs; from += OUTPUTS) {
            float scaled[ROWS][OUTPUTS];
            const size_t count = outputs - from < OUTPUTS ? outputs - from : OUTPUTS;
            for (size_t i = 0; i < count; i++) {
                const size_t m = from + i;
                const int8_t *w = weight + m * inputs;
                const int32_t weights_sum = x_zero == 0 ? 0 : sum_of(w, inputs);
                for (size_t r = 0; r < some; r++)
                    scaled[r][i] = multiplier[m] * total(x, row + r, w, inputs, weights_sum, x_zero,
                                                         bias ? bias[m] : 0);
            }
            for (size_t r = 0; r < some; r++)
                CSD_KERNEL(store_codes)
                (&args->out[0], (row + r) * outputs + from, scaled[r], count,
                 p[CSD_QLINEAR_P_Y_ZERO].i, p[CSD_QLINEAR_P_LOW].i, p[CSD_QLINEAR_P_HIGH].i);
        }
    }
}
