/* kernels/reference/table_precoder.c, sixteen numbers at a time and four columns' lengths in one
   square root and one division.

   The sum of squares is taken in float32. Of a unit, a column or all columns of a user, whose norm
   is made one, at most MOST_NUMBERS numbers are taken: their squares are at most 2^14, so all
   partial sums are integers up to 2^24, which float32 holds in any order of adding. Longer units are
   left to the general kernel.

   Users are sorted by counting, without a branch: of two, the later one of the order gets one place
   more. What a user at a place adds to the row's number, is prepared. */
#include <math.h>

#include "../fast.h"
#include "../precoder.h"
#include "code_words.h"

#define MOST_NUMBERS 1024u
#define MOST_TERMS 16384u /* of a prepared table: 64 KiB */
#define TOGETHER 16u      /* samples whose rows are found before the first of them is read */
#define LINE 64u
#define MOST_LINES 16u /* of a row, that are asked for in advance */

#if defined(__GNUC__) || defined(__clang__)
#define ASK_FOR(p) __builtin_prefetch(p)
#else
#define ASK_FOR(p) (void)(p)
#endif

/* terms[place][index], for tables of sets. */
size_t CSD_PREPARE(table_precoder)(const csd_args *args, void *memory) {
    const uint32_t users = args->out[0].shape.dims[1];
    const uint32_t levels = 1u << args->params[CSD_TABLE_PRECODER_P_BITS].u;
    uint32_t *terms = memory;
    if (!args->params[CSD_TABLE_PRECODER_P_SORTED].u || levels > MOST_TERMS / users)
        return 0;
    if (memory != NULL)
        for (uint32_t place = 0; place < users; place++)
            for (uint32_t q = 0; q < levels; q++)
                *terms++ = csd_rows_before(q, place);
    return users * levels * sizeof *terms;
}

typedef struct found {
    size_t row;
    uint32_t place[CSD_MOST_USERS];
} found;

CSD_INLINE void find(found *to, const uint8_t *message, const uint32_t users, uint32_t bits,
                     uint32_t sorted, const uint32_t *terms) {
    uint32_t index[CSD_MOST_USERS], place[CSD_MOST_USERS] = {0};
    size_t row = 0;
    csd_read_indices(index, message, users, bits);
    if (!sorted) {
        for (uint32_t k = 0; k < users; k++) {
            row = row << bits | index[k];
            to->place[k] = k;
        }
        to->row = row;
        return;
    }
    for (uint32_t k = 1; k < users; k++)
        for (uint32_t j = 0; j < k; j++) {
            const uint32_t above = index[j] > index[k];
            place[j] += above;
            place[k] += 1u - above;
        }
    for (uint32_t k = 0; k < users; k++) {
        row += terms != NULL ? terms[(place[k] << bits) + index[k]]
                             : csd_rows_before(index[k], place[k]);
        to->place[k] = place[k];
    }
    to->row = row;
}

/* What is read and written for each sample. */
typedef struct job {
    const uint8_t *table;
    uint32_t users;
    uint32_t units;  /* a user */
    uint32_t copies; /* of a unit in the result */
    size_t length;   /* of a unit: numbers */
    float root;      /* the norm that a unit gets */
} job;

CSD_INLINE csd_wide read(const uint8_t *unit, size_t at, size_t count, const int nibbles) {
    return csd_words_float(nibbles ? csd_words_i4(unit + at / 2u, count)
                                   : csd_words_i8((const int8_t *)unit + at, count));
}

CSD_INLINE void write(float *to, csd_wide x, size_t count) {
    if (count == CSD_WIDE)
        csd_wide_store(to, x);
    else
        csd_wide_store_first(to, x, count);
}

/* A sample from integers. `units` is that of the job or 0, if the compiler is not to know it;
   `one`: a unit is one vector. */
CSD_INLINE void make(float *v, const job *w, const found *f, uint32_t units, const int nibbles,
                     const int one) {
    const size_t length = one ? CSD_WIDE : w->length;
    const size_t bytes = nibbles ? length / 2u : length;
    units = units != 0 ? units : w->units;
    const uint32_t total = w->users * units;
    const uint8_t *row = w->table + f->row * total * bytes;
    for (uint32_t u = 0; u < total; u += 4u) {
        csd_wide x[4], squares[4];
        const uint8_t *unit[4];
        float factor[4];
        /* After the last one comes the last one again. */
        CSD_UNROLL
        for (uint32_t i = 0; i < 4u; i++) {
            const uint32_t at = u + i < total ? u + i : total - 1u;
            unit[i] = row + (f->place[at / units] * units + at % units) * bytes;
            x[i] = read(unit[i], 0, length < CSD_WIDE ? length : CSD_WIDE, nibbles);
            squares[i] = csd_wide_mul(x[i], x[i]);
            for (size_t j = CSD_WIDE; j < length; j += CSD_WIDE) {
                const size_t count = length - j < CSD_WIDE ? length - j : CSD_WIDE;
                const csd_wide y = read(unit[i], j, count, nibbles);
                squares[i] = csd_wide_add(squares[i], csd_wide_mul(y, y));
            }
        }
        csd_wide_totals(factor, squares[0], squares[1], squares[2], squares[3]);
        csd_four_over_roots(factor, w->root);
        CSD_UNROLL
        for (uint32_t i = 0; i < 4u; i++) {
            if (u + i >= total)
                break;
            const csd_wide by = csd_wide_all(factor[i]);
            float *to = v + (size_t)(u + i) * w->copies * length;
            for (size_t j = 0; j < length; j += CSD_WIDE) {
                const size_t count = length - j < CSD_WIDE ? length - j : CSD_WIDE;
                const csd_wide y = csd_wide_mul(j ? read(unit[i], j, count, nibbles) : x[i], by);
                for (uint32_t c = 0; c < w->copies; c++)
                    write(to + c * length + j, y, count);
            }
        }
    }
}

