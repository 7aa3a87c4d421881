/* Shapes and parameters of the float and any-type operations. */
#include "verify_shapes.h"

csd_status csd_check_unary(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_binary(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_integer(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_compare(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_where(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_matmul(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_softmax(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_layer_norm(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_reduce(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_arg_extreme(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_pool2d(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_conv_transpose2d(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_transpose(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_slice(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_pad(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_expand(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_gather(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_cast(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}
