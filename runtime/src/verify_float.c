/* Shapes and parameters of the float and any-type operations. No operation mixes samples: an axis
   that is summed, cut, padded or picked from is not n. The users' axis k is as good as a number
   where the kernel takes its size from the call, and is refused where a parameter names places. */
#include "verify_shapes.h"

/* y is the broadcast of the inputs: aligned at the last axis, each size that of y or 1, and y's
   that of some input. A symbol meets itself or 1. */
static int broadcast_fits(const csd_tensor_ref *in, uint32_t count, csd_tensor_ref y,
                          uint32_t skip) {
    uint32_t rank = 0;
    int fits = 1;
    for (uint32_t i = 0; i < count; i++)
        rank = in[i]->rank > rank ? in[i]->rank : rank;
    for (uint32_t back = skip + 1u; back <= y->rank; back++) {
        const uint32_t size = y->dims[y->rank - back];
        int found = 0;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t dim = back <= in[i]->rank ? in[i]->dims[in[i]->rank - back] : 1u;
            found |= dim == size;
            fits &= dim == size || dim == 1;
        }
        fits &= found;
    }
    return fits && rank == y->rank;
}

/* Are all axes but those in `axes` equal in x and y, and none of those in `axes` n? */
static int same_outside(csd_tensor_ref x, csd_tensor_ref y, uint32_t axes) {
    int fits = x->rank == y->rank && axes >> x->rank == 0;
    for (uint32_t i = 0; i < CSD_MAX_RANK; i++)
        fits &= axes >> i & 1u ? x->dims[i] != CSD_DIM_N : x->dims[i] == y->dims[i];
    return fits;
}

/* Parameters by axis are `rest` beyond the rank. */
static int are_unused(const csd_param *params, uint32_t rank, uint32_t rest) {
    int unused = 1;
    for (uint32_t i = rank; i < CSD_MAX_RANK; i++)
        unused &= params[i].u == rest;
    return unused;
}

csd_status csd_check_unary(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(csd_same_shape(o->in[CSD_UNARY_X], o->out[0]));
}

csd_status csd_check_binary(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(broadcast_fits(o->in, 2, o->out[0], 0));
}

csd_status csd_check_integer(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(broadcast_fits(o->in, 2, o->out[0], 0));
}

csd_status csd_check_compare(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(broadcast_fits(o->in, 2, o->out[0], 0));
}

csd_status csd_check_where(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(broadcast_fits(o->in, 3, o->out[0], 0));
}

csd_status csd_check_matmul(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref a = o->in[CSD_MATMUL_A], b = o->in[CSD_MATMUL_B], y = o->out[0];
    (void)part;
    if (a->rank < 2 || b->rank < 2 || !broadcast_fits(o->in, 2, y, 2))
        return CSD_BAD_SHAPE;
    return csd_shape_if(csd_last(a) == b->dims[b->rank - 2u] &&
                        y->dims[y->rank - 2u] == a->dims[a->rank - 2u] &&
                        csd_last(y) == csd_last(b));
}

/* y like x, and an axis of it that is not the samples'. */
static csd_status check_along(const csd_operands *o, uint32_t axis) {
    csd_tensor_ref x = o->in[0];
    return csd_shape_if(csd_same_shape(x, o->out[0]) && axis < x->rank &&
                        x->dims[axis] != CSD_DIM_N);
}

csd_status csd_check_softmax(const csd_operands *o, const csd_part *part) {
    (void)part;
    return check_along(o, o->params[CSD_SOFTMAX_P_AXIS].u);
}

csd_status csd_check_cumsum(const csd_operands *o, const csd_part *part) {
    (void)part;
    return check_along(o, o->params[CSD_CUMSUM_P_AXIS].u);
}

/* An absent vector, or one of the shape of x from `axis` on. */
static int is_tail(csd_tensor_ref a, csd_tensor_ref x, uint32_t axis) {
    int fits = a == NULL || a->rank == x->rank - axis;
    for (uint32_t i = axis; fits && a != NULL && i < x->rank; i++)
        fits = a->dims[i - axis] == x->dims[i];
    return fits;
}

csd_status csd_check_layer_norm(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_LAYER_NORM_X];
    const uint32_t axis = o->params[CSD_LAYER_NORM_P_AXIS].u;
    (void)part;
    return csd_shape_if(csd_same_shape(x, o->out[0]) && axis < x->rank &&
                        x->dims[axis] != CSD_DIM_N &&
                        is_tail(o->in[CSD_LAYER_NORM_SCALE], x, axis) &&
                        is_tail(o->in[CSD_LAYER_NORM_BIAS], x, axis));
}

