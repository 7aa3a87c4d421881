/* Shapes and parameters of the integer operations. What the kernels rely on beyond shapes: zero
   points and bounds inside their types, so that a rounded value fits 32 bits; multipliers finite
   and positive, so that no NaN arises; and sums of products that cannot overflow. */
#include "verify_shapes.h"

/* Products of a sum: with 8-bit numbers, 65536 x 255 x 128 stays below 2^31, and so do 32768 signed
   numbers of 16 bits less a zero point. */
#define MOST_PRODUCTS 65536u
#define MOST_SIGNS 32768u

/* With fewer bits than a byte's, a pad could be taken for a row; up to the most, the kernels of
   BITS_NETWORK hold a row on their stack. */
#define LEAST_BITS_OF_ROW 8u
#define MOST_BITS_OF_ROW 512u
#define MOST_HIDDEN 512u

static int32_t least_code(csd_tensor_ref tensor) {
    return tensor->dtype == CSD_U8 ? 0 : tensor->dtype == CSD_I8 ? INT8_MIN : INT16_MIN;
}

static int32_t greatest_code(csd_tensor_ref tensor) {
    return tensor->dtype == CSD_U8   ? UINT8_MAX
           : tensor->dtype == CSD_I8 ? INT8_MAX
                                     : INT16_MAX;
}

static int is_code(csd_param value, csd_tensor_ref tensor) {
    return value.i >= least_code(tensor) && value.i <= greatest_code(tensor);
}

/* x_zero, y_zero, low and high, in this order in all operations that requantize. */
static int bounds_legal(csd_tensor_ref x, csd_tensor_ref y, const csd_param *p) {
    return is_code(p[0], x) && is_code(p[1], y) && is_code(p[2], y) && is_code(p[3], y) &&
           p[2].i <= p[3].i;
}

/* Finite and positive: from the least subnormal to below infinity. */
static int multipliers_legal(csd_tensor_ref multiplier, const csd_part *part) {
    const csd_param *values = csd_constant(multiplier, part);
    for (uint32_t i = 0; i < multiplier->dims[0]; i++)
        if (values[i].u == 0 || values[i].u >= 0x7F800000u)
            return 0;
    return 1;
}

/* The sums of 8-bit inputs are of 32 bits, the bias included; the others are of 64. */
static int bias_legal(csd_tensor_ref bias, csd_tensor_ref x, uint64_t products,
                      const csd_part *part) {
    if (bias == NULL || x->dtype == CSD_I16)
        return 1;
    const int64_t most = INT32_MAX - (int64_t)products * 255 * 128;
    const int32_t *values = csd_constant(bias, part);
    for (uint32_t i = 0; i < bias->dims[0]; i++)
        if (values[i] > most || values[i] < -most)
            return 0;
    return 1;
}

csd_status csd_check_quantize(const csd_operands *o, const csd_part *part) {
    (void)part;
    if (!csd_same_shape(o->in[CSD_QUANTIZE_X], o->out[0]))
        return CSD_BAD_SHAPE;
    return is_code(o->params[CSD_QUANTIZE_P_ZERO], o->out[0]) ? CSD_OK : CSD_BAD_PARAM;
}

csd_status csd_check_dequantize(const csd_operands *o, const csd_part *part) {
    (void)part;
    csd_tensor_ref x = o->in[CSD_DEQUANTIZE_X];
    if (!csd_same_shape(x, o->out[0]))
        return CSD_BAD_SHAPE;
    /* An i32 may have any zero point that the table lets through. */
    if (x->dtype != CSD_I32 && !is_code(o->params[CSD_DEQUANTIZE_P_ZERO], x))
        return CSD_BAD_PARAM;
    return CSD_OK;
}