/* A sample from float32: a unit is all that a user has. */
CSD_INLINE void copy(float *v, const job *w, const found *f, const int one) {
    const size_t length = one ? CSD_WIDE : w->length;
    const float *row = (const float *)(const void *)w->table + f->row * w->users * length;
    for (uint32_t k = 0; k < w->users; k++, v += w->copies * length) {
        const float *unit = row + f->place[k] * length;
        for (size_t j = 0; j < length; j += CSD_WIDE) {
            const size_t count = length - j < CSD_WIDE ? length - j : CSD_WIDE;
            const csd_wide y = count == CSD_WIDE ? csd_wide_load(unit + j)
                                                 : csd_wide_load_first(unit + j, count);
            for (uint32_t c = 0; c < w->copies; c++)
                write(v + c * length + j, y, count);
        }
    }
}

CSD_INLINE void make_bytes(float *v, const job *w, const found *f, const int nibbles) {
    if (w->length != CSD_WIDE)
        make(v, w, f, 0, nibbles, 0);
    else if (w->units == 1u)
        make(v, w, f, 1, nibbles, 1);
    else if (w->units == 2u)
        make(v, w, f, 2, nibbles, 1);
    else
        make(v, w, f, 0, nibbles, 1);
}

int CSD_FAST(table_precoder)(const csd_args *args) {
    const csd_input *payload = &args->in[CSD_TABLE_PRECODER_PAYLOAD];
    const csd_input *table = &args->in[CSD_TABLE_PRECODER_TABLE];
    const csd_shape *out = &args->out[0].shape;
    const uint32_t bits = args->params[CSD_TABLE_PRECODER_P_BITS].u;
    const uint32_t sorted = args->params[CSD_TABLE_PRECODER_P_SORTED].u;
    const uint32_t users = out->dims[1], streams = out->dims[2], columns = table->shape.dims[2];
    const uint32_t dtype = table->shape.dtype;
    const size_t width = (size_t)columns * out->dims[3] * 2u;
    const int together =
        dtype == CSD_F32 || args->params[CSD_TABLE_PRECODER_P_PER_USER].u || columns == 1u;
    const job w = {table->data,
                   users,
                   together ? 1u : columns,
                   columns == 1u ? streams : 1u,
                   together ? width : width / columns,
                   together && columns > 1u ? sqrtf((float)columns) : 1.0f};
    if (dtype != CSD_F32 && w.length > MOST_NUMBERS)
        return 0;
    const size_t row_bytes =
        dtype == CSD_F32 ? users * width * sizeof(float)
                         : users * width / (dtype == CSD_U8 ? 2u : 1u);
    const uint8_t *message = payload->data;
    float *v = args->out[0].data;
    found f[TOGETHER];
    for (uint32_t n = 0; n < out->dims[0]; n += TOGETHER) {
        const uint32_t count = out->dims[0] - n < TOGETHER ? out->dims[0] - n : TOGETHER;
        for (uint32_t i = 0; i < count; i++, message += users * payload->shape.dims[2]) {
            if (users == 2u)
                find(f + i, message, 2, bits, sorted, args->prepared);
            else if (users == 4u)
                find(f + i, message, 4, bits, sorted, args->prepared);
            else
                find(f + i, message, users, bits, sorted, args->prepared);
            const uint8_t *row = w.table + f[i].row * row_bytes;
            for (size_t at = 0; at < row_bytes && at < MOST_LINES * LINE; at += LINE)
                ASK_FOR(row + at);
        }
        for (uint32_t i = 0; i < count; i++, v += (size_t)users * w.units * w.copies * w.length) {
            if (dtype == CSD_F32 && w.length == CSD_WIDE)
                copy(v, &w, f + i, 1);
            else if (dtype == CSD_F32)
                copy(v, &w, f + i, 0);
            else if (dtype == CSD_I8)
                make_bytes(v, &w, f + i, 0);
            else
                make_bytes(v, &w, f + i, 1);
        }
    }
    return 1;
}
