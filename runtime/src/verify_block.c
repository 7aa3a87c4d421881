/* CONV_BLOCK: three convolutions that keep the image's size, so that the pads behind an image follow
   from those in front. An image of one pixel is left to CONV2D, which sums it in another order. */
#include "verify_shapes.h"

/* 514 x 255 x 128 stays within 2^24: so far float32 has all integers. 511 x 32,768 x 128 stays below
   2^31. */
#define MOST_PRODUCTS_OF_8 514u
#define MOST_PRODUCTS_OF_16 511u

/* Weight (outputs, inputs, kh, kw) with fewer pads in front than the kernel has taps? */
static int kernel_fits(csd_tensor_ref weight, uint32_t outputs, uint32_t inputs,
                       const csd_param *pads) {
    return weight->rank == 4 && weight->dims[0] == outputs && weight->dims[1] == inputs &&
           pads[0].u < weight->dims[2] && pads[1].u < weight->dims[3];
}

/* Floats for a group's planes, before and after `middle`; where the second are not yet needed, the
   codes of x. A tensor has less than 2^31 bytes. */
static uint64_t scratch_floats(csd_tensor_ref x, csd_tensor_ref middle, int whole) {
    const uint64_t plane = (uint64_t)x->dims[2] * x->dims[3], planes = middle->dims[1] * plane;
    const uint64_t codes = whole ? (x->dims[1] * plane + 1u) / 2u : 0;
    return planes + (codes > planes ? codes : planes);
}

/* A power of two that is a normal number, and so is its reciprocal. It is above 0: subnormal ones
   have a bit of the fraction. */
static int is_exact_scale(csd_param scale) {
    return (scale.u & 0x007FFFFFu) == 0 && scale.u >> 23 < 254u;
}

/* Finite and positive: from the least subnormal to below infinity. */
static int are_positive(const csd_param *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (values[i].u == 0 || values[i].u >= 0x7F800000u)
            return 0;
    return 1;
}

csd_status csd_check_conv_block(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref x = o->in[CSD_CONV_BLOCK_X], y = o->out[CSD_CONV_BLOCK_OUT_Y];
    csd_tensor_ref expand = o->in[CSD_CONV_BLOCK_EXPAND];
    csd_tensor_ref middle = o->in[CSD_CONV_BLOCK_MIDDLE];
    csd_tensor_ref channels = o->in[CSD_CONV_BLOCK_CHANNELS];
    csd_tensor_ref residual = o->in[CSD_CONV_BLOCK_RESIDUAL];
    csd_tensor_ref scratch = o->out[CSD_CONV_BLOCK_OUT_SCRATCH];
    const csd_param *p = o->params;
    const uint32_t wide = expand->dims[0], groups = p[CSD_CONV_BLOCK_P_GROUPS].u;
    const int coded = middle->dtype == CSD_I8, whole = expand->dtype == CSD_I16;
    const uint32_t rows = whole ? 6u : coded ? 5u : 4u;
    const uint32_t bits = p[CSD_CONV_BLOCK_P_CODE_BITS].u;
    if (whole != (o->in[CSD_CONV_BLOCK_PROJECT]->dtype == CSD_I16) || (whole && !coded))
        return CSD_BAD_DTYPE;
    if (x->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0] || !csd_is_number(x->dims[2]) ||
        !csd_is_number(x->dims[3]) || x->dims[2] != y->dims[2] || x->dims[3] != y->dims[3] ||
        (x->dims[2] == 1 && x->dims[3] == 1))
        return CSD_BAD_SHAPE;
    if (wide % groups != 0 ||
        !kernel_fits(expand, wide, x->dims[1], p + CSD_CONV_BLOCK_P_PAD_TOP_1) ||
        !kernel_fits(middle, wide, wide / groups, p + CSD_CONV_BLOCK_P_PAD_TOP_2) ||
        !kernel_fits(o->in[CSD_CONV_BLOCK_PROJECT], y->dims[1], wide,
                     p + CSD_CONV_BLOCK_P_PAD_TOP_3) ||
        channels->rank != 2 || channels->dims[0] != rows || channels->dims[1] != wide ||
        !csd_is_vector(o->in[CSD_CONV_BLOCK_BIAS], y->dims[1]) ||
        (residual != NULL && !csd_same_shape(residual, y)) ||
        !csd_activation_fits(p[CSD_CONV_BLOCK_P_ACTIVATION], o->in[CSD_CONV_BLOCK_SLOPE],
                             y->dims[1]))
        return CSD_BAD_SHAPE;
    if (scratch->storage != CSD_STORAGE_ARENA || scratch->rank != 1 ||
        !csd_is_number(scratch->dims[0]) || scratch->dims[0] != scratch_floats(x, middle, whole))
        return CSD_BAD_SHAPE;
    if (whole ? !is_exact_scale(p[CSD_CONV_BLOCK_P_X_SCALE]) ||
                    !is_exact_scale(p[CSD_CONV_BLOCK_P_M_SCALE])
              : p[CSD_CONV_BLOCK_P_X_SCALE].f != 1.0f || p[CSD_CONV_BLOCK_P_M_SCALE].f != 1.0f ||
                    p[CSD_CONV_BLOCK_P_Y_SCALE].f != 1.0f)
        return CSD_BAD_PARAM;
    if (!coded)
        return p[CSD_CONV_BLOCK_P_CODE_SCALE].f == 1.0f &&
                       p[CSD_CONV_BLOCK_P_CODE_ZERO].i == 0 && bits == 8
                   ? CSD_OK
                   : CSD_BAD_PARAM;
    if (bits != 8 && (bits != 16 || p[CSD_CONV_BLOCK_P_CODE_ZERO].i != 0))
        return CSD_BAD_PARAM;
    if (middle->nbytes / wide > (bits == 8 ? MOST_PRODUCTS_OF_8 : MOST_PRODUCTS_OF_16))
        return CSD_BAD_SHAPE;
    const csd_param *multipliers = (const csd_param *)csd_constant(channels, part) + 4u * wide;
    return are_positive(multipliers, (rows - 4u) * wide) ? CSD_OK : CSD_FIELD_RANGE;
}