csd_status csd_check_qconv2d(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_QCONV2D_X], w = o->in[CSD_QCONV2D_WEIGHT], y = o->out[0];
    csd_tensor_ref bias = o->in[CSD_QCONV2D_BIAS], multiplier = o->in[CSD_QCONV2D_MULTIPLIER];
    if (!csd_convolution_fits(x, w, y, o->params) || !csd_is_vector(bias, w->dims[0]) ||
        !csd_is_vector(multiplier, w->dims[0]))
        return CSD_BAD_SHAPE;
    const uint64_t products = w->nbytes / w->dims[0];
    if (products > MOST_PRODUCTS)
        return CSD_BAD_SHAPE;
    if (!bounds_legal(x, y, o->params + CSD_QCONV2D_P_X_ZERO))
        return CSD_BAD_PARAM;
    if (!multipliers_legal(multiplier, part) || !bias_legal(bias, x, products, part))
        return CSD_FIELD_RANGE;
    return CSD_OK;
}

csd_status csd_check_qlinear(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_QLINEAR_X], w = o->in[CSD_QLINEAR_WEIGHT], y = o->out[0];
    csd_tensor_ref bias = o->in[CSD_QLINEAR_BIAS], multiplier = o->in[CSD_QLINEAR_MULTIPLIER];
    if (x->rank < 2 || w->rank != 2 || !csd_same_but_last(x, y) || csd_last(x) != w->dims[1] ||
        csd_last(y) != w->dims[0] || w->dims[1] > MOST_PRODUCTS ||
        !csd_is_vector(bias, w->dims[0]) || !csd_is_vector(multiplier, w->dims[0]))
        return CSD_BAD_SHAPE;
    if (!bounds_legal(x, y, o->params + CSD_QLINEAR_P_X_ZERO))
        return CSD_BAD_PARAM;
    if (!multipliers_legal(multiplier, part) || !bias_legal(bias, x, w->dims[1], part))
        return CSD_FIELD_RANGE;
    return CSD_OK;
}

/* Its bias is added in 64 bits. */
csd_status csd_check_qbinary_linear(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_QBINARY_LINEAR_X], w = o->in[CSD_QBINARY_LINEAR_WEIGHT];
    csd_tensor_ref y = o->out[0], multiplier = o->in[CSD_QBINARY_LINEAR_MULTIPLIER];
    if (x->rank < 2 || w->rank != 2 || !csd_same_but_last(x, y) || csd_last(x) > MOST_SIGNS ||
        w->dims[1] != (csd_last(x) + 7u) / 8u || csd_last(y) != w->dims[0] ||
        !csd_is_vector(o->in[CSD_QBINARY_LINEAR_BIAS], w->dims[0]) ||
        !csd_is_vector_or_one(multiplier, w->dims[0]))
        return CSD_BAD_SHAPE;
    if (!bounds_legal(x, y, o->params + CSD_QBINARY_LINEAR_P_X_ZERO))
        return CSD_BAD_PARAM;
    return multipliers_legal(multiplier, part) ? CSD_OK : CSD_FIELD_RANGE;
}

/* Only what is linear on either side of 0; the slope runs over axis 1, and one slope for all needs
   no axis 1. */
static csd_status check_activation(csd_tensor_ref y, csd_param activation, csd_tensor_ref slope) {
    const uint32_t channels = y->rank >= 2 && csd_is_number(y->dims[1]) ? y->dims[1] : 1u;
    if (activation.u > CSD_ACT_PRELU)
        return CSD_BAD_PARAM;
    return csd_shape_if(csd_activation_fits(activation, slope, channels));
}

csd_status csd_check_qadd(const csd_operands *o, const csd_part *part) {
    (void)part;
    csd_tensor_ref a = o->in[CSD_QADD_A], b = o->in[CSD_QADD_B], y = o->out[0];
    const csd_param *p = o->params;
    if (!csd_same_shape(a, y) || !csd_same_shape(b, y))
        return CSD_BAD_SHAPE;
    if (!is_code(p[CSD_QADD_P_A_ZERO], a) || !is_code(p[CSD_QADD_P_B_ZERO], b) ||
        !is_code(p[CSD_QADD_P_Y_ZERO], y))
        return CSD_BAD_PARAM;
    return check_activation(y, p[CSD_QADD_P_ACTIVATION], o->in[CSD_QADD_SLOPE]);
}

