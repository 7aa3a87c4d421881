/* What shapes and parameters each operation takes. Element types, presence, order and overlaps
   are already checked by table; a symbolic dimension is compared as its code, so that n fits n
   alone. A new operation without its csd_check_NAME does not link. */
#include "verify_shapes.h"

/* What CONV2D and QCONV2D share; p starts with the groups and the window. The output's sides are
   numbers: those of a u8 image with its pads could reach the code of a symbol. */
int csd_convolution_fits(csd_tensor_ref x, csd_tensor_ref w, csd_tensor_ref y,
                         const csd_param *p) {
    const uint32_t groups = p[CSD_CONV2D_P_GROUPS].u;
    return x->rank == 4 && w->rank == 4 && y->rank == 4 && x->dims[0] == y->dims[0] &&
           csd_is_number(x->dims[1]) && csd_is_number(x->dims[2]) && csd_is_number(x->dims[3]) &&
           csd_is_number(y->dims[2]) && csd_is_number(y->dims[3]) && x->dims[1] % groups == 0 &&
           w->dims[0] % groups == 0 && w->dims[1] == x->dims[1] / groups &&
           y->dims[1] == w->dims[0] &&
           csd_window_fits(x->dims[2], w->dims[2], y->dims[2], p[CSD_CONV2D_P_STRIDE_H].u,
                           p[CSD_CONV2D_P_DILATION_H].u, p[CSD_CONV2D_P_PAD_TOP].u,
                           p[CSD_CONV2D_P_PAD_BOTTOM].u) &&
           csd_window_fits(x->dims[3], w->dims[3], y->dims[3], p[CSD_CONV2D_P_STRIDE_W].u,
                           p[CSD_CONV2D_P_DILATION_W].u, p[CSD_CONV2D_P_PAD_LEFT].u,
                           p[CSD_CONV2D_P_PAD_RIGHT].u);
}

csd_status csd_check_conv2d(const csd_operands *o, const csd_part *part) {
    (void)part;
    csd_tensor_ref w = o->in[CSD_CONV2D_WEIGHT], y = o->out[0];
    csd_tensor_ref residual = o->in[CSD_CONV2D_RESIDUAL];
    const csd_param *p = o->params;
    return csd_shape_if(csd_convolution_fits(o->in[CSD_CONV2D_X], w, y, p) &&
                        csd_is_vector(o->in[CSD_CONV2D_BIAS], w->dims[0]) &&
                        (residual == NULL || csd_same_shape(residual, y)) &&
                        csd_activation_fits(p[CSD_CONV2D_P_ACTIVATION], o->in[CSD_CONV2D_SLOPE],
                                            w->dims[0]));
}

csd_status csd_check_linear(const csd_operands *o, const csd_part *part) {
    (void)part;
    csd_tensor_ref x = o->in[CSD_LINEAR_X], w = o->in[CSD_LINEAR_WEIGHT], y = o->out[0];
    return csd_shape_if(x->rank >= 2 && w->rank == 2 && csd_same_but_last(x, y) &&
                    csd_last(x) == w->dims[1] && csd_last(y) == w->dims[0] &&
                    csd_is_vector(o->in[CSD_LINEAR_BIAS], w->dims[0]) &&
                    csd_activation_fits(o->params[CSD_LINEAR_P_ACTIVATION], o->in[CSD_LINEAR_SLOPE],
                                    w->dims[0]));
}

