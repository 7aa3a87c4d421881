/* Elementary functions in float32 that give the same bits on every IEEE 754 target, where those of
   libm differ from one library to the next. They use + - * / and integer operations alone, select
   rather than branch, and so vectorise. The largest errors over all float32 arguments, in units of
   the last place: exp 1.0, expm1 0.9, log 0.9, log1p 1.6, tanh 2.6, sigmoid 2.4, softplus 2.4,
   erf 1.4, pow 0.6; rounding and fmod are exact. A NaN gives a NaN, whose sign and payload are the
   target's.

   Polynomials: kernels/fit_elementary.py fits and prints them. */
#ifndef CSIDEPLOY_ELEMENTARY_H
#define CSIDEPLOY_ELEMENTARY_H

#include <stdint.h>

/* Adding and subtracting 1.5 2^23 rounds |x| < 2^22 to an integer, half to even; in between, the
   low bits of the sum are that integer. */
#define CSD_ROUNDER 12582912.0f
#define CSD_ROUNDER_BITS 0x4B400000u

#define CSD_LOG2_E 1.44269502f
/* ln 2 in two parts: 15 bits, so that a product with an exponent is exact, and the rest. */
#define CSD_LN2_HIGH 0.693145752f
#define CSD_LN2_LOW 1.42860677e-6f

typedef union csd_word {
    float f;
    uint32_t u;
} csd_word;

static inline uint32_t csd_bits(float x) {
    const csd_word word = {.f = x};
    return word.u;
}

static inline float csd_float(uint32_t bits) {
    const csd_word word = {.u = bits};
    return word.f;
}

static inline float csd_absolute(float x) { return csd_float(csd_bits(x) & 0x7FFFFFFFu); }

/* `magnitude`, not negative, with the sign of x. */
static inline float csd_with_sign(float magnitude, float x) {
    return csd_float(csd_bits(magnitude) | (csd_bits(x) & 0x80000000u));
}

/* The larger and the smaller of two; NaN if either is NaN. */
static inline float csd_max(float a, float b) { return a > b || a != a ? a : b; }

static inline float csd_min(float a, float b) { return a < b || a != a ? a : b; }

/* The nearest integer, half to even. Above 2^23 every float is an integer. */
static inline float csd_nearest(float x) {
    const float a = csd_absolute(x);
    const float rounded = (a + 8388608.0f) - 8388608.0f;
    return csd_with_sign(a < 8388608.0f ? rounded : a, x);
}

static inline float csd_floor(float x) {
    const float nearest = csd_nearest(x);
    const float down = nearest > x ? nearest - 1.0f : nearest;
    return csd_with_sign(csd_absolute(down), x);
}

static inline float csd_ceil(float x) {
    const float nearest = csd_nearest(x);
    const float up = nearest < x ? nearest + 1.0f : nearest;
    return csd_with_sign(csd_absolute(up), x);
}

/* e^r - 1 for |r| < 0.3475. */
static inline float csd_exp_near_0(float r) {
    float p = 0.000197644142f;
    p = p * r + 0.00139323808f;
    p = p * r + 0.00833354332f;
    p = p * r + 0.0416664928f;
    p = p * r + 0.166666657f;
    p = p * r + 0.5f;
    return r + r * r * p;
}

/* e^x = 2^k e^r with k = round(x / ln 2). 2^k is applied in two factors, since k goes from -152
   to 128; the first keeps the product normal, so that a subnormal result is rounded once. */
static inline float csd_exp(float x) {
    float bounded = x < -105.0f ? -105.0f : x;
    bounded = bounded > 89.0f ? 89.0f : bounded;
    const float shifted = bounded * CSD_LOG2_E + CSD_ROUNDER;
    const float k = shifted - CSD_ROUNDER;
    const float y = 1.0f + csd_exp_near_0((bounded - k * CSD_LN2_HIGH) - k * CSD_LN2_LOW);
    const uint32_t exponent = csd_bits(shifted) - CSD_ROUNDER_BITS; /* k, modulo 2^32 */
    const uint32_t first = ((exponent + 512u) >> 1) - 129u;         /* k / 2, biased */
    const uint32_t second = exponent + 254u - first;
    return y * csd_float(first << 23) * csd_float(second << 23);
}