csd_status csd_check_qactivation(const csd_operands *o, const csd_part *part) {
    (void)part;
    csd_tensor_ref x = o->in[CSD_QACTIVATION_X], y = o->out[0];
    const csd_param *p = o->params;
    if (!csd_same_shape(x, y))
        return CSD_BAD_SHAPE;
    if (!is_code(p[CSD_QACTIVATION_P_X_ZERO], x) || !is_code(p[CSD_QACTIVATION_P_Y_ZERO], y))
        return CSD_BAD_PARAM;
    return check_activation(y, p[CSD_QACTIVATION_P_ACTIVATION], o->in[CSD_QACTIVATION_SLOPE]);
}

csd_status csd_check_qtable(const csd_operands *o, const csd_part *part) {
    (void)part;
    return csd_shape_if(csd_same_shape(o->in[CSD_QTABLE_X], o->out[0]) &&
                        csd_is_vector(o->in[CSD_QTABLE_TABLE], 256));
}

/* Codes are counts and fit a u8; halving needs thresholds in order. */
csd_status csd_check_qthreshold(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref thresholds = o->in[CSD_QTHRESHOLD_THRESHOLDS];
    if (!csd_same_shape(o->in[CSD_QTHRESHOLD_X], o->out[0]) || thresholds->rank != 1 ||
        thresholds->dims[0] > UINT8_MAX)
        return CSD_BAD_SHAPE;
    const int32_t *values = csd_constant(thresholds, part);
    for (uint32_t i = 1; i < thresholds->dims[0]; i++)
        if (values[i] < values[i - 1u])
            return CSD_FIELD_RANGE;
    return CSD_OK;
}

/* Its sums are of 64 bits in the scalar kernel, so that a bias is any number. */
csd_status csd_check_bits_network(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref payload = o->in[CSD_BITS_NETWORK_PAYLOAD], y = o->out[0];
    csd_tensor_ref first = o->in[CSD_BITS_NETWORK_HIDDEN_WEIGHT];
    csd_tensor_ref second = o->in[CSD_BITS_NETWORK_WEIGHT];
    csd_tensor_ref first_multiplier = o->in[CSD_BITS_NETWORK_HIDDEN_MULTIPLIER];
    csd_tensor_ref multiplier = o->in[CSD_BITS_NETWORK_MULTIPLIER];
    const csd_param *p = o->params;
    if (payload->rank != 2 || y->rank != 3 || first->rank != 2 || second->rank != 2)
        return CSD_BAD_SHAPE;
    const uint32_t bits = first->dims[1], hidden = first->dims[0], outputs = second->dims[0];
    if (payload->dims[0] != y->dims[0] || !csd_is_number(y->dims[1]) || bits < LEAST_BITS_OF_ROW || bits > MOST_BITS_OF_ROW ||
        hidden > MOST_HIDDEN || second->dims[1] != hidden || y->dims[2] != outputs ||
        payload->dims[1] != ((uint64_t)y->dims[1] * bits + 7u) / 8u ||
        !csd_is_vector(o->in[CSD_BITS_NETWORK_HIDDEN_BIAS], hidden) ||
        !csd_is_vector(first_multiplier, hidden) ||
        !csd_is_vector(o->in[CSD_BITS_NETWORK_BIAS], outputs) ||
        !csd_is_vector(multiplier, outputs))
        return CSD_BAD_SHAPE;
    /* The table has held those of the hidden layer in 0 to 255. */
    if (p[CSD_BITS_NETWORK_P_HIDDEN_LOW].i > p[CSD_BITS_NETWORK_P_HIDDEN_HIGH].i ||
        p[CSD_BITS_NETWORK_P_Y_ZERO].i < 0 || p[CSD_BITS_NETWORK_P_Y_ZERO].i > UINT8_MAX ||
        p[CSD_BITS_NETWORK_P_LOW].i < 0 || p[CSD_BITS_NETWORK_P_HIGH].i > UINT8_MAX ||
        p[CSD_BITS_NETWORK_P_LOW].i > p[CSD_BITS_NETWORK_P_HIGH].i)
        return CSD_BAD_PARAM;
    return multipliers_legal(first_multiplier, part) && multipliers_legal(multiplier, part)
               ? CSD_OK
               : CSD_FIELD_RANGE;
}