csd_status csd_check_binary_linear(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_BINARY_LINEAR_X], w = o->in[CSD_BINARY_LINEAR_WEIGHT];
    csd_tensor_ref scale = o->in[CSD_BINARY_LINEAR_SCALE], y = o->out[0];
    if (x->rank < 2 || w->rank != 2 || !csd_same_but_last(x, y) || !csd_is_number(csd_last(x)) ||
        w->dims[1] != ((uint64_t)csd_last(x) + 7u) / 8u || csd_last(y) != w->dims[0] ||
        !csd_is_vector_or_one(scale, w->dims[0]) ||
        !csd_is_vector(o->in[CSD_BINARY_LINEAR_BIAS], w->dims[0]) ||
        !csd_activation_fits(o->params[CSD_BINARY_LINEAR_P_ACTIVATION],
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
    const uint32_t channels = y->rank >= 2 && csd_is_number(y->dims[1]) ? y->dims[1] : 1u;
    return csd_shape_if(csd_activation_fits(activation, slope, channels));
}

csd_status csd_check_add(const csd_operands *o, const csd_part *part) {
    (void)part;
    csd_tensor_ref y = o->out[0];
    if (!csd_same_shape(o->in[CSD_ADD_A], y) || !csd_same_shape(o->in[CSD_ADD_B], y))
        return CSD_BAD_SHAPE;
    return check_elementwise(y, o->params[CSD_ADD_P_ACTIVATION], o->in[CSD_ADD_SLOPE]);
}

csd_status csd_check_activation(const csd_operands *o, const csd_part *part) {
    (void)part;
    csd_tensor_ref y = o->out[0];
    if (!csd_same_shape(o->in[CSD_ACTIVATION_X], y))
        return CSD_BAD_SHAPE;
    return check_elementwise(y, o->params[CSD_ACTIVATION_P_ACTIVATION],
                             o->in[CSD_ACTIVATION_SLOPE]);
}

csd_status csd_check_concat(const csd_operands *o, const csd_part *part) {
    (void)part;
    csd_tensor_ref a = o->in[CSD_CONCAT_A], b = o->in[CSD_CONCAT_B], y = o->out[0];
    const uint32_t axis = o->params[CSD_CONCAT_P_AXIS].u;
    int fits = axis < a->rank && a->rank == b->rank && a->rank == y->rank &&
               csd_is_number(a->dims[axis]) && csd_is_number(b->dims[axis]) &&
               /* Two sizes of 2^30 and more could add up to the code of a symbol. */
               csd_is_number(y->dims[axis]) &&
               (uint64_t)a->dims[axis] + b->dims[axis] == y->dims[axis];
    for (uint32_t i = 0; i < a->rank && fits; i++)
        fits &= i == axis || (a->dims[i] == b->dims[i] && a->dims[i] == y->dims[i]);
    return csd_shape_if(fits);
}

/* codes (n, M) and payload (n, ceil(M bits / 8)). */
static csd_status check_bits(csd_tensor_ref codes, csd_tensor_ref payload, uint32_t bits) {
    return csd_shape_if(codes->rank == 2 && payload->rank == 2 && codes->dims[0] == payload->dims[0] &&
                    csd_is_number(codes->dims[1]) &&
                    payload->dims[1] == ((uint64_t)codes->dims[1] * bits + 7u) / 8u);
}

csd_status csd_check_quantize_uniform(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(csd_same_shape(o->in[CSD_QUANTIZE_UNIFORM_X], o->out[0]));
}

csd_status csd_check_pack_bits(const csd_operands *o, const csd_part *part) {
    (void)part;
    return check_bits(o->in[CSD_PACK_BITS_CODES], o->out[0], o->params[CSD_PACK_BITS_P_BITS].u);
}

csd_status csd_check_unpack_bits(const csd_operands *o, const csd_part *part) {
    (void)part;
    return check_bits(o->out[0], o->in[CSD_UNPACK_BITS_PAYLOAD],
                      o->params[CSD_UNPACK_BITS_P_BITS].u);
}

csd_status csd_check_dequantize_uniform(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(csd_same_shape(o->in[CSD_DEQUANTIZE_UNIFORM_CODES], o->out[0]));
}

csd_status csd_check_copy(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(csd_same_extent(o->in[CSD_COPY_X], o->out[0]));
}

csd_status csd_check_op(csd_op op, const csd_operands *o, const csd_part *part) {
    switch ((uint32_t)op) {
#define CSD_CASE(NAME, name)                                                                       \
    case CSD_OP_##NAME:                                                                            \
        return csd_check_##name(o, part);
        CSD_FOR_EACH_BUILT_OP(CSD_CASE)
#undef CSD_CASE
    }
    return CSD_NO_KERNEL;
}