csd_status csd_check_reduce(const csd_operands *o, const csd_part *part) {
    const uint32_t axes = o->params[CSD_REDUCE_P_AXES].u;
    csd_tensor_ref x = o->in[CSD_REDUCE_X], y = o->out[0];
    int fits = same_outside(x, y, axes);
    (void)part;
    for (uint32_t i = 0; i < CSD_MAX_RANK; i++)
        fits &= !(axes >> i & 1u) || y->dims[i] == 1;
    return csd_shape_if(fits);
}

csd_status csd_check_arg_extreme(const csd_operands *o, const csd_part *part) {
    const uint32_t axis = o->params[CSD_ARG_EXTREME_P_AXIS].u;
    csd_tensor_ref x = o->in[CSD_ARG_EXTREME_X], y = o->out[0];
    (void)part;
    return csd_shape_if(same_outside(x, y, 1u << axis) && y->dims[axis] == 1);
}

/* Windows that begin inside x and the pads: floor((padded - reach) / stride) + 1 of them, or one
   more that reaches beyond the pads (ONNX's ceil_mode), if it begins before the last pads do. */
static int pool_fits(uint32_t x, uint32_t y, const csd_param *kernel, const csd_param *stride,
                     const csd_param *dilation, const csd_param *before, const csd_param *after) {
    const uint64_t inside = (uint64_t)x + before->u;
    const uint64_t padded = inside + after->u;
    const uint64_t reach = (uint64_t)dilation->u * (kernel->u - 1u) + 1u;
    const uint64_t starts = (uint64_t)(y - 1u) * stride->u; /* of the last window */
    if (starts + reach > padded)
        return starts < inside && starts + reach < padded + stride->u;
    return padded - reach - starts < stride->u;
}

csd_status csd_check_pool2d(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_POOL2D_X], y = o->out[0];
    const csd_param *p = o->params;
    (void)part;
    if (x->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0] || x->dims[1] != y->dims[1])
        return CSD_BAD_SHAPE;
    for (uint32_t i = 2; i < 4; i++)
        if (!csd_is_number(x->dims[i]) || !csd_is_number(y->dims[i]))
            return CSD_BAD_SHAPE;
    return csd_shape_if(
        pool_fits(x->dims[2], y->dims[2], &p[CSD_POOL2D_P_KERNEL_H], &p[CSD_POOL2D_P_STRIDE_H],
                  &p[CSD_POOL2D_P_DILATION_H], &p[CSD_POOL2D_P_PAD_TOP],
                  &p[CSD_POOL2D_P_PAD_BOTTOM]) &&
        pool_fits(x->dims[3], y->dims[3], &p[CSD_POOL2D_P_KERNEL_W], &p[CSD_POOL2D_P_STRIDE_W],
                  &p[CSD_POOL2D_P_DILATION_W], &p[CSD_POOL2D_P_PAD_LEFT],
                  &p[CSD_POOL2D_P_PAD_RIGHT]));
}

/* y + pads = (x - 1) stride + dilation (kernel - 1) + 1, or more by less than the stride or the
   dilation (ONNX's output_padding). All below 2^48. */
static int transposed_fits(uint32_t x, uint32_t kernel, uint32_t y, uint32_t stride,
                           uint32_t dilation, uint32_t before, uint32_t after) {
    const uint64_t full = (uint64_t)(x - 1u) * stride + (uint64_t)dilation * (kernel - 1u) + 1u;
    const uint64_t padded = (uint64_t)y + before + after;
    return padded >= full && padded - full < (stride > dilation ? stride : dilation);
}

csd_status csd_check_conv_transpose2d(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_CONV_TRANSPOSE2D_X], w = o->in[CSD_CONV_TRANSPOSE2D_WEIGHT];
    csd_tensor_ref y = o->out[0];
    const csd_param *p = o->params;
    const uint32_t groups = p[CSD_CONV_TRANSPOSE2D_P_GROUPS].u;
    (void)part;
    if (x->rank != 4 || w->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0])
        return CSD_BAD_SHAPE;
    for (uint32_t i = 2; i < 4; i++)
        if (!csd_is_number(x->dims[i]) || !csd_is_number(y->dims[i]))
            return CSD_BAD_SHAPE;
    if (x->dims[1] != w->dims[0] || x->dims[1] % groups != 0 ||
        (uint64_t)w->dims[1] * groups != y->dims[1])
        return CSD_BAD_SHAPE;
    return csd_shape_if(
        csd_is_vector(o->in[CSD_CONV_TRANSPOSE2D_BIAS], y->dims[1]) &&
        transposed_fits(x->dims[2], w->dims[2], y->dims[2], p[CSD_CONV_TRANSPOSE2D_P_STRIDE_H].u,
                        p[CSD_CONV_TRANSPOSE2D_P_DILATION_H].u,
                        p[CSD_CONV_TRANSPOSE2D_P_PAD_TOP].u,
                        p[CSD_CONV_TRANSPOSE2D_P_PAD_BOTTOM].u) &&
        transposed_fits(x->dims[3], w->dims[3], y->dims[3], p[CSD_CONV_TRANSPOSE2D_P_STRIDE_W].u,
                        p[CSD_CONV_TRANSPOSE2D_P_DILATION_W].u,
                        p[CSD_CONV_TRANSPOSE2D_P_PAD_LEFT].u,
                        p[CSD_CONV_TRANSPOSE2D_P_PAD_RIGHT].u));
}

