/* Shapes and parameters of the integer operations. */
#include "verify_shapes.h"

csd_status csd_check_quantize(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_dequantize(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_qconv2d(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_qlinear(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_qbinary_linear(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_qadd(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_qactivation(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_qtable(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}

csd_status csd_check_qthreshold(const csd_operands *o, const csd_part *part) {
    (void)o;
    (void)part;
    return CSD_BAD_SHAPE;
}
