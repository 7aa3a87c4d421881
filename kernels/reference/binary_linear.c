/* y = activation(scale (x . signs) + bias): x (..., K), weight bits (M, ceil(K / 8)), where bit 1
   is +1 and the first input is the most significant bit.

   Four inputs have only 16 signed sums. They are computed once and looked up by all M rows, so
   that a row costs K / 4 additions and no multiplication; the packed bits are never unpacked.

   Order of summation: (+-x0 +-x1) + (+-x2 +-x3) for each group of four; groups in order within a
   block of 64 inputs; blocks in order; then scale, then bias. The error of the sum before scaling
   is at most (K / 64 + 18) eps sum |x|. Inputs beyond K count as 0, so the tail bits do not
   matter. The sums are signed from the start: twice the sum over set bits less the sum over all
   would cancel. */
#include "../kernels.h"

#define BLOCK 64
#define GROUPS (BLOCK / 4)

static void signed_sums(float table[16], const float x[4]) {
    const float high[4] = {-x[0] - x[1], -x[0] + x[1], x[0] - x[1], x[0] + x[1]};
    const float low[4] = {-x[2] - x[3], -x[2] + x[3], x[2] - x[3], x[2] + x[3]};
    for (size_t bits = 0; bits < 16; bits++)
        table[bits] = high[bits >> 2] + low[bits & 3];
}

static void build_tables(float tables[GROUPS][16], const float *x, size_t count) {
    for (size_t g = 0; g < GROUPS; g++) {
        float four[4] = {0};
        for (size_t i = 0; i < 4 && 4 * g + i < count; i++)
            four[i] = x[4 * g + i];
        signed_sums(tables[g], four);
    }
}

/* One block of one row; `bytes` may end early in the last block, where the tables hold zeros. */
static float block_sum(float tables[GROUPS][16], const uint8_t *weight, size_t bytes) {
    float sum = 0.0f;
    for (size_t i = 0; i < bytes; i++) {
        sum += tables[2 * i][weight[i] >> 4];
        sum += tables[2 * i + 1][weight[i] & 15];
    }
    return sum;
}

static void multiply_row(float *y, size_t outputs, const float *x, size_t inputs,
                         const uint8_t *weight) {
    const size_t row_bytes = (inputs + 7) / 8;
    for (size_t m = 0; m < outputs; m++)
        y[m] = 0.0f;
    for (size_t at = 0; at < inputs; at += BLOCK) {
        float tables[GROUPS][16];
        const size_t left = row_bytes - at / 8;
        const uint8_t *w = weight + at / 8;
        build_tables(tables, x + at, inputs - at);
        if (left >= BLOCK / 8) {
            for (size_t m = 0; m < outputs; m++)
                y[m] += block_sum(tables, w + m * row_bytes, BLOCK / 8);
        } else {
            for (size_t m = 0; m < outputs; m++)
                y[m] += block_sum(tables, w + m * row_bytes, left);
        }
    }
}

void CSD_KERNEL(binary_linear)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_BINARY_LINEAR_X];
    const csd_input *scales = &args->in[CSD_BINARY_LINEAR_SCALE];
    const float *bias = args->in[CSD_BINARY_LINEAR_BIAS].data;
    const size_t outputs = args->in[CSD_BINARY_LINEAR_WEIGHT].shape.dims[0];
    const size_t inputs = x->shape.dims[x->shape.rank - 1];
    const size_t rows = csd_count(&x->shape, 0, x->shape.rank - 1);
    const float *scale = scales->data;
    const size_t scale_step = scales->shape.dims[0] == 1 ? 0 : 1;
    const float *from = x->data;
    float *y = args->out[0].data;
    for (size_t r = 0; r < rows; r++, from += inputs) {
        float *row = y + r * outputs;
        multiply_row(row, outputs, from, inputs, args->in[CSD_BINARY_LINEAR_WEIGHT].data);
        for (size_t m = 0; m < outputs; m++) {
            const float scaled = scale[m * scale_step] * row[m];
            row[m] = bias ? scaled + bias[m] : scaled;
        }
    }
    CSD_KERNEL(activate_columns)
    (y, rows, outputs, args->params[CSD_BINARY_LINEAR_P_ACTIVATION].u,
     args->params[CSD_BINARY_LINEAR_P_ALPHA].f, &args->in[CSD_BINARY_LINEAR_SLOPE]);
}
