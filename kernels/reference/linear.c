/* y = activation(x weight^T + bias): x (..., K), weight (M, K).

   Order of summation: as in kernels/lanes.h, and the bias last. The error is at most
   (K / 16 + 5) eps sum |x w|. */
#include "../lanes.h"

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
            const float sum = csd_row_dot(from, w + m * inputs, inputs);
            y[r * outputs + m] = bias ? sum + bias[m] : sum;
        }
    CSD_KERNEL(activate_columns)
    (y, rows, outputs, args->params[CSD_LINEAR_P_ACTIVATION].u,
     args->params[CSD_LINEAR_P_ALPHA].f, &args->in[CSD_LINEAR_SLOPE]);
}
