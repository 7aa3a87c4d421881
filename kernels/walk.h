/* Walking tensors of up to three operands row by row, for kernels that broadcast, cut or transpose.

   A walk has axes, the innermost first; each has a size and, for each operand, a stride in
   elements: 0 where the operand repeats. Neighbouring axes that run on as one are joined, so that
   the rows are as long as they can be. */
#ifndef CSIDEPLOY_WALK_H
#define CSIDEPLOY_WALK_H

#include <string.h>

#include "kernels.h"

#define CSD_WALK_OPERANDS 3u
#define CSD_CHUNK 96u /* elements of a repeated operand that are laid out at once */

typedef struct csd_walk {
    uint32_t operands;
    uint32_t axes;
    size_t size[CSD_MAX_RANK];
    ptrdiff_t stride[CSD_MAX_RANK][CSD_WALK_OPERANDS];
    size_t index[CSD_MAX_RANK];
    ptrdiff_t at[CSD_WALK_OPERANDS]; /* where the current row begins in each operand */
} csd_walk;

static inline csd_walk csd_walk_start(uint32_t operands) {
    csd_walk walk = {.operands = operands, .axes = 1, .size = {1}};
    return walk;
}

/* Adds the next axis outwards. */
static inline void csd_walk_axis(csd_walk *walk, size_t size, const ptrdiff_t *stride) {
    const uint32_t last = walk->axes - 1u;
    const ptrdiff_t inner = (ptrdiff_t)walk->size[last];
    int joins = 1;
    if (size == 1)
        return;
    for (uint32_t i = 0; i < walk->operands; i++)
        joins &= stride[i] == (int64_t)walk->stride[last][i] * inner;
    if (inner == 1)
        memcpy(walk->stride[last], stride, walk->operands * sizeof *stride);
    if (inner == 1 || joins) {
        walk->size[last] *= size;
        return;
    }
    walk->size[walk->axes] = size;
    memcpy(walk->stride[walk->axes++], stride, walk->operands * sizeof *stride);
}

/* The next row; 0 after the last. */
static inline int csd_walk_next(csd_walk *walk) {
    for (uint32_t axis = 1; axis < walk->axes; axis++) {
        const int carries = ++walk->index[axis] == walk->size[axis];
        const ptrdiff_t steps = carries ? 1 - (ptrdiff_t)walk->size[axis] : 1;
        for (uint32_t i = 0; i < walk->operands; i++)
            walk->at[i] += steps * walk->stride[axis][i];
        if (!carries)
            return 1;
        walk->index[axis] = 0;
    }
    return 0;
}

/* A walk over y with the first `operands` inputs broadcast to it. Rows of y follow one another;
   in a row each operand has stride 0 or 1. */
static inline csd_walk csd_walk_broadcast(const csd_args *args, uint32_t operands) {
    const csd_shape *y = &args->out[0].shape;
    csd_walk walk = csd_walk_start(operands);
    size_t passed[CSD_WALK_OPERANDS] = {1, 1, 1};
    for (uint32_t back = 1; back <= y->rank; back++) {
        ptrdiff_t stride[CSD_WALK_OPERANDS] = {0};
        for (uint32_t i = 0; i < operands; i++) {
            const csd_shape *x = &args->in[i].shape;
            const uint32_t dim = back <= x->rank ? x->dims[x->rank - back] : 1u;
            stride[i] = dim == 1 ? 0 : (ptrdiff_t)passed[i];
            passed[i] *= dim;
        }
        csd_walk_axis(&walk, y->dims[y->rank - back], stride);
    }
    return walk;
}

/* Elements of a row to take at once, so that repeated operands fit their buffers. */
static inline size_t csd_walk_chunk(const csd_walk *walk) {
    for (uint32_t i = 0; i < walk->operands; i++)
        if (walk->stride[0][i] == 0 && walk->size[0] > CSD_CHUNK)
            return CSD_CHUNK;
    return walk->size[0];
}

/* A chunk of a repeated operand of any type. */
typedef union csd_held {
    float f32[CSD_CHUNK];
    int32_t i32[CSD_CHUNK];
    int16_t i16[CSD_CHUNK];
    uint8_t bytes[4u * CSD_CHUNK];
} csd_held;

/* count elements of `size` bytes, `stride` elements apart in x (0: one element, repeated), to y
   side by side. memcpy, since the elements may be of any type. */
static inline void csd_copy_elements(uint8_t *y, const uint8_t *x, ptrdiff_t stride, size_t count,
                                     size_t size) {
    uint32_t word;
    if (stride == 1 || count == 1) {
        memcpy(y, x, count * size);
    } else if (stride == 0 && size == 4) {
        memcpy(&word, x, 4);
        for (size_t i = 0; i < count; i++)
            memcpy(y + 4 * i, &word, 4);
    } else if (size == 4) {
        for (size_t i = 0; i < count; i++)
            memcpy(y + 4 * i, x + (ptrdiff_t)i * stride * 4, 4);
    } else if (size == 2) {
        for (size_t i = 0; i < count; i++)
            memcpy(y + 2 * i, x + (ptrdiff_t)i * stride * 2, 2);
    } else {
        for (size_t i = 0; i < count; i++)
            y[i] = x[(ptrdiff_t)i * stride];
    }
}

/* The elements [from, from + count) of the current row of operand i side by side: in place, or the
   repeated element laid out in `held`, which keeps it along the row. No run of a row is longer
   than its first. */
static inline const void *csd_walk_run(const csd_walk *walk, uint32_t i, const csd_input *input,
                                       size_t from, size_t count, csd_held *held) {
    const size_t element = input->shape.element;
    const uint8_t *data = (const uint8_t *)input->data + (size_t)walk->at[i] * element;
    if (walk->stride[0][i] != 0)
        return data + from * element;
    if (count == 1 && from == 0)
        return data;
    if (from == 0)
        csd_copy_elements(held->bytes, data, 0, count, element);
    return held;
}

/* y = the elements that a walk of one operand meets in x, side by side. */
static inline void csd_copy_walk(const csd_walk *start, const csd_output *y, const csd_input *x) {
    const size_t element = x->shape.element;
    csd_walk walk = *start;
    uint8_t *to = y->data;
    do {
        const uint8_t *from = (const uint8_t *)x->data + walk.at[0] * (ptrdiff_t)element;
        csd_copy_elements(to, from, walk.stride[0][0], walk.size[0], element);
        to += walk.size[0] * element;
    } while (csd_walk_next(&walk));
}

#endif
