/* Relations between shapes that several operations ask for. A symbolic dimension is compared as its
   code, so that n fits n alone. */
#ifndef CSIDEPLOY_VERIFY_SHAPES_H
#define CSIDEPLOY_VERIFY_SHAPES_H

#include "verify.h"

typedef const csd_tensor_record *csd_tensor_ref;

static inline int csd_is_number(uint32_t dim) { return dim <= CSD_DIM_MAX; }

static inline int csd_same_shape(csd_tensor_ref a, csd_tensor_ref b) {
    int same = a->rank == b->rank;
    for (uint32_t i = 0; i < CSD_MAX_RANK; i++)
        same &= a->dims[i] == b->dims[i];
    return same;
}

static inline int csd_same_but_last(csd_tensor_ref a, csd_tensor_ref b) {
    int same = a->rank == b->rank;
    for (uint32_t i = 0; i + 1u < a->rank; i++)
        same &= a->dims[i] == b->dims[i];
    return same;
}

static inline uint32_t csd_last(csd_tensor_ref a) { return a->dims[a->rank - 1u]; }

/* An absent vector, or one of `count` elements. */
static inline int csd_is_vector(csd_tensor_ref a, uint32_t count) {
    return a == NULL || (a->rank == 1 && a->dims[0] == count);
}

static inline int csd_is_vector_or_one(csd_tensor_ref a, uint32_t count) {
    return csd_is_vector(a, count) || csd_is_vector(a, 1);
}

/* The bytes of a constant. */
static inline const void *csd_constant(csd_tensor_ref tensor, const csd_part *part) {
    const uint8_t *weights = part->sections[CSD_SECTION_WEIGHTS].data;
    return weights + tensor->place;
}

/* Is no number of a constant of floats infinite or NaN? */
static inline csd_status csd_check_finite(csd_tensor_ref constant, const csd_part *part) {
    const csd_param *values = (const csd_param *)csd_constant(constant, part);
    for (uint64_t i = 0; i < constant->nbytes / 4u; i++)
        if ((values[i].u & 0x7F800000u) == 0x7F800000u)
            return CSD_FIELD_FLOAT;
    return CSD_OK;
}

/* A slope is there exactly when the activation reads it. */
static inline int csd_activation_fits(csd_param activation, csd_tensor_ref slope, uint32_t channels) {
    if ((activation.u == CSD_ACT_PRELU) != (slope != NULL))
        return 0;
    return csd_is_vector_or_one(slope, channels);
}

static inline csd_status csd_shape_if(int fits) { return fits ? CSD_OK : CSD_BAD_SHAPE; }

/* y = floor((x + pads - (dilation (kernel - 1) + 1)) / stride) + 1; all below 2^49. */
static inline int csd_window_fits(uint32_t x, uint32_t kernel, uint32_t y, uint32_t stride, uint32_t dilation,
                       uint32_t pad_before, uint32_t pad_after) {
    const uint64_t padded = (uint64_t)x + pad_before + pad_after;
    const uint64_t reach = (uint64_t)dilation * (kernel - 1u) + 1u;
    return reach <= padded && (padded - reach) / stride + 1u == y;
}

/* verify_ops.c: image, weight and result of a convolution with groups and a window. */
int csd_convolution_fits(csd_tensor_ref x, csd_tensor_ref w, csd_tensor_ref y,
                         const csd_param *p);

#endif
