/* y = function(x), element by element; may run in place. Errors in units of the last place are
   those of kernels/elementary.h: exp 1.0, log 0.9, erf 1.4, softplus 2.4; sqrt and reciprocal are
   rounded once; MISH and ELU are within 5 units. GELU, GELU_TANH and SWISH lose digits where they go
   to 0 on one side, and are within 4 eps |x|. A NaN stays a NaN. */
#include <math.h>

#include "../elementary.h"
#include "../kernels.h"

/* tanh(ln(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2); above 0 in e^-x, which is never large. */
static inline float mish(float x) {
    const float e = csd_exp(-csd_absolute(x));
    const float n = x < 0.0f ? e * (e + 2.0f) : 1.0f + 2.0f * e;
    const float d = x < 0.0f ? n + 2.0f : n + 2.0f * (e * e);
    return x * (n / d);
}

/* (1 + tanh u) / 2 = sigmoid(2 u); sqrt(8 / pi) = 1.59576912. */
static inline float gelu_tanh(float x) {
    return x * csd_sigmoid(1.59576912f * (x + 0.044715f * (x * x * x)));
}

static inline float elu(float x, float alpha) {
    return x < 0.0f ? alpha * csd_expm1_below_0(x) : x;
}

static inline float sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }

/* min(max(x, low), high), in this order; a NaN compares false and stays. */
static inline float clip(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

#define EACH(expression)                                                                           \
    CSD_ELEMENTWISE                                                                                \
    for (size_t i = 0; i < count; i++)                                                             \
        y[i] = (expression);                                                                       \
    return

static void map(float *y, const float *x, size_t count, csd_unary function, float alpha,
                float beta) {
    switch (function) {
    case CSD_UNARY_NEG:
        EACH(-x[i]);
    case CSD_UNARY_ABS:
        EACH(csd_absolute(x[i]));
    case CSD_UNARY_EXP:
        EACH(csd_exp(x[i]));
    case CSD_UNARY_LOG:
        EACH(csd_log(x[i]));
    case CSD_UNARY_SQRT:
        EACH(sqrtf(x[i]));
    case CSD_UNARY_RECIPROCAL:
        EACH(1.0f / x[i]);
    case CSD_UNARY_ERF:
        EACH(csd_erf(x[i]));
    case CSD_UNARY_FLOOR:
        EACH(csd_floor(x[i]));
    case CSD_UNARY_CEIL:
        EACH(csd_ceil(x[i]));
    case CSD_UNARY_ROUND:
        EACH(csd_nearest(x[i]));
    case CSD_UNARY_SIGN:
        EACH(sign(x[i]));
    case CSD_UNARY_SOFTPLUS:
        EACH(csd_softplus(x[i]));
    case CSD_UNARY_MISH:
        EACH(mish(x[i]));
    case CSD_UNARY_GELU:
        EACH(0.5f * x[i] * (1.0f + csd_erf(x[i] * 0.707106781f)));
    case CSD_UNARY_GELU_TANH:
        EACH(gelu_tanh(x[i]));
    case CSD_UNARY_HARD_SIGMOID:
        EACH(clip(alpha * x[i] + beta, 0.0f, 1.0f));
    case CSD_UNARY_CLIP:
        EACH(clip(x[i], alpha, beta));
    case CSD_UNARY_ELU:
        EACH(elu(x[i], alpha));
    case CSD_UNARY_SWISH:
        EACH(x[i] * csd_sigmoid(alpha * x[i]));
    }
}

void CSD_KERNEL(unary)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_UNARY_X];
    map(args->out[0].data, x->data, csd_size(&x->shape),
        (csd_unary)args->params[CSD_UNARY_P_FUNCTION].u, args->params[CSD_UNARY_P_ALPHA].f,
        args->params[CSD_UNARY_P_BETA].f);
}
