/* precoded (n, R, N, 2) -> payload: for each RU and channel use the nearest codeword. Distances are
   sums of squares in doubles, real before imaginary part, antenna after antenna; the lowest index
   of equal ones; 0 where none is finite. Eight channel uses and two codewords go together. */
#include <math.h>
#include <string.h>

#include "../fronthaul.h"

#define TILE 8u
#define TOGETHER 2u

/* at[i]: index for the numbers x[i * step]; `lanes` is 1 or TILE. */
static inline void find_nearest(double *restrict at, const float *x, size_t step,
                                const float *table, uint32_t words, size_t count,
                                const size_t lanes) {
    double least[TILE];
    for (size_t i = 0; i < lanes; i++) {
        least[i] = HUGE_VAL;
        at[i] = 0.0;
    }
    for (uint32_t b = 0; b < words; b += TOGETHER) {
        double sums[TOGETHER][TILE];
        for (size_t i = 0; i < lanes; i++)
            sums[0][i] = sums[1][i] = 0.0;
        for (size_t k = 0; k < count; k++) {
            const double first = table[k], second = table[count + k];
            for (size_t i = 0; i < lanes; i++) {
                const double number = x[i * step + k];
                sums[0][i] += (number - first) * (number - first);
                sums[1][i] += (number - second) * (number - second);
            }
        }
        for (uint32_t j = 0; j < TOGETHER; j++) {
            for (size_t i = 0; i < lanes; i++) {
                const int nearer = sums[j][i] < least[i];
                at[i] = nearer ? (double)(b + j) : at[i];
                least[i] = nearer ? sums[j][i] : least[i];
            }
        }
        table += TOGETHER * count;
    }
}

static void nearest_tile(double *at, const float *x, size_t step, const float *table,
                         uint32_t words, size_t count) {
    find_nearest(at, x, step, table, words, count, TILE);
}

static void nearest_one(double *at, const float *x, size_t step, const float *table,
                        uint32_t words, size_t count) {
    find_nearest(at, x, step, table, words, count, 1);
}

void CSD_KERNEL(table_nearest)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_TABLE_NEAREST_PRECODED];
    const csd_input *list = &args->in[CSD_TABLE_NEAREST_RUS];
    const int32_t *rus = list->data;
    const uint32_t uses = input->shape.dims[1];
    const size_t step = 2u * (size_t)input->shape.dims[2];
    const float *x = input->data;
    uint8_t *stream = args->out[0].data;
    memset(stream, 0, csd_size(&args->out[0].shape));
    for (uint32_t n = 0; n < input->shape.dims[0]; n++) {
        const float *table = args->in[CSD_TABLE_NEAREST_TABLES].data;
        const float *own = x;
        for (uint32_t m = 0; m < list->shape.dims[0]; m++) {
            const uint32_t bits = csd_ru_bits(rus, m), words = 1u << bits;
            const size_t count = 2u * csd_ru_antennas(rus, m);
            for (uint32_t r = 0; r < uses;) {
                double at[TILE];
                const uint32_t lanes = uses - r < TILE ? 1u : TILE;
                if (lanes == TILE)
                    nearest_tile(at, own + r * step, step, table, words, count);
                else
                    nearest_one(at, own + r * step, step, table, words, count);
                for (uint32_t i = 0; i < lanes; i++, r++)
                    csd_put_index(stream, r, bits, (uint32_t)at[i]);
            }
            own += count;
            table += words * count;
            stream += csd_stream_bytes(uses, bits);
        }
        x += uses * step;
    }
}
