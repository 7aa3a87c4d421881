/* Activations on a run of values, for all operations that fuse one. A NaN stays a NaN. */
#include "../elementary.h"
#include "../kernels.h"

/* Functions of much arithmetic gain by vectors of 512 bits, where 256 are the rule. */
#if defined(__AVX512F__) && defined(__GNUC__) && !defined(__clang__)
#define CSD_LONG_VECTORS __attribute__((noinline, target("prefer-vector-width=512")))
#else
#define CSD_LONG_VECTORS
#endif

CSD_LONG_VECTORS static void sigmoids(float *y, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] = csd_sigmoid(y[i]);
}

CSD_LONG_VECTORS static void tangents(float *y, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] = csd_tanh(y[i]);
}

static void rectify(float *y, size_t count, float slope) {
    for (size_t i = 0; i < count; i++)
        y[i] = y[i] < 0.0f ? slope * y[i] : y[i];
}

void CSD_KERNEL(activate)(float *y, size_t count, uint32_t activation, float slope) {
    switch ((csd_activation)activation) {
    case CSD_ACT_NONE:
        return;
    case CSD_ACT_RELU:
        for (size_t i = 0; i < count; i++)
            y[i] = y[i] < 0.0f ? 0.0f : y[i];
        return;
    case CSD_ACT_LEAKY:
    case CSD_ACT_PRELU:
        rectify(y, count, slope);
        return;
    case CSD_ACT_SIGMOID:
        sigmoids(y, count);
        return;
    case CSD_ACT_TANH:
        tangents(y, count);
        return;
    }
}

void CSD_KERNEL(activate_columns)(float *y, size_t rows, size_t columns, uint32_t activation,
                                  float alpha, const csd_input *slopes) {
    if (slopes->data == NULL || slopes->shape.dims[0] == 1) {
        CSD_KERNEL(activate)(y, rows * columns, activation, csd_slope(slopes, 0, alpha));
        return;
    }
    const float *slope = slopes->data;
    for (size_t r = 0; r < rows; r++, y += columns)
        for (size_t c = 0; c < columns; c++)
            y[c] = y[c] < 0.0f ? slope[c] * y[c] : y[c];
}
