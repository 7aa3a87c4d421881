/* What shapes and parameters each operation takes. Element types, presence, order and overlaps
   are already checked by table; a symbolic dimension is compared as its code, so that n fits n
   alone. A new operation without a case here does not compile (-Wswitch, no default). */
#include "verify.h"

typedef const csd_tensor_record *csd_tensor_ref;

static int is_number(uint32_t dim) { return dim <= CSD_DIM_MAX; }

static int same_shape(csd_tensor_ref a, csd_tensor_ref b) {
    int same = a->rank == b->rank;
    for (uint32_t i = 0; i < CSD_MAX_RANK; i++)
        same &= a->dims[i] == b->dims[i];
    return same;
}

static int same_but_last(csd_tensor_ref a, csd_tensor_ref b) {
    int same = a->rank == b->rank;
    for (uint32_t i = 0; i + 1u < a->rank; i++)
        same &= a->dims[i] == b->dims[i];
    return same;
}

static uint32_t last(csd_tensor_ref a) { return a->dims[a->rank - 1u]; }

/* An absent vector, or one of `count` elements. */
static int is_vector(csd_tensor_ref a, uint32_t count) {
    return a == NULL || (a->rank == 1 && a->dims[0] == count);
}

static int is_vector_or_one(csd_tensor_ref a, uint32_t count) {
    return is_vector(a, count) || is_vector(a, 1);
}

/* A slope is there exactly when the activation reads it. */
static int activation_fits(csd_param activation, csd_tensor_ref slope, uint32_t channels) {
    if ((activation.u == CSD_ACT_PRELU) != (slope != NULL))
        return 0;
    return is_vector_or_one(slope, channels);
}

static csd_status shape_if(int fits) { return fits ? CSD_OK : CSD_BAD_SHAPE; }

/* y = floor((x + pads - (dilation (kernel - 1) + 1)) / stride) + 1; all below 2^49. */
static int window_fits(uint32_t x, uint32_t kernel, uint32_t y, uint32_t stride, uint32_t dilation,
                       uint32_t pad_before, uint32_t pad_after) {
    const uint64_t padded = (uint64_t)x + pad_before + pad_after;
    const uint64_t reach = (uint64_t)dilation * (kernel - 1u) + 1u;
    return reach <= padded && (padded - reach) / stride + 1u == y;
}

static csd_status check_conv2d(const csd_operands *o) {
    csd_tensor_ref x = o->in[CSD_CONV2D_X], w = o->in[CSD_CONV2D_WEIGHT], y = o->out[0];
    csd_tensor_ref residual = o->in[CSD_CONV2D_RESIDUAL];
    const csd_param *p = o->params;
    const uint32_t groups = p[CSD_CONV2D_P_GROUPS].u;
    if (x->rank != 4 || w->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0] ||
        !is_number(x->dims[1]) || !is_number(x->dims[2]) || !is_number(x->dims[3]))
        return CSD_BAD_SHAPE;
    if (x->dims[1] % groups != 0 || w->dims[0] % groups != 0 ||
        w->dims[1] != x->dims[1] / groups || y->dims[1] != w->dims[0])
        return CSD_BAD_SHAPE;
    if (!window_fits(x->dims[2], w->dims[2], y->dims[2], p[CSD_CONV2D_P_STRIDE_H].u,
                     p[CSD_CONV2D_P_DILATION_H].u, p[CSD_CONV2D_P_PAD_TOP].u,
                     p[CSD_CONV2D_P_PAD_BOTTOM].u) ||
        !window_fits(x->dims[3], w->dims[3], y->dims[3], p[CSD_CONV2D_P_STRIDE_W].u,
                     p[CSD_CONV2D_P_DILATION_W].u, p[CSD_CONV2D_P_PAD_LEFT].u,
                     p[CSD_CONV2D_P_PAD_RIGHT].u))
        return CSD_BAD_SHAPE;
    return shape_if(is_vector(o->in[CSD_CONV2D_BIAS], w->dims[0]) &&
                    (residual == NULL || same_shape(residual, y)) &&
                    activation_fits(p[CSD_CONV2D_P_ACTIVATION], o->in[CSD_CONV2D_SLOPE],
                                    w->dims[0]));
}

static csd_status check_linear(const csd_operands *o) {
    csd_tensor_ref x = o->in[CSD_LINEAR_X], w = o->in[CSD_LINEAR_WEIGHT], y = o->out[0];
    return shape_if(x->rank >= 2 && w->rank == 2 && same_but_last(x, y) &&
                    last(x) == w->dims[1] && last(y) == w->dims[0] &&
                    is_vector(o->in[CSD_LINEAR_BIAS], w->dims[0]) &&
                    activation_fits(o->params[CSD_LINEAR_P_ACTIVATION], o->in[CSD_LINEAR_SLOPE],
                                    w->dims[0]));
}

