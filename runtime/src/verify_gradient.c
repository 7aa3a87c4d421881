/* GRADIENT_SEARCH: the sizes of the units say how many weights, bytes of payload and numbers of
   scratch there must be. With the limits here every sum stays below 2^40. */
#include "verify_shapes.h"

#define MOST_UNITS 32u
#define MOST_ANTENNAS 512u /* of a unit, and streams */
#define MOST_BITS 512u
#define MOST_HIDDEN 512u
#define MOST_BLOCK 65535u
#define WIDE 16u
#define GROUP 24u
#define ALONE 128u
#define ROW 1024u

/* A step as its tensors say it, and what its units add up to. */
typedef struct amounts {
    uint32_t layers, block, width, shared; /* width: real numbers of a channel use */
    uint32_t antennas;
    uint64_t weights, unread, payload, scratch;
} amounts;

static uint32_t round_up(uint32_t count) { return (count + WIDE - 1u) / WIDE * WIDE; }

static int unit_legal(const int32_t *sizes, uint32_t layers) {
    const int32_t antennas = sizes[0], bits = sizes[1], hidden = sizes[2];
    if (antennas < 1 || antennas > (int32_t)MOST_ANTENNAS || bits < 1 || bits > (int32_t)MOST_BITS)
        return 0;
    if (layers == 0)
        return hidden == 0;
    return hidden >= 1 && hidden <= (int32_t)MOST_HIDDEN && (uint32_t)hidden % WIDE == 0;
}

static void add_unit(amounts *a, const int32_t *sizes) {
    const uint32_t antennas = (uint32_t)sizes[0], bits = (uint32_t)sizes[1];
    const uint32_t hidden = (uint32_t)sizes[2], own = 2u * antennas;
    const uint32_t rows = a->block < GROUP ? a->block : GROUP;
    const uint32_t features = a->layers > 0 ? hidden : round_up(bits);
    const uint32_t outputs = a->shared ? a->width : own;
    for (uint32_t k = 0; k < a->layers; k++) {
        const uint32_t inputs = k == 0 ? bits : hidden;
        a->weights += (uint64_t)(inputs + round_up(inputs) + 1u) * hidden;
        a->scratch += (uint64_t)rows * hidden + round_up(rows * (hidden + WIDE) / 2u);
    }
    a->weights += (uint64_t)own * features + round_up(own);
    /* One channel use alone reads no second orientation of a wide first layer. */
    if (a->block == 1 && hidden > ALONE)
        a->unread += (uint64_t)round_up(bits) * hidden;
    a->scratch += (uint64_t)features * (round_up(outputs) + a->shared * outputs);
    a->scratch += (uint64_t)(2u * rows + 1u) * round_up(bits) + WIDE + hidden;
    a->antennas += antennas;
    a->payload += ((uint64_t)a->block * bits + 7u) / 8u;
}

/* targets (n, R, L or N, 2), step (n,), effective (n, L, N, 2) or absent; the antennas are checked
   against the sizes. */
static int problem_fits(csd_tensor_ref effective, csd_tensor_ref targets, csd_tensor_ref step) {
    if (targets->rank != 4 || step->rank != 1 || targets->dims[0] != step->dims[0] ||
        targets->dims[1] > MOST_BLOCK || targets->dims[3] != 2u)
        return 0;
    if (effective == NULL)
        return targets->dims[2] <= MOST_UNITS * MOST_ANTENNAS;
    return effective->rank == 4 && effective->dims[0] == targets->dims[0] &&
           effective->dims[1] == targets->dims[2] && targets->dims[2] <= MOST_ANTENNAS &&
           effective->dims[3] == 2u;
}

csd_status csd_check_gradient_search(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref effective = o->in[CSD_GRADIENT_SEARCH_EFFECTIVE];
    csd_tensor_ref targets = o->in[CSD_GRADIENT_SEARCH_TARGETS];
    csd_tensor_ref weights = o->in[CSD_GRADIENT_SEARCH_WEIGHTS];
    csd_tensor_ref sizes = o->in[CSD_GRADIENT_SEARCH_SIZES];
    csd_tensor_ref payload = o->out[CSD_GRADIENT_SEARCH_OUT_PAYLOAD];
    csd_tensor_ref scratch = o->out[CSD_GRADIENT_SEARCH_OUT_SCRATCH];
    if (!problem_fits(effective, targets, o->in[CSD_GRADIENT_SEARCH_STEP]) || weights->rank != 1 ||
        sizes->rank != 2 || sizes->dims[0] > MOST_UNITS || sizes->dims[1] != 3u ||
        payload->rank != 2 || payload->dims[0] != targets->dims[0] || scratch->rank != 1)
        return CSD_BAD_SHAPE;
    amounts a = {0};
    a.layers = o->params[CSD_GRADIENT_SEARCH_P_LAYERS].u;
    a.block = targets->dims[1];
    a.width = 2u * targets->dims[2];
    a.shared = effective != NULL;
    const int32_t *values = csd_constant(sizes, part);
    for (uint32_t m = 0; m < sizes->dims[0]; m++) {
        if (!unit_legal(values + 3u * m, a.layers))
            return CSD_FIELD_RANGE;
        add_unit(&a, values + 3u * m);
    }
    const uint32_t rows = a.block < GROUP ? a.block : GROUP;
    a.scratch += a.weights - a.unread + (uint64_t)(1u + 3u * rows) * round_up(a.width);
    a.scratch += 2u * ROW + WIDE;
    if (a.antennas != (effective != NULL ? effective->dims[2] : targets->dims[2]) ||
        a.weights != weights->dims[0] || a.payload != payload->dims[1] ||
        a.scratch != scratch->dims[0])
        return CSD_BAD_SHAPE;
    const csd_param *numbers = csd_constant(weights, part);
    for (uint64_t i = 0; i < a.weights; i++)
        if ((numbers[i].u & 0x7F800000u) == 0x7F800000u)
            return CSD_FIELD_FLOAT;
    return CSD_OK;
}
