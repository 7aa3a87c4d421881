/* y = activation(x weight^T + bias): x (..., K), weight (M, K).

   Order of summation: as in kernels/lanes.h, and the bias last. The error is at most
   (K / 16 + 5) eps sum |x w|. Where sixteen lanes are a register, tiles of rows and outputs share
   what is read, and of few inputs outputs go side by side; each sum is the same. */
#include <string.h>

#include "../lanes.h"
#include "../vectors.h"

static void dots(float *y, const float *x, const float *w, size_t inputs, size_t count) {
    for (size_t m = 0; m < count; m++)
        y[m] = csd_row_dot(x, w + m * inputs, inputs);
}

#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2) || defined(CSD_HAS_NEON)

#if defined(CSD_HAS_AVX512)
#define ROWS 4u
#else
#define ROWS 1u /* four sums of two or four registers each */
#endif
#define OUTPUTS 4u
#define PANEL (1u << 15) /* weights that all rows pass before the next */

/* The elements from `from` on, and zeros: a lane is never -0, so that adding 0 changes none. */
CSD_INLINE csd_wide load_rest(const float *x, size_t from, size_t count) {
    float held[CSD_WIDE] = {0};
    memcpy(held, x + from, (count - from) * sizeof *x);
    return csd_wide_load(held);
}

CSD_INLINE void add_products(csd_wide sums[ROWS][OUTPUTS], const csd_wide *x, const csd_wide *w,
                             size_t rows) {
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CSD_UNROLL
        for (size_t m = 0; m < OUTPUTS; m++)
            sums[r][m] = csd_wide_add(sums[r][m], csd_wide_mul(x[r], w[m]));
    }
}

CSD_INLINE void tile(float *y, size_t y_step, const float *x, const float *w, size_t inputs,
                     size_t rows) {
    csd_wide sums[ROWS][OUTPUTS], from_x[ROWS], from_w[OUTPUTS];
    size_t i = 0;
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CSD_UNROLL
        for (size_t m = 0; m < OUTPUTS; m++)
            sums[r][m] = csd_wide_all(0.0f);
    }
    for (; i + CSD_WIDE <= inputs; i += CSD_WIDE) {
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++)
            from_x[r] = csd_wide_load(x + r * inputs + i);
        CSD_UNROLL
        for (size_t m = 0; m < OUTPUTS; m++) {
            from_w[m] = csd_wide_load(w + m * inputs + i);
            /* The next outputs': a large weight comes from the third cache or beyond. */
            __builtin_prefetch(w + (OUTPUTS + m) * inputs + i);
        }
        add_products(sums, from_x, from_w, rows);
    }
    if (i < inputs) {
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++)
            from_x[r] = load_rest(x + r * inputs, i, inputs);
        CSD_UNROLL
        for (size_t m = 0; m < OUTPUTS; m++)
            from_w[m] = load_rest(w + m * inputs, i, inputs);
        add_products(sums, from_x, from_w, rows);
    }
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++)
        csd_wide_totals(y + r * y_step, sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
}

/* Sixteen outputs side by side, for fewer inputs than lanes: lane l of each is in sums[l]. Lanes
   from `lanes`, a power of two, on are 0, so that to join them changes nothing. */
CSD_INLINE void side_by_side(float *y, size_t y_step, const float *x, const float *w, size_t rows,
                             size_t inputs, size_t lanes) {
    csd_wide turned[CSD_WIDE], sums[CSD_WIDE];
    for (size_t l = 0; l < lanes; l++) {
        float column[CSD_WIDE] = {0};
        for (size_t m = 0; m < CSD_WIDE && l < inputs; m++)
            column[m] = w[m * inputs + l];
        turned[l] = csd_wide_load(column);
    }
    for (size_t r = 0; r < rows; r++, x += inputs, y += y_step) {
        CSD_UNROLL
        for (size_t l = 0; l < lanes; l++)
            sums[l] = csd_wide_add(csd_wide_all(0.0f),
                                   csd_wide_mul(csd_wide_all(l < inputs ? x[l] : 0.0f), turned[l]));
        CSD_UNROLL
        for (size_t half = lanes / 2u; half > 0; half /= 2u) {
            CSD_UNROLL
            for (size_t l = 0; l < half; l++)
                sums[l] = csd_wide_add(sums[l], sums[half + l]);
        }
        csd_wide_store(y, sums[0]);
    }
}

