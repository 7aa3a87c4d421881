/* Shapes and tables of the operations whose codes have a number of bits each. The kernels walk
   through thresholds, values and payload by the widths alone, so that all lengths follow from them,
   in 64 bits: at most 2^31 outputs of 256 values. And of that whose codes all count the same
   thresholds. */
#include "verify_shapes.h"

#define MOST_BITS 8u

typedef struct totals {
    uint64_t bits;
    uint64_t values; /* sum 2^B_m */
} totals;

static uint32_t width_of(const uint8_t *widths, uint32_t m) {
    return (uint32_t)widths[m / 2u] >> (m % 2u ? 0u : 4u) & 15u;
}

/* `codes` or what has its shape: (n, M), with widths for M outputs. */
static csd_status add_up(csd_tensor_ref codes, csd_tensor_ref widths, const csd_part *part,
                         totals *sum) {
    if (codes->rank != 2 || !csd_is_number(codes->dims[1]) ||
        !csd_is_vector(widths, (codes->dims[1] + 1u) / 2u))
        return CSD_BAD_SHAPE;
    const uint8_t *table = csd_constant(widths, part);
    const uint32_t outputs = codes->dims[1];
    sum->bits = sum->values = 0;
    for (uint32_t m = 0; m < outputs; m++) {
        const uint32_t bits = width_of(table, m);
        if (bits > MOST_BITS)
            return CSD_FIELD_RANGE;
        sum->bits += bits;
        sum->values += 1u << bits;
    }
    /* Nothing stands behind the last output. */
    return outputs % 2u && width_of(table, outputs) != 0 ? CSD_FIELD_RANGE : CSD_OK;
}

/* x and codes alike, thresholds as many as the widths say. */
static csd_status check_quantizer(csd_tensor_ref x, csd_tensor_ref thresholds,
                                  csd_tensor_ref widths, csd_tensor_ref codes,
                                  const csd_part *part) {
    totals sum;
    if (!csd_same_shape(x, codes))
        return CSD_BAD_SHAPE;
    const csd_status status = add_up(codes, widths, part, &sum);
    if (status != CSD_OK)
        return status;
    return csd_shape_if(thresholds->rank == 1 &&
                        thresholds->dims[0] == sum.values - codes->dims[1]);
}

csd_status csd_check_quantize_codebook(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref thresholds = o->in[CSD_QUANTIZE_CODEBOOK_THRESHOLDS];
    csd_tensor_ref widths = o->in[CSD_QUANTIZE_CODEBOOK_WIDTHS], codes = o->out[0];
    const csd_status status =
        check_quantizer(o->in[CSD_QUANTIZE_CODEBOOK_X], thresholds, widths, codes, part);
    if (status != CSD_OK)
        return status;
    const csd_param *values = csd_constant(thresholds, part);
    for (uint32_t i = 0; i < thresholds->dims[0]; i++)
        if ((values[i].u & 0x7F800000u) == 0x7F800000u)
            return CSD_FIELD_FLOAT;
    const uint8_t *table = csd_constant(widths, part);
    for (uint32_t m = 0; m < codes->dims[1]; m++) {
        const uint32_t count = (1u << width_of(table, m)) - 1u;
        for (uint32_t i = 1; i < count; i++)
            if (values[i].f < values[i - 1u].f)
                return CSD_FIELD_RANGE;
        values += count;
    }
    return CSD_OK;
}

/* 2^B - 1 thresholds for all outputs: then halving takes B steps and needs no bounds. */
csd_status csd_check_quantize_logit(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref thresholds = o->in[CSD_QUANTIZE_LOGIT_THRESHOLDS];
    const uint32_t count = thresholds->dims[0];
    if (!csd_same_shape(o->in[CSD_QUANTIZE_LOGIT_X], o->out[0]) || thresholds->rank != 1 ||
        count >= 1u << MOST_BITS || (count & (count + 1u)) != 0)
        return CSD_BAD_SHAPE;
    const csd_param *values = csd_constant(thresholds, part);
    for (uint32_t i = 0; i < count; i++)
        if ((values[i].u & 0x7F800000u) == 0x7F800000u)
            return CSD_FIELD_FLOAT;
    for (uint32_t i = 1; i < count; i++)
        if (values[i].f < values[i - 1u].f)
            return CSD_FIELD_RANGE;
    return CSD_OK;
}

csd_status csd_check_qcodebook(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref thresholds = o->in[CSD_QCODEBOOK_THRESHOLDS];
    csd_tensor_ref widths = o->in[CSD_QCODEBOOK_WIDTHS], codes = o->out[0];
    const csd_status status =
        check_quantizer(o->in[CSD_QCODEBOOK_X], thresholds, widths, codes, part);
    if (status != CSD_OK)
        return status;
    const int32_t *values = csd_constant(thresholds, part);
    const uint8_t *table = csd_constant(widths, part);
    for (uint32_t m = 0; m < codes->dims[1]; m++) {
        const uint32_t count = (1u << width_of(table, m)) - 1u;
        for (uint32_t i = 1; i < count; i++)
            if (values[i] < values[i - 1u])
                return CSD_FIELD_RANGE;
        values += count;
    }
    return CSD_OK;
}

static csd_status check_packing(csd_tensor_ref codes, csd_tensor_ref widths,
                                csd_tensor_ref payload, const csd_part *part) {
    totals sum;
    const csd_status status = add_up(codes, widths, part, &sum);
    if (status != CSD_OK)
        return status;
    return csd_shape_if(payload->rank == 2 && payload->dims[0] == codes->dims[0] &&
                        payload->dims[1] == (sum.bits + 7u) / 8u);
}

csd_status csd_check_pack_widths(const csd_operands *o, const csd_part *part) {
    return check_packing(o->in[CSD_PACK_WIDTHS_CODES], o->in[CSD_PACK_WIDTHS_WIDTHS], o->out[0],
                         part);
}

csd_status csd_check_unpack_widths(const csd_operands *o, const csd_part *part) {
    return check_packing(o->out[0], o->in[CSD_UNPACK_WIDTHS_WIDTHS],
                         o->in[CSD_UNPACK_WIDTHS_PAYLOAD], part);
}

csd_status csd_check_dequantize_codebook(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref codes = o->in[CSD_DEQUANTIZE_CODEBOOK_CODES];
    csd_tensor_ref book = o->in[CSD_DEQUANTIZE_CODEBOOK_BOOK];
    totals sum;
    if (!csd_same_shape(codes, o->out[0]))
        return CSD_BAD_SHAPE;
    const csd_status status = add_up(codes, o->in[CSD_DEQUANTIZE_CODEBOOK_WIDTHS], part, &sum);
    if (status != CSD_OK)
        return status;
    if (book->rank != 1 || book->dims[0] != sum.values)
        return CSD_BAD_SHAPE;
    const csd_param *wide = csd_constant(book, part);
    const uint16_t *halves = csd_constant(book, part);
    const int is_wide = book->dtype == CSD_F32;
    for (uint32_t i = 0; i < book->dims[0]; i++)
        if (is_wide ? (wide[i].u & 0x7F800000u) == 0x7F800000u : (halves[i] & 0x7C00u) == 0x7C00u)
            return CSD_FIELD_FLOAT;
    return CSD_OK;
}