/* e^x - 1 for x <= 0: 2^k (e^r - 1) + (2^k - 1), where the bracket is exact. */
static inline float csd_expm1_below_0(float x) {
    const float bounded = x < -18.0f ? -18.0f : x;
    const float shifted = bounded * CSD_LOG2_E + CSD_ROUNDER;
    const float k = shifted - CSD_ROUNDER;
    const float y = csd_exp_near_0((bounded - k * CSD_LN2_HIGH) - k * CSD_LN2_LOW);
    const float scale = csd_float((csd_bits(shifted) - CSD_ROUNDER_BITS + 127u) << 23);
    return scale * y + (scale - 1.0f);
}

/* ln of a normal number 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), with `offset` added to k:
   k ln 2 + f - f^2 / 2 + f^3 p(f). */
static inline float csd_log_normal(float x, float offset) {
    const uint32_t half_root = 0x3F3504F3u; /* the bits of sqrt(1/2) */
    const uint32_t raised = csd_bits(x) + (0x3F800000u - half_root);
    const float k = (float)(int32_t)(raised >> 23) - 127.0f + offset;
    const float f = csd_float((raised & 0x007FFFFFu) + half_root) - 1.0f;
    float p = -0.0763643906f;
    p = p * f + 0.127622172f;
    p = p * f - 0.131596103f;
    p = p * f + 0.1420158f;
    p = p * f - 0.166234091f;
    p = p * f + 0.200012416f;
    p = p * f - 0.250008196f;
    p = p * f + 0.333333313f;
    const float square = f * f;
    float tail = p * f * square;
    tail = tail + k * CSD_LN2_LOW;
    tail = tail - 0.5f * square;
    return f + tail + k * CSD_LN2_HIGH;
}

/* -infinity at 0, NaN below. */
static inline float csd_log(float x) {
    const int subnormal = x < 1.17549435e-38f;
    const float y = csd_log_normal(subnormal ? x * 8388608.0f : x, subnormal ? -23.0f : 0.0f);
    const float finite = x < csd_float(0x7F800000u) ? y : x;
    const float pole = x == 0.0f ? csd_float(0xFF800000u) : csd_float(0x7FC00000u);
    return x > 0.0f ? finite : pole;
}

/* ln(1 + x) for 0 <= x <= 1. What the sum loses is exactly x - (sum - 1), and costs that much
   divided by 1 + x, for which 1 - x / 2 is near enough. */
static inline float csd_log1p_to_1(float x) {
    const float sum = 1.0f + x;
    const float lost = x - (sum - 1.0f);
    return csd_log_normal(sum, 0.0f) + lost * (1.0f - 0.5f * x);
}

/* tanh |x| = -m / (2 + m) with m = e^(-2|x|) - 1. */
static inline float csd_tanh(float x) {
    const float m = csd_expm1_below_0(-2.0f * csd_absolute(x));
    return csd_with_sign(csd_absolute(m / (2.0f + m)), x);
}

