/* precoded (n, R, N, 2) -> payload: for each RU and channel use the nearest codeword. Distances are
   sums of squares in doubles, real before imaginary part, antenna after antenna; the lowest index
   of equal ones; 0 where none is finite. Of RUs of up to 8 antennas 32 channel uses go side by side,
   number k of all of them in a row; what is left over goes one by one, in the same order. */
#include <math.h>
#include <string.h>

#include "../fronthaul.h"

#define TILE 32u
#define MOST_NUMBERS 16u /* of a channel use in a tile */

static void nearest_in_tile(uint32_t *found, double x[MOST_NUMBERS][TILE], const float *table,
                            uint32_t words, size_t count) {
    double least[TILE], at[TILE];
    for (size_t i = 0; i < TILE; i++) {
        least[i] = HUGE_VAL;
        at[i] = 0.0;
    }
    for (uint32_t b = 0; b < words; b++) {
        const double index = b;
        const double *row = x[0];
        double sums[TILE];
        for (size_t i = 0; i < TILE; i++)
            sums[i] = 0.0;
        for (size_t k = 0; k < count; k++) {
            const double number = *table++;
            for (size_t i = 0; i < TILE; i++)
                sums[i] += (row[i] - number) * (row[i] - number);
            row += TILE;
        }
        for (size_t i = 0; i < TILE; i++) {
            const int nearer = sums[i] < least[i];
            at[i] = nearer ? index : at[i];
            least[i] = nearer ? sums[i] : least[i];
        }
    }
    for (size_t i = 0; i < TILE; i++)
        found[i] = (uint32_t)at[i];
}

static uint32_t nearest_of_one(const float *x, const float *table, uint32_t words, size_t count) {
    double least = HUGE_VAL;
    uint32_t at = 0;
    for (uint32_t b = 0; b < words; b++) {
        double sum = 0.0;
        for (size_t k = 0; k < count; k++) {
            const double apart = (double)x[k] - *table++;
            sum += apart * apart;
        }
        if (sum < least) {
            least = sum;
            at = b;
        }
    }
    return at;
}

/* All R channel uses of one RU; `step` numbers lie between two of them. */
static void quantize(uint8_t *stream, const float *x, size_t step, uint32_t uses,
                     const float *table, uint32_t bits, size_t count) {
    const uint32_t words = 1u << bits;
    uint32_t r = 0;
    for (; count <= MOST_NUMBERS && uses - r >= TILE; r += TILE) {
        double tile[MOST_NUMBERS][TILE];
        uint32_t found[TILE];
        for (size_t i = 0; i < TILE; i++)
            for (size_t k = 0; k < count; k++)
                tile[k][i] = x[(r + i) * step + k];
        nearest_in_tile(found, tile, table, words, count);
        for (uint32_t i = 0; i < TILE; i++)
            csd_put_index(stream, r + i, bits, found[i]);
    }
    for (; r < uses; r++)
        csd_put_index(stream, r, bits, nearest_of_one(x + r * step, table, words, count));
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
            const uint32_t bits = csd_ru_bits(rus, m);
            const size_t count = 2u * csd_ru_antennas(rus, m);
            quantize(stream, own, step, uses, table, bits, count);
            own += count;
            table += count << bits;
            stream += csd_stream_bytes(uses, bits);
        }
        x += uses * step;
    }
}
