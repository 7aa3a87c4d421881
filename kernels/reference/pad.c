/* x with before_i elements in front of axis i, and behind it as many as y's shape says; elements of
   any type. Each row of y is a pad, a copied row of x, and a pad; where an element of the pad comes
   from is decided axis by axis: EDGE the nearest element, REFLECT the mirror image without the
   edge, WRAP the periodic one. */
#include "../widen.h"

#define OUTSIDE SIZE_MAX

/* The element of x, along an axis of `size`, that stands at `at` of y; OUTSIDE: the constant. */
static size_t source(size_t at, size_t before, size_t size, csd_pad_mode mode) {
    if (at >= before && at - before < size)
        return at - before;
    switch (mode) {
    case CSD_PAD_MODE_EDGE:
        return at < before ? 0 : size - 1;
    case CSD_PAD_MODE_REFLECT:
        return at < before ? before - at : 2 * (size - 1) - (at - before);
    case CSD_PAD_MODE_WRAP:
        return (at + (size - before % size)) % size;
    case CSD_PAD_MODE_CONSTANT:
        break;
    }
    return OUTSIDE;
}

/* One row: x (size) in y (length); with x NULL all of it is the constant. */
typedef struct row_pad {
    size_t length, size, before, element;
    csd_pad_mode mode;
    uint8_t constant[4];
} row_pad;

static void pad_row(uint8_t *y, const uint8_t *x, const row_pad *p) {
    const size_t shown = x == NULL ? 0 : p->size;
    for (size_t at = 0; at < p->length; at++) {
        if (at == p->before && shown > 0) {
            memcpy(y + at * p->element, x, shown * p->element);
            at += shown - 1;
            continue;
        }
        const size_t from = shown > 0 ? source(at, p->before, p->size, p->mode) : OUTSIDE;
        memcpy(y + at * p->element, from == OUTSIDE ? p->constant : x + from * p->element,
               p->element);
    }
}

/* The constant as one element of x's type. */
static void set_constant(row_pad *p, float value, uint32_t dtype) {
    int32_t whole;
    if (dtype == CSD_F32) {
        memcpy(p->constant, &value, sizeof value);
        return;
    }
    csd_to_integers(&whole, &value, dtype, 1);
    csd_narrow(p->constant, &whole, p->element, 1);
}

void CSD_KERNEL(pad)(const csd_args *args) {
    const csd_shape *in = &args->in[CSD_PAD_X].shape, *out = &args->out[0].shape;
    const csd_param *before = args->params + CSD_PAD_P_BEFORE_0;
    const uint32_t last = in->rank - 1u;
    row_pad p = {out->dims[last],
                 in->dims[last],
                 before[last].u,
                 in->element,
                 (csd_pad_mode)args->params[CSD_PAD_P_MODE].u,
                 {0}};
    set_constant(&p, args->params[CSD_PAD_P_VALUE].f, in->dtype);
    const size_t rows = csd_count(out, 0, last);
    const uint8_t *x = args->in[CSD_PAD_X].data;
    uint8_t *y = args->out[0].data;
    for (size_t row = 0; row < rows; row++, y += p.length * p.element) {
        size_t rest = row, from = 0, step = 1;
        int inside = 1;
        for (uint32_t axis = last; axis-- > 0;) {
            const size_t at = source(rest % out->dims[axis], before[axis].u, in->dims[axis], p.mode);
            rest /= out->dims[axis];
            inside &= at != OUTSIDE;
            from += inside ? at * step : 0;
            step *= in->dims[axis];
        }
        pad_row(y, inside ? x + from * p.size * p.element : NULL, &p);
    }
}
