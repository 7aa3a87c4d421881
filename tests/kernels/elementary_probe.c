/* The functions of kernels/elementary.h over arrays, for test_elementary.py. */
#include <stddef.h>

#include "../../kernels/elementary.h"

#define ONE(name)                                                                                  \
    void probe_##name(const float *x, float *y, size_t count);                                     \
    void probe_##name(const float *x, float *y, size_t count) {                                    \
        for (size_t i = 0; i < count; i++)                                                         \
            y[i] = csd_##name(x[i]);                                                               \
    }
#define TWO(name)                                                                                  \
    void probe_##name(const float *a, const float *b, float *y, size_t count);                     \
    void probe_##name(const float *a, const float *b, float *y, size_t count) {                    \
        for (size_t i = 0; i < count; i++)                                                         \
            y[i] = csd_##name(a[i], b[i]);                                                         \
    }

ONE(nearest)
ONE(floor)
ONE(ceil)
ONE(exp)
ONE(expm1_below_0)
ONE(log)
ONE(log1p_to_1)
ONE(tanh)
ONE(sigmoid)
ONE(softplus)
ONE(erf)
TWO(pow)
TWO(fmod)
