/* y = activation(x weight^T + bias): x (..., K), weight (M, K).

   Order of summation: product k goes to partial sum k mod 16; the 16 sums are added by halves
   (0 with 8, 1 with 9, ...; then 0 with 4; ...), and the bias last. Sixteen independent sums fill
   a vector register of any width, without leave to reorder, and shorten the chain of roundings:
   the error is at most (K / 16 + 5) eps sum |x w|. */
#include "../kernels.h"

#define LANES 16

static float dot(const float *x, const float *w, size_t count) {
    float sums[LANES] = {0};
    size_t k = 0;
    for (; k + LANES <= count; k += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += x[k + lane] * w[k + lane];
    for (size_t lane = 0; k < count; k++, lane++)
        sums[lane] += x[k] * w[k];
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t lane = 0; lane < half; lane++)
            sums[lane] += sums[lane + half];
    return sums[0];
}

void CSD_KERNEL(linear)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_LINEAR_X];
    const csd_input *weight = &args->in[CSD_LINEAR_WEIGHT];
    const float *bias = args->in[CSD_LINEAR_BIAS].data;
    const size_t outputs = weight->shape.dims[0], inputs = weight->shape.dims[1];
    const size_t rows = csd_count(&x->shape, 0, x->shape.rank - 1);
    const float *from = x->data;
    const float *w = weight->data;
    float *y = args->out[0].data;
    for (size_t r = 0; r < rows; r++, from += inputs)
        for (size_t m = 0; m < outputs; m++) {
            const float sum = dot(from, w + m * inputs, inputs);
            y[r * outputs + m] = bias ? sum + bias[m] : sum;
        }
    CSD_KERNEL(activate_columns)
    (y, rows, outputs, args->params[CSD_LINEAR_P_ACTIVATION].u,
     args->params[CSD_LINEAR_P_ALPHA].f, &args->in[CSD_LINEAR_SLOPE]);
}
