/* Quantizers of the fronthaul: what the RUs have and send fixes the lengths of their tables, of the
   payload and of the search's scratch. The kernels walk by these numbers alone. */
#include "verify_shapes.h"

#define MOST_RUS 32u
#define MOST_BITS 12
#define MOST_JOINT_BITS 20u
#define TILE 32u

typedef struct totals {
    uint64_t antennas; /* N: below 2^36 */
    uint64_t words;    /* sum 2^B_m: at most 2^17 */
    uint64_t numbers;  /* sum 2^B_m N_m 2: below 2^49 */
    uint64_t bits;     /* sum B_m */
    uint64_t bytes;    /* sum ceil(R B_m / 8): below 2^38 */
} totals;

/* rus (M, 2), tables as long as they say, payload (n, bytes) of `uses` indices an RU. */
static csd_status check_rus(csd_tensor_ref rus, csd_tensor_ref tables, uint32_t uses,
                            csd_tensor_ref payload, const csd_part *part, totals *sum) {
    if (rus->rank != 2 || rus->dims[0] > MOST_RUS || rus->dims[1] != 2u || !csd_is_number(uses))
        return CSD_BAD_SHAPE;
    const int32_t *own = csd_constant(rus, part);
    sum->antennas = sum->words = sum->numbers = sum->bits = sum->bytes = 0;
    for (uint32_t m = 0; m < rus->dims[0]; m++, own += 2) {
        if (own[0] < 1 || own[1] < 1 || own[1] > MOST_BITS)
            return CSD_FIELD_RANGE;
        const uint64_t antennas = (uint32_t)own[0], bits = (uint32_t)own[1];
        sum->antennas += antennas;
        sum->words += 1u << bits;
        sum->numbers += (antennas << bits) * 2u;
        sum->bits += bits;
        sum->bytes += (uses * bits + 7u) / 8u;
    }
    /* Sums could reach the code of a symbol. That of N cannot: the tables are longer. */
    if (tables->rank != 1 || tables->dims[0] != sum->numbers || payload->rank != 2 ||
        !csd_is_number(payload->dims[1]) || payload->dims[1] != sum->bytes)
        return CSD_BAD_SHAPE;
    return csd_check_finite(tables, part);
}

csd_status csd_check_interference_schedule(const csd_operands *o, const csd_part *part) {
    (void)part;
    csd_tensor_ref gains = o->in[CSD_INTERFERENCE_SCHEDULE_GAINS], classes = o->out[0];
    const uint32_t rus = gains->dims[1];
    return csd_shape_if(gains->rank == 3 && classes->rank == 2 &&
                        gains->dims[0] == classes->dims[0] && rus == classes->dims[1] &&
                        rus <= MOST_RUS && csd_is_number(gains->dims[2]) &&
                        o->params[CSD_INTERFERENCE_SCHEDULE_P_EXCLUDED].u <= rus * (rus - 1u) / 2u);
}

csd_status csd_check_table_search(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref effective = o->in[CSD_TABLE_SEARCH_EFFECTIVE];
    csd_tensor_ref targets = o->in[CSD_TABLE_SEARCH_TARGETS];
    csd_tensor_ref classes = o->in[CSD_TABLE_SEARCH_CLASSES];
    csd_tensor_ref rus = o->in[CSD_TABLE_SEARCH_RUS];
    csd_tensor_ref payload = o->out[CSD_TABLE_SEARCH_OUT_PAYLOAD];
    csd_tensor_ref scratch = o->out[CSD_TABLE_SEARCH_OUT_SCRATCH];
    const uint32_t streams = effective->dims[1];
    if (effective->rank != 4 || targets->rank != 4 || effective->dims[0] != targets->dims[0] ||
        effective->dims[0] != payload->dims[0] || streams != targets->dims[2] ||
        !csd_is_number(streams) || effective->dims[3] != 2u || targets->dims[3] != 2u)
        return CSD_BAD_SHAPE;
    totals sum;
    const csd_status status = check_rus(rus, o->in[CSD_TABLE_SEARCH_TABLES], targets->dims[1],
                                        payload, part, &sum);
    if (status != CSD_OK)
        return status;
    if (effective->dims[2] != sum.antennas)
        return CSD_BAD_SHAPE;
    const int is_exhaustive =
        o->params[CSD_TABLE_SEARCH_P_FUNCTION].u == CSD_SEARCH_EXHAUSTIVE;
    if (is_exhaustive && sum.bits > MOST_JOINT_BITS)
        return CSD_FIELD_RANGE;
    if (classes != NULL && (is_exhaustive || classes->rank != 2 ||
                            classes->dims[0] != effective->dims[0] ||
                            classes->dims[1] != rus->dims[0]))
        return CSD_BAD_SHAPE;
    /* Doubles, each in the room of two floats; 2^49 of them at most. The arena is aligned. */
    const uint64_t parts = 2u * (uint64_t)streams;
    const uint64_t doubles = (parts + 1u) * sum.words +
                             TILE * ((rus->dims[0] + 3u) * parts + rus->dims[0]);
    return csd_shape_if(scratch->storage == CSD_STORAGE_ARENA && scratch->rank == 1 &&
                        csd_is_number(scratch->dims[0]) && scratch->dims[0] == 2u * doubles);
}

csd_status csd_check_table_nearest(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref precoded = o->in[CSD_TABLE_NEAREST_PRECODED], payload = o->out[0];
    if (precoded->rank != 4 || precoded->dims[0] != payload->dims[0] || precoded->dims[3] != 2u)
        return CSD_BAD_SHAPE;
    totals sum;
    const csd_status status =
        check_rus(o->in[CSD_TABLE_NEAREST_RUS], o->in[CSD_TABLE_NEAREST_TABLES],
                  precoded->dims[1], payload, part, &sum);
    if (status != CSD_OK)
        return status;
    return csd_shape_if(precoded->dims[2] == sum.antennas);
}
