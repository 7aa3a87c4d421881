/* Precoders: messages, result and the constant that the users' indices choose from. A table has
   exactly as many rows as indices can name, so that no payload leads outside. */
#include "verify_shapes.h"

#define MOST_USERS 16u
#define MOST_FORCED 64u     /* of ZERO_FORCING */
#define MOST_NUMBERS 65535u /* of a user's columns: the squares' sum stays below 2^31 */

/* payload (n, K, ceil(bits / 8)), v (n, K, N, M, 2). */
static int messages_fit(csd_tensor_ref payload, csd_tensor_ref v, uint32_t bits) {
    return payload->rank == 3 && v->rank == 5 && payload->dims[0] == v->dims[0] &&
           payload->dims[1] == v->dims[1] && payload->dims[2] == (bits + 7u) / 8u &&
           v->dims[1] <= MOST_USERS && csd_is_number(v->dims[2]) && v->dims[4] == 2u;
}

/* 2^(bits users), or the number of multisets, binomial(2^bits + users - 1, users), by products
   that stay below 2^48; 0 if there are 2^31 or more. */
static uint64_t table_rows(uint32_t bits, uint32_t users, uint32_t sorted) {
    const uint64_t levels = 1u << bits;
    uint64_t rows = 1;
    for (uint32_t i = 1; i <= users; i++) {
        rows = sorted ? rows * (levels + i - 1u) / i : rows * levels;
        if (rows > CSD_DIM_MAX)
            return 0;
    }
    return rows;
}

csd_status csd_check_table_precoder(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref table = o->in[CSD_TABLE_PRECODER_TABLE], v = o->out[0];
    const uint32_t bits = o->params[CSD_TABLE_PRECODER_P_BITS].u;
    const uint32_t sorted = o->params[CSD_TABLE_PRECODER_P_SORTED].u;
    if (!messages_fit(o->in[CSD_TABLE_PRECODER_PAYLOAD], v, bits))
        return CSD_BAD_SHAPE;
    /* Of four bits each, a complex number is one byte. */
    if (table->dtype == CSD_U8 ? table->rank != 4 : table->rank != 5 || table->dims[4] != 2u)
        return CSD_BAD_SHAPE;
    if (table->dims[0] != table_rows(bits, v->dims[1], sorted) || table->dims[1] != v->dims[1] ||
        (table->dims[2] != v->dims[2] && table->dims[2] != 1u) || table->dims[3] != v->dims[3] ||
        (uint64_t)v->dims[2] * v->dims[3] > MOST_NUMBERS)
        return CSD_BAD_SHAPE;
    return table->dtype == CSD_F32 ? csd_check_finite(table, part) : CSD_OK;
}

csd_status csd_check_rzf_precoder(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref codebook = o->in[CSD_RZF_PRECODER_CODEBOOK], v = o->out[0];
    const uint32_t bits = o->params[CSD_RZF_PRECODER_P_BITS].u;
    if (!messages_fit(o->in[CSD_RZF_PRECODER_PAYLOAD], v, bits) || codebook->rank != 3 ||
        codebook->dims[0] != 1u << bits || codebook->dims[1] != v->dims[3] ||
        codebook->dims[2] != 2u)
        return CSD_BAD_SHAPE;
    return csd_check_finite(codebook, part);
}

csd_status csd_check_zero_forcing(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref h = o->in[CSD_ZERO_FORCING_H], loading = o->in[CSD_ZERO_FORCING_LOADING];
    csd_tensor_ref scratch = o->out[CSD_ZERO_FORCING_OUT_SCRATCH];
    const uint32_t users = h->dims[1] == CSD_DIM_K ? part->header->k_max : h->dims[1];
    /* Complex doubles, each in the room of four floats. The arena is aligned. */
    return csd_shape_if(h->rank == 4 && csd_same_shape(h, o->out[CSD_ZERO_FORCING_OUT_W]) &&
                        users <= MOST_FORCED && csd_is_number(h->dims[2]) && h->dims[3] == 2u &&
                        loading->rank == 2 && loading->dims[0] == h->dims[0] &&
                        loading->dims[1] == 1u && scratch->storage == CSD_STORAGE_ARENA &&
                        scratch->rank == 2 && scratch->dims[0] == h->dims[1] &&
                        scratch->dims[1] == 4u * users);
}
