/* gains (n, M, U) -> classes (n, M): which RUs quantize at the same time. A product of gains above
   the `excluded`-th smallest is an edge; classes without edges come of recursive largest first. At
   most 32 RUs: a set of them is a word. Products of floats are exact in doubles. */
#include "../fronthaul.h"

#define LARGEST 1.7976931348623157e308
#define MOST_PAIRS (CSD_MOST_RUS * (CSD_MOST_RUS - 1u) / 2u)

/* By sums of neighbouring bits: a compiler's own counting may be a call into its library. */
static uint32_t size_of(uint32_t set) {
    set = (set & 0x55555555u) + (set >> 1 & 0x55555555u);
    set = (set & 0x33333333u) + (set >> 2 & 0x33333333u);
    set = (set & 0x0F0F0F0Fu) + (set >> 4 & 0x0F0F0F0Fu);
    set = (set & 0x00FF00FFu) + (set >> 8 & 0x00FF00FFu);
    return (set & 0xFFFFu) + (set >> 16);
}

static double multiply(const float *a, const float *b, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* A product is above the k-th smallest where k of them or more are below it. What is not finite is
   below nothing. */
static void find_edges(uint32_t *neighbours, const float *gains, uint32_t rus, size_t users,
                       uint32_t excluded) {
    double products[MOST_PAIRS];
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < rus; i++) {
        neighbours[i] = 0;
        for (uint32_t j = 0; j < i; j++)
            products[pairs++] = multiply(gains + i * users, gains + j * users, users);
    }
    uint32_t pair = 0;
    for (uint32_t i = 0; i < rus; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const double product = products[pair++];
            uint32_t below = 0;
            for (uint32_t other = 0; other < pairs; other++)
                below += products[other] >= -LARGEST && products[other] < product;
            if (below >= excluded && product >= -LARGEST && product <= LARGEST) {
                neighbours[i] |= 1u << j;
                neighbours[j] |= 1u << i;
            }
        }
    }
}

/* The RU of `from` with the most neighbours in `near`, then the fewest in `few`; the lowest. */
static uint32_t choose(const uint32_t *neighbours, uint32_t from, uint32_t near, uint32_t few) {
    uint32_t best = 0, most = 0;
    for (uint32_t i = 0; i < CSD_MOST_RUS; i++) {
        if (!(from >> i & 1u))
            continue;
        /* Above 0, so that the first one is better than none. */
        const uint32_t rank =
            (size_of(neighbours[i] & near) + 1u) * 64u - size_of(neighbours[i] & few);
        if (rank > most) {
            most = rank;
            best = i;
        }
    }
    return best;
}

static void classify(int32_t *classes, const uint32_t *neighbours, uint32_t rus) {
    uint32_t left = 0xFFFFFFFFu >> (CSD_MOST_RUS - rus);
    for (int32_t class = 0; left != 0; class++) {
        uint32_t next = choose(neighbours, left, left, 0);
        uint32_t candidates = left, excluded = 0;
        for (;;) {
            classes[next] = class;
            left &= ~(1u << next);
            candidates &= ~(1u << next);
            excluded |= neighbours[next] & candidates;
            candidates &= ~neighbours[next];
            if (candidates == 0)
                break;
            next = choose(neighbours, candidates, excluded, candidates);
        }
    }
}

void CSD_KERNEL(interference_schedule)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_INTERFERENCE_SCHEDULE_GAINS];
    const uint32_t rus = input->shape.dims[1];
    const size_t users = input->shape.dims[2];
    const float *gains = input->data;
    int32_t *classes = args->out[0].data;
    for (uint32_t n = 0; n < input->shape.dims[0]; n++) {
        uint32_t neighbours[CSD_MOST_RUS];
        find_edges(neighbours, gains, rus, users,
                   args->params[CSD_INTERFERENCE_SCHEDULE_P_EXCLUDED].u);
        classify(classes, neighbours, rus);
        gains += rus * users;
        classes += rus;
    }
}