static csd_status check_binary_linear(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_BINARY_LINEAR_X], w = o->in[CSD_BINARY_LINEAR_WEIGHT];
    csd_tensor_ref scale = o->in[CSD_BINARY_LINEAR_SCALE], y = o->out[0];
    if (x->rank < 2 || w->rank != 2 || !same_but_last(x, y) || !is_number(last(x)) ||
        w->dims[1] != ((uint64_t)last(x) + 7u) / 8u || last(y) != w->dims[0] ||
        !is_vector_or_one(scale, w->dims[0]) ||
        !is_vector(o->in[CSD_BINARY_LINEAR_BIAS], w->dims[0]) ||
        !activation_fits(o->params[CSD_BINARY_LINEAR_P_ACTIVATION],
                         o->in[CSD_BINARY_LINEAR_SLOPE], w->dims[0]))
        return CSD_BAD_SHAPE;
    const uint8_t *weights = part->sections[CSD_SECTION_WEIGHTS].data;
    const csd_param *values = (const void *)(weights + scale->place);
    for (uint32_t i = 0; i < scale->dims[0]; i++)
        if ((values[i].u & 0x7F800000u) == 0x7F800000u)
            return CSD_FIELD_FLOAT;
    return CSD_OK;
}

/* The slope runs over axis 1; one slope for all needs no axis 1. */
static csd_status check_elementwise(csd_tensor_ref y, csd_param activation, csd_tensor_ref slope) {
    const uint32_t channels = y->rank >= 2 && is_number(y->dims[1]) ? y->dims[1] : 1u;
    return shape_if(activation_fits(activation, slope, channels));
}

static csd_status check_add(const csd_operands *o) {
    csd_tensor_ref y = o->out[0];
    if (!same_shape(o->in[CSD_ADD_A], y) || !same_shape(o->in[CSD_ADD_B], y))
        return CSD_BAD_SHAPE;
    return check_elementwise(y, o->params[CSD_ADD_P_ACTIVATION], o->in[CSD_ADD_SLOPE]);
}

static csd_status check_activation(const csd_operands *o) {
    csd_tensor_ref y = o->out[0];
    if (!same_shape(o->in[CSD_ACTIVATION_X], y))
        return CSD_BAD_SHAPE;
    return check_elementwise(y, o->params[CSD_ACTIVATION_P_ACTIVATION],
                             o->in[CSD_ACTIVATION_SLOPE]);
}

static csd_status check_concat(const csd_operands *o) {
    csd_tensor_ref a = o->in[CSD_CONCAT_A], b = o->in[CSD_CONCAT_B], y = o->out[0];
    int fits = a->rank >= 2 && a->rank == b->rank && a->rank == y->rank &&
               is_number(a->dims[1]) && is_number(b->dims[1]) &&
               (uint64_t)a->dims[1] + b->dims[1] == y->dims[1];
    for (uint32_t i = 0; i < a->rank; i++)
        fits &= i == 1 || (a->dims[i] == b->dims[i] && a->dims[i] == y->dims[i]);
    return shape_if(fits);
}

/* codes (n, M) and payload (n, ceil(M bits / 8)). */
static csd_status check_bits(csd_tensor_ref codes, csd_tensor_ref payload, uint32_t bits) {
    return shape_if(codes->rank == 2 && payload->rank == 2 && codes->dims[0] == payload->dims[0] &&
                    is_number(codes->dims[1]) &&
                    payload->dims[1] == ((uint64_t)codes->dims[1] * bits + 7u) / 8u);
}

csd_status csd_check_op(csd_op op, const csd_operands *o, const csd_part *part) {
    switch (op) {
    case CSD_OP_CONV2D:
        return check_conv2d(o);
    case CSD_OP_LINEAR:
        return check_linear(o);
    case CSD_OP_BINARY_LINEAR:
        return check_binary_linear(o, part);
    case CSD_OP_ADD:
        return check_add(o);
    case CSD_OP_ACTIVATION:
        return check_activation(o);
    case CSD_OP_CONCAT:
        return check_concat(o);
    case CSD_OP_QUANTIZE_UNIFORM:
        return shape_if(same_shape(o->in[CSD_QUANTIZE_UNIFORM_X], o->out[0]));
    case CSD_OP_PACK_BITS:
        return check_bits(o->in[CSD_PACK_BITS_CODES], o->out[0],
                          o->params[CSD_PACK_BITS_P_BITS].u);
    case CSD_OP_UNPACK_BITS:
        return check_bits(o->out[0], o->in[CSD_UNPACK_BITS_PAYLOAD],
                          o->params[CSD_UNPACK_BITS_P_BITS].u);
    case CSD_OP_DEQUANTIZE_UNIFORM:
        return shape_if(same_shape(o->in[CSD_DEQUANTIZE_UNIFORM_CODES], o->out[0]));
    case CSD_OP_COPY:
        return shape_if(csd_same_extent(o->in[CSD_COPY_X], o->out[0]));
    }
    return CSD_BAD_OPERANDS;
}