/* 1 / (1 + e^-x), with an exponential that is never large, so that no digits are lost. */
static inline float csd_sigmoid(float x) {
    const float e = csd_exp(-csd_absolute(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

/* ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|). */
static inline float csd_softplus(float x) {
    const float tail = csd_log1p_to_1(csd_exp(-csd_absolute(x)));
    return (x > 0.0f ? x : 0.0f) + tail;
}

/* x + x p(x^2) up to 1, 1 - e^(-q(x)) above; 1 to the last bit from 4 on. */
static inline float csd_erf(float x) {
    const float square = x * x;
    float p = 7.80690316e-05f;
    p = p * square - 0.00079978531f;
    p = p * square + 0.0051871622f;
    p = p * square - 0.0268533472f;
    p = p * square + 0.112835787f;
    p = p * square - 0.37612626f;
    p = p * square + 0.128379166f;
    const float magnitude = csd_absolute(x);
    const float a = magnitude > 4.0f ? 4.0f : magnitude;
    float q = -0.000186367382f;
    q = q * a + 0.00294757425f;
    q = q * a - 0.0218378324f;
    q = q * a + 0.103106447f;
    q = q * a + 0.63814503f;
    q = q * a + 1.12708914f;
    q = q * a + 0.000341522304f;
    const float far = csd_with_sign(1.0f - csd_exp(-q), x);
    return magnitude < 1.0f ? x + x * p : far;
}

typedef union csd_long_word {
    double f;
    uint64_t u;
} csd_long_word;

/* log2 x for a finite x >= 0: k + 2 atanh(s) / ln 2 with s = (m - 1) / (m + 1). In float64, since
   a power of two multiplies the error by up to 128. */
static inline double csd_log2_long(float x) {
    const uint64_t half_root = 0x3FE6A09E667F3BCDu; /* the bits of sqrt(1/2) */
    csd_long_word word = {.f = (double)x};
    const uint64_t raised = word.u + (0x3FF0000000000000u - half_root);
    const double k = (double)(int32_t)(raised >> 52) - 1023.0;
    word.u = (raised & 0x000FFFFFFFFFFFFFu) + half_root;
    const double s = (word.f - 1.0) / (word.f + 1.0);
    const double t = s * s;
    double p = 0.28290890410930325;
    p = p * t + 0.31990505696174149;
    p = p * t + 0.41220926882536046;
    p = p * t + 0.57707794219154507;
    p = p * t + 0.96179669411398072;
    p = p * t + 2.8853900817778495;
    return x == 0.0f ? -(double)csd_float(0x7F800000u) : k + s * p;
}

/* 2^z, rounded once. */
static inline float csd_exp2_long(double z) {
    double bounded = z < -200.0 ? -200.0 : z;
    bounded = bounded > 200.0 ? 200.0 : bounded;
    const csd_long_word shifted = {.f = bounded + 6755399441055744.0}; /* 1.5 2^52 */
    const double f = bounded - (shifted.f - 6755399441055744.0);
    const csd_long_word scale = {.u = (shifted.u - 0x4338000000000000u + 1023u) << 52};
    double p = 1.5201919334799748e-05;
    p = p * f + 0.00015469291140160265;
    p = p * f + 0.001333392257364167;
    p = p * f + 0.0096180272536844254;
    p = p * f + 0.055504103534347801;
    p = p * f + 0.24022651198157385;
    p = p * f + 0.69314718072845116;
    p = p * f + 0.9999999999616821;
    return (float)(p * scale.f);
}

/* a to the power b with the special values of C99 (and of NumPy): 1 for b = 0 and for a = 1,
   whatever the other; NaN for a negative a and a fraction. */
static inline float csd_pow(float a, float b) {
    const float infinity = csd_float(0x7F800000u);
    const float size = csd_absolute(a);
    const double logarithm = size < infinity ? csd_log2_long(size) : (double)size;
    const float y = csd_exp2_long((double)b * logarithm);
    const int whole = csd_nearest(b) == b;
    const int odd = whole && csd_nearest(0.5f * b) != 0.5f * b;
    if (b == 0.0f || a == 1.0f || (size == 1.0f && csd_absolute(b) == infinity))
        return 1.0f;
    if (a < 0.0f && a > -infinity && !whole)
        return csd_float(0x7FC00000u);
    return odd ? csd_with_sign(csd_absolute(y), a) : y;
}

/* A float as significand * 2^(exponent - 150); exponent 1 for subnormal numbers. */
static inline uint32_t csd_exponent(float x) {
    const uint32_t exponent = csd_bits(x) >> 23 & 0xFFu;
    return exponent == 0 ? 1u : exponent;
}

static inline uint32_t csd_significand(float x) {
    const uint32_t hidden = (csd_bits(x) & 0x7F800000u) == 0 ? 0u : 0x00800000u;
    return (csd_bits(x) & 0x007FFFFFu) | hidden;
}

/* The remainder of a / b with the sign of a, exact: long division, eight bits at a time. */
static inline float csd_fmod(float a, float b) {
    const float x = csd_absolute(a), y = csd_absolute(b);
    if (!(x < csd_float(0x7F800000u)) || !(y > 0.0f))
        return csd_float(0x7FC00000u);
    if (x < y)
        return a;
    const uint32_t divisor = csd_significand(y), exponent = csd_exponent(y);
    uint32_t rest = csd_significand(x) % divisor;
    for (uint32_t left = csd_exponent(x) - exponent; left > 0;) {
        const uint32_t bits = left < 8u ? left : 8u;
        rest = (rest << bits) % divisor;
        left -= bits;
    }
    const uint32_t unit = exponent > 23u ? (exponent - 23u) << 23 : 1u << (exponent - 1u);
    return csd_with_sign((float)rest * csd_float(unit), a);
}

#endif