static void multiply_narrow(float *y, const float *x, const float *w, size_t rows, size_t inputs,
                            size_t outputs) {
    size_t m = 0;
    for (; m + CSD_WIDE <= outputs; m += CSD_WIDE) {
        if (inputs > 8u)
            side_by_side(y + m, outputs, x, w + m * inputs, rows, inputs, 16u);
        else if (inputs > 4u)
            side_by_side(y + m, outputs, x, w + m * inputs, rows, inputs, 8u);
        else
            side_by_side(y + m, outputs, x, w + m * inputs, rows, inputs, 4u);
    }
    for (size_t r = 0; r < rows && m < outputs; r++)
        dots(y + r * outputs + m, x + r * inputs, w + m * inputs, inputs, outputs - m);
}

#define ROWS_CASE(rows)                                                                            \
    case rows:                                                                                     \
        for (size_t m = from; m < end; m += OUTPUTS)                                               \
            tile(y + m, y_step, x, w + m * inputs, inputs, rows);                                  \
        break;

/* Up to ROWS rows and the outputs `from` to `end` - 1. */
static void panel_of(size_t rows, float *y, size_t y_step, const float *x, const float *w,
                     size_t inputs, size_t from, size_t end) {
    switch (rows) {
        ROWS_CASE(1u)
#if defined(CSD_HAS_AVX512)
        ROWS_CASE(2u)
        ROWS_CASE(3u)
        ROWS_CASE(4u)
#endif
    }
}

static void multiply(float *y, const float *x, const float *w, size_t rows, size_t inputs,
                     size_t outputs) {
    if (inputs < CSD_WIDE) {
        multiply_narrow(y, x, w, rows, inputs, outputs);
        return;
    }
    const size_t whole = outputs / OUTPUTS * OUTPUTS;
    /* All rows pass a panel of the weights while the second cache holds it. */
    const size_t most = PANEL / inputs / OUTPUTS * OUTPUTS, panel = most > 0 ? most : OUTPUTS;
    for (size_t from = 0; from < whole; from += panel) {
        const size_t end = whole - from < panel ? whole : from + panel;
        for (size_t r = 0; r < rows;) {
            const size_t taken = rows - r < ROWS ? rows - r : ROWS;
            panel_of(taken, y + r * outputs, outputs, x + r * inputs, w, inputs, from, end);
            r += taken;
        }
    }
    for (size_t r = 0; r < rows && whole < outputs; r++)
        dots(y + r * outputs + whole, x + r * inputs, w + whole * inputs, inputs,
             outputs - whole);
}

#else

static void multiply(float *y, const float *x, const float *w, size_t rows, size_t inputs,
                     size_t outputs) {
    for (size_t r = 0; r < rows; r++)
        dots(y + r * outputs, x + r * inputs, w, inputs, outputs);
}

#endif

void CSD_KERNEL(linear)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_LINEAR_X];
    const csd_input *weight = &args->in[CSD_LINEAR_WEIGHT];
    const float *bias = args->in[CSD_LINEAR_BIAS].data;
    const size_t outputs = weight->shape.dims[0], inputs = weight->shape.dims[1];
    const size_t rows = csd_count(&x->shape, 0, x->shape.rank - 1);
    float *y = args->out[0].data;
    multiply(y, x->data, weight->data, rows, inputs, outputs);
    for (size_t r = 0; bias != NULL && r < rows; r++)
        for (size_t m = 0; m < outputs; m++)
            y[r * outputs + m] += bias[m];
    CSD_KERNEL(activate_columns)
    (y, rows, outputs, args->params[CSD_LINEAR_P_ACTIVATION].u,
     args->params[CSD_LINEAR_P_ALPHA].f, &args->in[CSD_LINEAR_SLOPE]);
}
