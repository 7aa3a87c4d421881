/* Windows over an axis, for convolution and pooling. */
#ifndef CSIDEPLOY_WINDOW_H
#define CSIDEPLOY_WINDOW_H

#include <stddef.h>

/* Outputs [first, end) of a line whose input `o * stride + offset` lies inside [0, in). */
typedef struct csd_span {
    size_t first;
    size_t end;
} csd_span;

static inline csd_span csd_inside(size_t in, size_t out, size_t stride, ptrdiff_t offset) {
    csd_span s = {0, 0};
    if (offset < 0)
        s.first = ((size_t)-offset + stride - 1) / stride;
    if (offset < (ptrdiff_t)in)
        s.end = (size_t)((ptrdiff_t)in - 1 - offset) / stride + 1;
    if (s.end > out)
        s.end = out;
    if (s.first > s.end)
        s.first = s.end;
    return s;
}

#endif