/* n stays first by itself, since it may stand nowhere else. */
csd_status csd_check_transpose(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_TRANSPOSE_X], y = o->out[0];
    const csd_param *perm = o->params + CSD_TRANSPOSE_P_PERM_0;
    uint32_t seen = 0;
    (void)part;
    if (x->rank != y->rank || !are_unused(perm, x->rank, 0))
        return CSD_BAD_SHAPE;
    for (uint32_t i = 0; i < x->rank; i++) {
        if (perm[i].u >= x->rank || y->dims[i] != x->dims[perm[i].u])
            return CSD_BAD_SHAPE;
        seen |= 1u << perm[i].u;
    }
    return csd_shape_if(seen == (1u << x->rank) - 1u);
}

/* Both ends of each axis lie in x; a symbolic axis is taken whole. */
static int slice_axis_fits(uint32_t x, uint32_t y, uint32_t start, int32_t step) {
    if (!csd_is_number(x))
        return y == x && start == 0 && step == 1;
    const int64_t end = (int64_t)start + ((int64_t)y - 1) * step;
    return csd_is_number(y) && step != 0 && start < x && end >= 0 && end < (int64_t)x;
}

csd_status csd_check_slice(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_SLICE_X], y = o->out[0];
    const csd_param *start = o->params + CSD_SLICE_P_START_0;
    const csd_param *step = o->params + CSD_SLICE_P_STEP_0;
    int fits = x->rank == y->rank && are_unused(start, x->rank, 0) && are_unused(step, x->rank, 1);
    (void)part;
    for (uint32_t i = 0; fits && i < x->rank; i++)
        fits = slice_axis_fits(x->dims[i], y->dims[i], start[i].u, step[i].i);
    return csd_shape_if(fits);
}

/* A symbolic axis has no pad; a mirror image has no more elements than x beside its edge. */
static int pad_axis_fits(uint32_t x, uint32_t y, uint32_t before, uint32_t mode) {
    if (!csd_is_number(x))
        return y == x && before == 0;
    if (!csd_is_number(y) || (uint64_t)x + before > y)
        return 0;
    const uint32_t after = y - x - before;
    return mode != CSD_PAD_MODE_REFLECT || (before < x && after < x);
}

csd_status csd_check_pad(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_PAD_X], y = o->out[0];
    const csd_param *before = o->params + CSD_PAD_P_BEFORE_0;
    int fits = x->rank == y->rank && are_unused(before, x->rank, 0);
    (void)part;
    for (uint32_t i = 0; fits && i < x->rank; i++)
        fits = pad_axis_fits(x->dims[i], y->dims[i], before[i].u, o->params[CSD_PAD_P_MODE].u);
    return csd_shape_if(fits);
}

csd_status csd_check_expand(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_EXPAND_X], y = o->out[0];
    int fits = x->rank <= y->rank;
    (void)part;
    for (uint32_t back = 1; fits && back <= x->rank; back++) {
        const uint32_t dim = x->dims[x->rank - back];
        fits = dim == 1 || dim == y->dims[y->rank - back];
    }
    return csd_shape_if(fits);
}

csd_status csd_check_gather(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_GATHER_X], picks = o->in[CSD_GATHER_INDICES], y = o->out[0];
    const uint32_t axis = o->params[CSD_GATHER_P_AXIS].u;
    (void)part;
    if (axis >= x->rank || x->dims[axis] == CSD_DIM_N || y->rank != x->rank - 1u + picks->rank)
        return CSD_BAD_SHAPE;
    for (uint32_t i = 0; i < y->rank; i++) {
        const uint32_t size = i < axis                 ? x->dims[i]
                              : i < axis + picks->rank ? picks->dims[i - axis]
                                                       : x->dims[i + 1u - picks->rank];
        if (y->dims[i] != size)
            return CSD_BAD_SHAPE;
    }
    return CSD_OK;
}

csd_status csd_check_cast(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(csd_same_shape(o->in[CSD_CAST_X], o->out[0]));
}
