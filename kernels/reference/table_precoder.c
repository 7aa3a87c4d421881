/* payload (n, K, ceil(B/8)) -> v (n, K, N, M, 2): one row of a table of precoders, found by all
   users' indices. A sorted table holds each set of indices once: users are sorted, the row is
   looked up, and its blocks go back to their users. */
#include <math.h>
#include <string.h>

#include "../precoder.h"

/* The row, and the block of each user in it. */
static size_t find_row(const uint32_t *index, uint32_t *place, uint32_t users, uint32_t bits,
                       uint32_t sorted) {
    size_t row = 0;
    for (uint32_t k = 0; k < users; k++) {
        place[k] = k;
        if (!sorted) {
            row = row << bits | index[k];
            continue;
        }
        place[k] = 0;
        for (uint32_t j = 0; j < users; j++)
            place[k] += j < k ? index[j] <= index[k] : index[j] < index[k];
        row += csd_rows_before(index[k], place[k]);
    }
    return row;
}

/* `count` integers as floats; returns the sum of their squares. */
static int32_t load_bytes(float *restrict v, const int8_t *restrict t, size_t count) {
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t value = t[i];
        sum += value * value;
        v[i] = (float)value;
    }
    return sum;
}

/* The same of four bits each, two a byte. */
static int32_t load_nibbles(float *restrict v, const uint8_t *restrict t, size_t count) {
    int32_t sum = 0;
    for (size_t i = 0; i < count / 2u; i++) {
        const int32_t re = (int32_t)(t[i] >> 4 ^ 8u) - 8, im = (int32_t)((t[i] & 15u) ^ 8u) - 8;
        sum += re * re + im * im;
        v[2u * i] = (float)re;
        v[2u * i + 1u] = (float)im;
    }
    return sum;
}

static void scale(float *v, size_t count, float root, int32_t sum) {
    const float factor = root / sqrtf((float)(sum > 0 ? sum : 1));
    for (size_t i = 0; i < count; i++)
        v[i] *= factor;
}

/* `columns` columns of one user, from element `at` of the table on; `length` numbers each. */
static void load_user(float *v, const csd_input *table, size_t at, uint32_t columns, size_t length,
                      uint32_t per_user) {
    int32_t sum = 0;
    if (table->shape.dtype == CSD_F32) {
        memcpy(v, (const float *)table->data + at, columns * length * sizeof *v);
        return;
    }
    for (uint32_t c = 0; c < columns; c++, at += length) {
        float *column = v + c * length;
        sum += table->shape.dtype == CSD_I8
                   ? load_bytes(column, (const int8_t *)table->data + at, length)
                   : load_nibbles(column, (const uint8_t *)table->data + at / 2u, length);
        if (!per_user) {
            scale(column, length, 1.0f, sum);
            sum = 0;
        }
    }
    if (per_user)
        scale(v, columns * length, sqrtf((float)columns), sum);
}

void CSD_KERNEL(table_precoder)(const csd_args *args) {
    const csd_input *payload = &args->in[CSD_TABLE_PRECODER_PAYLOAD];
    const csd_input *table = &args->in[CSD_TABLE_PRECODER_TABLE];
    const csd_shape *out = &args->out[0].shape;
    const uint32_t bits = args->params[CSD_TABLE_PRECODER_P_BITS].u;
    const uint32_t sorted = args->params[CSD_TABLE_PRECODER_P_SORTED].u;
    const uint32_t per_user = args->params[CSD_TABLE_PRECODER_P_PER_USER].u;
    const uint32_t users = out->dims[1], streams = out->dims[2], columns = table->shape.dims[2];
    const size_t length = (size_t)out->dims[3] * 2u;
    const uint8_t *messages = payload->data;
    float *v = args->out[0].data;
    for (uint32_t n = 0; n < out->dims[0]; n++, messages += users * payload->shape.dims[2]) {
        uint32_t index[CSD_MOST_USERS], place[CSD_MOST_USERS];
        csd_read_indices(index, messages, users, bits);
        const size_t row = find_row(index, place, users, bits, sorted);
        for (uint32_t k = 0; k < users; k++, v += streams * length) {
            const size_t at = (row * users + place[k]) * columns * length;
            load_user(v, table, at, columns, length, per_user);
            /* One column a user stands for all of its streams. */
            for (uint32_t j = columns; j < streams; j++)
                memcpy(v + j * length, v, length * sizeof *v);
        }
    }
}
