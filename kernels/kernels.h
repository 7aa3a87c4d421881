/* The kernels of one instruction set. Each .c file defines one operation as CSD_KERNEL(name); the
   same source may be compiled once per instruction set with another CSD_ISA; what a set has of its
   own stands in fast.h.

   Numbers: the C standard's order of operations, no contraction of a * b + c, no reordering. So
   the vectoriser may only do several outputs at once, and results do not depend on it. */
#ifndef CSIDEPLOY_KERNELS_H
#define CSIDEPLOY_KERNELS_H

#include "csideploy/kernel.h"

#ifndef CSD_ISA
#define CSD_ISA reference
#endif
#define CSD_JOIN(isa, name) csd_##isa##_##name
#define CSD_EXPAND(isa, name) CSD_JOIN(isa, name)
#define CSD_KERNEL(name) CSD_EXPAND(CSD_ISA, name)

/* Before a loop whose element i of the result depends on element i of its operands alone, which may
   lie in the same bytes: otherwise a compiler that sees the overlap does not vectorise. */
#if defined(__GNUC__) && !defined(__clang__)
#define CSD_ELEMENTWISE _Pragma("GCC ivdep")
#else
#define CSD_ELEMENTWISE
#endif

#define CSD_DECLARE(NAME, name) void CSD_KERNEL(name)(const csd_args *args);
CSD_FOR_EACH_OP(CSD_DECLARE)
#undef CSD_DECLARE

/* y[i] = activation(y[i]); `slope` is what LEAKY and PRELU multiply negative values by. */
void CSD_KERNEL(activate)(float *y, size_t count, uint32_t activation, float slope);

/* The same over the rows of a matrix (rows, columns), with one slope a column: `slopes` has one
   element or `columns`, or is NULL, and then `alpha` is the slope of all. */
void CSD_KERNEL(activate_columns)(float *y, size_t rows, size_t columns, uint32_t activation,
                                  float alpha, const csd_input *slopes);

/* Product of dims[from] to dims[to - 1]. */
static inline size_t csd_count(const csd_shape *shape, uint32_t from, uint32_t to) {
    size_t count = 1;
    for (uint32_t i = from; i < to; i++)
        count *= shape->dims[i];
    return count;
}

static inline size_t csd_size(const csd_shape *shape) { return csd_count(shape, 0, shape->rank); }

/* Slope number `channel` of a PRELU, which may have one slope for all; else `alpha`. */
static inline float csd_slope(const csd_input *slopes, size_t channel, float alpha) {
    if (slopes->data == NULL)
        return alpha;
    return ((const float *)slopes->data)[slopes->shape.dims[0] == 1 ? 0 : channel];
}

#endif
